//! Tenants whose data carry marks that nobody else ever names, and handles by which others try to
//! reach them.

use super::{CANARY, GUID, NAME};
use crate::{
    server::{TestServer, timestamp},
    support::{records::Record, records::blob, time},
};
use sentby::{app::register_tenant::Registration, domain::TenantId, pb};
use serde_json::json;

/// Messages of each.
pub const MESSAGES: u32 = 60;

pub fn address(victim: usize, what: &str) -> String {
    format!("{what}@victim{victim}.example")
}

pub fn message_id(victim: usize, number: u32) -> String {
    format!("Handle-{number}@victim{victim}.example")
}

pub fn request_id(victim: usize, number: u32) -> String {
    format!("request-{number}-of-{victim}")
}

/// Half of its messages are of a mailbox that others can name, half of an agent that they can.
fn record(tenant: TenantId, victim: usize, number: u32) -> Record {
    let id = u128::from(number) + 1;
    let secret = format!("{CANARY}{number}@victim{victim}.example");
    let at = format!("2026-03-{:02}T09:{:02}:00", 1 + number % 28, number % 60);
    let message_id = format!("<{}>", message_id(victim, number));
    let record = if number.is_multiple_of(2) {
        Record::mailbox_side(id, &secret, &message_id, &at)
            .set("MailboxOwnerUPN", address(victim, "shared"))
    } else {
        Record::mailbox_side(id, &address(victim, "agent"), &message_id, &at)
            .set("MailboxOwnerUPN", secret)
    };
    record.set("OrganizationId", tenant.to_string()).set(
        "TokenObjectId",
        format!("{GUID}-0000-4000-8000-{number:012}"),
    )
}

/// Each kind of what is stored of a tenant.
pub async fn fill(server: &TestServer, tenant: TenantId, victim: usize) {
    let registered = server.app.register_tenant(Registration {
        tenant,
        display_name: format!("{NAME}{victim}"),
        consented_at: time("2026-01-01T00:00:00Z"),
        retention_days: None,
    });
    registered.await.expect("registered");
    let tenant_id = tenant.to_string();
    let mailbox = |address: String| pb::Mailbox {
        address,
        kind: pb::MailboxKind::Shared.into(),
        display_name: format!("{CANARY}of a mailbox"),
        ..Default::default()
    };
    let put = pb::PutMailboxesRequest {
        tenant_id: tenant_id.clone(),
        mailboxes: vec![
            mailbox(address(victim, "shared")),
            mailbox(format!("{CANARY}box@victim{victim}.example")),
        ],
        ..Default::default()
    };
    server.tenants().put_mailboxes(put).await.expect("put");
    for part in 0..3 {
        let numbers = part * MESSAGES / 3..(part + 1) * MESSAGES / 3;
        let records: Vec<Record> = numbers.map(|n| record(tenant, victim, n)).collect();
        let mut content = blob(&records);
        content.pop();
        content.extend(format!(",{{\"Id\": \"{CANARY}in quarantine {part}\"}}]").bytes());
        let batch = pb::IngestAuditBatchRequest {
            tenant_id: tenant_id.clone(),
            content: content.into(),
            request_id: request_id(victim, part),
            source: format!("{CANARY}source"),
            window: Some(pb::Window {
                start: timestamp("2026-03-01T00:00:00Z"),
                end: timestamp("2026-03-02T00:00:00Z"),
                clock: pb::WindowClock::ContentCreated.into(),
                outcome: pb::WindowOutcome::Failed.into(),
                code: format!("{CANARY}code"),
            }),
            ..Default::default()
        };
        let taken = server.ingest().ingest_audit_batch(batch).await;
        let counts = taken
            .expect("ingested")
            .into_inner()
            .counts
            .expect("counts");
        assert_eq!(
            (counts.kept, counts.quarantined),
            (u64::from(MESSAGES / 3), 1)
        );
    }
    capture(server, tenant_id, victim).await;
}

/// Settings of its mailboxes.
async fn capture(server: &TestServer, tenant_id: String, victim: usize) {
    let settings = json!([{
        "PrimarySmtpAddress": format!("{CANARY}setting@victim{victim}.example"),
        "RecipientTypeDetails": "SharedMailbox",
        "DefaultAuditSet": ["Admin", "Owner"],
        "AuditDelegate": ["Update", "SoftDelete"],
    }]);
    let check = pb::CheckAuditSettingsRequest {
        tenant_id,
        content: settings.to_string().into(),
        captured_at: timestamp("2026-03-01T00:00:00Z"),
        validate_only: false,
    };
    server
        .coverage()
        .check_audit_settings(check)
        .await
        .expect("kept");
}
