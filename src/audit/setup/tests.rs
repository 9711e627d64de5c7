mod hostile;

use super::*;
use crate::domain::settings::{
    MailboxSettings, Names, PermissionSettings, Property, RecipientType, Right,
};
use serde_json::json;

const AT: Timestamp = Timestamp::EARLIEST;
const TENANT: &str = "79dc228f-c8f2-4016-8bf0-b990b6c72e98";

fn read(content: impl AsRef<[u8]>) -> Setup {
    read_with(content, &mut None)
}

fn read_with(content: impl AsRef<[u8]>, tenant: &mut Option<TenantId>) -> Setup {
    let setup = read_setup(content.as_ref(), AT, tenant).expect("no error");
    setup.expect("a known form")
}

fn list(names: &[&str], is_cut: bool) -> Property<Names> {
    Property::Known(Names {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        is_cut,
    })
}

const DELEGATE: [&str; 5] = [
    "Update",
    "SoftDelete",
    "HardDelete",
    "SendAs",
    "SendOnBehalf",
];

/// What every form below says.
fn check(setup: &Setup) {
    assert_eq!(setup.problems, []);
    let [mailbox] = setup.settings.mailboxes.as_slice() else {
        panic!("{setup:?}");
    };
    assert_eq!(mailbox.called.name, "support@contoso.com");
    let also = [
        "support@contoso.onmicrosoft.com",
        "a88ae17c-f562-4c1f-a377-8910b6847d76",
    ];
    for name in also {
        assert!(
            mailbox.called.also.iter().any(|known| known == name),
            "{mailbox:?}"
        );
    }
    let kind = RecipientType("SharedMailbox".into());
    assert_eq!(mailbox.recipient_type, Property::Known(kind));
    assert_eq!(mailbox.audit_enabled, Property::Known(true));
    assert_eq!(mailbox.default_audit_set, list(&["Admin", "Owner"], false));
    assert_eq!(mailbox.audit_delegate, list(&DELEGATE, false));
    assert_eq!(mailbox.audit_log_age_limit, Property::Known(90 * 86_400));
    assert_eq!(mailbox.region, Property::Known("EUR".into()));
    assert_eq!(
        mailbox.grant_send_on_behalf_to,
        list(&["Anna Kern", "Ben"], false)
    );
}

fn mailbox() -> serde_json::Value {
    json!({
        "PrimarySmtpAddress": "Support@contoso.com",
        "UserPrincipalName": "support@contoso.onmicrosoft.com",
        "ExchangeGuid": "{A88AE17C-F562-4C1F-A377-8910B6847D76}",
        "ExternalDirectoryObjectId": "00000000-0000-0000-0000-000000000000",
        "RecipientTypeDetails": "SharedMailbox",
        "AuditEnabled": true,
        "AuditLogAgeLimit": "90.00:00:00",
        "DefaultAuditSet": ["Admin", "Owner"],
        "AuditDelegate": DELEGATE,
        "AuditOwner": ["Send"],
        "MailboxRegion": "eur",
        "GrantSendOnBehalfTo": ["Anna Kern", "Ben"],
        "EmailAddresses": [{"deeper": [[]]}],
        "PSComputerName": "outlook.office365.com",
    })
}

/// With this value of this property instead.
fn with(key: &str, value: serde_json::Value) -> String {
    let mut mailbox = mailbox();
    mailbox[key] = value;
    mailbox.to_string()
}

#[test]
fn every_form_of_json() {
    check(&read(mailbox().to_string()));
    check(&read(
        serde_json::to_string_pretty(&json!([mailbox()])).unwrap(),
    ));
    check(&read(json!({"value": [mailbox()], "Count": 1}).to_string()));
    check(&read(
        mailbox().to_string().replace("PrimarySmtp", "primarysmtp"),
    ));
    for (key, value) in [
        ("AuditEnabled", json!("True")),
        ("AuditEnabled", json!(1)),
        (
            "AuditLogAgeLimit",
            json!({"Ticks": 77_760_000_000_000_i64, "Days": 90}),
        ),
        ("AuditLogAgeLimit", json!({"TotalSeconds": 7_776_000.0})),
        ("RecipientTypeDetails", json!(4)),
        (
            "RecipientTypeDetails",
            json!({"value": 4, "Value": "SharedMailbox"}),
        ),
        ("DefaultAuditSet", json!("Admin, Owner")),
        ("DefaultAuditSet", json!("Admin\nOwner\n")),
        ("DefaultAuditSet", json!("Admin Owner")),
        ("DefaultAuditSet", json!("{Admin, Owner}")),
        (
            "DefaultAuditSet",
            json!({"value": ["Admin", "Owner"], "Count": 2}),
        ),
        (
            "PrimarySmtpAddress",
            json!({"Address": "support@contoso.com", "Length": 19}),
        ),
    ] {
        check(&read(with(key, value)));
    }
}

