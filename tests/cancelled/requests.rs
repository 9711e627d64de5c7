//! A request of each method, of which the answer can be told from every other tenant's.

use crate::{
    call::Sent,
    stage::{ERASED, KNOWN, Stage},
    support::records::{Record, blob},
};
use prost::Message as _;
use prost_types::Timestamp;
use sentby::{
    pb::{self, explain_attribution_request::Message as Asked, watch_position::Start},
    simulate::Random,
};
use serde_json::json;
use uuid::Uuid;

/// Messages of a batch, one record each.
pub const MESSAGES: u64 = 3;
/// Ids of a large lookup: the request has room of its own.
const MANY: u64 = 900;

/// A batch that is sent again, whatever came of it.
#[derive(Clone, Debug)]
pub struct Batch {
    pub tenant: usize,
    pub request_id: String,
    pub content: Vec<u8>,
    /// Its answer was seen.
    pub is_acknowledged: bool,
}

/// A call to be made.
#[derive(Debug, Default)]
pub struct Request {
    /// Its number on the stage.
    pub tenant: usize,
    pub sent: Sent,
    /// Nothing ends it but its caller.
    pub is_endless: bool,
    pub batches: Vec<Batch>,
    /// Ids of messages that are asked for, in order.
    pub asked: Vec<String>,
}

pub fn message_id(tenant: usize, number: u64) -> String {
    format!("m{number}@t{tenant}.example")
}

/// The agent of a message that is known.
pub fn agent(tenant: usize, number: u64) -> String {
    format!("agent{}@t{tenant}.example", number % 5)
}

/// One of the tenant's messages.
pub fn record(stage: &Stage, tenant: usize, id: u128, agent: &str, message: &str) -> Record {
    let time = format!("2026-03-{:02}T09:00:00", 1 + id % 28);
    let record = Record::mailbox_side(id, agent, &format!("<{message}>"), &time);
    let shared = format!("support@t{tenant}.example");
    let organization = stage.tenants[tenant].to_string();
    record
        .set("MailboxOwnerUPN", shared)
        .set("OrganizationId", organization)
}

fn batch(stage: &Stage, tenant: usize, random: &mut Random) -> Batch {
    let records: Vec<Record> = (0..MESSAGES)
        .map(|number| {
            let id = random.id();
            let message = format!("{}@t{tenant}.example", Uuid::from_u128(id));
            record(stage, tenant, id, &agent(tenant, number), &message)
        })
        .collect();
    let request_id = match random.chance(50) {
        true => Uuid::from_u128(random.id()).to_string(),
        false => String::new(),
    };
    Batch {
        tenant,
        request_id,
        content: blob(&records),
        is_acknowledged: false,
    }
}

impl Batch {
    pub fn request(&self, stage: &Stage) -> pb::IngestAuditBatchRequest {
        pb::IngestAuditBatchRequest {
            tenant_id: stage.tenants[self.tenant].to_string(),
            content: self.content.clone().into(),
            request_id: self.request_id.clone(),
            source: format!("collector@t{}.example", self.tenant),
            ..Default::default()
        }
    }
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("a time"))
}

/// The fields of a range, and of nothing else.
macro_rules! range {
    ($kind:ident, $tenant:ident { $($field:ident: $value:expr),* }) => {
        pb::$kind {
            tenant_id: $tenant,
            start: time("2026-03-01T00:00:00Z"),
            end: time("2026-04-01T00:00:00Z"),
            $($field: $value,)*
            ..Default::default()
        }
        .encode_to_vec()
    };
}

/// A request with nothing but its tenant.
macro_rules! of_tenant {
    ($kind:ident, $tenant:ident) => {
        pb::$kind {
            tenant_id: $tenant,
            ..Default::default()
        }
        .encode_to_vec()
    };
}

impl Request {
    fn of(tenant: usize, message: Vec<u8>, random: &mut Random) -> Self {
        let piece = 40 + random.below(200) as usize;
        // few pieces of what is large
        let piece = piece.max(message.len() / 4);
        Self {
            tenant,
            sent: Sent {
                messages: vec![message],
                piece,
                is_held: false,
            },
            ..Self::default()
        }
    }

