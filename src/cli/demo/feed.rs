//! A made-up tenant and its audit log: what Microsoft 365 writes when a team answers from a
//! shared mailbox, one message for each thing that can happen.

use crate::simulate::{Account, Mail, Moment, Record, Scribe};
use uuid::Uuid;

pub(super) const TENANT: &str = "c0117050-0000-4000-8000-000000000001";
pub(super) const SUPPORT: &str = "support@contoso.com";

/// One message of the story.
pub(super) struct Case {
    pub message_id: &'static str,
    /// What the log holds about it, in the end.
    pub log: &'static str,
    /// The answer in the end: verdict, agent.
    pub verdict: &'static str,
    pub agent: &'static str,
}

pub(super) const CASES: [Case; 7] = [
    Case {
        message_id: "refund@mx.contoso",
        log: "both sides, and they agree",
        verdict: "ATTRIBUTED",
        agent: "anna@contoso.com",
    },
    Case {
        message_id: "invoice@mx.contoso",
        log: "the mailbox's side only",
        verdict: "ATTRIBUTED",
        agent: "ben@contoso.com",
    },
    Case {
        message_id: LATE,
        log: "her own Send only, so far",
        verdict: "ATTRIBUTED",
        agent: "carla@contoso.com",
    },
    Case {
        message_id: CONFLICT,
        log: "two sides, two people",
        verdict: "CONFLICT",
        agent: "",
    },
    Case {
        message_id: "receipt@mx.contoso",
        log: "an application's Send",
        verdict: "NOT_A_PERSON",
        agent: "",
    },
    Case {
        message_id: "promo@mx.contoso",
        log: "a Send of the shared account itself",
        verdict: "NOT_A_PERSON",
        agent: "",
    },
    Case {
        message_id: "lost@mx.contoso",
        log: "nothing (yet)",
        verdict: "PENDING",
        agent: "",
    },
];

pub(super) const LATE: &str = "order@mx.contoso";
pub(super) const CONFLICT: &str = "voucher@mx.contoso";

/// 2026-03-02T00:00:00
pub(super) const DAY: Moment = Moment::from_seconds(1_772_409_600);

const fn at(hour: i64, minute: i64, second: i64) -> Moment {
    DAY.plus_seconds(hour * 3_600 + minute * 60 + second)
}

fn account(address: &str, number: u32) -> Account {
    let guid =
        |kind: u128| Uuid::from_u128(kind << 96 | 0x4000_8000_0000_0000_0000 | u128::from(number));
    Account {
        upn: address.into(),
        address: address.into(),
        name: String::new(),
        sid: format!("S-1-5-21-3218764525-1730246101-2860471331-{number}"),
        puid: format!("10032001266C{number}"),
        object_id: guid(0x0b1e_c71d),
        mailbox: guid(0x5e11_b0c5),
    }
}

/// Who writes the log, and who plays.
struct Stage {
    scribe: Scribe,
    anna: Account,
    ben: Account,
    carla: Account,
    shared: Account,
}

impl Stage {
    fn new() -> Self {
        let tenant = Uuid::try_parse(TENANT).expect("a GUID");
        Self {
            scribe: Scribe::new(tenant, "contoso.onmicrosoft.com", 1),
            anna: account("anna@contoso.com", 1101),
            ben: account("ben@contoso.com", 1102),
            carla: account("carla@contoso.com", 1103),
            shared: account(SUPPORT, 1200),
        }
    }
}

fn mail(message_id: &str) -> Mail {
    Mail {
        message_id: format!("<{message_id}>"),
        subject: "Re: your order".into(),
        server: "DB8PR04MB6875".into(),
    }
}

/// What the collector fetches first: a content blob, as the Management Activity API
/// answers it.
pub(super) fn first_blob() -> Vec<u8> {
    let Stage {
        mut scribe,
        anna,
        ben,
        carla,
        shared,
    } = Stage::new();
    let confirmed = mail("refund@mx.contoso");
    let conflict = mail(CONFLICT);
    let invoice = mail("invoice@mx.contoso");
    let invoice = scribe.send_as(at(9, 31, 40), &invoice, &ben, &shared, &shared);
    blob(&[
        // Outlook with the shared mailbox open: the event is in the shared mailbox's log ...
        scribe.send_as(at(9, 14, 5), &confirmed, &anna, &shared, &shared),
        // ... and here in the agent's own, two seconds later, with her name in another case
        scribe
            .send_as(at(9, 14, 7), &confirmed, &anna, &anna, &shared)
            .with("UserId", "Anna@contoso.com"),
        invoice.clone(),
        scribe.send(at(10, 2, 11), &mail(LATE), &carla),
        scribe.send_as(at(10, 20, 0), &conflict, &anna, &shared, &shared),
        scribe.send_as(at(10, 20, 1), &conflict, &ben, &ben, &shared),
        scribe.application_send(at(10, 45, 30), &mail("receipt@mx.contoso"), &shared),
        scribe.send(at(11, 5, 12), &mail("promo@mx.contoso"), &shared),
        // a colleague opens a message: the same id, and nothing to do with sending
        scribe.mail_items_accessed(at(11, 30, 0), &ben, &ben, &[&confirmed.message_id]),
        // Microsoft delivers records more than once, by design
        invoice,
    ])
}

/// What arrives hours later.
pub(super) fn late_blob() -> Vec<u8> {
    let mut stage = Stage::new();
    let (carla, shared) = (&stage.carla, &stage.shared);
    let late = mail(LATE);
    blob(&[stage
        .scribe
        .send_as(at(10, 2, 9), &late, carla, shared, shared)])
}

fn blob(records: &[Record]) -> Vec<u8> {
    serde_json::to_vec(records).expect("records can be written")
}
