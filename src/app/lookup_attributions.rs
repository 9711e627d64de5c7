//! LookupAttributions: many messages at once, through the cache.

use super::{App, Error, Result, at_least};
use crate::{
    cache::Cached,
    domain::{Answer, Message, MessageId, MessageKey, Revision, Tenant, TenantId},
};
use std::{collections::HashMap, sync::Arc};

/// Messages of one call.
pub const MAX_LOOKUPS: usize = 1_000;

impl App {
    /// The answer for each id in the order asked; `None`: nothing is stored.
    pub async fn lookup_attributions(
        &self,
        tenant: TenantId,
        ids: &[MessageId],
        revision: Revision,
    ) -> Result<Vec<Option<Arc<Answer>>>> {
        let keys: Vec<MessageKey> = ids.iter().map(MessageId::key).collect();
        let mut found = self.cache.get(tenant, &keys).await;
        // a value read from an older state than demanded is a miss
        found.retain(|_, cached| cached.as_of >= revision);
        let mut missing: Vec<MessageKey> = keys.clone();
        missing.retain(|key| !found.contains_key(key));
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            found.extend(self.read_answers(tenant, missing, revision).await?);
        }
        let answer = |key| found.get(key).and_then(|cached| cached.answer.clone());
        Ok(keys.iter().map(answer).collect())
    }

    async fn read_answers(
        &self,
        tenant: TenantId,
        keys: Vec<MessageKey>,
        revision: Revision,
    ) -> Result<HashMap<MessageKey, Cached>> {
        let snapshot = self.store.answers(tenant, &keys).await?;
        let snapshot = snapshot.ok_or(Error::TenantNotFound(tenant))?;
        at_least(revision, snapshot.as_of)?;
        let absent = Cached {
            as_of: snapshot.as_of,
            answer: None,
        };
        let mut read: HashMap<MessageKey, Cached> =
            keys.into_iter().map(|key| (key, absent.clone())).collect();
        for answer in snapshot.value {
            let cached = Cached {
                as_of: snapshot.as_of,
                answer: Some(Arc::new(answer)),
            };
            read.extend(
                cached
                    .answer
                    .as_ref()
                    .map(|a| a.key)
                    .map(|key| (key, cached)),
            );
        }
        self.cache.put(tenant, &read).await;
        Ok(read)
    }

    /// After a commit and before its acknowledgement, also where nothing changed: whoever
    /// saw the acknowledgement finds these answers in the cache.
    pub(super) async fn cache_messages(&self, tenant: &Tenant, messages: &[Message]) {
        let values = messages
            .iter()
            .map(|message| {
                let cached = Cached {
                    as_of: tenant.revision,
                    answer: Some(Arc::new(message.answer())),
                };
                (message.key, cached)
            })
            .collect();
        self.cache.put(tenant.id, &values).await;
    }
}
