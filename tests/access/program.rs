//! The program: what it refuses to start with, and its commands as clients.

use super::{
    authority::{Authority, uri},
    site::{Files, certificate_caller, token, token_caller},
};
use crate::support::{
    TENANT,
    process::{Server, run, sentby, succeeded, text, without_settings},
};
use sentby::access::{TOKEN_PREFIX, TokenHash};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

/// `serve` with these settings; it ends by itself or is a failure of the test's.
fn refused(files: &Files, arguments: &[&str]) -> (Option<i32>, String) {
    let database = format!("sqlite://{}", files.text("refused.db"));
    let mut serve = vec!["serve", "--database", &database];
    serve.extend(arguments);
    let limited = format!("timeout 20 \"$0\" {}", "\"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_sentby")]);
    command.args(&serve);
    let output = without_settings(command).output().expect("it runs");
    assert_ne!(output.status.code(), Some(124), "it serves: {arguments:?}");
    (output.status.code(), text(&output.stderr))
}

#[test]
fn what_would_let_strangers_in_does_not_start() {
    let files = Files::new();
    files.write("callers.toml", &token_caller("one", "reader", &token()));
    files.write("empty.toml", "");
    files.write("wrong.toml", "[[caller]]\nname = 'x'\nroles = ['root']\n");
    files.write(
        "certificates.toml",
        &certificate_caller("one", "reader", "spiffe://x/y"),
    );
    files.write_pair("other", &Authority::new().server());
    files.write(
        "open.key",
        &fs::read_to_string(files.path("server.key")).expect("a key"),
    );
    fs::set_permissions(files.path("open.key"), fs::Permissions::from_mode(0o644)).expect("set");
    let path = |name: &str| files.text(name);
    let (cert, key, callers) = (path("server.pem"), path("server.key"), path("callers.toml"));
    let tls = [
        "--tls-cert-file",
        cert.as_str(),
        "--tls-key-file",
        key.as_str(),
    ];
    let network = ["--listen", "0.0.0.0:0"];
    let local = ["--listen", "127.0.0.1:0"];
    let check = |code: i32, told: &str, arguments: &[&[&str]]| {
        let arguments = arguments.concat();
        let (ended, words) = refused(&files, &arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {words}");
        assert!(words.contains(told), "{arguments:?}: {words}");
    };
    let callers = ["--callers-file", callers.as_str()];
    check(
        2,
        "set tls_cert_file, tls_key_file and callers_file too",
        &[&network],
    );
    check(2, "set callers_file too", &[&network, &tls]);
    check(
        2,
        "set tls_cert_file and tls_key_file too",
        &[&network, &callers],
    );
    check(2, "it needs tls_key_file too", &[&local, &tls[..2]]);

    let with = |name: &str| path(name);
    let (open, other, missing) = (with("open.key"), with("other.key"), with("missing"));
    let key_is = |key| ["--tls-cert-file", cert.as_str(), "--tls-key-file", key];
    check(
        1,
        "everybody on this machine can read it: chmod o=",
        &[&local, &key_is(&open)],
    );
    check(
        1,
        "tls_cert_file and tls_key_file do not fit",
        &[&local, &key_is(&other)],
    );
    check(1, "missing: cannot be read", &[&local, &key_is(&missing)]);
    check(1, "it holds no private key", &[&local, &key_is(&cert)]);
    for (file, told) in [
        ("empty.toml", "it names no caller"),
        ("wrong.toml", "caller \"x\": \"root\" is no role"),
        ("missing", "callers_file"),
        (
            "certificates.toml",
            "nobody can show one: set tls_client_ca_file",
        ),
    ] {
        let file = path(file);
        check(1, told, &[&local, &["--callers-file", &file]]);
    }
    check(
        1,
        "tls_client_ca_file: ",
        &[&local, &tls, &["--tls-client-ca-file", &key]],
    );
}

struct Site {
    files: Files,
    server: Server,
}

impl Site {
    /// On all addresses of the machine.
    fn start(arguments: &[&str]) -> Self {
        let files = Files::new();
        Self::of(files, arguments)
    }

    fn of(files: Files, arguments: &[&str]) -> Self {
        let database = format!("sqlite://{}", files.text("site.db"));
        let mut command = sentby(&["serve", "--listen", "0.0.0.0:0", "--database", &database]);
        for argument in arguments {
            // a file by its name
            let is_file = argument.contains('.');
            command.arg(if is_file {
                files.text(argument)
            } else {
                (*argument).into()
            });
        }
        let server = Server::of(command);
        Self { files, server }
    }

    fn url(&self, scheme: &str) -> String {
        let (_, port) = self.server.address.rsplit_once(':').expect("a port");
        format!("{scheme}://127.0.0.1:{port}")
    }

    fn import(&self, scheme: &str, credentials: &[&str], token: Option<&str>) -> Output {
        let (url, tenant) = (self.url(scheme), TENANT.to_string());
        let mut command = sentby(&["coverage", "--tenant", &tenant, "--server", &url]);
        for argument in credentials {
            let is_file = argument.contains('.');
            command.arg(if is_file {
                self.files.text(argument)
            } else {
                (*argument).into()
            });
        }
        if let Some(token) = token {
            command.env("SENTBY_TOKEN", token);
        }
        command.output().expect("it runs")
    }
}

#[track_caller]
fn told(output: &Output, words: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(words), "{words}: {stderr}");
}

