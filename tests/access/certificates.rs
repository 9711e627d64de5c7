//! Certificates of clients, and those of the server as they change.

use super::{
    authority::{Authority, Pair, dns, uri},
    site::{Site, certificate_caller, get_tenant, refused, token, token_caller, unauthenticated},
};
use crate::support::TENANT;
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use sentby::pb::{self, tenant_service_client::TenantServiceClient};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Code, Status,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

const READER: &str = "spiffe://contoso.com/merger";
const DNS_READER: &str = "merger.contoso.com";

fn callers() -> String {
    certificate_caller("merger", "reader", READER)
        + &certificate_caller("dns", "reader", DNS_READER)
        + &certificate_caller("dns2", "operator", "other.contoso.com")
}

/// Nobody of ours said that: the handshake failed.
#[track_caller]
fn assert_no_handshake(answered: Result<(), Status>, case: &str) {
    let status = answered.expect_err(case);
    assert!(
        std::error::Error::source(&status).is_some(),
        "{case}: {status:?}"
    );
    assert!(status.details().is_empty(), "{case}: {status:?}");
}

/// Wrong whatever else is asked for: certificate by certificate.
fn not_even_a_handshake(authority: &Authority) -> Vec<(&'static str, Pair)> {
    let name = || vec![uri(READER)];
    vec![
        ("unknown authority", Authority::new().client(name())),
        (
            "expired",
            authority.issue(name(), |it| it.not_after = date_time_ymd(2026, 1, 1)),
        ),
        (
            "not yet valid",
            authority.issue(name(), |it| it.not_before = date_time_ymd(2080, 1, 1)),
        ),
        (
            "for servers only",
            authority.issue(name(), |it| {
                it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "an authority itself",
            authority.issue(name(), |it| {
                it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_its_certificate() {
    let site = Site::start(&callers()).await;
    let clients = &site.files.clients;
    let by_name = |names: Vec<SanType>| clients.client(names);
    for names in [
        vec![uri(READER)],
        vec![dns(DNS_READER)],
        vec![dns("x.y"), dns(DNS_READER)],
    ] {
        let client = by_name(names.clone());
        let answered = site.as_client(Some(&client)).await;
        answered.unwrap_or_else(|status| panic!("{names:?}: {status:?}"));
    }
    assert_no_handshake(site.as_client(None).await, "none");
    for (case, client) in not_even_a_handshake(clients) {
        assert_no_handshake(site.as_client(Some(&client)).await, case);
    }
    for (case, client) in [
        ("no name", by_name(vec![])),
        (
            "an unknown name",
            by_name(vec![uri("spiffe://contoso.com/other")]),
        ),
        (
            "more of it",
            by_name(vec![uri("spiffe://contoso.com/merger/x")]),
        ),
        (
            "another trust domain",
            by_name(vec![uri("spiffe://contoso.net/merger")]),
        ),
        (
            "two URIs",
            by_name(vec![uri(READER), uri("spiffe://contoso.com/x")]),
        ),
        ("twice", by_name(vec![uri(READER), uri(READER)])),
        (
            "a URI that is unknown",
            by_name(vec![uri("https://x"), dns(DNS_READER)]),
        ),
        (
            "two callers",
            by_name(vec![dns(DNS_READER), dns("other.contoso.com")]),
        ),
        ("any name", by_name(vec![dns("*.contoso.com")])),
        ("the URI as a DNS name", by_name(vec![dns(READER)])),
        (
            "a common name",
            clients.issue(vec![], |it| {
                it.distinguished_name.push(DnType::CommonName, DNS_READER)
            }),
        ),
    ] {
        let answered = site.as_client(Some(&client)).await;
        assert_eq!(refused(answered), unauthenticated(), "{case}");
    }
    // its role counts as a token's does
    let client = by_name(vec![uri(READER)]);
    let channel = site
        .endpoint(Some(&client))
        .connect()
        .await
        .expect("connected");
    let request = pb::RevokeConsentRequest {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    };
    let revoked = TenantServiceClient::new(channel)
        .revoke_consent(request)
        .await;
    assert_eq!(refused(revoked.map(|_| ())).0, Code::PermissionDenied);
}

/// With tokens in the table a certificate may be missing; a wrong one is wrong all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_certificates_side_by_side() {
    let token = token();
    let site = Site::start(&(callers() + &token_caller("other", "reader", &token))).await;
    let clients = &site.files.clients;
    assert_eq!(refused(site.as_client(None).await), unauthenticated());
    get_tenant(&site.channel().await, Some(&token))
        .await
        .expect("let in");
    for (case, client) in not_even_a_handshake(clients) {
        assert_no_handshake(site.as_client(Some(&client)).await, case);
    }
    // of one that nobody lists, the token decides
    let stranger = clients.client(vec![uri("spiffe://contoso.com/sidecar")]);
    let channel = site
        .endpoint(Some(&stranger))
        .connect()
        .await
        .expect("connected");
    get_tenant(&channel, Some(&token)).await.expect("let in");
    assert_eq!(refused(get_tenant(&channel, None).await), unauthenticated());
    // of one caller the certificate, of another one the token: neither
    let merger = clients.client(vec![uri(READER)]);
    let channel = site
        .endpoint(Some(&merger))
        .connect()
        .await
        .expect("connected");
    get_tenant(&channel, None).await.expect("let in");
    assert_eq!(
        refused(get_tenant(&channel, Some(&token)).await),
        unauthenticated()
    );
    assert_eq!(
        refused(get_tenant(&channel, Some("sentby_x")).await),
        unauthenticated()
    );
}

/// An open connection does not outlive the certificate that it was made with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_expires_also_on_an_open_connection() {
    let site = Site::start(&callers()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
    let end = Duration::from_secs(now.as_secs() + 3);
    let client = site.files.clients.issue(vec![uri(READER)], |it| {
        it.not_after = date_time_ymd(1970, 1, 1) + end;
    });
    let channel = site
        .endpoint(Some(&client))
        .connect()
        .await
        .expect("connected");
    get_tenant(&channel, None).await.expect("let in");
    tokio::time::sleep(end - now + Duration::from_millis(100)).await;
    assert_eq!(refused(get_tenant(&channel, None).await), unauthenticated());
}

fn trusting(site: &Site, authorities: &[&Authority]) -> Endpoint {
    let cas = authorities
        .iter()
        .map(|authority| Certificate::from_pem(authority.pem()));
    let tls = ClientTlsConfig::new().ca_certificates(cas);
    site.endpoint(None)
        .tls_config(tls)
        .expect("its files are good")
}

/// New certificates while calls are made, on open connections and on new ones: none fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_load_without_a_failed_call() {
    let token = token();
    let site = Arc::new(Site::start(&token_caller("one", "reader", &token)).await);
    let next = Authority::new();
    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let both = trusting(&site, &[&site.files.servers, &next]);
    let mut callers = Vec::new();
    for n in 0..4 {
        let (both, token) = (both.clone(), token.clone());
        let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
        callers.push(tokio::spawn(async move {
            let mut channel = both.connect().await.expect("connected");
            while !stop.load(Relaxed) {
                if n > 1 {
                    channel = both.connect().await.expect("connected");
                }
                get_tenant(&channel, Some(&token)).await.expect("answered");
                calls.fetch_add(1, Relaxed);
            }
        }));
    }
    for n in 0..10 {
        let authority = if n % 2 == 0 {
            &next
        } else {
            &site.files.servers
        };
        site.files.write_pair("server", &authority.server());
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // what cannot be used leaves what was there: another one's key, and no certificate at all
    site.files.write("server.key", &next.server().key);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    site.files
        .write("server.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let last = trusting(&site, &[&site.files.servers]).connect().await;
    get_tenant(&last.expect("connected"), Some(&token))
        .await
        .expect("answered");

    site.files.write_pair("server", &next.server());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let channel = trusting(&site, &[&next])
        .connect()
        .await
        .expect("the new one is shown");
    get_tenant(&channel, Some(&token)).await.expect("answered");
    assert!(
        trusting(&site, &[&site.files.servers])
            .connect()
            .await
            .is_err()
    );
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    assert!(calls.load(Relaxed) > 100, "{calls:?}");
}

/// Another authority of clients, and whether a certificate is wanted at all, counts from the next
/// handshake on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_trusted_changes_too() {
    let site = Site::start(&callers()).await;
    let old = site.files.clients.client(vec![uri(READER)]);
    let authority = Authority::new();
    let new = authority.client(vec![uri(READER)]);
    site.as_client(Some(&old)).await.expect("let in");
    assert_no_handshake(site.as_client(Some(&new)).await, "not yet");
    site.files.write("client-ca.pem", &authority.pem());
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.as_client(Some(&new)).await.expect("let in");
    assert_no_handshake(site.as_client(Some(&old)).await, "not any more");
    // the first token makes certificates optional
    assert_no_handshake(site.as_client(None).await, "none");
    let token = token();
    let text = callers() + &token_caller("other", "reader", &token);
    site.files.write("callers.toml", &text);
    tokio::time::sleep(Duration::from_secs(2)).await;
    get_tenant(&site.channel().await, Some(&token))
        .await
        .expect("let in");
}

/// Both versions that are still good, HTTP/2 and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_1_2_or_1_3_for_http_2() {
    let site = Site::start(&token_caller("one", "reader", &token())).await;
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(site.files.servers.pem().as_bytes()).expect("PEM");
    roots.add(ca).expect("an authority");
    let roots = Arc::new(roots);
    let shake = async |version, protocol: &[u8]| {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[version]).expect("known");
        let builder = builder.with_root_certificates(Arc::clone(&roots));
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(site.address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .ok()?;
        let (_, session) = stream.get_ref();
        Some((
            session.protocol_version()?.as_str()?,
            session.alpn_protocol()?.to_vec(),
        ))
    };
    assert_eq!(
        shake(&TLS13, b"h2").await,
        Some(("TLSv1_3", b"h2".to_vec()))
    );
    assert_eq!(
        shake(&TLS12, b"h2").await,
        Some(("TLSv1_2", b"h2".to_vec()))
    );
    assert_eq!(shake(&TLS13, b"http/1.1").await, None);
}
