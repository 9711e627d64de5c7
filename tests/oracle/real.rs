//! The real thing: records through an app into a store, and what the store then answers.

use super::{judge::Answer, people::Entry, stream::Stream};
use crate::support::{TENANT, TestDb, batch, feed::Random, register};
use sentby::{
    app::{App, coverage::Looked, put_mailboxes::RegisterChange},
    config::DatabaseUrl,
    domain::{Mailbox, MailboxKind, MessageKey, Revision, TenantId},
};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// One store that many streams go through, each as a tenant of its own.
pub struct Real {
    pub db: TestDb,
    pub app: Arc<App>,
    tenants: u128,
}

impl Real {
    pub async fn new(db: TestDb) -> Self {
        let app = db.app().await;
        Self {
            db,
            app,
            tenants: 0,
        }
    }

    /// Registered, and empty.
    pub async fn tenant(&mut self) -> TenantId {
        self.tenants += 1;
        let tenant = TenantId(Uuid::from_u128(TENANT.0.as_u128() + (self.tenants << 64)));
        register(&self.app, tenant).await;
        tenant
    }

    /// What all of it comes to, cut into batches at random, and the register put at some time
    /// between them.
    pub async fn answers(&mut self, stream: &Stream) -> BTreeMap<String, Answer> {
        let tenant = self.tenant().await;
        let mut random = Random(stream.seed);
        let most = *random.pick(&[1_000, 200, 30]);
        let pieces = pieces(&mut random, &stream.records, most);
        let first = usize::try_from(random.below(pieces.len() as u64 + 1)).expect("few");
        for piece in &pieces[..first] {
            ingest(&self.app, tenant, blob(tenant, piece)).await;
        }
        put(&self.app, tenant, &stream.register).await;
        for piece in &pieces[first..] {
            ingest(&self.app, tenant, blob(tenant, piece)).await;
        }
        self.app.resume_reattribution().await.expect("settled");
        self.stored(tenant).await
    }

    /// Every message that is stored, as its row has it and as a lookup answers it.
    pub async fn stored(&self, tenant: TenantId) -> BTreeMap<String, Answer> {
        let rows = self.db.texts(&self.rows_sql(tenant)).await;
        let mut stored = BTreeMap::new();
        let mut keys = Vec::new();
        for row in rows {
            let (key, id, answer) = answer_of(&row);
            let id = match id {
                Some(id) => {
                    let hash = blake3::hash(id.as_bytes());
                    assert_eq!(key.0.as_bytes(), &hash.as_bytes()[..16], "{id}");
                    id
                }
                None => self.record_of(tenant, key).await,
            };
            keys.push((key, id.clone()));
            stored.insert(id, answer);
        }
        self.check_lookups(tenant, &keys, &stored).await;
        stored
    }

    fn rows_sql(&self, tenant: TenantId) -> String {
        let (key, sent_at, tenant) = match &self.db.config.database {
            DatabaseUrl::Sqlite(_) => (
                "lower(hex(message_key))",
                "sent_at",
                format!("X'{}'", tenant.0.simple()),
            ),
            DatabaseUrl::Postgres(_) => (
                "replace(message_key::text, '-', '')",
                "(extract(epoch FROM sent_at) * 1000000)::bigint",
                format!("'{}'", tenant.0),
            ),
        };
        let columns = [
            key,
            "coalesce(message_id, '')",
            "verdict",
            "coalesce(basis, '')",
            "coalesce(agent, '')",
            "coalesce(mailbox, '')",
            "coalesce(candidates, '')",
            sent_at,
            "CASE WHEN confirmed THEN 1 ELSE 0 END",
            "CASE WHEN contradicted THEN 1 ELSE 0 END",
            "CASE WHEN listed THEN 1 ELSE 0 END",
        ];
        let columns = columns.join(" || '\n' || ");
        format!("SELECT {columns} FROM attribution WHERE tenant_id = {tenant}")
    }

    /// Of a message without an id: the record that it is.
    async fn record_of(&self, tenant: TenantId, key: MessageKey) -> String {
        let explained = self
            .app
            .explain_attribution(tenant, key, Revision::default());
        let evidence = explained.await.expect("explained").evidence;
        format!("record {}", evidence[0].event.record_id)
    }

