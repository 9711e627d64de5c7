//! Records of every kind that matters, in their native form.

use super::*;

/// What it is, and the record.
pub(super) fn fixtures() -> Vec<(&'static str, Fields)> {
    let mut all = sends();
    all.extend(not_agents());
    all.extend(message_ids());
    all.extend(others());
    all.extend(admins());
    all
}

fn on_behalf(record: Fields) -> Fields {
    record
        .text("Operation", "SendOnBehalf")
        .rename("SendAsUserSmtp", "SendOnBehalfOfUserSmtp")
        .rename("SendAsUserMailboxGuid", "SendOnBehalfOfUserMailboxGuid")
}

fn sends() -> Vec<(&'static str, Fields)> {
    let owa = "Client=OWA;Mozilla/5.0 (Windows NT 10.0; Win64; x64);";
    vec![
        ("mailbox side, Outlook", Fields::mailbox_side()),
        (
            "agent side, two seconds later, other case",
            Fields::agent_side()
                .text("UserId", "ANNA.kern@Contoso.com")
                .text("ClientInfoString", owa)
                .text("TokenObjectId", "0e1a2b3c-1634-4b76-9753-08d5649b7d68"),
        ),
        ("own send", Fields::own_send()),
        ("on behalf, mailbox side", on_behalf(Fields::mailbox_side())),
        ("on behalf, agent side", on_behalf(Fields::agent_side())),
        (
            "the same message by another person",
            Fields::mailbox_side()
                .text("Id", "aaaaaaaa-1634-4b76-9753-08d5649b7d68")
                .text("UserId", "ben@contoso.com")
                .text("LogonUserSid", "S-1-5-21-1-2-3-1002"),
        ),
        ("the same id, the same content", Fields::mailbox_side()),
        (
            "the same id, other content",
            Fields::mailbox_side().text("UserId", "ben@contoso.com"),
        ),
        ("failed", Fields::mailbox_side().text("ResultStatus", "Failed")),
        ("record type as text", Fields::mailbox_side().text("RecordType", "2")),
        (
            "guest",
            Fields::mailbox_side()
                .text("UserId", "g_x.com#EXT#@contoso.onmicrosoft.com")
                .json("UserType", "10"),
        ),
        (
            "no fields of the mailbox sent as",
            Fields::mailbox_side()
                .without("SendAsUserSmtp")
                .without("SendAsUserMailboxGuid"),
        ),
        (
            "meeting response",
            Fields::own_send().json(
                "Item",
                r#"{"Id":"Unknown","InternetMessageId":"<R1@mail.contoso.com>","Subject":"Accepted: \"Monday\" ; {x}"}"#,
            ),
        ),
    ]
}

fn not_agents() -> Vec<(&'static str, Fields)> {
    vec![
        (
            "application",
            Fields::own_send()
                .json("UserType", "5")
                .text("UserId", "support@contoso.com")
                .text("UserKey", "1f6e9f0e-3d6c-4c52-8f3b-0d6e6f1f5a11")
                .json("SaveToSentItems", "true"),
        ),
        (
            "system, of a group",
            Fields::mailbox_side()
                .json("UserType", "2")
                .text("UserId", "S-1-5-18")
                .text("UserKey", "S-1-5-18")
                .json("LogonType", "1")
                .json("InternalLogonType", "1")
                .json("ExternalAccess", "true")
                .text("MailboxOwnerMasterAccountSid", "S-1-5-10"),
        ),
        ("nobody", Fields::mailbox_side().text("UserId", "")),
    ]
}

fn message_ids() -> Vec<(&'static str, Fields)> {
    let item = |id: &str| {
        let item = serde_json::json!({"Id": "Unknown", "InternetMessageId": id});
        Fields::mailbox_side().json("Item", &item.to_string())
    };
    vec![
        ("no item", Fields::mailbox_side().without("Item")),
        (
            "no message id",
            Fields::mailbox_side().json("Item", r#"{"Id":"Unknown"}"#),
        ),
        ("empty message id", item("")),
        ("without brackets", item("AB12@mail.contoso.com")),
        ("folded", item("<AB12@mail.\r\n contoso.com>")),
        ("upper-case domain", item("<AB12@MAIL.CONTOSO.COM>")),
    ]
}

fn others() -> Vec<(&'static str, Fields)> {
    vec![
        (
            "read by a recipient",
            Fields::own_send()
                .text("Operation", "MailItemsAccessed")
                .json("RecordType", "50")
                .json(
                    "Folders",
                    r#"[{"FolderItems":[{"InternetMessageId":"<AB12@mail.contoso.com>"}],"Path":"\\Inbox"}]"#,
                ),
        ),
        (
            "draft",
            Fields::own_send()
                .text("Operation", "Create")
                .text("CreationTime", "2024-05-06T07:08:03"),
        ),
        (
            "another workload's",
            Fields::own_send()
                .text("Operation", "Send")
                .json("RecordType", "25")
                .text("Workload", "MicrosoftTeams"),
        ),
        // what is wrong is wrong in every envelope
        ("no id", Fields::mailbox_side().text("Id", "none")),
        (
            "no time",
            Fields::mailbox_side().text("CreationTime", "5/6/2024 7:08:09 AM"),
        ),
    ]
}

fn admins() -> Vec<(&'static str, Fields)> {
    let admin = |operation, parameters| (operation, Fields::admin(operation, parameters));
    vec![
        admin(
            "Set-AdminAuditLogConfig",
            r#"[{"Name":"UnifiedAuditLogIngestionEnabled","Value":"False"}]"#,
        ),
        admin(
            "Set-OrganizationConfig",
            r#"[{"Name":"AuditDisabled","Value":"True"}]"#,
        ),
        admin(
            "Set-MailboxAuditBypassAssociation",
            r#"[{"Name":"AuditBypassEnabled","Value":"True"},{"Name":"Identity","Value":"Alex@contoso.com"}]"#,
        ),
        admin(
            "Set-Mailbox",
            r#"[{"Name":"Identity","Value":"Alex"},{"Name":"AuditLogAgeLimit","Value":"00:00:00"},{"Name":"AuditEnabled","Value":"False"}]"#,
        ),
        admin(
            "Add-RecipientPermission",
            r#"[{"Name":"Identity","Value":"e4ad"},{"Name":"Trustee","Value":"311b"},{"Name":"AccessRights","Value":"SendAs"}]"#,
        ),
        admin(
            "Remove-MailboxPermission",
            r#"[{"Name":"User","Value":"bob"},{"Name":"AccessRights","Value":"FullAccess"}]"#,
        ),
        // it matters to nobody
        admin(
            "Set-Mailbox",
            r#"[{"Name":"Identity","Value":"x"},{"Name":"ForwardingSmtpAddress","Value":"smtp:a@b.com"}]"#,
        ),
    ]
}
