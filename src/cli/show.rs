//! How answers look: names without their prefixes, JSON of a fixed shape, times as RFC 3339.

use super::findings::report::FindingLine;
use crate::{
    domain::Timestamp,
    pb::{
        ActorKind, Attribution, Basis, Bucket, ChangeKind, ErrorReason, Evidence, FindingCause,
        FindingSeverity, FindingSource, MissReason, Operation, QuarantineReason, Side, TenantState,
        Verdict, WindowClock, WindowOutcome, register_tenant_response::Outcome,
    },
};
use serde::Serialize;
use std::{borrow::Cow, path::Path};

pub(super) const REASON_PREFIX: &str = ErrorReason::PREFIX;

/// An enum of the API, whose names begin with a prefix that says nothing to people.
pub(super) trait Named: TryFrom<i32> {
    const PREFIX: &'static str;
    fn full_name(&self) -> &'static str;
}

macro_rules! named {
    ($($type:ty: $prefix:literal),* $(,)?) => {$(
        impl Named for $type {
            const PREFIX: &'static str = $prefix;
            fn full_name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}

named! {
    ActorKind: "ACTOR_KIND_",
    Basis: "BASIS_",
    Bucket: "BUCKET_",
    ChangeKind: "CHANGE_KIND_",
    ErrorReason: "ERROR_REASON_",
    FindingCause: "FINDING_CAUSE_",
    FindingSeverity: "FINDING_SEVERITY_",
    FindingSource: "FINDING_SOURCE_",
    MissReason: "MISS_REASON_",
    Operation: "OPERATION_",
    Outcome: "OUTCOME_",
    QuarantineReason: "QUARANTINE_REASON_",
    Side: "SIDE_",
    TenantState: "TENANT_STATE_",
    Verdict: "VERDICT_",
    WindowClock: "WINDOW_CLOCK_",
    WindowOutcome: "WINDOW_OUTCOME_",
}

pub(super) type Name = Cow<'static, str>;

/// `None` where nothing is set; the bare number where a newer server knows more.
pub(super) fn name<E: Named>(number: i32) -> Option<Name> {
    if number == 0 {
        return None;
    }
    Some(match E::try_from(number) {
        Ok(value) => {
            let full = value.full_name();
            full.strip_prefix(E::PREFIX).unwrap_or(full).into()
        }
        Err(_) => number.to_string().into(),
    })
}

/// The same, for a table.
pub(super) fn cell<E: Named>(number: i32) -> String {
    name::<E>(number).unwrap_or_default().into_owned()
}

/// By its name as it is shown, in any case.
pub(super) fn parse<E: Named>(text: &str, what: &str) -> Result<E, String> {
    let known = (1..).map_while(|number| E::try_from(number).ok().map(|_| number));
    let names: Vec<String> = known.map(cell::<E>).collect();
    let found = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let value = found.and_then(|at| E::try_from(i32::try_from(at + 1).ok()?).ok());
    value.ok_or_else(|| format!("is no {what}. They are {}", names.join(", ")))
}

pub(super) fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = time?;
    let micros = time
        .seconds
        .checked_mul(1_000_000)?
        .checked_add(i64::from(time.nanos) / 1000)?;
    Some(Timestamp::from_micros(micros).to_string())
}

/// Whole seconds are enough for people.
pub(super) fn seconds(at: Option<&prost_types::Timestamp>) -> String {
    let whole = at.map(|at| prost_types::Timestamp { nanos: 0, ..*at });
    time(whole.as_ref()).unwrap_or_default()
}

/// As a request has it.
pub(super) fn moment(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.micros().div_euclid(1_000_000),
        nanos: 0,
    }
}

/// A field of CSV, as RFC 4180 has it.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// 1234567 → `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 1 message, 2 messages.
pub(super) fn plural(number: u64, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {word}{s}", count(number))
}

/// As the person has called it; short, where it is below the current directory.
pub(super) fn program() -> String {
    let called = std::env::args().next().unwrap_or_else(|| "sentby".into());
    let relative = std::env::current_dir().ok().and_then(|here| {
        let path = Path::new(&called).strip_prefix(here).ok()?;
        Some(path.display().to_string())
    });
    relative.unwrap_or(called)
}

/// What a write did to the answers.
pub(super) fn changed(messages: u64, revision: u64) -> String {
    match messages {
        0 => format!("no answer changed; the tenant is at revision {revision}"),
        changed => format!(
            "{} new or changed; the tenant is at revision {revision} now",
            plural(changed, "answer")
        ),
    }
}

/// One line of `lookup --json`. The names and their order are what scripts rely on.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    message_id: Option<&'a str>,
    verdict: Option<Name>,
    agent: Option<&'a str>,
    mailbox: Option<&'a str>,
    basis: Option<Name>,
    confirmed: bool,
    contradicted: bool,
    sent_at: Option<String>,
    revision: Option<u64>,
    /// Of CONFLICT.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates: Option<&'a [String]>,
    /// Of PENDING and NO_EVIDENCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    miss_reason: Option<Name>,
}

