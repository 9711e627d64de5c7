//! The callers file: who there is, by which token or certificate, with which roles and tenants.

use super::{Certificate, Role, TokenHash};
use crate::domain::{TenantId, Timestamp};
use serde::Deserialize;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// For logs.
    pub name: String,
    pub roles: Vec<Role>,
    /// `None`: on every tenant, also of those that are yet to come.
    pub tenants: Option<BTreeSet<TenantId>>,
}

/// All callers, by what they show.
#[derive(Debug, Default)]
pub struct Callers {
    by_token: HashMap<TokenHash, (Arc<Grant>, Option<Timestamp>)>,
    by_certificate: HashMap<String, Arc<Grant>>,
}

/// What is wrong with the file, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallersError(String);

fn wrong(what: impl fmt::Display) -> CallersError {
    CallersError(what.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    caller: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    roles: Vec<String>,
    tenants: Option<Vec<String>>,
    certificate: Option<String>,
    #[serde(default)]
    token_hashes: Vec<toml::Value>,
}

impl Callers {
    /// The text of the file. What is doubtful is refused: a name that is misspelled must not
    /// leave somebody in, or out.
    pub fn parse(text: &str) -> Result<Self, CallersError> {
        let file: File = toml::from_str(text).map_err(|error| {
            // not its Display: that quotes the line
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            wrong(format_args!("line {line}: {}", error.message()))
        })?;
        if file.caller.is_empty() {
            return Err(wrong(
                "it names no caller, so nobody could call: add a [[caller]] with name, roles and \
                 token_hashes or certificate (`sentby token new --name NAME` prints one)",
            ));
        }
        let (mut callers, mut names) = (Self::default(), HashSet::new());
        for entry in file.caller {
            if entry.name.trim().is_empty() || entry.name.chars().any(char::is_control) {
                return Err(wrong("a caller has no name"));
            }
            if !names.insert(entry.name.clone()) {
                return Err(wrong(format_args!(
                    "two callers are called {:?}: give each a name of its own",
                    entry.name
                )));
            }
            let name = entry.name.clone();
            let added = callers.add(entry);
            added.map_err(|why| wrong(format_args!("caller {name:?}: {why}")))?;
        }
        Ok(callers)
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let grant = Arc::new(Grant {
            roles: roles(&entry.roles)?,
            tenants: entry.tenants.as_deref().map(tenants).transpose()?,
            name: entry.name,
        });
        if entry.certificate.is_none() && entry.token_hashes.is_empty() {
            return Err("has neither token_hashes nor certificate, so nobody can be it".into());
        }
        for value in entry.token_hashes {
            let (hash, expires) = token_hash(&value)?;
            let token = (Arc::clone(&grant), expires);
            if let Some((other, _)) = self.by_token.insert(hash, token) {
                return Err(format!(
                    "a token hash is used twice, also by {:?}: give each a token of its own",
                    other.name
                ));
            }
        }
        if let Some(certificate) = entry.certificate {
            check_certificate(&certificate)?;
            let grant = Arc::clone(&grant);
            if let Some(other) = self.by_certificate.insert(certificate.clone(), grant) {
                return Err(format!(
                    "certificate {certificate:?} is used twice, also by {:?}",
                    other.name
                ));
            }
        }
        Ok(())
    }

    /// Some callers have tokens, so not everybody needs a certificate.
    pub fn have_tokens(&self) -> bool {
        !self.by_token.is_empty()
    }

    /// Some callers can be known by their certificate.
    pub fn have_certificates(&self) -> bool {
        !self.by_certificate.is_empty()
    }

    /// Of a token that is good at this time, and until when it is.
    pub(super) fn with_token(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Option<(&Arc<Grant>, Option<Timestamp>)> {
        let (grant, expires) = self.by_token.get(hash)?;
        let is_good = expires.is_none_or(|expires| now < expires);
        is_good.then_some((grant, *expires))
    }

    /// Of a certificate that is good at this time. One that names two callers is nobody's.
    pub(super) fn with_certificate(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Option<&Arc<Grant>> {
        let known = |name: &String| self.by_certificate.get(name);
        let mut named = certificate.names.iter().filter_map(known);
        let grant = named.next()?;
        let is_one = named.all(|other| Arc::ptr_eq(other, grant));
        (is_one && now < certificate.not_after).then_some(grant)
    }
}

fn roles(names: &[String]) -> Result<Vec<Role>, String> {
    let known = || Role::ALL.map(Role::name).join(", ");
    if names.is_empty() {
        return Err(format!("has no roles: give it one or more of {}", known()));
    }
    let mut roles = Vec::with_capacity(names.len());
    for name in names {
        let role = Role::parse(name);
        roles.push(role.ok_or_else(|| format!("{name:?} is no role: one of {}", known()))?);
    }
    Ok(roles)
}

fn tenants(texts: &[String]) -> Result<BTreeSet<TenantId>, String> {
    if texts.is_empty() {
        return Err("tenants is empty: name some, or leave it out for all of them".into());
    }
    let parsed = texts.iter().map(|text| {
        let id = TenantId::parse(text).filter(|id| !id.0.is_nil());
        id.ok_or_else(|| format!("tenants: {text:?} is no Entra tenant GUID"))
    });
    parsed.collect()
}

/// `"sha256:…"`, or `{ hash = "sha256:…", expires = 2026-12-31T00:00:00Z }`.
fn token_hash(value: &toml::Value) -> Result<(TokenHash, Option<Timestamp>), String> {
    // what it is instead is not repeated: it may be a token
    const FORM: &str = "token_hashes: each is \"sha256:\" and 64 hexadecimal digits, never a token \
                        itself, or { hash = \"sha256:…\", expires = 2026-12-31T00:00:00Z }";
    // what a variable that is not set leaves of a token; and what shows no token at all is taken for it
    const EMPTY: &str = "token_hashes: one is the hash of nothing: hash the token itself \
                         (`sentby token new --name NAME` prints both)";
    let parse = |text: &str| {
        let hash = TokenHash::parse(text).ok_or(FORM)?;
        if hash == TokenHash::of("") {
            return Err(EMPTY);
        }
        Ok(hash)
    };
    let table = match value {
        toml::Value::String(text) => return Ok((parse(text)?, None)),
        toml::Value::Table(table) => table,
        _ => return Err(FORM.into()),
    };
    if table.keys().any(|key| key != "hash" && key != "expires") {
        return Err(FORM.into());
    }
    let hash = table
        .get("hash")
        .and_then(toml::Value::as_str)
        .ok_or(FORM)?;
    let expires = match table.get("expires") {
        None => None,
        Some(toml::Value::Datetime(time)) if time.offset.is_some() => {
            Some(Timestamp::parse(&time.to_string()).ok_or(FORM)?)
        }
        Some(_) => {
            return Err("expires is a time with its zone, such as 2026-12-31T00:00:00Z".into());
        }
    };
    Ok((parse(hash)?, expires))
}

/// It is compared as it is: nothing stands for anything else.
fn check_certificate(name: &str) -> Result<(), String> {
    let is_plain = name.is_ascii() && !name.contains(|c: char| c.is_ascii_whitespace() || c == '*');
    if name.is_empty() || !is_plain {
        return Err(format!(
            "certificate {name:?} is neither a URI (spiffe://…) nor a DNS name, without *"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    fn parse(text: &str) -> Result<Callers, String> {
        let text = text.replace("HASH", &format!("sha256:{ONE}"));
        Callers::parse(&text).map_err(|error| error.to_string())
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn callers_are_found_by_what_they_show() {
        let callers = parse(
            "[[caller]]\nname = 'eu'\nroles = ['collector', 'reader']\n\
             tenants = ['11111111-2222-4333-8444-555555555555']\n\
             token_hashes = [{ hash = 'HASH', expires = 2026-06-01T00:00:00Z }]\n\
             [[caller]]\nname = 'ops'\nroles = ['operator']\ncertificate = 'spiffe://x/ops'",
        )
        .unwrap();
        assert!(callers.have_tokens());
        let hash = TokenHash::parse(&format!("sha256:{ONE}")).unwrap();
        let (before, after) = (time("2026-05-31T23:59:59Z"), time("2026-06-01T00:00:00Z"));
        let (grant, expires) = callers.with_token(&hash, before).unwrap();
        assert_eq!(grant.name, "eu");
        assert_eq!(grant.roles, [Role::Collector, Role::Reader]);
        assert_eq!(grant.tenants.as_ref().unwrap().len(), 1);
        assert_eq!(expires, Some(after));
        assert!(callers.with_token(&hash, after).is_none(), "expired");
        assert!(callers.with_token(&TokenHash::of(""), before).is_none());

        let shows = |names: &[&str], at| {
            let certificate = Certificate {
                names: names.iter().map(|&name| name.into()).collect(),
                not_after: after,
            };
            let grant = callers.with_certificate(&certificate, at);
            grant.map(|grant| grant.name.clone())
        };
        assert_eq!(shows(&["spiffe://x/ops"], before), Some("ops".into()));
        assert_eq!(shows(&["spiffe://x/ops"], after), None, "expired");
        assert_eq!(shows(&["spiffe://x/ops/"], before), None);
        assert_eq!(shows(&[], before), None);
    }

    #[test]
    fn what_is_doubtful_is_refused_in_words() {
        let caller = "[[caller]]\nname = 'a'\nroles = ['reader']\n";
        let with_token = format!("{caller}token_hashes = ['HASH']\n");
        for (text, expected) in [
            (String::new(), "it names no caller"),
            ("[[caler]]".into(), "line 1: unknown field `caler`"),
            (format!("{with_token}role = 'x'"), "unknown field `role`"),
            (caller.into(), "caller \"a\": has neither token_hashes nor"),
            (
                "[[caller]]\nname = 'a'\ntoken_hashes = ['HASH']".into(),
                "caller \"a\": has no roles: give it one or more of onboarding, collector, reader",
            ),
            (
                with_token.replace("reader", "admin"),
                "\"admin\" is no role: one of",
            ),
            (format!("{with_token}tenants = []"), "tenants is empty"),
            (format!("{with_token}tenants = ['x']"), "is no Entra tenant"),
            (
                format!("{with_token}{with_token}"),
                "two callers are called \"a\"",
            ),
            (
                format!("{with_token}{}", with_token.replace("'a'", "'b'")),
                "caller \"b\": a token hash is used twice, also by \"a\"",
            ),
            (
                format!("{caller}token_hashes = ['HASH', 'HASH']"),
                "a token hash is used twice",
            ),
            (
                format!("{caller}token_hashes = ['sentby_secret']"),
                "never a token itself",
            ),
            (format!("{caller}token_hashes = [1]"), "token_hashes: each"),
            (
                format!("{caller}token_hashes = ['{}']", TokenHash::of("")),
                "is the hash of nothing",
            ),
            (
                format!("{caller}token_hashes = [{{ hash = 'HASH', until = 1 }}]"),
                "token_hashes: each",
            ),
            (
                format!("{caller}token_hashes = [{{ hash = 'HASH', expires = 2026-01-01 }}]"),
                "with its zone",
            ),
            (
                format!("{caller}certificate = '*.contoso.com'"),
                "without *",
            ),
            (
                format!(
                    "{caller}certificate = 'x'\n{}certificate = 'x'",
                    caller.replace("'a'", "'b'")
                ),
                "certificate \"x\" is used twice, also by \"a\"",
            ),
            (format!("{with_token}name = 'b'"), "duplicate key"),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(error.contains(expected), "{text}\n{error}");
            assert!(!error.contains("sentby_secret"), "{error}");
        }
    }
}
