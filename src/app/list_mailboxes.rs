//! ListMailboxes.

use super::{App, Error, Result, page::cut, secret::Query};
use crate::domain::{
    Mailbox, Revision, TenantId, setting::KnownSettings, settings::MailboxSettings,
};
use std::collections::HashMap;

/// Settings that are read for a page.
const MAX_SETTINGS: u32 = 20_000;

impl App {
    /// A page of the register, with what is known of the settings of each mailbox, and the token
    /// of the next one (empty: this was the last).
    pub async fn list_mailboxes(
        &self,
        tenant: TenantId,
        revision: Revision,
        page_size: u32,
        token: &str,
    ) -> Result<(Vec<(Mailbox, KnownSettings)>, String)> {
        let generation = self.tenant(tenant, revision).await?.generation;
        let query = Query::new(
            "ListMailboxes",
            &[tenant.0.as_bytes(), &generation.0.to_le_bytes()],
        );
        let after = match token {
            "" => String::new(),
            token => {
                let position = self.secret().await?.open(&query, token)?;
                String::from_utf8(position).map_err(|_| Error::PageTokenInvalid)?
            }
        };
        let rows = self.store.mailboxes(tenant, &after, page_size + 1).await?;
        let (mailboxes, more) = cut(rows, page_size);
        let next = match mailboxes.last() {
            Some(last) if more => self.secret().await?.seal(&query, last.address.as_bytes())?,
            _ => String::new(),
        };
        let mut settings = self.settings_of(tenant, &mailboxes).await?;
        let known = mailboxes.into_iter().map(|mailbox| {
            let settings = settings.remove(&mailbox.address).unwrap_or_default();
            (mailbox, KnownSettings::of(settings))
        });
        Ok((known.collect(), next))
    }

    /// By address, of mailboxes in the order of addresses.
    async fn settings_of(
        &self,
        tenant: TenantId,
        mailboxes: &[Mailbox],
    ) -> Result<HashMap<String, Vec<MailboxSettings>>> {
        let mut settings: HashMap<String, Vec<MailboxSettings>> = HashMap::new();
        let (Some(first), Some(last)) = (mailboxes.first(), mailboxes.last()) else {
            return Ok(settings);
        };
        let (first, last) = (&first.address, &last.address);
        let store = &self.store;
        let read = store.mailbox_settings(tenant, first, last, MAX_SETTINGS);
        for (subject, one) in read.await? {
            settings.entry(subject).or_default().push(one);
        }
        Ok(settings)
    }
}
