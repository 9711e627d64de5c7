//! What is wrong with a tenant's audit set-up: each cause as it comes about, told with its
//! repair, and gone when it is repaired.
#![allow(clippy::too_many_lines)] // stories are long

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT,
        records::{Record, SUPPORT, blob},
        register, time,
    },
};
use sentby::{
    domain::{
        Setting, TenantId, Timestamp,
        settings::{BypassSettings, Called, Property},
        time::HOUR,
    },
    pb::{
        self, CheckAuditSettingsResponse as Checked, FindingCause, FindingSeverity,
        WindowClock as Clock, WindowOutcome as Outcome,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::SystemTime};
use tonic::{Code, Status};
use uuid::Uuid;

const ANNA: &str = "anna@contoso.com";
const BROKEN: &str = "2026-03-02T00:00:00Z";
const REPAIRED: &str = "2026-03-03T00:00:00Z";

fn ago(hours: i64) -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = i64::try_from(now.expect("after 1970").as_secs()).expect("seconds");
    time("1970-01-01T00:00:00Z").plus(seconds / 3_600 * HOUR - hours * HOUR)
}

fn as_written(time: Timestamp) -> String {
    time.to_string().trim_end_matches('Z').to_owned()
}

/// One tenant of a server.
#[derive(Clone, Copy)]
struct Site<'a> {
    server: &'a TestServer,
    tenant: TenantId,
}

impl<'a> Site<'a> {
    async fn healthy(server: &'a TestServer, tenant: TenantId) -> Self {
        register(&server.app, tenant).await;
        let site = Self { server, tenant };
        for export in [
            json!([shared(), agent()]),
            organization(),
            log(true),
            bypass(false),
            permissions(),
        ] {
            let checked = site.check(&export, "2026-03-01T00:00:00Z").await;
            assert_eq!(checked.problems, []);
        }
        site
    }

    async fn try_check(self, content: &[u8], captured_at: &str) -> Result<Checked, Status> {
        let request = pb::CheckAuditSettingsRequest {
            tenant_id: self.tenant.to_string(),
            content: content.to_vec(),
            captured_at: timestamp(captured_at),
            validate_only: false,
        };
        let checked = self.server.coverage().check_audit_settings(request).await?;
        Ok(checked.into_inner())
    }

    async fn check(self, content: &Value, captured_at: &str) -> Checked {
        let checked = self
            .try_check(content.to_string().as_bytes(), captured_at)
            .await;
        checked.expect("checked")
    }

    fn asked(self) -> pb::ListFindingsRequest {
        pb::ListFindingsRequest {
            tenant_id: self.tenant.to_string(),
            ..Default::default()
        }
    }

    async fn list(self, asked: pb::ListFindingsRequest) -> pb::ListFindingsResponse {
        let listed = self.server.coverage().list_findings(asked).await;
        listed.expect("listed").into_inner()
    }

    async fn findings(self) -> Vec<pb::Finding> {
        let page = self.list(self.asked()).await;
        assert_eq!(page.next_page_token, "");
        page.findings
    }

    async fn found(self) -> Vec<String> {
        lines(&self.findings().await)
    }

    async fn ingest(self, records: Vec<Record>) -> u64 {
        let of_tenant = |one: Record| one.set("OrganizationId", self.tenant.to_string());
        let records: Vec<Record> = records.into_iter().map(of_tenant).collect();
        let request = pb::IngestAuditBatchRequest {
            tenant_id: self.tenant.to_string(),
            content: blob(&records).into(),
            ..Default::default()
        };
        let ingested = self.server.ingest().ingest_audit_batch(request).await;
        let ingested = ingested.expect("ingested").into_inner();
        assert_eq!(ingested.problems, []);
        ingested.revision
    }

    async fn window(self, outcome: Outcome, code: &str, hours: i64) {
        let at = |hours| ago(hours).to_string().parse().ok();
        let request = pb::IngestAuditBatchRequest {
            tenant_id: self.tenant.to_string(),
            window: Some(pb::Window {
                start: at(hours),
                end: at(hours - 1),
                clock: Clock::ContentCreated.into(),
                outcome: outcome.into(),
                code: code.into(),
            }),
            ..Default::default()
        };
        self.server
            .ingest()
            .ingest_audit_batch(request)
            .await
            .expect("ingested");
    }

    async fn put(self, mailbox: pb::Mailbox) {
        let request = pb::PutMailboxesRequest {
            tenant_id: self.tenant.to_string(),
            mailboxes: vec![mailbox],
            remove: Vec::new(),
        };
        self.server
            .tenants()
            .put_mailboxes(request)
            .await
            .expect("put");
    }
}

