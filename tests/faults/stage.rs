//! The program on a store, its callers, and messages whose true answer is known.

use crate::support::{
    TENANT, TestDb,
    again::again,
    process::{Server, database},
    records::{Record, SUPPORT, blob},
};
use sentby::{
    domain::{MessageId, TenantId},
    pb::{
        self, Basis, Verdict, attribution_service_client::AttributionServiceClient,
        ingest_service_client::IngestServiceClient, tenant_service_client::TenantServiceClient,
    },
};
use tonic::{Status, transport::Channel};

/// One process of many on the same store.
pub struct Replica {
    pub server: Server,
}

impl Replica {
    pub fn start(db: &TestDb, cache: &str) -> Self {
        Self::start_on(&database(&db.config.database), cache)
    }

    pub fn start_on(database: &str, cache: &str) -> Self {
        Self {
            server: Server::start_with(database, &["--cache", cache]),
        }
    }

    /// A connection of its own.
    pub async fn client(&self) -> Client {
        let client = Client::connect(self.server.url.clone()).await;
        client.expect("connected")
    }

    /// It still runs, and ends as it should.
    pub fn stop(self) {
        assert_eq!(self.server.stop(), Some(0));
    }
}

/// Asks and tells one server.
#[derive(Clone)]
pub struct Client(Channel);

impl Client {
    pub async fn connect(url: String) -> Result<Self, tonic::transport::Error> {
        let endpoint = Channel::from_shared(url).expect("a URI");
        Ok(Self(endpoint.connect().await?))
    }

    pub fn attributions(&self) -> AttributionServiceClient<Channel> {
        AttributionServiceClient::new(self.0.clone())
    }

    pub fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.0.clone())
    }

    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.0.clone())
    }

    /// For calls of whatever kind.
    pub fn channel(&self) -> &Channel {
        &self.0
    }

    pub async fn register(&self, tenant: TenantId) {
        let request = pb::RegisterTenantRequest {
            tenant_id: tenant.to_string(),
            consented_at: Some("2026-01-01T00:00:00Z".parse().expect("a time")),
            ..Default::default()
        };
        let registered = again(|| {
            let (mut tenants, request) = (self.tenants(), request.clone());
            async move { tenants.register_tenant(request).await }
        });
        registered.await.expect("registered");
    }

    pub async fn post(
        &self,
        tenant: TenantId,
        records: &[Record],
    ) -> Result<pb::IngestAuditBatchResponse, Status> {
        self.post_as(tenant, records, String::new()).await
    }

    /// The same, by a request id: sent again it is answered as before.
    pub async fn post_as(
        &self,
        tenant: TenantId,
        records: &[Record],
        request_id: String,
    ) -> Result<pb::IngestAuditBatchResponse, Status> {
        let request = pb::IngestAuditBatchRequest {
            tenant_id: tenant.to_string(),
            content: blob_of(tenant, records).into(),
            request_id,
            ..Default::default()
        };
        let posted = self
            .ingest()
            .ingest_audit_batch(request)
            .await?
            .into_inner();
        assert_eq!(posted.problems, [], "every record is one");
        Ok(posted)
    }

    pub async fn lookup(
        &self,
        tenant: TenantId,
        message_ids: Vec<String>,
        at_least_revision: u64,
    ) -> Result<Vec<pb::Attribution>, Status> {
        let request = pb::LookupAttributionsRequest {
            tenant_id: tenant.to_string(),
            message_ids,
            at_least_revision,
            ..Default::default()
        };
        let answered = self.attributions().lookup_attributions(request).await?;
        Ok(answered.into_inner().attributions)
    }

    /// As a lookup of one, by the method for one.
    pub async fn get(
        &self,
        tenant: TenantId,
        message_id: String,
        at_least_revision: u64,
    ) -> Result<pb::Attribution, Status> {
        let request = pb::GetAttributionRequest {
            tenant_id: tenant.to_string(),
            message_id: message_id.clone(),
            at_least_revision,
            ..Default::default()
        };
        match self.attributions().get_attribution(request).await {
            Ok(answered) => Ok(answered.into_inner().attribution.expect("an attribution")),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(pending(message_id)),
            Err(status) => Err(status),
        }
    }
}

/// A content blob of this tenant's log.
pub fn blob_of(tenant: TenantId, records: &[Record]) -> Vec<u8> {
    let of_tenant = |record: &Record| record.clone().set("OrganizationId", tenant.to_string());
    let records: Vec<Record> = records.iter().map(of_tenant).collect();
    blob(&records)
}

/// The answer where nothing is stored.
fn pending(message_id: String) -> pb::Attribution {
    let key = MessageId::parse(&message_id).expect("an id").key();
    pb::Attribution {
        message_id,
        message_key: key.0.to_string(),
        verdict: Verdict::Pending.into(),
        miss_reason: pb::MissReason::NoEvidenceYet.into(),
        ..Default::default()
    }
}

/// So many records can one message have.
pub const RECORDS: u8 = 12;
const TIME: &str = "2026-03-01T09:00:00";

/// A message of which any of [`RECORDS`] records may be known. The first two are the two
/// sides of one agent's send, each further one names another agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    pub tenant: TenantId,
    pub number: u32,
}

impl Message {
    pub fn id(self) -> String {
        format!("MSG-{:08}@contoso.example", self.number)
    }

    fn agent(self, record: u8) -> String {
        let person = record.max(1) + u8::from(self.tenant != TENANT) * 100;
        format!("agent{person:03}@contoso.com")
    }

    /// The same content for the same number.
    pub fn record(self, n: u8) -> Record {
        assert!(n < RECORDS);
        let id = 1 << 64 | u128::from(self.number) << 8 | u128::from(n);
        let (agent, message_id) = (self.agent(n), format!("<{}>", self.id()));
        match n {
            0 => Record::agent_side(id, &agent, &message_id, TIME),
            _ => Record::mailbox_side(id, &agent, &message_id, TIME),
        }
    }

    /// The true answer where the records of these bits are stored: all of it but the revision.
    /// By what the records say, without the rule that is under test.
    pub fn answer(self, records: u64) -> pb::Attribution {
        if records == 0 {
            return pending(self.id());
        }
        let stored: Vec<u8> = (0..RECORDS).filter(|n| records >> n & 1 == 1).collect();
        let mut agents: Vec<String> = stored.iter().map(|&n| self.agent(n)).collect();
        agents.sort();
        agents.dedup();
        let basis = match stored[..] {
            [0] => Basis::AgentSendAs,
            _ => Basis::MailboxSendAs,
        };
        let answer = pb::Attribution {
            basis: basis.into(),
            mailbox: SUPPORT.into(),
            sent_at: Some(format!("{TIME}Z").parse().expect("a time")),
            miss_reason: pb::MissReason::Unspecified.into(),
            ..pending(self.id())
        };
        if agents.len() > 1 {
            return pb::Attribution {
                verdict: Verdict::Conflict.into(),
                candidates: agents,
                ..answer
            };
        }
        pb::Attribution {
            verdict: Verdict::Attributed.into(),
            agent: agents.remove(0),
            confirmed: stored == [0, 1],
            ..answer
        }
    }
}
