//! Calls of a live server, with every layer that stands before it: the first byte says which method, the
//! second how it is called, the rest is the request.

use super::{
    config::config,
    content::TENANT,
    messages::{Api, open},
};
use bytes::Bytes;
use prost::Message as _;
use sentby::{
    app::{App, register_tenant::Registration},
    config::DatabaseUrl,
    domain::Timestamp,
    pb, server,
};
use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};
use tonic_types::StatusExt as _;

/// Messages of a stream that are looked at.
const MOST: usize = 20;

struct Live {
    channel: Channel,
    _app: Arc<App>,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});
static LIVE: Mutex<Option<Live>> = Mutex::new(None);
/// What the server's tasks did that no call tells: a panic ends the process that fuzzes.
pub static API: LazyLock<Api> = LazyLock::new(Api::read);

pub fn holds(data: &[u8]) {
    let mut live = LIVE.lock().expect("no panic");
    RUNTIME.block_on(async {
        let it = match live.take() {
            Some(it) => it,
            None => Live::start().await,
        };
        let has_gone = it.call(data).await;
        if has_gone {
            it.serving.abort();
        } else {
            *live = Some(it);
        }
    });
}

impl Live {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = config(DatabaseUrl::Sqlite(folder.path().join("fuzz.db")));
        server::migrate(&config).await.expect("migrated");
        let app = server::open(&config).await.expect("opened");
        let registered = app.register_tenant(Registration {
            tenant: TENANT,
            display_name: "Contoso".into(),
            consented_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("a time"),
            retention_days: None,
        });
        registered.await.expect("registered");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn({
            let app = Arc::clone(&app);
            async move {
                let served = server::serve(app, listener, std::future::pending()).await;
                served.expect("served");
            }
        });
        let channel = Channel::from_shared(format!("http://{address}"));
        let channel = channel.expect("a URI").connect().await;
        Self {
            channel: channel.expect("connected"),
            _app: app,
            serving,
            _folder: folder,
        }
    }

    /// Whether what the tenant is has changed for good.
    async fn call(&self, data: &[u8]) -> bool {
        let (which, how) = (
            data.first().copied().unwrap_or(0),
            data.get(1).copied().unwrap_or(0),
        );
        let message = data.get(2..).unwrap_or_default().to_vec();
        let method = &API.methods[usize::from(which) % API.methods.len()];
        let messages = match how & 3 {
            0 | 1 => vec![message],
            2 => vec![message.clone(), message],
            _ => vec![],
        };
        let mut request = Request::new(tokio_stream::iter(messages));
        let timeout =
            ["500m", "500m", "1n", "", "x", "99999999H", "500m", "500m"][usize::from(how >> 5)];
        if let Ok(timeout) = MetadataValue::try_from(timeout) {
            request.metadata_mut().insert("grpc-timeout", timeout);
        }
        let called = async {
            let mut answers = open(&self.channel, &method.path, request).await?;
            let mut all: Vec<Bytes> = Vec::new();
            while let Some(answer) = answers.message().await? {
                all.push(answer);
                if all.len() == MOST {
                    break;
                }
            }
            Ok::<_, Status>(all)
        };
        // a stream that goes on is left
        let Ok(ended) = tokio::time::timeout(Duration::from_secs(2), called).await else {
            return false;
        };
        match ended {
            Err(status) => {
                is_told(&method.name, &status);
                false
            }
            Ok(answers) => {
                if method.name == "IngestAuditBatch" {
                    for answer in answers {
                        adds_up(&pb::IngestAuditBatchResponse::decode(answer).expect("an answer"));
                    }
                }
                ["DeleteTenant", "RevokeConsent"].contains(&method.name.as_str())
            }
        }
    }
}

/// Whatever is wrong is the caller's fault, and he is told what to do.
fn is_told(method: &str, status: &Status) {
    let is_ours = [Code::Internal, Code::Unknown, Code::DataLoss].contains(&status.code());
    assert!(!is_ours, "{method}: {status:?}");
    // of a request that says nothing at all, and of a time that is over, the client knows itself
    if let Some(info) = status.get_details_error_info() {
        assert_eq!(info.domain, "sentby");
        let name = format!("ERROR_REASON_{}", info.reason);
        assert!(pb::ErrorReason::from_str_name(&name).is_some(), "{name}");
    } else {
        let by_client = [Code::DeadlineExceeded, Code::Cancelled];
        assert!(
            by_client.contains(&status.code()),
            "{method}: no reason in {status:?}"
        );
    }
}

fn adds_up(answer: &pb::IngestAuditBatchResponse) {
    let counts = answer.counts.expect("counts");
    let sum = counts.kept + counts.repeated + counts.ignored + counts.quarantined;
    assert_eq!(counts.received, sum, "{counts:?}");
    let told = answer.problems.len() as u64 + answer.problems_omitted;
    assert_eq!(told, counts.quarantined, "{counts:?}");
}