const TLS: [&str; 6] = [
    "--tls-cert-file",
    "server.pem",
    "--tls-key-file",
    "server.key",
    "--tls-client-ca-file",
    "client-ca.pem",
];

#[test]
fn commands_are_clients_with_tokens_and_certificates() {
    let token_text = succeeded(&run(&[
        "token", "new", "--name", "a \"b\"", "--role", "reader",
    ]));
    let token = token_text.lines().nth(1).expect("a token").to_owned();
    assert!(token.starts_with(TOKEN_PREFIX), "{token_text}");
    let (_, entry) = token_text
        .split_once("# for the callers file:\n")
        .expect("an entry");
    assert!(!entry.contains(&token) && entry.contains(&TokenHash::of(&token).to_string()));
    let files = Files::new();
    let name = "spiffe://contoso.com/ops";
    let certificate = certificate_caller("ops", "operator", name);
    files.write("callers.toml", &format!("{entry}{certificate}"));
    files.write_pair("ops", &files.clients.client(vec![uri(name)]));
    files.write_pair("stranger", &Authority::new().client(vec![uri(name)]));
    files.write("other-ca.pem", &Authority::new().pem());
    files.write("token.txt", &format!("{token}\n"));
    let site = Site::of(
        files,
        &[&TLS[..], &["--callers-file", "callers.toml"]].concat(),
    );
    assert!(site.server.logged("no callers_file").is_empty());

    let ca = ["--ca-file", "ca.pem"];
    // no such tenant: who gets that far is let in
    let in_by = |credentials: &[&str], token| {
        let credentials = [&ca[..], credentials].concat();
        site.import("https", &credentials, token)
    };
    told(&in_by(&[], Some(&token)), "TENANT_NOT_FOUND");
    told(
        &in_by(&["--token-file", "token.txt"], None),
        "TENANT_NOT_FOUND",
    );
    let ops = [
        "--client-cert-file",
        "ops.pem",
        "--client-key-file",
        "ops.key",
    ];
    told(&in_by(&ops, None), "TENANT_NOT_FOUND");

    told(
        &in_by(&[], None),
        "UNAUTHENTICATED (UNAUTHENTICATED): who calls is not known",
    );
    told(
        &in_by(&[], None),
        "what to do: give a token in SENTBY_TOKEN",
    );
    told(&in_by(&[], Some("sentby_x")), "UNAUTHENTICATED");
    told(
        &in_by(&["--token-file", "missing.txt"], None),
        "cannot read",
    );
    let stranger = [
        "--client-cert-file",
        "stranger.pem",
        "--client-key-file",
        "stranger.key",
    ];
    told(&in_by(&stranger, None), "--client-cert-file");
    let other = ["--ca-file", "other-ca.pem"];
    let words = "the server's certificate is not of the authority in --ca-file";
    told(&site.import("https", &other, None), words);
    told(&site.import("https", &[], None), "needs --ca-file");
    told(&site.import("http", &[], Some(&token)), "https://");
    // never on the command line of anybody, and never in the log
    assert!(site.server.logged(&token).is_empty());
    assert_eq!(site.server.stop(), Some(0));
}

#[test]
fn a_server_for_development_says_so_once() {
    let files = Files::new();
    let local = Server::start(&format!("sqlite://{}", files.text("local.db")));
    let words = "no callers_file: who is on this machine may do everything";
    assert_eq!(local.logged(words).len(), 1);
    let site = Site::start(&["--insecure"]);
    let words = "no callers_file: whoever reaches this may do everything";
    assert_eq!(site.server.logged(words).len(), 1);
    told(&site.import("http", &[], None), "TENANT_NOT_FOUND");
    told(
        &site.import("https", &["--ca-file", "ca.pem"], None),
        "does not speak TLS",
    );
    let only_tls = ["--ca-file", "ca.pem"];
    told(
        &site.import("http", &only_tls, None),
        "go with https:// only",
    );
}

/// Where every caller has a certificate, none is let in without.
#[test]
fn a_missing_certificate_is_told_in_words() {
    let files = Files::new();
    files.write(
        "callers.toml",
        &certificate_caller("one", "reader", "spiffe://x/y"),
    );
    let site = Site::of(
        files,
        &[&TLS[..], &["--callers-file", "callers.toml"]].concat(),
    );
    let refused = site.import("https", &["--ca-file", "ca.pem"], None);
    told(&refused, "--client-cert-file");
}
