//! `sentby check-setup`: from exports to findings.

use crate::{
    on_both_engines,
    support::{
        TENANT,
        process::{Server, database, json_lines, run, run_with_input, succeeded, text},
        records::{Record, blob},
        register,
    },
};
use serde_json::Value;
use std::{fs, process::Output};
use tempfile::TempDir;

/// What `Get-Mailbox | Select-Object … | ConvertTo-Json` prints.
const MAILBOXES: &str = r#"[
  {
    "PrimarySmtpAddress": "support@contoso.com",
    "RecipientTypeDetails": "SharedMailbox",
    "ExternalDirectoryObjectId": "0e1a2b3c-1634-4b76-9753-08d5649b7d68",
    "MailboxRegion": "EUR",
    "AuditEnabled": true,
    "AuditLogAgeLimit": "90.00:00:00",
    "DefaultAuditSet": ["Admin", "Delegate", "Owner"],
    "AuditDelegate": ["Update", "SoftDelete", "SendAs", "SendOnBehalf"]
  },
  {
    "PrimarySmtpAddress": "o'brien@contoso.com",
    "RecipientTypeDetails": "UserMailbox",
    "MailboxRegion": "EUR",
    "AuditEnabled": true,
    "DefaultAuditSet": ["Admin", "Delegate", "Owner"],
    "AuditOwner": ["Update", "Send"]
  }
]"#;

/// Root takes SendAs out of the list, by a record that has the GUID only.
const CHANGE: &str = r#"[{"CreationTime":"2026-03-01T09:00:00","Id":"a0d17000-0000-4000-8000-000000000001","Operation":"Set-Mailbox","OrganizationId":"c0117050-0000-4000-8000-000000000001","RecordType":1,"ResultStatus":"True","UserType":2,"Workload":"Exchange","ObjectId":"0e1a2b3c-1634-4b76-9753-08d5649b7d68","UserId":"root@contoso.com","Parameters":[{"Name":"AuditDelegate","Value":"Update;SoftDelete"}]}]"#;

fn file(folder: &TempDir, name: &str, content: &[u8]) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("written");
    path.display().to_string()
}

/// The findings of `--json`: there are some, which is the answer "no".
#[track_caller]
fn in_json(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let lines = lines.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON lines")
}

#[test]
fn from_exports_to_the_repair() {
    let folder = tempfile::tempdir().expect("a folder");
    let mailboxes = file(&folder, "mailboxes.json", MAILBOXES.as_bytes());
    let change = file(&folder, "AuditLog.json", CHANGE.as_bytes());
    let check = |captured_at: &str, more: &[&str]| {
        let of = ["check-setup", "--captured-at", captured_at, &mailboxes];
        run(&[&of[..], more].concat())
    };
    let healthy = succeeded(&check("2026-02-28", &[]));
    assert!(
        healthy.starts_with("nothing wrong. Read: 2 settings"),
        "{healthy}"
    );

    // who, when, and the command to copy
    let broken = check("2026-02-28", &[&change]);
    assert_eq!(broken.status.code(), Some(1));
    let shown = text(&broken.stdout);
    for part in [
        "WARNING  SHARED_SEND_AS_NOT_AUDITED  support@contoso.com",
        "2026-03-01T09:00:00Z Set-Mailbox by root@contoso.com",
        "command  Set-Mailbox -Identity 'support@contoso.com' -AuditDelegate @{Add=\"SendAs\"}\n",
        "page     https://learn.microsoft.com/",
        "2 warnings. Read: 2 settings, 1 change of administrators",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colours into a pipe");
    let lines = in_json(&check("2026-02-28", &["--json", &change]));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["cause"], "SHARED_SEND_AS_NOT_AUDITED");
    assert_eq!(lines[0]["evidence"][0]["source"], "FEED");
    assert_eq!(lines[0]["evidence"][0]["actor"], "root@contoso.com");

    // the settings are newer: it is repaired
    succeeded(&check("2026-03-02", &[&change]));

    // standard input, as PowerShell's `>` writes it, and cut off as it prints it
    let listed = "\u{feff}\r\nPrimarySmtpAddress : sales@contoso.com\r\nDefaultAuditSet : {Admin}\r\n\
                  RecipientTypeDetails : SharedMailbox\r\nAuditDelegate : {Update, SoftDelete, \
                  HardDelete, Create…}\r\n\r\n";
    let utf16: Vec<u8> = listed.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cut = run_with_input(&["check-setup", "-"], &utf16);
    assert_eq!(cut.status.code(), Some(1));
    let shown = text(&cut.stdout);
    assert!(shown.contains("What cannot be told"), "{shown}");
    assert!(shown.contains("$FormatEnumerationLimit = -1"), "{shown}");
}