#[test]
fn what_is_lost_is_unknown_and_what_is_not_there_is_not_given() {
    let one = |key: &str, value: serde_json::Value| -> MailboxSettings {
        read(with(key, value)).settings.mailboxes.remove(0)
    };
    for lost in [
        json!("System.Collections.ArrayList"),
        json!("Deserialized.Microsoft.Exchange.Data.MultiValuedProperty`1[[x]]"),
        json!({"a": 1}),
        json!(7),
    ] {
        let told = one("AuditDelegate", lost.clone()).audit_delegate;
        assert_eq!(told, Property::Unknown, "{lost}");
    }
    // numbers of an enum
    assert_eq!(
        one("AuditDelegate", json!([1, 8])).audit_delegate,
        list(&[], true)
    );
    assert_eq!(
        one("AuditDelegate", json!([])).audit_delegate,
        list(&[], false)
    );
    assert_eq!(
        one("AuditDelegate", json!("")).audit_delegate,
        list(&[], false)
    );
    assert_eq!(
        one("AuditDelegate", json!(null)).audit_delegate,
        Property::NotGiven
    );
    for cut in [
        "{Update, SendAs…}",
        "{Update, SendAs...}",
        "{Update, SendAs…",
        "Update,SendAs…",
        "{Update, SendAs\u{fffd}}",
    ] {
        let told = one("AuditDelegate", json!(cut)).audit_delegate;
        assert_eq!(told, list(&["Update", "SendAs"], true), "{cut}");
    }
    assert_eq!(
        one("AuditEnabled", json!("maybe")).audit_enabled,
        Property::Unknown
    );
    assert_eq!(
        one("AuditEnabled", json!(null)).audit_enabled,
        Property::NotGiven
    );
    for (period, seconds) in [
        ("00:00:00", Some(0)),
        ("00:00:00.5000000", Some(1)),
        ("1.02:03:04", Some(93_784)),
        ("Unlimited", None),
        ("99999999999.00:00:00", None),
    ] {
        let told = one("AuditLogAgeLimit", json!(period)).audit_log_age_limit;
        assert_eq!(told.known().copied(), seconds, "{period}");
    }
    assert_eq!(
        one("RecipientTypeDetails", json!(77)).recipient_type,
        Property::Unknown
    );
    // two values of one property
    let twice = mailbox()
        .to_string()
        .replacen('{', "{\"auditenabled\":false,", 1);
    assert_eq!(
        read(twice).settings.mailboxes[0].audit_enabled,
        Property::Unknown
    );
}

const FORMAT_LIST: &str = "\
PS C:\\> Get-Mailbox -Identity support | Format-List PrimarySmtpAddress,DefaultAuditSet,AuditDelegate


PrimarySmtpAddress   : support@contoso.com
UserPrincipalName    : support@contoso.onmicrosoft.com
ExchangeGuid         : a88ae17c-f562-4c1f-a377-8910b6847d76
RecipientTypeDetails : SharedMailbox
AuditEnabled         : True
AuditLogAgeLimit     : 90.00:00:00
DefaultAuditSet      : {Admin, Owner}
AuditDelegate        : {Update, SoftDelete,
                       HardDelete, SendAs, SendOn
                       Behalf}
MailboxRegion        : EUR
GrantSendOnBehalfTo  : {Anna Kern, Ben}



";

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn text_in_every_encoding() {
    let windows = FORMAT_LIST.replace('\n', "\r\n");
    check(&read(FORMAT_LIST));
    check(&read(&windows));
    check(&read(format!("\u{feff}{FORMAT_LIST}")));
    check(&read(utf16(&windows)));
    check(&read(utf16(&mailbox().to_string())));
    // behind what a session has printed before
    let prompts = "PS C:\\> \r\n".repeat(6_000);
    check(&read(utf16(&format!("{prompts}{windows}"))));
    let json = format!("\u{feff}[\r\n{}\r\n]", mailbox());
    check(&read(json));
}

#[test]
fn text_of_several_objects() {
    let setup = read(
        "Identity           : anna\nAuditBypassEnabled : True\n\nIdentity           : ben\n\
         AuditBypassEnabled : False\nIdentity : carl\nAuditBypassEnabled :\n\n\n\
         UnifiedAuditLogIngestionEnabled : False\n\nColour : red\n",
    );
    let bypasses = &setup.settings.bypasses;
    let told: Vec<_> = bypasses
        .iter()
        .map(|one| (one.called.name.as_str(), &one.enabled))
        .collect();
    let expected = [
        ("anna", &Property::Known(true)),
        ("ben", &Property::Known(false)),
        ("carl", &Property::NotGiven),
    ];
    assert_eq!(told, expected);
    let ingestion = &setup.settings.organizations[0].ingestion_enabled;
    assert_eq!(*ingestion, Property::Known(false));
    let problem = ObjectProblem {
        number: 5,
        detail: "has none of the properties that tell something".into(),
    };
    assert_eq!(setup.problems, [problem]);
}

