//! One tenant asks for ten times its share, of each kind of work: the nine others notice little.

use crate::{
    Bound, Round,
    calls::{
        Caller, Client, End, Loop, Seen, arriving, caller, ended, looping, percentile, rate, those,
    },
    stage::{PERIOD, Stage, at, batch, batches, lookups, pages, serve},
    support::wire::{Flow, Wire},
};
use sentby::{
    app::{admission, stream_attributions, watch_attributions},
    pb::{
        StreamAttributionsRequest, StreamAuditBatchesRequest, WatchAttributionsRequest,
        WatchPosition, attribution_service_client::AttributionServiceClient,
        ingest_service_client::IngestServiceClient,
    },
};
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

const HOW_LONG: Duration = Duration::from_secs(3);
/// The store is the limit, not the processors that the callers share.
const SLOW: Duration = Duration::from_millis(2);

/// As RetryInfo says.
const AGAIN: Duration = Duration::from_secs(1);
/// What the others ask for, of what there is: half of their nine shares of ten.
const OTHERS: f64 = 0.45;

/// What the noisy one does.
enum Noise {
    /// As many as there can be.
    Arriving(Caller),
    /// So many at a time, again and again, while its messages arrive.
    Loops(Caller, usize),
}

struct Kind {
    name: &'static str,
    /// What the nine others do.
    others: Caller,
    noise: Noise,
}

pub async fn round(stage: &Stage, round: &mut Round<'_>) {
    let wire = Wire::to(stage.postgres.port).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", wire.port);
    let server = serve(&url, "none");
    wire.set(Flow::Slow(SLOW));
    let (quiet, noisy) = (Client::to(&server.address), Client::to(&server.address));
    let (first, others) = stage.tenants.split_first().expect("ten");
    for kind in kinds((&quiet, others), (&noisy, std::slice::from_ref(first))) {
        let begin = Instant::now();
        let most = looping(&kind.others, 18, HOW_LONG / 2).await;
        let most = rate(&most, begin, begin + HOW_LONG / 2).max(10.0);
        let alone = arriving(&kind.others, OTHERS * most, HOW_LONG).await;
        let beside = match &kind.noise {
            Noise::Arriving(noise) => {
                let noise = arriving(noise, most, HOW_LONG + HOW_LONG / 5);
                let others = async {
                    sleep(HOW_LONG / 5).await;
                    arriving(&kind.others, OTHERS * most, HOW_LONG).await
                };
                tokio::join!(noise, others).1
            }
            Noise::Loops(noise, many) => {
                let noise = Loop::start(noise, *many as u64, AGAIN);
                sleep(2 * HOW_LONG).await;
                let written = batches(&noisy, std::slice::from_ref(first));
                let others = arriving(&kind.others, OTHERS * most, HOW_LONG);
                let (others, _) = tokio::join!(others, arriving(&written, 4.0, HOW_LONG));
                noise.stop().await;
                others
            }
        };
        let refused = those(&beside, End::Refused).len();
        let answered = |seen: &[Seen]| those(seen, End::Answered);
        let (alone, beside) = (answered(&alone), answered(&beside));
        round.is(
            &format!(
                "ten times its share of {}: what the others are answered",
                kind.name
            ),
            Bound::AtLeast(0.95),
            "x",
            beside.len() as f64 / alone.len() as f64,
            &[
                ("calls", beside.len() as f64),
                ("most, calls/s", most),
                ("refused", refused as f64),
            ],
        );
        // of so few calls it is one of them, beside and alone: between 0.5x and 1.7x for one program
        let p99 = (percentile(&alone, 99), percentile(&beside, 99));
        round.is(
            &format!("ten times its share of {}: p99 of the others", kind.name),
            Bound::Usually(1.5),
            "x",
            p99.1 / p99.0,
            &[("alone, ms", p99.0), ("beside it, ms", p99.1)],
        );
    }
}

