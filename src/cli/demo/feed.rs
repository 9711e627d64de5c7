//! A made-up tenant and its audit log: what Microsoft 365 writes when a team answers from a
//! shared mailbox, one message for each thing that can happen.

use serde_json::{Value, json};

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

/// A mailbox with what a record says of its owner.
#[derive(Clone, Copy)]
struct Account {
    address: &'static str,
    number: u32,
}

const ANNA: Account = Account {
    address: "anna@contoso.com",
    number: 1101,
};
const BEN: Account = Account {
    address: "ben@contoso.com",
    number: 1102,
};
const CARLA: Account = Account {
    address: "carla@contoso.com",
    number: 1103,
};
const SHARED: Account = Account {
    address: SUPPORT,
    number: 1200,
};

impl Account {
    fn sid(self) -> String {
        format!("S-1-5-21-3218764525-1730246101-2860471331-{}", self.number)
    }

    fn mailbox_guid(self) -> String {
        format!("5e11b0c5-0000-4000-8000-00000000{}", self.number)
    }

    fn puid(self) -> String {
        format!("10032001266C{}", self.number)
    }
}

/// What the collector fetches first: a content blob, as the Management Activity API
/// answers it.
pub(super) fn first_blob() -> Vec<u8> {
    let confirmed = "refund@mx.contoso";
    let records = vec![
        // Outlook with the shared mailbox open: the event is in the shared mailbox's log ...
        send_as(1, "09:14:05", ANNA, SHARED, confirmed),
        // ... and here in the agent's own, two seconds later, with her name in another case
        with(
            send_as(2, "09:14:07", ANNA, ANNA, confirmed),
            "UserId",
            "Anna@contoso.com",
        ),
        send_as(3, "09:31:40", BEN, SHARED, "invoice@mx.contoso"),
        send(4, "10:02:11", CARLA, LATE),
        send_as(5, "10:20:00", ANNA, SHARED, CONFLICT),
        send_as(6, "10:20:01", BEN, BEN, CONFLICT),
        application(send(7, "10:45:30", SHARED, "receipt@mx.contoso")),
        send(8, "11:05:12", SHARED, "promo@mx.contoso"),
        // a customer's colleague opens a message: the same id, and nothing to do with sending
        with(
            send(9, "11:30:00", BEN, confirmed),
            "Operation",
            "MailItemsAccessed",
        ),
        // Microsoft delivers records more than once, by design
        send_as(3, "09:31:40", BEN, SHARED, "invoice@mx.contoso"),
    ];
    blob(&records)
}

/// What arrives hours later.
pub(super) fn late_blob() -> Vec<u8> {
    blob(&[send_as(10, "10:02:09", CARLA, SHARED, LATE)])
}

fn blob(records: &[Value]) -> Vec<u8> {
    serde_json::to_vec(records).expect("JSON values can be written")
}

/// `who` sent as the shared mailbox; the event is of `log`'s mailbox.
fn send_as(number: u32, time: &str, who: Account, log: Account, message_id: &str) -> Value {
    let mut record = record(number, time, who, log, message_id);
    record["Operation"] = "SendAs".into();
    record["LogonType"] = 2.into();
    record["SendAsUserSmtp"] = SHARED.address.into();
    record["SendAsUserMailboxGuid"] = SHARED.mailbox_guid().into();
    record
}

/// A send by the owner of a mailbox: it does not say on whose account.
fn send(number: u32, time: &str, who: Account, message_id: &str) -> Value {
    record(number, time, who, who, message_id)
}

fn application(mut record: Value) -> Value {
    record["UserType"] = 5.into();
    record["UserKey"] = "7c0f3a2e-0000-4000-8000-000000000042".into();
    record["ClientInfoString"] = "Client=REST;;".into();
    record["SaveToSentItems"] = true.into();
    record
}

fn with(mut record: Value, field: &str, value: &str) -> Value {
    record[field] = value.into();
    record
}

fn record(number: u32, time: &str, who: Account, log: Account, message_id: &str) -> Value {
    json!({
        "CreationTime": format!("2026-03-02T{time}"),
        "Id": format!("a0d17000-0000-4000-8000-{number:012}"),
        "Operation": "Send",
        "OrganizationId": TENANT,
        "RecordType": 2,
        "ResultStatus": "Succeeded",
        "UserKey": who.puid(),
        "UserType": 0,
        "Version": 1,
        "Workload": "Exchange",
        "ClientIP": "203.0.113.7",
        "UserId": who.address,
        "ClientIPAddress": "203.0.113.7",
        "ClientInfoString": "Client=MSExchangeRPC",
        "ClientProcessName": "OUTLOOK.EXE",
        "ClientVersion": "16.0.17328.20162",
        "ExternalAccess": false,
        "InternalLogonType": 0,
        "LogonType": 0,
        "LogonUserSid": who.sid(),
        "MailboxGuid": log.mailbox_guid(),
        "MailboxOwnerSid": log.sid(),
        "MailboxOwnerUPN": log.address,
        "OrganizationName": "contoso.onmicrosoft.com",
        "OriginatingServer": "DB8PR04MB6875 (15.20.7203.000)\r\n",
        "Item": {
            "Id": "RgAAAAC7mB3zVXk3T4tPZuyOAAA=",
            "InternetMessageId": format!("<{message_id}>"),
            "ParentFolder": {"Id": "LgAAAAC7mB3zVXk3T4tPZuyO", "Path": "\\Drafts"},
            "Subject": "Re: your order",
        },
    })
}