    /// Through the cache, and from the store where it has fallen out of it.
    async fn check_lookups(
        &self,
        tenant: TenantId,
        keys: &[(MessageKey, String)],
        stored: &BTreeMap<String, Answer>,
    ) {
        for part in keys.chunks(1_000) {
            let asked: Vec<MessageKey> = part.iter().map(|(key, _)| *key).collect();
            let times = vec![None; asked.len()];
            let looked = self
                .app
                .look_up(tenant, &asked, &times, Revision::default());
            for ((_, id), looked) in part.iter().zip(looked.await.expect("looked up")) {
                let Looked::Known(known) = looked else {
                    panic!("{id} is stored and not found");
                };
                let (is, row) = (&known.attribution, &stored[id]);
                let verdict = format!("{:?}", is.verdict).to_uppercase();
                assert_eq!(verdict, row.verdict.replace('_', ""), "{id}");
                assert_eq!(is.agent, row.agent, "{id}");
                assert_eq!(is.mailbox, row.mailbox, "{id}");
                assert_eq!(is.candidates, row.candidates, "{id}");
                assert_eq!(is.confirmed, row.confirmed, "{id}");
                assert_eq!(is.contradicted, row.contradicted, "{id}");
            }
        }
    }
}

fn answer_of(row: &str) -> (MessageKey, Option<String>, Answer) {
    let columns: Vec<&str> = row.split('\n').collect();
    let text = |n: usize| Some(columns[n].to_owned()).filter(|text| !text.is_empty());
    let known = |n: usize| WORDS.iter().copied().find(|word| *word == columns[n]);
    let answer = Answer {
        verdict: known(2).expect("a verdict"),
        basis: known(3),
        agent: text(4),
        mailbox: text(5),
        candidates: columns[6].split_whitespace().map(str::to_owned).collect(),
        sent_at: columns[7].parse().expect("a time"),
        confirmed: columns[8] == "1",
        contradicted: columns[9] == "1",
        listed: columns[10] == "1",
    };
    let key = MessageKey(Uuid::try_parse(columns[0]).expect("a key"));
    (key, text(1), answer)
}

const WORDS: [&str; 11] = [
    "ATTRIBUTED",
    "CONFLICT",
    "NOT_A_PERSON",
    "UNRESOLVED",
    "ERASED",
    "PENDING",
    "MAILBOX_SEND_AS",
    "AGENT_SEND_AS",
    "MAILBOX_SEND_ON_BEHALF",
    "AGENT_SEND_ON_BEHALF",
    "SEND",
];

/// The records of the tenant of most tests as another's.
pub fn of_tenant(record: &str, tenant: TenantId) -> String {
    record.replace(&TENANT.to_string(), &tenant.to_string())
}

/// As JSON lines: a broken record stays alone.
pub fn blob(tenant: TenantId, records: &[String]) -> Vec<u8> {
    let lines: Vec<String> = records.iter().map(|one| of_tenant(one, tenant)).collect();
    lines.join("\n").into_bytes()
}

pub async fn ingest(app: &Arc<App>, tenant: TenantId, content: Vec<u8>) {
    let done = app.ingest_audit_batch(batch(tenant, content)).await;
    let receipt = done.expect("ingested").receipt;
    assert_eq!(
        receipt.received,
        receipt.kept + receipt.repeated + receipt.ignored + receipt.quarantined
    );
}

/// Of what is nobody's, each kind.
pub fn mailbox(entry: &Entry) -> Mailbox {
    Mailbox {
        address: entry.address.clone(),
        kind: match entry.address.len() % 3 {
            _ if !entry.nobody => MailboxKind::User,
            0 => MailboxKind::Group,
            1 => MailboxKind::Resource,
            _ => MailboxKind::Shared,
        },
        aliases: entry.aliases.clone(),
        display_name: String::new(),
        guid: entry.guid,
        object_id: entry.object_id,
    }
}

pub async fn put(app: &Arc<App>, tenant: TenantId, entries: &[Entry]) {
    let change = RegisterChange {
        tenant,
        put: entries.iter().map(mailbox).collect(),
        settings: Vec::new(),
        remove: Vec::new(),
    };
    app.put_mailboxes(change).await.expect("registered");
}

/// Random pieces.
pub fn pieces<'a>(random: &mut Random, records: &'a [String], most: u64) -> Vec<&'a [String]> {
    let mut pieces = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let size = usize::try_from(1 + random.below(most)).expect("few");
        let (piece, after) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
