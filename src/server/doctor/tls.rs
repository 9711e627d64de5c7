//! Certificates and keys.

use super::files::{read_by_others, unreadable};
use crate::domain::Check;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{path::Path, time::SystemTime};
use x509_parser::{certificate::X509Certificate, parse_x509_certificate};

/// A certificate that ends sooner should have been renewed.
const SOON: i64 = 21 * DAY;
const DAY: i64 = 24 * 3_600;

/// What a server shows its callers, and the key of it.
pub(super) fn server(certificates: &Path, key: &Path) -> Vec<Check> {
    let chain = match read(certificates) {
        Ok(chain) => chain,
        Err(check) => {
            return vec![Check {
                name: "tls-cert",
                ..check
            }];
        }
    };
    let mut checks = Vec::new();
    checks.push(key_of(&chain, key));
    let parsed: Vec<X509Certificate<'_>> = chain
        .iter()
        .filter_map(|der| Some(parse_x509_certificate(der).ok()?.1))
        .collect();
    if parsed.len() < chain.len() {
        let says = format!(
            "{} holds something that is no certificate",
            certificates.display()
        );
        checks.push(Check::error("tls-cert", says, REPAIR));
        return checks;
    }
    checks.extend(parsed.iter().map(|one| lasts("tls-cert", one, now())));
    checks.push(names(&parsed[0]));
    checks.push(leads_on(&parsed));
    checks
}

/// Certificates that others are proven by.
pub(super) fn authorities(name: &'static str, path: &Path) -> Vec<Check> {
    let all = match read(path) {
        Ok(all) => all,
        Err(check) => return vec![Check { name, ..check }],
    };
    let of = |der: &CertificateDer<'_>| match parse_x509_certificate(der) {
        Ok((_, one)) if !one.is_ca() => {
            let says = format!("{} is of no authority", one.subject());
            Check::error(name, says, "name the certificate of the authority itself")
        }
        Ok((_, one)) => lasts(name, &one, now()),
        Err(error) => Check::error(name, format!("{}: {error}", path.display()), REPAIR),
    };
    all.iter().map(of).collect()
}

const REPAIR: &str = "openssl x509 -noout -text -in FILE, and put the right one there";

/// At least one.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Check> {
    const NAME: &str = "";
    let pem = std::fs::read(path).map_err(|error| unreadable(NAME, path, &error))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => {
            let says = format!("{} holds no certificate (PEM)", path.display());
            Err(Check::error(NAME, says, REPAIR))
        }
    }
}

fn key_of(chain: &[CertificateDer<'static>], path: &Path) -> Check {
    const NAME: &str = "tls-key";
    let shown = path.display();
    let pem = match std::fs::read(path) {
        Ok(pem) => pem,
        Err(error) => return unreadable(NAME, path, &error),
    };
    if let Some(check) = read_by_others(NAME, path) {
        return check;
    }
    let repair = "openssl pkey -noout -in FILE, and put the key of the certificate there";
    let Ok(key) = PrivateKeyDer::from_pem_slice(&pem) else {
        return Check::error(NAME, format!("{shown} holds no key (PEM)"), repair);
    };
    match CertifiedKey::from_der(chain.to_vec(), key, &ring::default_provider()) {
        Ok(_) => Check::ok(NAME, "is the certificate's"),
        Err(error) => Check::error(
            NAME,
            format!("{shown} is not the certificate's: {error}"),
            repair,
        ),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// `now`: seconds since 1970.
fn lasts(name: &'static str, certificate: &X509Certificate<'_>, now: i64) -> Check {
    let validity = certificate.validity();
    let (from, until) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let subject = certificate.subject();
    let repair = "renew it; a server that runs takes the new file by itself, or is started again";
    let left = until - now;
    if left < 0 {
        Check::error(
            name,
            format!("{subject} ended {} days ago", -left / DAY),
            repair,
        )
    } else if from > now {
        Check::error(
            name,
            format!("{subject} begins only {}", validity.not_before),
            repair,
        )
    } else if left < SOON {
        Check::warning(
            name,
            format!("{subject} ends in {} days", left / DAY),
            repair,
        )
    } else {
        Check::ok(name, format!("{subject} ends in {} days", left / DAY))
    }
}

/// Callers compare the name that they call with these, and with nothing else.
fn names(certificate: &X509Certificate<'_>) -> Check {
    const NAME: &str = "tls-names";
    let names = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> = names
        .map(|names| {
            names
                .value
                .general_names
                .iter()
                .map(ToString::to_string)
                .collect()
        })
        .unwrap_or_default();
    match names.is_empty() {
        true => Check::error(
            NAME,
            "the certificate names no host (subjectAltName): no caller accepts it",
            "openssl req … -addext subjectAltName=DNS:HOST",
        ),
        false => Check::ok(NAME, names.join(", ")),
    }
}

fn leads_on(chain: &[X509Certificate<'_>]) -> Check {
    const NAME: &str = "tls-chain";
    for pair in chain.windows(2) {
        if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
            let says = format!("{} is not from {}", pair[0].subject(), pair[1].subject());
            let repair = "the server's first, behind each the one that it is from: cat server.pem intermediate.pem";
            return Check::error(NAME, says, repair);
        }
    }
    let last = &chain[chain.len() - 1];
    match last.issuer().as_raw() == last.subject().as_raw() {
        true if chain.len() == 1 && !last.is_ca() => Check::warning(
            NAME,
            "the certificate is from nobody but itself: callers have to be given it",
            "let an authority sign it",
        ),
        _ => Check::ok(NAME, format!("leads to {}", last.issuer())),
    }
}