#[test]
fn csv_of_others() {
    let rows = "\
UserPrincipalName,DisplayName,RecipientTypeDetails,AuditEnabled,AuditBypassEnabled,DefaultAuditSet,OwnerAuditActions,DelegateAuditActions,AdminAuditActions,EffectiveAuditState\r
support@contoso.com,Support,SharedMailbox,True,False,\"Admin, Owner\",\"Update, Send\",\"Update, SoftDelete\",\"Update\",Enabled\r
anna@contoso.com,\"Kern, \"\"Anna\"\"\",UserMailbox,True,True,,,,,\r
short,row\r
\"open,UserMailbox\r
ben@contoso.com,Ben,UserMailbox,True,False,Owner,Send,SendAs,SendAs,Enabled\r
";
    let setup = read(rows);
    let mailboxes = &setup.settings.mailboxes;
    let names: Vec<&str> = mailboxes
        .iter()
        .map(|one| one.called.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["support@contoso.com", "anna@contoso.com", "ben@contoso.com"]
    );
    assert_eq!(
        mailboxes[0].audit_delegate,
        list(&["Update", "SoftDelete"], false)
    );
    assert_eq!(mailboxes[0].audit_owner, list(&["Update", "Send"], false));
    assert_eq!(mailboxes[1].default_audit_set, list(&[], false));
    assert_eq!(setup.settings.bypasses[1].enabled, Property::Known(true));
    let numbers: Vec<u64> = setup
        .problems
        .iter()
        .map(|problem| problem.number)
        .collect();
    assert_eq!(numbers, [3, 4]);
    // blank columns of what was not exported
    let columns = "PrimarySmtpAddress;RecipientTypeDetails;AuditEnabled;AuditDelegate";
    let setup = read(format!("#TYPE x\n{columns}\na@b.c;UserMailbox;;\n"));
    assert_eq!(
        setup.settings.mailboxes[0].audit_delegate,
        Property::NotGiven
    );
    // and of what Export-Csv loses
    let setup = read("PrimarySmtpAddress,AuditDelegate\na@b.c,System.Collections.ArrayList\n");
    assert_eq!(
        setup.settings.mailboxes[0].audit_delegate,
        Property::Unknown
    );
}

#[test]
fn permissions_of_every_command() {
    let rows = json!([
        {"Identity": "support", "Trustee": "NT AUTHORITY\\SELF", "AccessControlType": "Allow", "AccessRights": ["SendAs"]},
        {"Identity": "support", "Trustee": "Anna@contoso.com", "AccessControlType": 0, "AccessRights": [1]},
        {"Identity": "support", "Trustee": "ben", "AccessControlType": "Deny", "AccessRights": "SendAs"},
        {"Identity": "support", "User": "anna@contoso.com", "Deny": false, "AccessRights": ["FullAccess"]},
        {"Identity": "support", "User": "ben", "Deny": {"IsPresent": true}, "AccessRights": "{FullAccess, ReadPermission}"},
        {"Identity": "support", "AccessRights": ["FullAccess"]},
        {"User": "ben", "AccessRights": ["FullAccess"]},
    ]);
    let setup = read(rows.to_string());
    let row = |trustee: &str, of_recipient, is_denied| PermissionSettings {
        captured_at: AT,
        mailbox: "support".into(),
        trustee: trustee.into(),
        rights: vec![if of_recipient {
            Right::SendAs
        } else {
            Right::FullAccess
        }],
        of_recipient,
        is_denied,
    };
    let expected = [
        row("nt authority\\self", true, false),
        row("anna@contoso.com", true, false),
        row("ben", true, true),
        row("anna@contoso.com", false, false),
        row("ben", false, true),
    ];
    assert_eq!(setup.settings.permissions, expected);
    let numbers: Vec<u64> = setup
        .problems
        .iter()
        .map(|problem| problem.number)
        .collect();
    assert_eq!(numbers, [6, 7]);
}

