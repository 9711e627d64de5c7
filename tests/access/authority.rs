//! Authorities and certificates of one test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key (PEM).
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

pub fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("ASCII"))
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // no two are called the same
        let name = Uuid::new_v4().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Of a server on this machine.
    pub fn server(&self) -> Pair {
        let localhost = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.issue(vec![localhost, dns("localhost")], |params| {
            params.extended_key_usages = vec![usage];
        })
    }

    /// Of a client with these names.
    pub fn client(&self, names: Vec<SanType>) -> Pair {
        self.issue(names, |_| {})
    }

    /// Of a client, changed.
    pub fn issue(&self, names: Vec<SanType>, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.0).expect("signed");
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}
