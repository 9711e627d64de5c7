//! What the fuzzers begin with: made here, of simulated records and of requests by the descriptors.

use super::bodies::{
    content::{AFTER, BEFORE, TENANT},
    grpc::API,
    messages::Value,
    story::Bytes,
};
use prost_types::{FieldDescriptorProto, field_descriptor_proto::Type};
use sentby::{
    domain::Evidence,
    simulate::{Delivered, Envelope, Plan, Random},
    store::evidence::encode,
};
use std::{fs, path::Path};

/// Writes the seeds of every target anew; what fuzzers found stays.
pub fn write(corpora: &Path) {
    let records = records();
    let of = |envelopes: &[Envelope], count: usize| files(&records, envelopes, count);
    let singles = || {
        records
            .iter()
            .step_by(7)
            .map(|record| record.json.clone().into_bytes())
    };
    let with_singles = |envelopes: &[Envelope], count| {
        [of(envelopes, count), singles().take(18).collect()].concat()
    };
    for (target, seeds) in [
        (
            "native",
            with_singles(&[Envelope::Blob, Envelope::Lines], 6),
        ),
        (
            "search",
            with_singles(&[Envelope::Search, Envelope::SearchObjects], 6),
        ),
        (
            "csv",
            of(
                &[
                    Envelope::PortalOld,
                    Envelope::PortalNew,
                    Envelope::ExportCsv,
                ],
                8,
            ),
        ),
        ("graph", with_singles(&[Envelope::Graph], 10)),
        (
            "siem",
            with_singles(
                &[
                    Envelope::Sentinel,
                    Envelope::CloudAppEvents,
                    Envelope::Wazuh,
                    Envelope::Elastic,
                ],
                5,
            ),
        ),
        ("pages", [of(&[Envelope::Graph], 6), pages()].concat()),
        ("setup", texts(&SETUPS)),
        ("message_id", texts(&MESSAGE_IDS)),
        ("callers", texts(&CALLERS)),
        ("evidence", evidence()),
        ("cached", cached()),
        (
            "token",
            texts(&[
                "abcdhere",
                "\u{1}\u{2}\u{3}\u{4}somewhere behind it",
                "AAAA",
            ]),
        ),
        ("merge", noise(12, 400)),
        ("grpc", requests()),
    ] {
        let folder = corpora.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed).expect("written");
        }
    }
}

/// Of the tenant that the bodies decode for.
fn records() -> Vec<Delivered> {
    let plan = Plan {
        messages: 120,
        noise: 0.5,
        ..Plan::default()
    };
    let feed = plan.feeds().next().expect("a tenant");
    let theirs = feed.tenant().to_string();
    feed.map(|mut record| {
        record.json = record.json.replace(&theirs, &TENANT.to_string());
        record
    })
    .collect()
}

fn files(records: &[Delivered], envelopes: &[Envelope], count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(1);
    let mut parts = records.chunks(3).cycle();
    let mut files = Vec::new();
    for envelope in envelopes {
        for _ in 0..count {
            files.push(envelope.wrap(parts.next().expect("endless"), &mut random));
        }
    }
    files
}

fn pages() -> Vec<Vec<u8>> {
    texts(&[
        &format!("[{{\"value\":[{BEFORE}]}},{{\"records\":[{AFTER}],\"Count\":1}}]"),
        &format!("{{\"value\":[{{\"records\":[{BEFORE},{AFTER}]}}]}}"),
        &format!("{{\"value\":[{BEFORE},{{\"Id\":,{AFTER}],\"nextLink\":\"x\"}}"),
        "{\"value\":[]}",
        BEFORE,
    ])
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn noise(count: u64, length: u64) -> Vec<Vec<u8>> {
    let bytes = |seed| {
        let mut random = Random(seed);
        (0..length / count * (seed + 1))
            .map(move |_| random.next().to_le_bytes()[0])
            .collect()
    };
    (0..count).map(bytes).collect()
}

fn evidence() -> Vec<Vec<u8>> {
    let stored = noise(8, 300)
        .into_iter()
        .map(|bytes| encode(&Evidence::restore(Bytes(&bytes).events(), false)));
    stored.chain(noise(4, 120)).collect()
}

/// Fields of a cached value, as protobuf has them, behind eight bytes of a revision.
fn cached() -> Vec<Vec<u8>> {
    let with = |body: &[u8]| [&7_u64.to_le_bytes()[..], body].concat();
    vec![
        with(b"\x08\x01"),
        with(b"\x08\x02"),
        with(b"\x08\x03\x12\x03a@x\x18\x80\x89\x7a\x20\x05\x2a\x0aATTRIBUTED\x32\x0fMAILBOX_SEND_AS\x3a\x05a@b.c\x58\x01"),
        with(b"\x08\x03\x12\x03a@x\x2a\x08CONFLICT\x52\x01a\x52\x01b\x4a\x01m\x60\x01\x68\x01"),
        with(b"\x08\x63\x12\x00"),
    ]
}

/// Of each method one by which something happens, and one that says nothing.
fn requests() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, method) in API.methods.iter().enumerate() {
        let mut time_of = String::new();
        let message = API.build(&method.request, &mut |message, field| {
            if field.r#type() == Type::Message {
                time_of = field.name().into();
            }
            value(message, field, &time_of).into_iter().collect()
        });
        let number = u8::try_from(number).expect("few methods");
        seeds.push([&[number, 0][..], &message].concat());
    }
    seeds.push(vec![0, 3]);
    seeds
}