impl<'a> Answer<'a> {
    pub fn of(attribution: &'a Attribution) -> Self {
        Self {
            message_id: text(&attribution.message_id),
            verdict: name::<Verdict>(attribution.verdict),
            agent: text(&attribution.agent),
            mailbox: text(&attribution.mailbox),
            basis: name::<Basis>(attribution.basis),
            confirmed: attribution.confirmed,
            contradicted: attribution.contradicted,
            sent_at: time(attribution.sent_at.as_ref()),
            revision: (attribution.revision > 0).then_some(attribution.revision),
            candidates: (attribution.verdict() == Verdict::Conflict)
                .then_some(&attribution.candidates),
            miss_reason: name::<MissReason>(attribution.miss_reason),
        }
    }
}

/// `explain --json`: the answer, and why.
#[derive(Serialize)]
pub(super) struct Explanation<'a> {
    #[serde(flatten)]
    pub answer: Answer<'a>,
    pub reasoning: &'a [String],
    pub evidence: Vec<EvidenceLine<'a>>,
    pub truncated: bool,
    pub findings: Vec<FindingLine<'a>>,
}

#[derive(Serialize)]
pub(super) struct EvidenceLine<'a> {
    record_id: &'a str,
    operation: Option<Name>,
    side: Option<Name>,
    time: Option<String>,
    user_id: Option<&'a str>,
    actor_kind: Option<Name>,
    actor: Option<&'a str>,
    mailbox: Option<&'a str>,
    failed: bool,
    admin: bool,
    logon_user_sid: Option<&'a str>,
    object_id: Option<&'a str>,
    user_key: Option<&'a str>,
}

impl<'a> EvidenceLine<'a> {
    pub fn of(evidence: &'a Evidence) -> Self {
        Self {
            record_id: &evidence.record_id,
            operation: name::<Operation>(evidence.operation),
            side: name::<Side>(evidence.side),
            time: time(evidence.time.as_ref()),
            user_id: text(&evidence.user_id),
            actor_kind: name::<ActorKind>(evidence.actor_kind),
            actor: text(&evidence.actor),
            mailbox: text(&evidence.mailbox),
            failed: evidence.failed,
            admin: evidence.admin,
            logon_user_sid: text(&evidence.logon_user_sid),
            object_id: text(&evidence.object_id),
            user_key: text(&evidence.user_key),
        }
    }
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(attribution: &Attribution) -> String {
        serde_json::to_string(&Answer::of(attribution)).unwrap()
    }

    #[test]
    fn the_json_of_an_answer_has_a_fixed_shape() {
        let attributed = Attribution {
            message_id: "a@b".into(),
            message_key: "k".into(),
            verdict: Verdict::Attributed.into(),
            agent: "anna@contoso.com".into(),
            mailbox: "support@contoso.com".into(),
            basis: Basis::MailboxSendAs.into(),
            confirmed: true,
            sent_at: Some(prost_types::Timestamp {
                seconds: 1_772_442_845,
                nanos: 0,
            }),
            revision: 7,
            ..Default::default()
        };
        assert_eq!(
            json(&attributed),
            r#"{"message_id":"a@b","verdict":"ATTRIBUTED","agent":"anna@contoso.com","mailbox":"support@contoso.com","basis":"MAILBOX_SEND_AS","confirmed":true,"contradicted":false,"sent_at":"2026-03-02T09:14:05Z","revision":7}"#
        );
        let conflict = Attribution {
            verdict: Verdict::Conflict.into(),
            candidates: vec!["a@b.c".into(), "d@e.f".into()],
            ..Default::default()
        };
        assert!(json(&conflict).ends_with(r#""revision":null,"candidates":["a@b.c","d@e.f"]}"#));
        let pending = Attribution {
            message_id: "x".into(),
            verdict: Verdict::Pending.into(),
            miss_reason: MissReason::NoEvidenceYet.into(),
            ..Default::default()
        };
        assert_eq!(
            json(&pending),
            r#"{"message_id":"x","verdict":"PENDING","agent":null,"mailbox":null,"basis":null,"confirmed":false,"contradicted":false,"sent_at":null,"revision":null,"miss_reason":"NO_EVIDENCE_YET"}"#
        );
    }

    #[test]
    fn names_lose_their_prefixes() {
        assert_eq!(name::<Verdict>(3).as_deref(), Some("NOT_A_PERSON"));
        assert_eq!(name::<Verdict>(0), None);
        assert_eq!(name::<Verdict>(99).as_deref(), Some("99"));
        assert_eq!(cell::<QuarantineReason>(8), "FOREIGN_TENANT");
        assert_eq!(cell::<Outcome>(1), "CREATED");
        // every prefix is the one that the names have
        fn check<E: Named>() {
            let first = E::try_from(1).ok().unwrap().full_name();
            assert!(first.starts_with(E::PREFIX), "{first}");
        }
        check::<ActorKind>();
        check::<Basis>();
        check::<Bucket>();
        check::<ChangeKind>();
        check::<ErrorReason>();
        check::<MissReason>();
        check::<Operation>();
        check::<Side>();
        check::<TenantState>();
        check::<WindowClock>();
        check::<WindowOutcome>();
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(plural(1, "record"), "1 record");
        assert_eq!(plural(1_200, "record"), "1,200 records");
    }
}