#[test]
fn what_is_wrong_with_files_and_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mixed = format!("{MAILBOXES}\n{{\"AuditEnabled\": tru}}\n");
    let mixed = file(&folder, "mixed.json", mixed.as_bytes());
    let read = run(&["check-setup", &mixed]);
    assert_eq!(read.status.code(), Some(1));
    assert!(
        text(&read.stderr).contains("mixed.json: object 3"),
        "{}",
        text(&read.stderr)
    );
    assert!(text(&read.stdout).contains("Read: 2 settings"));
    let twice = run_with_input(&["check-setup", "-", "-"], b"");
    assert_eq!(twice.status.code(), Some(2));
    assert_eq!(run(&["check-setup"]).status.code(), Some(2));
    let help = succeeded(&run(&["check-setup", "--help"]));
    assert!(
        help.contains("Examples:") && help.contains("Get-Mailbox"),
        "{help}"
    );
}

on_both_engines! {
    /// The same files, sent to a server: it tells all that it knows, and `explain` the part of it
    /// that touches its message.
    async fn a_tenants_set_up_is_kept(db: TestDb) {
        register(&*db.app().await, TENANT).await;
        let server = Server::start(&database(&db.config.database));
        let tenant = TENANT.to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let mailboxes = file(&folder, "mailboxes.json", MAILBOXES.as_bytes());
        let change = CHANGE.replace("c0117050-0000-4000-8000-000000000001", &tenant);
        let change = file(&folder, "AuditLog.json", change.as_bytes());
        let at = ["--server", &server.url, "--tenant", &tenant];
        let check = |captured_at: &str, more: &[&str]| {
            let of = ["check-setup", "--captured-at", captured_at];
            run(&[&of[..], &at, more].concat())
        };
        let findings = |more: &[&str]| run(&[&["findings"], &at[..], more].concat());
        let healthy = succeeded(&check("2026-02-28", &[&mailboxes]));
        assert!(healthy.starts_with("nothing wrong. Read: 2 settings"), "{healthy}");
        let nothing = succeeded(&findings(&[]));
        assert_eq!(nothing, "nothing wrong. The tenant is at revision 1.\n");

        // the mailboxes are known by now
        let broken = check("2026-02-28", &[&change]);
        assert_eq!(broken.status.code(), Some(1));
        let shown = text(&broken.stdout);
        let told = findings(&[]);
        assert_eq!(told.status.code(), Some(1));
        let told = text(&told.stdout);
        let (told, _) = told.split_once("\n\n2 warnings. ").expect("two findings");
        assert!(shown.starts_with(told), "{told} in\n{shown}");
        assert!(told.contains("2026-03-01T09:00:00Z Set-Mailbox by root@contoso.com"), "{told}");
        let lines = in_json(&findings(&["--json", "--mailbox", "Support@contoso.com"]));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["cause"], "SHARED_SEND_AS_NOT_AUDITED");
        assert_eq!(lines[0]["evidence"][0]["actor"], "root@contoso.com");
        assert_eq!(json_lines(&findings(&["--json", "--agent", "o'brien@contoso.com"])).len(), 0);

        let record = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2026-03-02T09:00:00");
        let record = file(&folder, "record.json", &blob(&[record]));
        succeeded(&run(&[&["import"], &at[..], &[&record]].concat()));
        let explain = |more: &[&str]| run(&[&["explain"], &at[..], more, &["M@x"]].concat());
        let explained = succeeded(&explain(&[]));
        assert!(explained.contains("-AuditDelegate @{Add=\"SendAs\"}"), "{explained}");
        assert_eq!(json_lines(&explain(&["--json"]))[0]["findings"].as_array().map(Vec::len), Some(2));

        // the settings are newer: it is repaired
        succeeded(&check("2026-03-02", &[&mailboxes]));
        succeeded(&findings(&[]));
        let explained = succeeded(&explain(&[]));
        assert!(!explained.contains("wrong"), "{explained}");

        // what cannot be read is told, and the rest is taken in
        let mixed = file(&folder, "mixed.json", b"[{\"AuditOwner\": [\"Send\"]}, {\"x\": 1}]");
        let garbage = file(&folder, "garbage.txt", b"nothing");
        let told = check("2026-03-02", &[&mixed, &garbage, &mailboxes]);
        assert_eq!(told.status.code(), Some(1));
        let complaints = text(&told.stderr);
        for part in ["mixed.json: object 2", "mixed.json: 1 setting without a name", "garbage.txt: "] {
            assert!(complaints.contains(part), "{part} in\n{complaints}");
        }
        assert!(text(&told.stdout).contains("nothing wrong. Read: 3 settings"));
        let usage = check("2026-03-02", &["--shared", "a@b.c", &mailboxes]);
        assert_eq!(usage.status.code(), Some(2));
        let usage = run(&["check-setup", "--server", &server.url, &mailboxes]);
        assert_eq!(usage.status.code(), Some(2));
    }
}