    fn asking(mut self, asked: Vec<String>) -> Self {
        self.asked = asked;
        self
    }

    fn endless(mut self, is_endless: bool) -> Self {
        self.is_endless = is_endless;
        self
    }
}

/// A method that is not here fails: it needs a case. `may_last`: it may be one that only its
/// caller ends.
pub async fn request(
    stage: &Stage,
    method: &str,
    tenant: usize,
    may_last: bool,
    random: &mut Random,
) -> Request {
    let id = stage.tenants[tenant].to_string();
    let known = message_id(tenant, random.below(KNOWN));
    if let Some(message) = read(method, id.clone(), random) {
        return Request::of(tenant, message, random);
    }
    match method {
        "GetAttribution" => {
            let message = pb::GetAttributionRequest {
                tenant_id: id,
                message_id: known.clone(),
                ..Default::default()
            };
            Request::of(tenant, message.encode_to_vec(), random).asking(vec![known])
        }
        "ExplainAttribution" => {
            let message = pb::ExplainAttributionRequest {
                tenant_id: id,
                message: Some(Asked::MessageId(known.clone())),
                ..Default::default()
            };
            Request::of(tenant, message.encode_to_vec(), random).asking(vec![known])
        }
        "LookupAttributions" => lookup(id, tenant, random),
        "WatchAttributions" => {
            let follow = may_last && random.chance(60);
            let from = match random.chance(50) {
                true => pb::WatchStart::Beginning,
                false => pb::WatchStart::Now,
            };
            let message = pb::WatchAttributionsRequest {
                positions: vec![pb::WatchPosition {
                    tenant_id: id,
                    start: Some(Start::From(from.into())),
                    ..Default::default()
                }],
                follow,
                ..Default::default()
            };
            Request::of(tenant, message.encode_to_vec(), random).endless(follow)
        }
        "IngestAuditBatch" => {
            let batch = batch(stage, tenant, random);
            let message = batch.request(stage).encode_to_vec();
            let request = Request::of(tenant, message, random);
            Request {
                batches: vec![batch],
                ..request
            }
        }
        "StreamAuditBatches" => stream(stage, tenant, may_last, random),
        "ServerReflectionInfo" => Request::of(tenant, vec![0x3a, 0], random), // list_services
        "Watch" => Request::of(tenant, Vec::new(), random).endless(true),
        _ => write(stage, method, tenant, random).await,
    }
}