fn value(message: &str, field: &FieldDescriptorProto, time_of: &str) -> Option<Value> {
    let content = || match message.contains("CheckAuditSettings") {
        true => SETUPS[0].to_owned(),
        false => format!("[{BEFORE},{AFTER},{{\"Id\":1}}]"),
    };
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    match (field.name(), field.r#type()) {
        ("tenant_id", _) => text(&TENANT.to_string()),
        ("message_id" | "message_ids", _) => text("AB12@mail.contoso.com"),
        ("address", _) => text("support@contoso.com"),
        ("agent", _) => text("anna.kern@contoso.com"),
        ("time_zone", _) => text("Europe/Berlin"),
        ("records" | "message_key" | "at_least_revision" | "follow", _) => None,
        ("content", _) => Some(Value::Bytes(content().into_bytes())),
        (_, Type::Message) => Some(Value::Nested),
        (_, Type::Enum) => Some(Value::Number(1)),
        ("seconds", _) => Some(Value::Number(
            1_772_323_200 + 86_400 * u64::from(time_of == "end"),
        )),
        (_, Type::Int32 | Type::Uint32) => Some(Value::Number(10)),
        _ => None,
    }
}

const MESSAGE_IDS: [&str; 6] = [
    "<AB12@mail.contoso.com>",
    "AB12@mail.\r\n contoso.com",
    "<<a@x>>",
    "<",
    "a\0b",
    "\u{feff}<\u{a0}ä@x>",
];

const CALLERS: [&str; 4] = [
    "Bearer abc\n[[caller]]\nname = 'eu'\nroles = ['collector', 'reader']\ntenants = ['11111111-2222-4333-8444-555555555555']\ntoken_hashes = [{ hash = 'HASH', expires = 2027-06-01T00:00:00Z }]\n[[caller]]\nname = 'ops'\nroles = ['operator']\ncertificate = 'spiffe://x/ops'\n",
    "bearer abc\n[[caller]]\nname = \"a\"\nroles = [\"onboarding\"]\ntoken_hashes = [\"HASH\"]\n",
    "sha256:1111111111111111111111111111111111111111111111111111111111111111\n[[caller]]\nname = 'x'\nroles = []\n",
    "Basic x\n[[caller]]\nname = 'a'\nroles = ['reader']\ntoken_hashes = ['abc']\n",
];

const SETUPS: [&str; 6] = [
    r#"[{"PrimarySmtpAddress":"support@contoso.com","RecipientTypeDetails":"SharedMailbox","AuditEnabled":true,"DefaultAuditSet":["Admin","Owner"],"AuditDelegate":["Update","SendAs"],"AuditOwner":["Update"],"MessageCopyForSentAsEnabled":false}]"#,
    "\r\nPrimarySmtpAddress   : support@contoso.com\r\nRecipientTypeDetails : SharedMailbox\r\nAuditEnabled         : True\r\nDefaultAuditSet      : {Admin, Delegate, Owner}\r\nAuditDelegate        : {Update, SoftDelete,\r\n                       HardDelete, SendAs}\r\n\r\nPrimarySmtpAddress   : ben@contoso.com\r\nRecipientTypeDetails : UserMailbox\r\nAuditOwner           : {Update...}\r\n",
    "\"PrimarySmtpAddress\",\"RecipientTypeDetails\",\"AuditEnabled\",\"AuditDelegate\"\r\n\"support@contoso.com\",\"SharedMailbox\",\"True\",\"Update, SendAs\"\r\n\"ben@contoso.com\",\"UserMailbox\"\r\n",
    "#TYPE Selected.System\r\nPrimarySmtpAddress;RecipientTypeDetails;AuditEnabled\r\nsupport@contoso.com;SharedMailbox;Wahr\r\n",
    "UnifiedAuditLogIngestionEnabled : True\r\nAdminAuditLogEnabled            : True\r\n",
    r#"{"CreationTime":"2026-03-01T08:00:00","Id":"20fd5006-645b-42be-e9de-08db592255ac","Operation":"Set-Mailbox","OrganizationId":"11111111-1111-4111-8111-111111111111","RecordType":1,"ResultStatus":"True","UserKey":"10032002643F6746","UserType":2,"Workload":"Exchange","ObjectId":"support","UserId":"root@contoso.com","Parameters":[{"Name":"Identity","Value":"support"},{"Name":"AuditEnabled","Value":"False"}]}"#,
];