const SCRIPT: &str = include_str!("../../examples/export-audit-settings.ps1");

/// The script of one run, and the shape that its last line writes: one array of all objects, text
/// where the script makes text of it. Nobody has run it; this holds that what it would write is read.
#[test]
fn what_the_script_would_write_is_read() {
    let lines = SCRIPT
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    // the names of the columns that it writes, of each command
    let objects = [
        r#"{"PrimarySmtpAddress":"support@contoso.com","UserPrincipalName":"support@contoso.com","DisplayName":"Support","MailboxRegion":"EUR","AuditEnabled":true,"RecipientTypeDetails":"SharedMailbox","ExchangeGuid":"6d04bd86-0000-4000-8000-000000000001","ExternalDirectoryObjectId":"0e1a2b3c-1634-4b76-9753-08d5649b7d68","AuditLogAgeLimit":"90.00:00:00","DefaultAuditSet":["Admin","Owner"],"AuditDelegate":["Update","SoftDelete"],"AuditOwner":[],"GrantSendOnBehalfTo":[]}"#,
        r#"{"AuditDisabled":true,"AllowedMailboxRegions":["EUR"],"DefaultMailboxRegion":"EUR"}"#,
        r#"{"UnifiedAuditLogIngestionEnabled":false}"#,
        r#"{"Identity":"anna@contoso.com","Name":"anna","AuditBypassEnabled":true}"#,
        r#"{"Trustee":"anna@contoso.com","Identity":"support@contoso.com","AccessControlType":"Allow","AccessRights":["SendAs"]}"#,
        r#"{"Deny":false,"Identity":"support@contoso.com","User":"anna@contoso.com","AccessRights":["FullAccess"]}"#,
    ];
    for object in objects {
        let object: Value = serde_json::from_str(object).expect("JSON");
        for name in object.as_object().expect("an object").keys() {
            assert!(code.contains(name.as_str()), "the script writes no {name}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    // Windows PowerShell begins UTF-8 with its mark
    let content = format!("\u{feff}[\r\n{}\r\n]\r\n", objects.join(",\r\n"));
    let path = file(&folder, "audit-settings-1.json", content.as_bytes());
    let checked = run(&["check-setup", "--json", &path]);
    assert_eq!(text(&checked.stderr), "", "every object is read");
    let found = in_json(&checked);
    let causes: Vec<&str> = found
        .iter()
        .filter_map(|one| one["cause"].as_str())
        .collect();
    for cause in [
        "UNIFIED_AUDIT_LOG_OFF",
        "ORGANIZATION_AUDIT_DISABLED",
        "AUDIT_BYPASSED",
        "SHARED_SEND_AS_NOT_AUDITED",
    ] {
        assert!(causes.contains(&cause), "{cause} in {causes:?}");
    }
    let told = run(&["check-setup", &path]);
    assert!(
        text(&told.stdout).contains("Read: 6 settings"),
        "{}",
        text(&told.stdout)
    );
}

/// An administrator runs it: it must not be able to change anything.
#[test]
fn the_script_only_reads() {
    const ALLOWED: [&str; 11] = [
        "Get-Mailbox",
        "Get-OrganizationConfig",
        "Get-AdminAuditLogConfig",
        "Get-MailboxAuditBypassAssociation",
        "Get-RecipientPermission",
        "Get-MailboxPermission",
        "Select-Object",
        "Where-Object",
        "ForEach-Object",
        "ConvertTo-Json",
        "Out-File",
    ];
    let own = ["Get-Names"];
    let mut seen = 0;
    for line in SCRIPT.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for word in words.filter(|word| !word.starts_with('-')) {
            let Some((verb, noun)) = word.split_once('-') else {
                continue;
            };
            if verb.is_empty() || !noun.starts_with(|c: char| c.is_ascii_alphabetic()) {
                continue;
            }
            seen += 1;
            assert!(
                ALLOWED.contains(&word) || own.contains(&word) || word == "audit-settings",
                "{word}"
            );
        }
        for way in [
            "Invoke-",
            "iex",
            "&",
            "[System",
            "::",
            ".Invoke",
            "Start-Process",
        ] {
            assert!(!line.contains(way), "{way} in {line}");
        }
    }
    assert!(seen > 15, "{seen}");
}