/// What changes nothing, and asks for nothing in particular.
fn read(method: &str, id: String, random: &mut Random) -> Option<Vec<u8>> {
    Some(match method {
        "Check" => Vec::new(),
        "GetServerInfo" => pb::GetServerInfoRequest {}.encode_to_vec(),
        "ListTenants" => pb::ListTenantsRequest {
            page_size: 5,
            ..Default::default()
        }
        .encode_to_vec(),
        "GetTenant" => of_tenant!(GetTenantRequest, id),
        "ListMailboxes" => of_tenant!(ListMailboxesRequest, id),
        "ListAuditBatches" => of_tenant!(ListAuditBatchesRequest, id),
        "ListFindings" => of_tenant!(ListFindingsRequest, id),
        "GetCoverage" => of_tenant!(GetCoverageRequest, id),
        "ListQuarantinedRecords" => pb::ListQuarantinedRecordsRequest {
            tenant_id: id,
            include_content: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "ListAttributions" => range!(ListAttributionsRequest, id { page_size: 20 }),
        "StreamAttributions" => {
            let chunk_size = 5 + random.below(60) as i32;
            range!(
                StreamAttributionsRequest,
                id {
                    chunk_size: chunk_size
                }
            )
        }
        "SummarizeAgents" => {
            let bucket = pb::Bucket::Day.into();
            range!(
                SummarizeAgentsRequest,
                id {
                    bucket: bucket,
                    time_zone: "Europe/Berlin".into()
                }
            )
        }
        _ => return None,
    })
}

/// Messages that are known and such that are not; now and then very many.
fn lookup(id: String, tenant: usize, random: &mut Random) -> Request {
    let is_large = random.chance(15);
    let count = if is_large { MANY } else { 1 + random.below(30) };
    let ids = (0..count).map(|_| match random.chance(70) {
        true => message_id(tenant, random.below(KNOWN)),
        false if is_large => {
            let long = "x".repeat(300);
            format!("absent-{long}{}@t{tenant}.example", random.below(500))
        }
        false => format!("absent-{}@t{tenant}.example", random.below(500)),
    });
    let message_ids: Vec<String> = ids.collect();
    let message = pb::LookupAttributionsRequest {
        tenant_id: id,
        message_ids: message_ids.clone(),
        ..Default::default()
    };
    Request::of(tenant, message.encode_to_vec(), random).asking(message_ids)
}

fn stream(stage: &Stage, tenant: usize, may_last: bool, random: &mut Random) -> Request {
    let count = 1 + random.below(5);
    let batches: Vec<Batch> = (0..count).map(|_| batch(stage, tenant, random)).collect();
    let messages = batches.iter().zip(0..).map(|(batch, sequence)| {
        let message = pb::StreamAuditBatchesRequest {
            sequence,
            batch: Some(batch.request(stage)),
        };
        message.encode_to_vec()
    });
    let is_held = may_last && random.chance(40);
    Request {
        tenant,
        sent: Sent {
            messages: messages.collect(),
            piece: 1_000,
            is_held,
        },
        is_endless: is_held,
        batches,
        asked: Vec::new(),
    }
}

async fn write(stage: &Stage, method: &str, tenant: usize, random: &mut Random) -> Request {
    let id = stage.tenants[tenant].to_string();
    let name = format!("name-{}@t{tenant}.example", random.below(1_000_000));
    let mut of = tenant;
    let message = match method {
        "RegisterTenant" => pb::RegisterTenantRequest {
            tenant_id: match random.chance(50) {
                true => id,
                false => Uuid::from_u128(random.id()).to_string(),
            },
            display_name: name,
            consented_at: time("2026-01-01T00:00:00Z"),
            ..Default::default()
        }
        .encode_to_vec(),
        "RevokeConsent" => pb::RevokeConsentRequest {
            tenant_id: stage.fresh(random, name).await.to_string(),
            revoked_at: time("2026-02-01T00:00:00Z"),
        }
        .encode_to_vec(),
        "DeleteTenant" => {
            let tenant_id = stage.fresh(random, name).await.to_string();
            pb::DeleteTenantRequest { tenant_id }.encode_to_vec()
        }
        // two, of which one must not be without the other
        "PutMailboxes" => pb::PutMailboxesRequest {
            tenant_id: id,
            mailboxes: ["pair-a", "pair-b"]
                .map(|mailbox| pb::Mailbox {
                    address: format!("{mailbox}@t{tenant}.example"),
                    kind: pb::MailboxKind::Shared.into(),
                    display_name: name.clone(),
                    ..Default::default()
                })
                .into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "RetryQuarantinedRecords" => of_tenant!(RetryQuarantinedRecordsRequest, id),
        "CheckAuditSettings" => {
            let settings = json!([{
                "PrimarySmtpAddress": format!("support@t{tenant}.example"),
                "RecipientTypeDetails": "SharedMailbox",
                "DefaultAuditSet": ["Admin", "Owner"],
                "AuditDelegate": ["Update", "SoftDelete"],
            }]);
            pb::CheckAuditSettingsRequest {
                tenant_id: id,
                content: settings.to_string().into(),
                captured_at: time("2026-03-01T00:00:00Z"),
                validate_only: random.chance(30),
            }
            .encode_to_vec()
        }
        "EraseAgent" => {
            of = ERASED;
            pb::EraseAgentRequest {
                tenant_id: stage.tenants[of].to_string(),
                person: format!("gone{}@t{of}.example", random.below(5)),
                dry_run: random.chance(50),
            }
            .encode_to_vec()
        }
        other => panic!("{other} is not called here: it needs a request of its own"),
    };
    Request::of(of, message, random)
}
