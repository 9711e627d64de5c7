//! What callers of the program do and are told, in the words of the oracle.

use super::{judge::Answer, real::mailbox, stage::Client, stream::Stream};
use crate::support::{
    again::{again, again_for},
    copy::Copy,
};
use sentby::{
    domain::{MailboxKind, MessageKey, TenantId},
    pb,
};
use std::{collections::BTreeMap, time::Duration};
use tonic::Status;
use uuid::Uuid;

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One thing that a caller does.
pub enum Job {
    Put(TenantId, Vec<pb::Mailbox>),
    Ingest(TenantId, Vec<u8>),
}

impl Client {
    /// Until it is done: an answer that is none is asked for again.
    pub async fn does(&self, job: &Job) {
        let done = again_for(PATIENCE, || self.tries(job)).await;
        done.expect("it is done");
    }

    async fn tries(&self, job: &Job) -> Result<(), Status> {
        match job {
            Job::Put(tenant, mailboxes) => {
                let request = pb::PutMailboxesRequest {
                    tenant_id: tenant.to_string(),
                    mailboxes: mailboxes.clone(),
                    ..Default::default()
                };
                self.tenants().put_mailboxes(request).await.map(drop)
            }
            Job::Ingest(tenant, content) => {
                let request = pb::IngestAuditBatchRequest {
                    tenant_id: tenant.to_string(),
                    content: content.clone().into(),
                    ..Default::default()
                };
                self.ingest().ingest_audit_batch(request).await.map(drop)
            }
        }
    }

    pub async fn listed(
        &self,
        tenant: TenantId,
        revision: u64,
    ) -> BTreeMap<String, pb::Attribution> {
        let listed = again(|| self.lists(tenant, revision)).await;
        listed.expect("no error")
    }

    async fn lists(
        &self,
        tenant: TenantId,
        revision: u64,
    ) -> Result<BTreeMap<String, pb::Attribution>, Status> {
        let asked = pb::StreamAttributionsRequest {
            tenant_id: tenant.to_string(),
            start: Some("2000-01-01T00:00:00Z".parse().expect("a time")),
            end: Some("2099-01-01T00:00:00Z".parse().expect("a time")),
            at_least_revision: revision,
            ..Default::default()
        };
        let walk = self.attributions().stream_attributions(asked).await?;
        let (mut walk, mut listed) = (walk.into_inner(), BTreeMap::new());
        while let Some(chunk) = walk.message().await? {
            let rows = chunk.attributions.into_iter();
            listed.extend(rows.map(|row| (row.message_key.clone(), row)));
        }
        Ok(listed)
    }

    /// What a reader of the whole feed has in the end.
    pub async fn fed(&self, tenant: TenantId) -> BTreeMap<String, pb::Attribution> {
        let fed = again(|| self.reads_feed(tenant)).await;
        fed.expect("no error")
    }

    async fn reads_feed(
        &self,
        tenant: TenantId,
    ) -> Result<BTreeMap<String, pb::Attribution>, Status> {
        let asked = pb::WatchAttributionsRequest {
            positions: vec![pb::WatchPosition {
                tenant_id: tenant.to_string(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let watch = self.attributions().watch_attributions(asked).await?;
        let (mut watch, mut copy) = (watch.into_inner(), Copy::of_nothing());
        while let Some(response) = watch.message().await? {
            copy.take(response);
        }
        Ok(copy.rows)
    }
}

pub fn register(stream: &Stream) -> Vec<pb::Mailbox> {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let entries = stream.register.iter().map(mailbox);
    entries
        .map(|entry| pb::Mailbox {
            kind: match entry.kind {
                MailboxKind::Shared => pb::MailboxKind::Shared,
                MailboxKind::User => pb::MailboxKind::User,
                MailboxKind::Group => pb::MailboxKind::Group,
                MailboxKind::Resource => pb::MailboxKind::Resource,
            }
            .into(),
            address: entry.address,
            aliases: entry.aliases,
            mailbox_guid: text(entry.guid),
            object_id: text(entry.object_id),
            ..Default::default()
        })
        .collect()
}

pub fn is_record(id: &str) -> bool {
    id.starts_with("record ")
}

/// As the API names the message.
pub fn key(id: &str) -> String {
    let key = match id.strip_prefix("record ") {
        Some(record) => MessageKey::of_record(record.parse().expect("a GUID")),
        None => MessageKey::parse(id).expect("an id"),
    };
    key.to_string()
}

/// In the words of the oracle.
pub fn answer_of(said: &pb::Attribution) -> Answer {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let verdict = said.verdict().as_str_name();
    let basis = said.basis().as_str_name().strip_prefix("BASIS_");
    let micros = |at: &prost_types::Timestamp| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000;
    Answer {
        verdict: verdict.strip_prefix("VERDICT_").expect("a verdict"),
        basis: basis.filter(|basis| *basis != "UNSPECIFIED"),
        agent: text(&said.agent),
        mailbox: text(&said.mailbox),
        candidates: said.candidates.clone(),
        sent_at: said.sent_at.as_ref().map_or(0, micros),
        confirmed: said.confirmed,
        contradicted: said.contradicted,
        listed: false,
    }
}
