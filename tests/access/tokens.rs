//! Tokens: good, bad, changed, and taken away while the server runs.

use super::site::{
    Files, Site, certificate_caller, get_tenant, only, permission_denied, refused, token,
    token_caller, unauthenticated, until, with_token,
};
use crate::support::{OTHER_TENANT, TENANT, TestDb, register};
use sentby::{
    access::TokenHash,
    domain::TenantId,
    pb::{
        self, attribution_service_client::AttributionServiceClient,
        ingest_service_client::IngestServiceClient, tenant_service_client::TenantServiceClient,
    },
};
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// What is changed in a file is in effect in this time, on a machine that has other work.
const SOON: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_whole_token_in_its_header_is_one() {
    let good = token();
    let expired = token();
    let text = token_caller("good", "reader", &good)
        + &format!(
            "[[caller]]\nname = 'late'\nroles = ['reader']\ntoken_hashes = [{{ hash = '{}', \
             expires = 2026-01-01T00:00:00+02:00 }}]\n",
            TokenHash::of(&expired)
        );
    let site = Site::start(&text).await;
    let channel = site.channel().await;
    get_tenant(&channel, Some(&good)).await.expect("let in");
    let changed = good.replace(&good[20..21], if &good[20..21] == "a" { "b" } else { "a" });
    let mut texts = Vec::new();
    for wrong in [
        None,
        Some(""),
        Some("sentby_"),
        Some(&good[..good.len() - 1]),
        Some(&format!("{good}0")),
        Some(&good.to_uppercase()),
        Some(&changed),
        Some(&TokenHash::of(&good).to_string()),
        Some(&expired),
    ] {
        let status = get_tenant(&channel, wrong).await.expect_err("refused");
        let info = status.get_details_error_info();
        texts.push(format!("{} {info:?}", status.message()));
        assert_eq!(refused(Err(status)), unauthenticated(), "{wrong:?}");
    }
    texts.dedup();
    assert_eq!(
        texts.len(),
        1,
        "what is wrong with it is not told: {texts:?}"
    );
    // another scheme is no token, and the word for this one may be written in any way
    for (value, is_good) in [
        (format!("bearer {good}"), true),
        (format!("BEARER  {good} "), true),
        (format!("Basic {good}"), false),
        (good.clone(), false),
        (format!("Bearer{good}"), false),
    ] {
        let mut request = with_token(pb::ListTenantsRequest::default(), None);
        let value_of_header = value.parse().expect("ASCII");
        request
            .metadata_mut()
            .insert("authorization", value_of_header);
        let answered = TenantServiceClient::new(channel.clone())
            .list_tenants(request)
            .await;
        assert_eq!(answered.is_ok(), is_good, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_changed_without_a_gap_and_revoked_within_a_second() {
    let (old, new, other) = (token(), token(), token());
    let others = token_caller("other", "reader", &other);
    let two = format!(
        "[[caller]]\nname = 'one'\nroles = ['reader']\ntoken_hashes = ['{}', '{}']\n{others}",
        TokenHash::of(&old),
        TokenHash::of(&new)
    );
    let site = Site::start(&(token_caller("one", "reader", &old) + &others)).await;
    let channel = site.channel().await;
    get_tenant(&channel, Some(&old)).await.expect("let in");
    assert_eq!(
        refused(get_tenant(&channel, Some(&new)).await),
        unauthenticated()
    );
    // both, then the new one alone; on a connection that is open all the time
    site.files.write("callers.toml", &two);
    let took = until(&channel, &new, Code::Ok).await;
    assert!(took < SOON, "{took:?}");
    get_tenant(&channel, Some(&old))
        .await
        .expect("still let in");
    site.files.write(
        "callers.toml",
        &(token_caller("one", "reader", &new) + &others),
    );
    let took = until(&channel, &old, Code::Unauthenticated).await;
    assert!(took < SOON, "{took:?}");
    get_tenant(&channel, Some(&new)).await.expect("let in");
    // a role is taken away
    site.files.write(
        "callers.toml",
        &(token_caller("one", "collector", &new) + &others),
    );
    let lookup = async || {
        let request = pb::GetAttributionRequest {
            tenant_id: TENANT.to_string(),
            message_id: "a@x".into(),
            ..Default::default()
        };
        let mut client = AttributionServiceClient::new(channel.clone());
        let answered = client
            .get_attribution(with_token(request, Some(&new)))
            .await;
        answered.expect_err("nothing is there").code()
    };
    while lookup().await != Code::PermissionDenied {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // the whole caller
    site.files.write("callers.toml", &others);
    let took = until(&channel, &new, Code::Unauthenticated).await;
    assert!(took < SOON, "{took:?}");
    get_tenant(&channel, Some(&other))
        .await
        .expect("not concerned");
}

/// What cannot be used changes nothing: nobody is locked out, and nobody let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing() {
    let (good, next) = (token(), token());
    let text = token_caller("good", "reader", &good);
    let site = Site::start(&text).await;
    let channel = site.channel().await;
    let added = text.clone() + &token_caller("next", "reader", &next);
    for broken in [
        String::new(),
        added.replace("roles", "rolls"),
        added.replace("'next'", "'good'"),
        added[..added.len() - 10].to_owned(),
        "\u{0}".into(),
    ] {
        site.files.write("callers.toml", &broken);
        tokio::time::sleep(SOON).await;
        get_tenant(&channel, Some(&good)).await.expect("let in");
        assert_eq!(
            refused(get_tenant(&channel, Some(&next)).await),
            unauthenticated()
        );
    }
    std::fs::remove_file(site.files.path("callers.toml")).expect("removed");
    tokio::time::sleep(SOON).await;
    get_tenant(&channel, Some(&good)).await.expect("let in");
    site.files.write("callers.toml", &added);
    until(&channel, &next, Code::Ok).await;
}

/// A list has what the caller has a grant on, on pages like every list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_listed_as_far_as_they_are_granted() {
    let (some, all) = (token(), token());
    let tenant = |n: u128| TenantId(Uuid::from_u128((n << 96) + 0x4000_8000_0000_0000_0001));
    let granted: Vec<TenantId> = (1..=12).filter(|n| n % 2 == 0).map(tenant).collect();
    // one of them is not registered
    let of_some = [&granted[..], &[tenant(99)]].concat();
    let text = token_caller("some", "reader", &some)
        + &only(&of_some)
        + &token_caller("all", "reader", &all);
    let site = Site::start(&text).await;
    for n in 1..=12 {
        register(&site.app, tenant(n)).await;
    }
    let mut client = TenantServiceClient::new(site.channel().await);
    let mut list = async |token: &str, page_size| {
        let (mut tenants, mut pages, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let request = pb::ListTenantsRequest {
                page_size,
                page_token,
            };
            let page = client.list_tenants(with_token(request, Some(token))).await;
            let page = page.expect("a page").into_inner();
            pages.push(page.tenants.len());
            tenants.extend(page.tenants.into_iter().map(|tenant| tenant.tenant_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return (tenants, pages);
            }
        }
    };
    let expected: Vec<String> = granted.iter().map(ToString::to_string).collect();
    assert_eq!(list(&some, 0).await, (expected.clone(), vec![6]));
    assert_eq!(list(&some, 4).await, (expected.clone(), vec![4, 2]));
    assert_eq!(list(&some, 3).await, (expected, vec![3, 3]));
    assert_eq!(list(&all, 5).await.0.len(), 14);
}

/// A page token or a token of the feed is no key to another tenant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_pages_and_feeds_open_no_other_tenant() {
    let (ours, theirs) = (token(), token());
    let text = token_caller("ours", "reader", &ours)
        + &only(&[TENANT])
        + &token_caller("theirs", "reader", &theirs)
        + &only(&[OTHER_TENANT]);
    let site = Site::start(&text).await;
    let mut client = AttributionServiceClient::new(site.channel().await);
    let list = |tenant: TenantId, page_token: &str| pb::ListAttributionsRequest {
        tenant_id: tenant.to_string(),
        start: Some("2026-03-01T00:00:00Z".parse().expect("a time")),
        end: Some("2026-03-02T00:00:00Z".parse().expect("a time")),
        page_token: page_token.into(),
        ..Default::default()
    };
    let page = client
        .list_attributions(with_token(list(OTHER_TENANT, ""), Some(&theirs)))
        .await;
    let foreign = page.expect("listed").into_inner().watch_token;
    assert!(!foreign.is_empty());
    let watch = |tenant: TenantId| pb::WatchAttributionsRequest {
        positions: vec![pb::WatchPosition {
            tenant_id: tenant.to_string(),
            start: Some(pb::watch_position::Start::ResumeToken(foreign.clone())),
            ..Default::default()
        }],
        ..Default::default()
    };
    for (tenant, code, reason) in [
        (OTHER_TENANT, Code::PermissionDenied, "PERMISSION_DENIED"),
        (TENANT, Code::InvalidArgument, "FEED_TOKEN_MISMATCH"),
    ] {
        let watched = client
            .watch_attributions(with_token(watch(tenant), Some(&ours)))
            .await;
        let refusal = (code, reason.to_owned());
        assert_eq!(refused(watched.map(|_| ())), refusal);
    }
    let listed = client
        .list_attributions(with_token(list(TENANT, &foreign), Some(&ours)))
        .await;
    assert_eq!(refused(listed.map(|_| ())).0, Code::InvalidArgument);
    // one position that is not granted among others that are: nothing of it
    let mut both = watch(TENANT);
    both.positions[0].start = None;
    both.positions.extend(watch(OTHER_TENANT).positions);
    let watched = client
        .watch_attributions(with_token(both, Some(&ours)))
        .await;
    assert_eq!(refused(watched.map(|_| ())), permission_denied());
}

/// On this machine a table of tokens is enough; certificates need TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_go_without_tls_on_this_machine() {
    let db = TestDb::sqlite().await;
    let (files, good) = (Files::new(), token());
    let text = token_caller("good", "reader", &good) + &certificate_caller("c", "reader", "c.x");
    files.write("callers.toml", &text);
    let mut config = db.config.clone();
    config.callers_file = Some(files.path("callers.toml"));
    let site = Site::with(config, files).await;
    register(&site.app, TENANT).await;
    let plain = tonic::transport::Channel::from_shared(format!("http://{}", site.address));
    let channel = plain.expect("a URI").connect().await.expect("connected");
    get_tenant(&channel, Some(&good)).await.expect("let in");
    assert_eq!(refused(get_tenant(&channel, None).await), unauthenticated());
}

/// Who is refused hears it, however much was to be sent; none of it is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_is_refused_by_its_head() {
    let (reader, all) = (token(), token());
    let text = token_caller("reader", "reader", &reader) + &token_caller("all", "collector", &all);
    let site = Site::start(&text).await;
    let mut client = IngestServiceClient::new(site.channel().await);
    let batch = pb::IngestAuditBatchRequest {
        tenant_id: TENANT.to_string(),
        content: vec![b' '; 12 << 20].into(),
        ..Default::default()
    };
    for _ in 0..5 {
        for (token, expected) in [
            (None, unauthenticated()),
            (Some("sentby_x"), unauthenticated()),
            (Some(reader.as_str()), permission_denied()),
        ] {
            let sent = client
                .ingest_audit_batch(with_token(batch.clone(), token))
                .await;
            assert_eq!(refused(sent.map(|_| ())), expected);
        }
    }
    let sent = client
        .ingest_audit_batch(with_token(batch, Some(&all)))
        .await;
    sent.expect("read, and nothing in it");
    // a body that never comes
    let never = tokio_stream::pending::<pb::StreamAuditBatchesRequest>();
    let open = client.stream_audit_batches(with_token(never, Some(&reader)));
    let open = tokio::time::timeout(Duration::from_secs(5), open).await;
    assert_eq!(
        refused(open.expect("answered").map(|_| ())),
        permission_denied()
    );
}
