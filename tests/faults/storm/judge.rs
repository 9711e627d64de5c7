//! When nothing is struck any more: what is stored is what was acknowledged, once, and nothing
//! that nobody sent.

use super::batches::{Batch, Sent};
use crate::{
    feed::listed,
    history::Write,
    stage::{Client, Message},
    support::{TestDb, copy::Copy},
    watchers::read_all,
};
use sentby::{
    domain::{MessageKey, TenantId},
    pb::{
        Attribution, AuditBatch, Evidence, ExplainAttributionRequest, IngestAuditBatchResponse,
        ListAuditBatchesRequest, explain_attribution_request::Message as Explained,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use uuid::Uuid;

/// Connections that two replicas have at most, in all their pools and for themselves.
const SESSIONS: i64 = 2 * (6 + 12 + 8 + 2 + 4);
/// Messages of a tenant that are explained.
const EXPLAINED: usize = 40;
/// Until the sessions of those that have gone are gone, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Of one tenant.
pub struct Judged {
    pub revision: u64,
    pub listed: Vec<Attribution>,
    /// The batches that are stored, as what readers saw is judged by.
    pub writes: Vec<Write>,
    /// Records that are stored.
    pub records: u64,
}

/// The batches of one tenant by the names that they were sent under.
type Known<'s> = HashMap<String, (&'s Batch, Vec<&'s Sent>)>;

pub async fn judge(db: &TestDb, clients: &[Client; 2], tenant: TenantId, sent: &[Sent]) -> Judged {
    let mut known = Known::new();
    for sent in sent.iter().filter(|sent| sent.batch.tenant == tenant) {
        let of = known.entry(sent.batch.request_id());
        of.or_insert((&sent.batch, Vec::new())).1.push(sent);
    }
    let revision = db.assert_gapless(tenant).await as u64;
    let receipts = receipts(&clients[0], tenant, revision).await;
    let writes = stored(&known, &receipts);

    let mut bits: BTreeMap<u32, u64> = BTreeMap::new();
    for (message, record) in writes.iter().flat_map(|write| &write.records) {
        *bits.entry(*message).or_default() |= 1 << record;
    }
    assert_evidence(db, tenant, &bits).await;
    let records = bits.values().map(|bits| u64::from(bits.count_ones())).sum();
    let kept: u64 = receipts
        .values()
        .map(|of| of.counts.unwrap_or_default().kept)
        .sum();
    assert_eq!(kept, records, "each record was counted as new once");
    let quarantined: u64 = receipts
        .values()
        .map(|of| of.counts.unwrap_or_default().quarantined)
        .sum();
    let copies = "SELECT count(*) FROM quarantine WHERE tenant_id = $1";
    assert_eq!(db.number(copies, tenant).await as u64, quarantined);
    let rows = "SELECT count(*) FROM attribution WHERE tenant_id = $1";
    assert_eq!(
        db.number(rows, tenant).await,
        bits.len() as i64,
        "nothing else is stored"
    );

    let listed = listed(&clients[0], tenant, revision).await;
    let copy: Copy = read_all(&clients[1], tenant).await;
    assert_eq!((copy.revision, copy.repeats), (Some(revision), 0));
    copy.assert_is(listed.clone());
    assert_answers(tenant, &bits, &listed);
    for (&number, &bits) in bits.iter().step_by(1 + bits.len() / EXPLAINED) {
        explain(&clients[0], revision, Message { tenant, number }, bits).await;
    }
    Judged {
        revision,
        listed,
        writes,
        records,
    }
}

/// What every batch that is stored was answered, by its name.
async fn receipts(
    client: &Client,
    tenant: TenantId,
    revision: u64,
) -> HashMap<String, IngestAuditBatchResponse> {
    let mut receipts = HashMap::new();
    let mut page_token = String::new();
    loop {
        let asked = ListAuditBatchesRequest {
            tenant_id: tenant.to_string(),
            page_size: 1_000,
            page_token,
            at_least_revision: revision,
            ..Default::default()
        };
        let page = client.ingest().list_audit_batches(asked).await;
        let page = page.expect("answered").into_inner();
        for AuditBatch {
            request_id,
            response,
            ..
        } in page.batches
        {
            let response = response.expect("an answer");
            if request_id.is_empty() {
                // of those who only wanted to know whether there is an answer
                assert_eq!(response.counts.unwrap_or_default().received, 0);
            } else {
                let before = receipts.insert(request_id, response);
                assert_eq!(before, None, "one receipt a batch");
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return receipts;
        }
    }
}

/// A batch is stored if it has a receipt: the acknowledged ones have, with what they were answered.
fn stored(known: &Known<'_>, receipts: &HashMap<String, IngestAuditBatchResponse>) -> Vec<Write> {
    for (name, receipt) in receipts {
        let (batch, _) = known.get(name).expect("somebody sent it");
        batch.assert_answered(receipt);
    }
    let mut writes = Vec::new();
    for (name, (batch, sent)) in known {
        let answers: Vec<_> = sent.iter().flat_map(|sent| &sent.answers).collect();
        let Some(receipt) = receipts.get(name) else {
            assert_eq!(
                answers.len(),
                0,
                "{batch:?} was acknowledged and is not stored"
            );
            continue;
        };
        let first = answers
            .iter()
            .filter(|(_, answer)| !answer.replayed)
            .count();
        assert!(first <= 1, "{batch:?} was stored {first} times");
        for (_, answer) in &answers {
            let answer = IngestAuditBatchResponse {
                replayed: false,
                ..answer.clone()
            };
            assert_eq!(&answer, receipt, "{batch:?}");
        }
        let returned = answers.iter().map(|(returned, _)| *returned).min();
        let call = sent.iter().map(|sent| sent.call).min();
        writes.push(Write {
            call: call.unwrap_or_default(),
            returned: returned.unwrap_or(Duration::MAX),
            revision: receipt.revision,
            records: batch.records.clone(),
        });
    }
    writes
}

/// Each message that is stored has its records as its evidence, each once.
async fn assert_evidence(db: &TestDb, tenant: TenantId, bits: &BTreeMap<u32, u64>) {
    let key = |(&number, &bits): (&u32, &u64)| (Message { tenant, number }.id(), bits);
    let bits: HashMap<String, u64> = bits.iter().map(key).collect();
    let app = db.app().await;
    let tx = app.store().begin(tenant).await.expect("begun");
    let mut tx = tx.expect("a tenant");
    let mut after = MessageKey(Uuid::nil());
    let mut count = 0;
    loop {
        let messages = tx.messages_after(after, 500).await.expect("read");
        let Some(last) = messages.last() else { break };
        after = last.key;
        for message in &messages {
            let id = message.id.as_ref().expect("an id").to_string();
            let bits = bits.get(&id).expect("a batch that is stored has it");
            let evidence = message.evidence.events().map(|event| event.record_id);
            assert_records(&id, evidence, *bits);
            assert!(!message.evidence.is_truncated());
        }
        count += messages.len();
    }
    assert_eq!(count, bits.len(), "every message is stored");
}

#[track_caller]
fn assert_records(message: &str, evidence: impl Iterator<Item = Uuid>, bits: u64) {
    let mut evidence: Vec<u128> = evidence.map(|id| id.as_u128() & 0xff).collect();
    evidence.sort_unstable();
    let stored: Vec<u128> = (0..64).filter(|n| bits >> n & 1 == 1).collect();
    assert_eq!(evidence, stored, "{message}: each record once");
}

/// What is listed is what follows from the records.
fn assert_answers(tenant: TenantId, bits: &BTreeMap<u32, u64>, listed: &[Attribution]) {
    let listed: HashMap<&str, &Attribution> = listed
        .iter()
        .map(|row| (row.message_id.as_str(), row))
        .collect();
    assert_eq!(listed.len(), bits.len());
    for (&number, &bits) in bits {
        let message = Message { tenant, number };
        let row = listed.get(message.id().as_str()).expect("listed");
        assert_true(message, bits, row);
    }
}

#[track_caller]
fn assert_true(message: Message, bits: u64, answer: &Attribution) {
    let truth = Attribution {
        revision: answer.revision,
        ..message.answer(bits)
    };
    assert_eq!(*answer, truth);
}

/// The same as a person is told it.
async fn explain(client: &Client, at_least_revision: u64, message: Message, bits: u64) {
    let asked = ExplainAttributionRequest {
        tenant_id: message.tenant.to_string(),
        message: Some(Explained::MessageId(message.id())),
        at_least_revision,
    };
    let told = client.attributions().explain_attribution(asked).await;
    let told = told.expect("answered").into_inner();
    let id = |evidence: &Evidence| Uuid::parse_str(&evidence.record_id).expect("an id");
    assert_records(&message.id(), told.evidence.iter().map(id), bits);
    assert!(!told.truncated);
    assert_true(message, bits, &told.attribution.expect("an attribution"));
}

/// No session was left in a transaction, and the pools have what they always have.
pub async fn assert_at_rest(db: &TestDb, tenant: TenantId) {
    let own = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'sentby' AND $1::uuid IS NOT NULL";
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name = 'sentby' AND state LIKE 'idle in transaction%' \
                AND $1::uuid IS NOT NULL";
    let since = Instant::now();
    loop {
        let (own, open) = (db.number(own, tenant).await, db.number(open, tenant).await);
        if own <= SESSIONS && open == 0 {
            return;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{own} sessions, {open} in a transaction"
        );
        sleep(Duration::from_millis(50)).await;
    }
}