fn lines(findings: &[pb::Finding]) -> Vec<String> {
    let name = |name: &'static str, prefix| name.strip_prefix(prefix).expect("a prefix").to_owned();
    let line = |one: &pb::Finding| {
        assert!(
            !one.meaning.is_empty() && one.page_url.starts_with("https://"),
            "{one:?}"
        );
        let parts = [
            name(one.severity().as_str_name(), "FINDING_SEVERITY_"),
            name(one.cause().as_str_name(), "FINDING_CAUSE_"),
            one.mailbox.clone(),
            one.agent.clone(),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    };
    findings.iter().map(line).collect()
}

fn shared() -> Value {
    json!({
        "PrimarySmtpAddress": SUPPORT,
        "RecipientTypeDetails": "SharedMailbox",
        "MailboxRegion": "EUR",
        "AuditEnabled": true,
        "AuditLogAgeLimit": "90.00:00:00",
        "DefaultAuditSet": ["Admin", "Delegate", "Owner"],
        "AuditDelegate": ["Update", "SendAs", "SendOnBehalf"],
        "GrantSendOnBehalfTo": []
    })
}

fn agent() -> Value {
    json!({
        "PrimarySmtpAddress": ANNA,
        "RecipientTypeDetails": "UserMailbox",
        "MailboxRegion": "EUR",
        "AuditEnabled": true,
        "AuditLogAgeLimit": "90.00:00:00",
        "DefaultAuditSet": ["Admin", "Delegate", "Owner"],
        "AuditOwner": ["Update", "Send"]
    })
}

fn with(mut object: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().expect("an object") {
        object[key] = value.clone();
    }
    object
}

fn organization() -> Value {
    json!({"AuditDisabled": false, "AllowedMailboxRegions": ["EUR", "NAM"], "DefaultMailboxRegion": "EUR"})
}

fn log(is_on: bool) -> Value {
    json!({"UnifiedAuditLogIngestionEnabled": is_on})
}

fn bypass(is_on: bool) -> Value {
    json!({"Identity": ANNA, "AuditBypassEnabled": is_on})
}

fn permissions() -> Value {
    let row = |trustee: &str| json!({"Identity": SUPPORT, "Trustee": trustee, "AccessRights": ["SendAs"]});
    json!([row(r"NT AUTHORITY\SELF"), row(ANNA)])
}

fn change(
    id: u128,
    at: &str,
    operation: &str,
    target: &str,
    parameters: &[(&str, &str)],
) -> Record {
    Record::admin(operation, id, parameters)
        .set("ObjectId", target)
        .set("CreationTime", at.trim_end_matches('Z'))
}

/// What is wrong by settings: the finding, its first command, and the object that is broken.
fn by_settings() -> Vec<(&'static str, &'static str, Value, Value)> {
    let set = |object: fn() -> Value, changes: Value| (with(object(), changes), object());
    let case = |line, command, (broken, healthy)| (line, command, broken, healthy);
    let customised = |list: &[&str]| json!({"DefaultAuditSet": ["Admin"], "AuditDelegate": list});
    vec![
        case(
            "ERROR UNIFIED_AUDIT_LOG_OFF",
            "Set-AdminAuditLogConfig -UnifiedAuditLogIngestionEnabled $true",
            (log(false), log(true)),
        ),
        case(
            "ERROR ORGANIZATION_AUDIT_DISABLED",
            "Set-OrganizationConfig -AuditDisabled $false",
            set(organization, json!({"AuditDisabled": true})),
        ),
        case(
            "ERROR AUDIT_BYPASSED anna@contoso.com",
            "Set-MailboxAuditBypassAssociation -Identity 'anna@contoso.com' -AuditBypassEnabled $false",
            (bypass(true), bypass(false)),
        ),
        case(
            "WARNING SHARED_SEND_AS_NOT_AUDITED support@contoso.com",
            "Set-Mailbox -Identity 'support@contoso.com' -AuditDelegate @{Add=\"SendAs\"}",
            set(shared, customised(&["SendOnBehalf"])),
        ),
        case(
            "WARNING SHARED_SEND_ON_BEHALF_NOT_AUDITED support@contoso.com",
            "Set-Mailbox -Identity 'support@contoso.com' -AuditDelegate @{Add=\"SendOnBehalf\"}",
            set(shared, customised(&["SendAs"])),
        ),
        case(
            "WARNING AGENT_SEND_NOT_AUDITED anna@contoso.com",
            "Set-Mailbox -Identity 'anna@contoso.com' -AuditOwner @{Add=\"Send\"}",
            set(
                agent,
                json!({"DefaultAuditSet": ["Admin"], "AuditOwner": ["Update"]}),
            ),
        ),
        case(
            "WARNING NO_RETENTION support@contoso.com",
            "Set-Mailbox -Identity 'support@contoso.com' -AuditLogAgeLimit 90.00:00:00",
            set(shared, json!({"AuditLogAgeLimit": "00:00:00"})),
        ),
        case(
            "ERROR REGIONS_DIFFER support@contoso.com anna@contoso.com",
            "",
            set(agent, json!({"MailboxRegion": "NAM"})),
        ),
        case(
            "INFO SEND_AS_AND_SEND_ON_BEHALF support@contoso.com anna@contoso.com",
            "Remove-RecipientPermission -Identity 'support@contoso.com' -AccessRights SendAs -Trustee 'anna@contoso.com' -Confirm:$false",
            set(shared, json!({"GrantSendOnBehalfTo": [ANNA]})),
        ),
    ]
}

/// What is wrong by changes: the finding, its first command, the change, and the repair.
fn by_changes() -> [(&'static str, &'static str, [Record; 2]); 4] {
    [
        (
            "ERROR ORGANIZATION_AUDIT_DISABLED",
            "Set-OrganizationConfig -AuditDisabled $false",
            [
                change(
                    1,
                    BROKEN,
                    "Set-OrganizationConfig",
                    "contoso",
                    &[("AuditDisabled", "True")],
                ),
                change(
                    2,
                    REPAIRED,
                    "Set-OrganizationConfig",
                    "contoso",
                    &[("AuditDisabled", "False")],
                ),
            ],
        ),
        (
            "WARNING SHARED_SEND_AS_NOT_AUDITED support@contoso.com",
            "Set-Mailbox -Identity 'support@contoso.com' -AuditDelegate @{Add=\"SendAs\"}",
            [
                change(
                    1,
                    BROKEN,
                    "Set-Mailbox",
                    SUPPORT,
                    &[("AuditDelegate", "Update;SendOnBehalf")],
                ),
                change(
                    2,
                    REPAIRED,
                    "Set-Mailbox",
                    SUPPORT,
                    &[("AuditDelegate", "Update;SendOnBehalf;SendAs")],
                ),
            ],
        ),
        (
            "WARNING AUDIT_NOT_ENABLED support@contoso.com",
            "Set-Mailbox -Identity 'support@contoso.com' -AuditEnabled $true",
            [
                change(
                    1,
                    BROKEN,
                    "Set-Mailbox",
                    SUPPORT,
                    &[("AuditEnabled", "False")],
                ),
                change(
                    2,
                    REPAIRED,
                    "Set-Mailbox",
                    SUPPORT,
                    &[("AuditEnabled", "True")],
                ),
            ],
        ),
        (
            "WARNING AGENT_WITHOUT_SEND_AS support@contoso.com anna@contoso.com",
            "Add-RecipientPermission -Identity 'support@contoso.com' -AccessRights SendAs -Trustee 'anna@contoso.com' -Confirm:$false",
            [
                change(
                    1,
                    BROKEN,
                    "Remove-RecipientPermission",
                    SUPPORT,
                    &[("AccessRights", "SendAs"), ("Trustee", ANNA)],
                ),
                change(
                    2,
                    REPAIRED,
                    "Add-RecipientPermission",
                    SUPPORT,
                    &[("AccessRights", "SendAs"), ("Trustee", ANNA)],
                ),
            ],
        ),
    ]
}

#[track_caller]
fn assert_one(found: &[pb::Finding], line: &str, command: &str) {
    assert_eq!(lines(found), [line]);
    assert_eq!(
        found[0].commands.first().map_or("", String::as_str),
        command
    );
    assert_eq!(command.is_empty(), found[0].commands.is_empty());
    assert!(!found[0].clues.is_empty() && (!command.is_empty() || !found[0].advice.is_empty()));
}

on_both_engines! {
    /// Broken by an export, told with its repair, and repaired by a newer one, in whatever order
    /// both come.
    async fn what_settings_show(db: TestDb) {
        let server = TestServer::start(&db).await;
        for (at, (line, command, broken, healthy)) in by_settings().into_iter().enumerate() {
            let site = Site::healthy(&server, TenantId(Uuid::from_u128(1 + at as u128))).await;
            assert_eq!(site.found().await, [""; 0], "{line}");
            let checked = site.check(&broken, BROKEN).await;
            assert!(checked.changed, "{line}");
            assert_one(&checked.findings, line, command);
            assert_one(&site.findings().await, line, command);
            assert!(!site.check(&broken, BROKEN).await.changed, "the same once more");
            let repaired = site.check(&healthy, REPAIRED).await;
            assert_eq!((repaired.changed, lines(&repaired.findings)), (true, vec![]), "{line}");
            // what is older comes late
            let late = with(broken, json!({}));
            assert!(!site.check(&late, BROKEN).await.changed, "{line}");
            assert_eq!(site.found().await, [""; 0], "{line}");
            assert_eq!(repaired.revision, site.list(site.asked()).await.revision);
        }
    }

    /// Who has changed it, and when, as the audit log tells; a newer change repairs it.
    async fn what_changes_show(db: TestDb) {
        let server = TestServer::start(&db).await;
        for (at, (line, command, [broken, repaired])) in by_changes().into_iter().enumerate() {
            let site = Site::healthy(&server, TenantId(Uuid::from_u128(1 + at as u128))).await;
            let revision = site.ingest(vec![broken]).await;
            let asked = pb::ListFindingsRequest { at_least_revision: revision, ..site.asked() };
            let found = site.list(asked).await.findings;
            assert_one(&found, line, command);
            let clue = &found[0].clues[0];
            assert_eq!(clue.source(), pb::FindingSource::Feed);
            assert_eq!((clue.actor.as_str(), clue.time), ("admin@contoso.onmicrosoft.com", timestamp(BROKEN)));
            assert_eq!(clue.record_id, Uuid::from_u128(1).to_string());
            site.ingest(vec![repaired]).await;
            assert_eq!(site.found().await, [""; 0], "{line}");
        }
        // the same records among an export
        let site = Site::healthy(&server, TENANT).await;
        let broken = change(1, BROKEN, "Set-Mailbox", SUPPORT, &[("AuditEnabled", "False")]);
        let noise = Record::noise("MailItemsAccessed", 2, "2026-03-02T00:00:00");
        let checked = site.try_check(&blob(&[broken, noise]), BROKEN).await.expect("checked");
        let counts = checked.counts.expect("counts");
        assert_eq!((counts.admin_changes, counts.other_records), (1, 1));
        assert_eq!(lines(&checked.findings), ["WARNING AUDIT_NOT_ENABLED support@contoso.com"]);
    }

    /// What collectors were answered, and the consent: neither makes a revision.
    async fn what_collectors_and_the_consent_show(db: TestDb) {
        let server = TestServer::start(&db).await;
        for (at, (code, line, is_over)) in [
            ("AF10001", "ERROR PERMISSION_MISSING", true),
            ("AF20022", "ERROR NO_SUBSCRIPTION", true),
            ("AF20051", "WARNING CONTENT_EXPIRED", false),
            ("AF50005", "ERROR COLLECTOR_FAILS", true),
        ].into_iter().enumerate() {
            let site = Site::healthy(&server, TenantId(Uuid::from_u128(1 + at as u128))).await;
            site.window(Outcome::Complete, "", 9).await;
            assert_eq!(site.found().await, [""; 0], "{code}");
            site.window(Outcome::Failed, code, 8).await;
            let found = site.findings().await;
            assert_eq!(lines(&found), [line]);
            assert!(found[0].clues[0].says.contains(code), "{found:?}");
            site.window(Outcome::Complete, "", 7).await;
            assert_eq!(site.found().await.is_empty(), is_over, "{code}");
        }
        let site = Site::healthy(&server, TENANT).await;
        assert_eq!(site.found().await, [""; 0]);
        let revoke = pb::RevokeConsentRequest { tenant_id: TENANT.to_string(), revoked_at: None };
        let revoked = server.tenants().revoke_consent(revoke).await.expect("revoked").into_inner();
        assert_eq!(site.found().await, ["ERROR CONSENT_REVOKED"]);
        let refused = site.try_check(log(false).to_string().as_bytes(), BROKEN).await;
        let refused = reason(&refused.expect_err("refused"));
        assert_eq!(refused, (Code::FailedPrecondition, "CONSENT_REVOKED".into()));
        let later = revoked.tenant.expect("a tenant").revoked_at;
        let again = pb::RegisterTenantRequest {
            tenant_id: TENANT.to_string(),
            display_name: String::new(),
            consented_at: later.map(|at| prost_types::Timestamp { seconds: at.seconds + 1, ..at }),
retention_days: None,
};
        server.tenants().register_tenant(again).await.expect("registered");
        assert_eq!(site.found().await, [""; 0]);
    }

    /// What the send events themselves show.
    async fn what_the_evidence_shows(db: TestDb) {
        let server = TestServer::start(&db).await;
        let tenant = |n| TenantId(Uuid::from_u128(n));
        let at = |hours| as_written(ago(hours));
        let mailbox_side = |n: u128, hours| Record::mailbox_side(n, ANNA, &format!("M{n}@x"), &at(hours));
        let own = |n: u128, hours| Record::mailbox_side(n, SUPPORT, &format!("O{n}@x"), &at(hours));

        let site = Site::healthy(&server, tenant(1)).await;
        site.ingest(vec![own(1, 5), own(2, 3), own(3, 24 * 40)]).await;
        let found = site.findings().await;
        assert_eq!(lines(&found), ["ERROR SHARED_ACCOUNT_SENDS support@contoso.com"]);
        assert_eq!(found[0].clues[0].says, format!("2 messages from {} to {}", ago(5), ago(3)));

        let site = Site::healthy(&server, tenant(2)).await;
        let by_application = own(1, 5).set("UserId", "ServicePrincipal_0e1a2b3c").set("UserType", 5);
        let by_system = own(2, 5).set("UserId", r"NT AUTHORITY\SYSTEM").set("UserType", 3);
        site.ingest(vec![by_application, by_system]).await;
        let found = site.findings().await;
        assert_eq!(lines(&found), ["INFO APPLICATION_SENDS support@contoso.com"]);
        assert!(found[0].clues[0].says.starts_with("1 message "), "{found:?}");

        let site = Site::healthy(&server, tenant(3)).await;
        site.ingest(vec![mailbox_side(1, 240)]).await;
        assert_eq!(site.found().await, [""; 0]);
        site.ingest(vec![mailbox_side(2, 24)]).await;
        assert_eq!(site.found().await, ["INFO AGENT_SIDE_NEVER_SEEN support@contoso.com anna@contoso.com"]);
        // it fires, and later no more
        site.ingest(vec![Record::agent_side(3, ANNA, "M2@x", &at(24))]).await;
        assert_eq!(site.found().await, [""; 0]);
        let later: Vec<Record> = vec![Record::agent_side(4, ANNA, "N@x", &at(1))];
        site.ingest(later).await;
        assert_eq!(site.found().await, [""; 0]);

        let site = Site::healthy(&server, tenant(4)).await;
        let agent_side = |n: u128, hours| Record::agent_side(n, ANNA, &format!("M{n}@x"), &at(hours));
        site.ingest(vec![mailbox_side(1, 300), agent_side(2, 300), agent_side(3, 100)]).await;
        let silent = "WARNING SIDE_WENT_SILENT support@contoso.com anna@contoso.com";
        assert_eq!(site.found().await, [silent]);
        site.ingest(vec![mailbox_side(4, 99)]).await;
        assert_eq!(site.found().await, [""; 0]);
    }

    /// The register has a say: its kinds, and settings that callers of PutMailboxes know.
    async fn what_the_register_shows(db: TestDb) {
        let server = TestServer::start(&db).await;
        register(&server.app, OTHER_TENANT).await;
        let site = Site::healthy(&server, TENANT).await;
        let room = |kind: pb::MailboxKind| pb::Mailbox {
            address: "room@contoso.com".into(),
            kind: kind.into(),
            ..Default::default()
        };
        let export = json!({"PrimarySmtpAddress": "room@contoso.com", "RecipientTypeDetails": "RoomMailbox"});
        site.check(&export, BROKEN).await;
        assert_eq!(site.found().await, [""; 0]);
        site.put(room(pb::MailboxKind::Shared)).await;
        let kinds: Vec<String> = site.found().await.into_iter().filter(|line| line.contains("KIND")).collect();
        assert_eq!(kinds, ["WARNING KIND_NOT_AUDITED room@contoso.com"]);
        site.put(room(pb::MailboxKind::Resource)).await;
        assert_eq!(site.found().await, [""; 0]);

        let actions = |names: &[&str]| Some(pb::ActionList {
            actions: names.iter().map(|&name| name.into()).collect(),
        });
        let support = |region: &str, audit| pb::Mailbox {
            address: "Support@contoso.com".into(),
            kind: pb::MailboxKind::Shared.into(),
            region: region.into(),
            audit: Some(audit),
            ..Default::default()
        };
        let broken = pb::AuditSettings {
            default_audit_set: actions(&[]),
            audit_delegate: actions(&["Update", "SendOnBehalf"]),
            audit_admin: actions(&["Update"]),
            audit_enabled: Some(true),
            audit_log_age_limit: Some(prost_types::Duration { seconds: 86_400, nanos: 0 }),
            ..Default::default()
        };
        site.put(support("eur", broken.clone())).await;
        assert_eq!(site.found().await, ["WARNING SHARED_SEND_AS_NOT_AUDITED support@contoso.com"]);
        let known = async || {
            let list = pb::ListMailboxesRequest { tenant_id: TENANT.to_string(), ..Default::default() };
            let listed = server.tenants().list_mailboxes(list).await.expect("listed").into_inner();
            listed.mailboxes.into_iter().find(|one| one.address == SUPPORT).expect("registered")
        };
        let listed = known().await;
        assert_eq!(listed.region, "EUR");
        let audit = listed.audit.expect("settings");
        assert!(audit.captured_at.is_some());
        assert_eq!(pb::AuditSettings { captured_at: None, ..audit }, broken);
        // less is told: the rest stays
        let repaired = pb::AuditSettings { audit_delegate: actions(&["SendAs", "SendOnBehalf"]), ..Default::default() };
        site.put(support("", repaired)).await;
        assert_eq!(site.found().await, [""; 0]);
        let listed = known().await;
        let audit = listed.audit.expect("settings");
        assert_eq!((listed.region.as_str(), audit.audit_admin, audit.audit_delegate), ("EUR", actions(&["Update"]), actions(&["SendAs", "SendOnBehalf"])));
        assert_eq!(Site { server: &server, tenant: OTHER_TENANT }.found().await, [""; 0]);
        let nobody = pb::ListMailboxesRequest { tenant_id: OTHER_TENANT.to_string(), ..Default::default() };
        let nobody = server.tenants().list_mailboxes(nobody).await.expect("listed").into_inner();
        assert_eq!(nobody.mailboxes, []);
        for wrong in [
            pb::AuditSettings { audit_owner: actions(&["Send As"]), ..Default::default() },
            pb::AuditSettings { audit_owner: actions(&["Send"; 101]), ..Default::default() },
            pb::AuditSettings { audit_log_age_limit: Some(prost_types::Duration { seconds: i64::MIN, nanos: 0 }), ..Default::default() },
            pb::AuditSettings { audit_log_age_limit: Some(prost_types::Duration { seconds: 1, nanos: 1 }), ..Default::default() },
        ] {
            let put = pb::PutMailboxesRequest {
                tenant_id: TENANT.to_string(),
                mailboxes: vec![support("", wrong)],
                remove: Vec::new(),
            };
            let refused = reason(&server.tenants().put_mailboxes(put).await.expect_err("refused"));
            assert_eq!(refused, (Code::InvalidArgument, "INVALID_FIELD".into()));
        }
        db.assert_gapless(TENANT).await;
    }

    /// A neighbour sees nothing; `validate_only` stores nothing; the field holds.
    async fn a_check_is_the_tenants_own(db: TestDb) {
        let server = TestServer::start(&db).await;
        let site = Site::healthy(&server, TENANT).await;
        register(&server.app, OTHER_TENANT).await;
        let neighbour = Site { server: &server, tenant: OTHER_TENANT };
        let check = pb::CheckAuditSettingsRequest {
            tenant_id: TENANT.to_string(),
            content: log(false).to_string().into(),
            captured_at: None,
            validate_only: true,
        };
        let before = site.list(site.asked()).await.revision;
        let tried = server.coverage().check_audit_settings(check.clone()).await.expect("checked").into_inner();
        assert_eq!((tried.changed, tried.revision), (true, before));
        assert_eq!(lines(&tried.findings), ["ERROR UNIFIED_AUDIT_LOG_OFF"]);
        assert_eq!(site.found().await, [""; 0]);
        let done = pb::CheckAuditSettingsRequest { validate_only: false, ..check.clone() };
        let done = server.coverage().check_audit_settings(done).await.expect("checked").into_inner();
        assert_eq!((done.changed, done.revision), (true, before + 1));
        assert_eq!(site.found().await, ["ERROR UNIFIED_AUDIT_LOG_OFF"]);
        assert_eq!(neighbour.found().await, [""; 0]);
        db.assert_gapless(TENANT).await;

        let future = pb::CheckAuditSettingsRequest { captured_at: timestamp("2099-01-01T00:00:00Z"), ..check.clone() };
        let nobody = pb::CheckAuditSettingsRequest { tenant_id: Uuid::from_u128(9).to_string(), ..check };
        for (request, expected) in [
            (future, (Code::InvalidArgument, "INVALID_FIELD")),
            (nobody, (Code::NotFound, "TENANT_NOT_FOUND")),
        ] {
            let refused = server.coverage().check_audit_settings(request).await.expect_err("refused");
            assert_eq!(reason(&refused), (expected.0, expected.1.into()));
        }
        let too_new = pb::ListFindingsRequest { at_least_revision: done.revision + 1, ..site.asked() };
        let refused = server.coverage().list_findings(too_new).await.expect_err("refused");
        assert_eq!(reason(&refused), (Code::Unavailable, "REVISION_NOT_REACHED".into()));
    }

    /// Page by page, each finding once; filters; a token is of its query.
    async fn findings_are_paged_and_filtered(db: TestDb) {
        let server = TestServer::start(&db).await;
        let site = Site::healthy(&server, TENANT).await;
        let broken = |n: usize| with(agent(), json!({
            "PrimarySmtpAddress": format!("agent{n:03}@contoso.com"),
            "DefaultAuditSet": [], "AuditOwner": ["Update"], "AuditLogAgeLimit": "00:00:00",
        }));
        // anybody may be an agent of it
        let mut all: Vec<Value> = (0..120).map(broken).collect();
        all.push(with(shared(), json!({"PrimarySmtpAddress": "sales@contoso.com"})));
        let checked = site.check(&json!(all), BROKEN).await;
        assert_eq!(checked.findings.len(), 100);
        let mut asked = pb::ListFindingsRequest { page_size: 7, ..site.asked() };
        let mut paged = Vec::new();
        loop {
            let page = site.list(asked.clone()).await;
            assert!(page.findings.len() <= 7);
            paged.extend(page.findings);
            if page.next_page_token.is_empty() {
                break;
            }
            asked.page_token = page.next_page_token;
        }
        let whole = site.list(pb::ListFindingsRequest { page_size: 1_000, ..site.asked() }).await;
        assert_eq!(paged, whole.findings);
        assert_eq!(paged[..100], checked.findings);
        assert_eq!(paged.len() as u64, 100 + checked.findings_omitted);
        assert_eq!(lines(&paged).into_iter().collect::<BTreeSet<_>>().len(), paged.len());
        assert!(paged.len() >= 240, "{}", paged.len());

        let of = async |asked| lines(&site.list(asked).await.findings);
        let one = of(pb::ListFindingsRequest { agent: "Agent007@contoso.com".into(), ..site.asked() }).await;
        assert_eq!(one, ["WARNING AGENT_SEND_NOT_AUDITED agent007@contoso.com"]);
        let one = of(pb::ListFindingsRequest { mailbox: "agent007@contoso.com".into(), ..site.asked() }).await;
        assert_eq!(one, ["WARNING NO_RETENTION agent007@contoso.com"]);
        let error = FindingSeverity::Error.into();
        assert_eq!(of(pb::ListFindingsRequest { severity: error, ..site.asked() }).await, [""; 0]);

        let other = pb::ListFindingsRequest { agent: ANNA.into(), ..asked.clone() };
        let wrong = pb::ListFindingsRequest { severity: 99, ..site.asked() };
        let garbage = pb::ListFindingsRequest { page_token: "x".into(), ..site.asked() };
        for (request, expected) in [
            (other, "PAGE_TOKEN_MISMATCH"), (wrong, "INVALID_FIELD"), (garbage, "PAGE_TOKEN_INVALID"),
        ] {
            let refused = server.coverage().list_findings(request).await.expect_err(expected);
            assert_eq!(reason(&refused), (Code::InvalidArgument, expected.into()));
        }
    }

    /// An explanation names what is wrong with its mailbox, its people, and the organisation.
    async fn an_explanation_has_its_findings(db: TestDb) {
        let server = TestServer::start(&db).await;
        let site = Site::healthy(&server, TENANT).await;
        site.ingest(vec![Record::mailbox_side(1, ANNA, "M1@x", "2026-03-02T09:00:00")]).await;
        let ben = with(agent(), json!({"PrimarySmtpAddress": "ben@contoso.com", "AuditLogAgeLimit": "0"}));
        let sales = with(shared(), json!({"PrimarySmtpAddress": "sales@contoso.com", "AuditLogAgeLimit": "0"}));
        site.check(&json!([ben, sales, with(shared(), json!({"AuditLogAgeLimit": "0"}))]), BROKEN).await;
        site.check(&json!([bypass(true), log(false)]), BROKEN).await;
        let explain = pb::ExplainAttributionRequest {
            tenant_id: TENANT.to_string(),
            message: Some(pb::explain_attribution_request::Message::MessageId("M1@x".into())),
            ..Default::default()
        };
        let explained = server.attributions().explain_attribution(explain).await.expect("explained");
        assert_eq!(lines(&explained.into_inner().findings), [
            "ERROR UNIFIED_AUDIT_LOG_OFF",
            "ERROR AUDIT_BYPASSED anna@contoso.com",
            "WARNING NO_RETENTION support@contoso.com",
        ]);
    }

    /// There is room for 50,000 settings: what is kept goes on to be brought up to date, one more
    /// is refused.
    async fn settings_are_bounded(db: TestDb) {
        let server = TestServer::start(&db).await;
        let site = Site::healthy(&server, TENANT).await;
        let mut tx = server.app.store().begin(TENANT).await.expect("begun").expect("a tenant");
        let room = 50_000 - tx.count_settings().await.expect("counted");
        let many: Vec<Setting> = (0..room).map(|n| Setting::Bypass(BypassSettings {
            captured_at: time(BROKEN),
            called: Called { name: format!("agent{n}@contoso.com"), ..Called::default() },
            enabled: Property::Known(false),
        })).collect();
        assert_eq!(tx.put_settings(&many).await.expect("put"), room);
        tx.commit().await.expect("committed");

        let one_more = json!({"Identity": "zoe@contoso.com", "AuditBypassEnabled": true});
        let checked = site.check(&json!([one_more, bypass(true)]), REPAIRED).await;
        assert!(checked.changed);
        assert_eq!(lines(&checked.findings), ["ERROR AUDIT_BYPASSED anna@contoso.com"]);
        assert_eq!(checked.problems.len(), 1);
        assert!(checked.problems[0].detail.contains("no room"), "{:?}", checked.problems);
        let put = pb::PutMailboxesRequest {
            tenant_id: TENANT.to_string(),
            mailboxes: vec![pb::Mailbox {
                address: "zoe@contoso.com".into(),
                kind: pb::MailboxKind::User.into(),
                region: "EUR".into(),
                ..Default::default()
            }],
            remove: Vec::new(),
        };
        let refused = reason(&server.tenants().put_mailboxes(put).await.expect_err("refused"));
        assert_eq!(refused, (Code::InvalidArgument, "INVALID_FIELD".into()));
        // as new as before, and nothing is stored
        let again = site.check(&json!([one_more, bypass(true)]), REPAIRED).await;
        assert_eq!((again.changed, again.revision), (false, checked.revision));
    }

    /// Whatever comes is read, counted or refused with a reason; nothing is a bug.
    async fn hostile_content_is_told(db: TestDb) {
        let server = TestServer::start(&db).await;
        let site = Site::healthy(&server, TENANT).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep_setting = format!("{{\"AuditOwner\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        let many: Vec<String> = (0..3_000).map(|n| format!("Action{n}")).collect();
        let huge = with(shared(), json!({"AuditDelegate": many, "PrimarySmtpAddress": "huge@contoso.com"}));
        let long = with(shared(), json!({"PrimarySmtpAddress": "x".repeat(100_000), "Name": "\u{0}\u{202e}y"}));
        let unnamed = json!([{"AuditOwner": ["Send"]}, {"AuditBypassEnabled": true}]);
        let foreign = blob(&[change(7, BROKEN, "Set-Mailbox", SUPPORT, &[("AuditEnabled", "False")])
            .set("OrganizationId", OTHER_TENANT.to_string())]);
        let texts: [Vec<u8>; 12] = [
            Vec::new(), b"\xff\xfe\xff".to_vec(), b"nothing".to_vec(), b"{\"AuditEnabled\": tru}".to_vec(),
            deep.into(), deep_setting.into(), foreign, huge.to_string().into(), long.to_string().into(),
            unnamed.to_string().into(), b"{\"error\":{\"code\":\"AF20022\",\"message\":\"no\"}}".to_vec(),
            b"AuditEnabled : \0False\nPrimarySmtpAddress : \0\n".to_vec(),
        ];
        let mut told = 0;
        for text in texts {
            match site.try_check(&text, BROKEN).await {
                Ok(checked) => told += checked.problems.len(),
                Err(refused) => assert_eq!(reason(&refused), (Code::InvalidArgument, "CONTENT_NOT_RECOGNISED".into())),
            }
        }
        assert!(told >= 4, "{told}");
        let unnamed = site.check(&unnamed, BROKEN).await;
        assert_eq!(unnamed.problems.len(), 1);
        assert_eq!(unnamed.problems[0].number, 0);
        assert!(!unnamed.changed);
        let causes: BTreeSet<FindingCause> = site.findings().await.iter().map(pb::Finding::cause).collect();
        assert!(!causes.contains(&FindingCause::AuditNotEnabled), "another tenant's record");
        // larger than a call may be
        let large = vec![b' '; 5 << 20];
        let refused = reason(&site.try_check(&large, BROKEN).await.expect_err("refused"));
        assert_eq!(refused, (Code::OutOfRange, "MESSAGE_TOO_LARGE".into()));
        db.assert_gapless(TENANT).await;
    }
}
