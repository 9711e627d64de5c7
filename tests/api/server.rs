//! A server of one test, and its clients.

use crate::support::{TENANT, TestDb};
use sentby::{
    app::App,
    grpc::{MAX_INGEST_BYTES, MAX_MESSAGE_BYTES},
    pb::{
        self, attribution_service_client::AttributionServiceClient,
        coverage_service_client::CoverageServiceClient, ingest_service_client::IngestServiceClient,
        tenant_service_client::TenantServiceClient,
    },
    server,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

pub struct TestServer {
    pub address: SocketAddr,
    pub channel: Channel,
    pub app: Arc<App>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl TestServer {
    pub async fn start(db: &TestDb) -> Self {
        let app = db.app().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn({
            let app = Arc::clone(&app);
            async move {
                let stopped = async { stopped.await.unwrap_or_default() };
                server::serve(app, listener, stopped).await.expect("served");
            }
        });
        let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URI");
        let channel = endpoint.timeout(Duration::from_secs(30)).connect().await;
        Self {
            address,
            channel: channel.expect("connected"),
            app,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// A server in which [`TENANT`] is registered.
    pub async fn with_tenant(db: &TestDb) -> Self {
        let server = Self::start(db).await;
        crate::support::register(&server.app, TENANT).await;
        server
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) {
        let Self { stop, serving, .. } = &mut self;
        let (stop, serving) = (
            stop.take().expect("running"),
            serving.take().expect("running"),
        );
        stop.send(()).expect("it waits for it");
        serving.await.expect("it ends without a panic");
    }

    pub fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.channel.clone())
    }

    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel.clone())
            .max_encoding_message_size(2 * MAX_INGEST_BYTES)
    }

    pub fn attributions(&self) -> AttributionServiceClient<Channel> {
        AttributionServiceClient::new(self.channel.clone())
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
    }

    pub fn coverage(&self) -> CoverageServiceClient<Channel> {
        CoverageServiceClient::new(self.channel.clone())
    }

    /// Ingests content for [`TENANT`].
    pub async fn post(
        &self,
        content: impl Into<Vec<u8>>,
    ) -> Result<pb::IngestAuditBatchResponse, Status> {
        let request = pb::IngestAuditBatchRequest {
            tenant_id: TENANT.to_string(),
            content: content.into().into(),
            ..Default::default()
        };
        let response = self.ingest().ingest_audit_batch(request).await?;
        let response = response.into_inner();
        let counts = response.counts.expect("counts");
        assert_eq!(
            counts.received,
            counts.kept + counts.repeated + counts.ignored + counts.quarantined,
            "{counts:?}"
        );
        let told: u64 = response.ignored_operations.values().sum();
        assert_eq!(told, counts.ignored);
        assert_eq!(
            response.problems.len() as u64 + response.problems_omitted,
            counts.quarantined
        );
        Ok(response)
    }

    pub async fn get(&self, message_id: &str) -> Result<pb::Attribution, Status> {
        let request = pb::GetAttributionRequest {
            tenant_id: TENANT.to_string(),
            message_id: message_id.into(),
            ..Default::default()
        };
        let response = self.attributions().get_attribution(request).await?;
        Ok(response.into_inner().attribution.expect("an attribution"))
    }

    pub async fn lookup(&self, message_ids: &[&str]) -> Vec<pb::Attribution> {
        let request = pb::LookupAttributionsRequest {
            tenant_id: TENANT.to_string(),
            message_ids: message_ids.iter().map(|&id| id.into()).collect(),
            ..Default::default()
        };
        let response = self.attributions().lookup_attributions(request).await;
        response.expect("answered").into_inner().attributions
    }
}

/// received, kept, repeated, ignored, quarantined
pub fn counts(response: &pb::IngestAuditBatchResponse) -> [u64; 5] {
    let counts = response.counts.expect("counts");
    [
        counts.received,
        counts.kept,
        counts.repeated,
        counts.ignored,
        counts.quarantined,
    ]
}

/// The code and the reason; every error has one, of the fixed list.
#[track_caller]
pub fn reason(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("an ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "sentby");
    let name = format!("ERROR_REASON_{}", info.reason);
    assert!(pb::ErrorReason::from_str_name(&name).is_some(), "{name}");
    if status.code() == Code::InvalidArgument && info.reason == "INVALID_FIELD" {
        let fields = status.get_details_bad_request();
        assert!(!fields.expect("a BadRequest").field_violations.is_empty());
    }
    if status.code() == Code::Unavailable {
        assert!(status.get_details_retry_info().is_some());
    }
    (status.code(), info.reason)
}

pub fn timestamp(text: &str) -> Option<prost_types::Timestamp> {
    Some(text.parse().expect("a time"))
}