fn record(tenant: &str) -> serde_json::Value {
    json!({
        "CreationTime": "2023-05-20T11:07:00", "Id": "20fd5006-645b-42be-e9de-08db592255ac",
        "Operation": "Set-MailboxAuditBypassAssociation", "OrganizationId": tenant,
        "RecordType": 1, "ResultStatus": "True", "UserId": "root@contoso.com",
        "ObjectId": "a88ae17c-f562-4c1f-a377-8910b6847d76",
        "Parameters": [{"Name": "AuditBypassEnabled", "Value": "True"},
            {"Name": "Identity", "Value": "Alex@contoso.com"}],
    })
}

#[test]
fn audit_records_and_settings_side_by_side() {
    let other = "11111111-2222-3333-4444-555555555555";
    let mixed =
        json!([record(TENANT), mailbox(), {"Operation": "FileAccessed", "Id": 1}, record(other)]);
    let mut tenant = None;
    let setup = read_with(mixed.to_string(), &mut tenant);
    assert_eq!(tenant, TenantId::parse(TENANT));
    assert_eq!(
        (
            setup.settings.len(),
            setup.changes.len(),
            setup.other_records
        ),
        (1, 1, 1)
    );
    assert_eq!(
        setup.changes[0].parameter("Identity"),
        Some("Alex@contoso.com")
    );
    assert_eq!(
        setup.problems.len(),
        1,
        "another tenant's: {:?}",
        setup.problems
    );
    // an export in CSV
    let cell = record(TENANT).to_string().replace('"', "\"\"");
    let csv = format!("CreationDate,Operations,AuditData\nx,x,\"{cell}\"\n");
    assert_eq!(read(csv).changes.len(), 1);
}

#[test]
fn what_is_broken_fails_alone() {
    let good = mailbox().to_string();
    for broken in [
        "{\"AuditEnabled\": tru}".to_owned(),
        "{\"AuditEnabled\": true, \"x\": \"cut off".to_owned(),
        format!(
            "{{\"AuditEnabled\": {}1{}}}",
            "[".repeat(300),
            "]".repeat(300)
        ),
        "{\"Colour\": \"red\"}".to_owned(),
        "7".to_owned(),
    ] {
        let setup = read(format!("{good}\n{broken}\n{good}\n"));
        assert_eq!(setup.settings.mailboxes.len(), 2, "{broken}");
        assert_eq!(setup.problems.len(), 1, "{broken}: {:?}", setup.problems);
        assert!(!setup.problems[0].detail.contains("red"));
    }
    assert_eq!(read(""), Setup::default());
    for unknown in ["<html>", "hello", "Name : x", "a,b\n1,2\n"] {
        let setup = read_setup(unknown.as_bytes(), AT, &mut None).expect("no error");
        assert_eq!(setup, Err(NotRecognised), "{unknown}");
    }
    // nothing that a terminal would obey
    let setup = read(with("PrimarySmtpAddress", json!("a\u{1b}[31m@b.c")));
    assert_eq!(
        setup.settings.mailboxes[0].called.name,
        "support@contoso.onmicrosoft.com"
    );
}

#[test]
fn text_that_is_too_long_is_not_read() {
    let start = "Identity : x\nAuditEnabled : False\n";
    let padded = |length: u64| {
        let padding = io::repeat(b' ').take(length - start.len() as u64);
        let source = start.as_bytes().chain(padding);
        let setup = read_setup(source, AT, &mut None).expect("no error");
        setup.expect("a known form")
    };
    let longest = padded(MAX_SETTINGS);
    assert_eq!((longest.settings.len(), longest.problems.len()), (1, 0));
    let longer = padded(MAX_SETTINGS + 1);
    let problem = ObjectProblem {
        number: 1,
        detail: "longer than 64 MiB: export it as JSON".into(),
    };
    assert_eq!((longer.settings.len(), longer.problems), (0, vec![problem]));
}

#[test]
fn one_setting_may_be_as_long_as_a_record() {
    let padded = |length: usize| {
        let setting = mailbox().to_string();
        let padding = " ".repeat(length - setting.len());
        let setup = read(setting.replacen('{', &format!("{{{padding}"), 1));
        (setup.settings.mailboxes.len(), setup.problems.len())
    };
    assert_eq!(padded(MAX_RECORD), (1, 0));
    assert_eq!(padded(MAX_RECORD + 1), (0, 1));
}

#[test]
fn problems_that_are_too_many_are_counted() {
    for (count, omitted) in [(MAX_PROBLEMS, 0), (MAX_PROBLEMS + 2, 2)] {
        let setup = read(format!("[{}]", vec!["{\"Colour\":1}"; count].join(",")));
        assert_eq!(setup.problems.len(), MAX_PROBLEMS);
        assert_eq!(setup.problems_omitted, omitted);
        let numbers = setup.problems.iter().map(|problem| problem.number);
        assert!(numbers.eq(1..=MAX_PROBLEMS as u64));
    }
}