fn kinds(quiet: (&Client, &[String]), noisy: (&Client, &[String])) -> Vec<Kind> {
    let ((quiet, others), (loud, one)) = (quiet, noisy);
    vec![
        Kind {
            name: "lookups",
            others: quiet.calls(lookups(others)),
            noise: Noise::Arriving(loud.calls(lookups(one))),
        },
        Kind {
            name: "ingest",
            others: batches(quiet, others),
            noise: Noise::Arriving(batches(loud, one)),
        },
        Kind {
            name: "ranges",
            others: quiet.calls(pages(others, 100)),
            noise: Noise::Arriving(loud.calls(pages(one, 100))),
        },
        Kind {
            name: "streams of answers",
            others: each(quiet, others, range),
            noise: Noise::Loops(each(loud, one, range), stream_attributions::MAX_STREAMS),
        },
        Kind {
            name: "streams of batches",
            others: each(quiet, others, batch_stream),
            noise: Noise::Loops(each(loud, one, batch_stream), admission::MAX_STREAMS),
        },
        Kind {
            name: "watches",
            others: each(quiet, others, first_change),
            noise: Noise::Loops(each(loud, one, watch), watch_attributions::MAX_WATCHES),
        },
    ]
}

/// The same of each of the tenants, in turn.
fn each<F>(
    client: &Client,
    tenants: &[String],
    make: impl Fn(Client, u64, String) -> F + Send + Sync + 'static,
) -> Caller
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (client, tenants) = (client.clone(), tenants.to_vec());
    caller(move |n| {
        let made = make(
            client.clone(),
            n,
            tenants[n as usize % tenants.len()].clone(),
        );
        async move {
            let done = tokio::time::timeout(Duration::from_secs(5), made).await;
            ended(done.unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "late"))))
        }
    })
}

/// All of a tenant, by StreamAttributions.
async fn range(client: Client, n: u64, tenant_id: String) -> Result<(), Status> {
    let asked = StreamAttributionsRequest {
        tenant_id,
        start: Some(at(0)),
        end: Some(at(PERIOD)),
        ..Default::default()
    };
    let mut service = AttributionServiceClient::new(client.channel(n));
    let mut chunks = service.stream_attributions(asked).await?.into_inner();
    while chunks.message().await?.is_some() {}
    Ok(())
}

/// A batch, by a stream of its own.
async fn batch_stream(client: Client, n: u64, tenant: String) -> Result<(), Status> {
    let (sender, batches) = mpsc::channel(1);
    let message = StreamAuditBatchesRequest {
        sequence: 1,
        batch: Some(batch(&tenant)),
    };
    sender.send(message).await.expect("room");
    drop(sender);
    let mut service = IngestServiceClient::new(client.channel(n));
    let opened = service.stream_audit_batches(ReceiverStream::new(batches));
    let mut answers = opened.await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

async fn open_watch(
    client: &Client,
    n: u64,
    tenant_id: String,
) -> Result<tonic::Streaming<sentby::pb::WatchAttributionsResponse>, Status> {
    let asked = WatchAttributionsRequest {
        positions: vec![WatchPosition {
            tenant_id,
            ..Default::default()
        }],
        follow: true,
        ..Default::default()
    };
    let mut service = AttributionServiceClient::new(client.channel(n));
    Ok(service.watch_attributions(asked).await?.into_inner())
}

/// A watch until it is told something.
async fn first_change(client: Client, n: u64, tenant: String) -> Result<(), Status> {
    open_watch(&client, n, tenant).await?.message().await?;
    Ok(())
}

/// A watch that stays while the others are measured.
async fn watch(client: Client, n: u64, tenant: String) -> Result<(), Status> {
    let mut watch = open_watch(&client, n, tenant).await?;
    let follow = async { while let Ok(Some(_)) = watch.message().await {} };
    let _ = tokio::time::timeout(4 * HOW_LONG, follow).await;
    Ok(())
}
