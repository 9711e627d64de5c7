//! What a command shows to a server, and what the server must show.

use crate::config::ENV_TOKEN;
use anyhow::Context as _;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

/// A token is no flag: whoever lists the processes of the machine would see it.
#[derive(Debug, clap::Args)]
pub(super) struct Credentials {
    /// The authority (PEM) of the certificate that an https:// server has
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// Show the server this certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["server", "client_key_file"])]
    client_cert_file: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    client_key_file: Option<PathBuf>,
    /// Show the server the token in this file; or in the environment variable SENTBY_TOKEN
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

impl Credentials {
    /// The endpoint with TLS, where its URL says so.
    pub fn secure(&self, endpoint: Endpoint) -> anyhow::Result<Endpoint> {
        if endpoint.uri().scheme_str() != Some("https") {
            anyhow::ensure!(
                self.ca_file.is_none() && self.client_cert_file.is_none(),
                "--ca-file and --client-cert-file go with https:// only"
            );
            return Ok(endpoint);
        }
        let ca = self.ca_file.as_deref().context(
            "an https:// server needs --ca-file: the authority (PEM) that its certificate is of",
        )?;
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        if let (Some(cert), Some(key)) = (&self.client_cert_file, &self.client_key_file) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        let secured = endpoint.tls_config(tls);
        secured.context("the files of certificates cannot be used")
    }

    /// What goes with every call.
    pub fn bearer(&self) -> anyhow::Result<Bearer> {
        let token = match &self.token_file {
            Some(path) => Some(String::from_utf8(read(path)?).context("the token is no text")?),
            None => std::env::var(ENV_TOKEN).ok(),
        };
        let token = token.as_deref().map(str::trim);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Ok(Bearer::default());
        };
        let value = MetadataValue::try_from(format!("Bearer {token}"));
        let mut value = value
            .ok()
            .context("the token has characters that none has")?;
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The token of every call, if there is one.
#[derive(Clone, Default)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// What is wrong with a connection, in words instead of TLS's own names.
pub(super) fn in_words(cause: &str) -> String {
    // the reason for an end is sometimes overtaken by the end
    const ENDED: &str = "the server ended the connection: it may serve https:// only, or want a \
                         certificate (--client-cert-file), or not take the one it was shown";
    const WORDS: [(&str, &str); 15] = [
        (
            "UnknownIssuer",
            "the server's certificate is not of the authority in --ca-file",
        ),
        (
            "certificate expired",
            "the server's certificate has expired",
        ),
        (
            "not valid for name",
            "the server's certificate is for another name than --server has",
        ),
        (
            "CertificateRequired",
            "the server wants a certificate: --client-cert-file and --client-key-file",
        ),
        (
            "UnknownCA",
            "the server does not know the authority of the certificate in --client-cert-file",
        ),
        (
            "CertificateExpired",
            "the certificate in --client-cert-file has expired, or is not valid yet",
        ),
        (
            "BadCertificate",
            "the server does not take the certificate in --client-cert-file",
        ),
        (
            "DecryptError",
            "the server does not take the certificate in --client-cert-file",
        ),
        (
            "CertificateUnknown",
            "the server does not take the certificate in --client-cert-file",
        ),
        (
            "UnsupportedCertificate",
            "the certificate in --client-cert-file is not one of a client",
        ),
        (
            "InvalidContentType",
            "the server does not speak TLS: http:// instead of https://",
        ),
        ("InvalidMessage", "what answers there does not speak TLS"),
        ("connection closed", ENDED),
        ("broken pipe", ENDED),
        ("frame with invalid size", ENDED), // its alert, read as HTTP/2
    ];
    let known = WORDS.iter().find(|(name, _)| cause.contains(name));
    match known {
        Some((_, words)) => format!("{words} ({cause})"),
        None => cause.to_owned(),
    }
}
