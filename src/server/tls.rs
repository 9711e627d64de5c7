//! TLS by rustls: the server's certificate, and what a client's one says.

use crate::{
    access::{Certificate, is_uri},
    domain::Timestamp,
    telemetry::meters,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::sync::Arc;
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    NotAsked,
    /// Who shows none has to give a token.
    Optional,
    Required,
}

/// The contents of the files (PEM).
#[derive(Clone, Copy, Debug)]
pub(super) struct Pem<'a> {
    pub cert: &'a [u8],
    pub key: &'a [u8],
    pub client_ca: Option<&'a [u8]>,
}

/// What handshakes are made with; an error says which file is wrong and how.
pub(super) fn config(pem: Pem, demand: Demand) -> Result<ServerConfig, String> {
    let chain = certificates(pem.cert).map_err(|why| format!("tls_cert_file: {why}"))?;
    let expires = expires(&chain);
    let key = PrivateKeyDer::from_pem_slice(pem.key)
        .map_err(|_| "tls_key_file: it holds no private key (PEM)".to_owned())?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match (pem.client_ca, demand) {
        (Some(ca), Demand::Optional | Demand::Required) => {
            builder.with_client_cert_verifier(verifier(ca, demand, provider)?)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls_cert_file and tls_key_file do not fit: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // a session that is taken up again would pass the check of its client's certificate by
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    if let Some(at) = expires {
        meters::certificate_expires(at);
    }
    Ok(config)
}

/// In seconds since 1970.
fn expires(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let (_, leaf) = parse_x509_certificate(chain.first()?).ok()?;
    Some(leaf.validity().not_after.timestamp())
}

fn verifier(
    ca: &[u8],
    demand: Demand,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for ca in certificates(ca).map_err(|why| format!("tls_client_ca_file: {why}"))? {
        roots
            .add(ca)
            .map_err(|error| format!("tls_client_ca_file: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match demand {
        Demand::Optional => builder.allow_unauthenticated(),
        Demand::NotAsked | Demand::Required => builder,
    };
    builder
        .build()
        .map_err(|error| format!("tls_client_ca_file: {error}"))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() {
        return Err("it holds no certificate (PEM)".into());
    }
    Ok(all)
}

/// What counts of the certificate of a client that was checked. `None`: it cannot be read.
///
/// A certificate with URIs is a SPIFFE one, which has exactly one; with more it names nobody. The
/// common name counts for nothing: authorities do not check it.
pub(super) fn certificate(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let (mut uris, mut dns) = (Vec::new(), Vec::new());
    if let Some(names) = certificate.subject_alternative_name().ok()? {
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                _ => {}
            }
        }
    }
    let count = uris.len();
    // what stands in the place of one must not pass for the other
    uris.retain(|name| is_uri(name));
    dns.retain(|name| !is_uri(name));
    let names = match count {
        0 => dns,
        1 => uris,
        _ => Vec::new(),
    };
    let not_after = certificate.validity().not_after.timestamp();
    Some(Certificate {
        names,
        not_after: Timestamp::from_micros(not_after.checked_mul(1_000_000)?),
    })
}
