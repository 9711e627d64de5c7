//! The audit set-up: what `SettingsStore` and `SettingsTx` promise.

use super::support::{
    OTHER_TENANT, TENANT,
    feed::Random,
    records::{Record, SUPPORT, blob},
    register, time,
};
use crate::on_both_engines;
use sentby::{
    app::{App, ingest_audit_batch::Batch},
    domain::{
        AdminChange, Setting, Settings, TenantId, Timestamp,
        settings::{
            BypassSettings, Called, MailboxSettings, Names, OrganizationSettings,
            PermissionSettings, Property, RecipientType, Right,
        },
        time::HOUR,
    },
    store::{ChangesLimit, Tx},
};
use uuid::Uuid;

fn at(hour: i64) -> Timestamp {
    time("2026-03-01T00:00:00Z").plus(hour * HOUR)
}

async fn write<T>(app: &App, tenant: TenantId, what: impl AsyncFnOnce(&mut dyn Tx) -> T) -> T {
    let tx = app.store().begin(tenant).await.expect("begun");
    let mut tx = tx.expect("a tenant");
    let done = what(&mut *tx).await;
    tx.commit().await.expect("committed");
    done
}

async fn put(app: &App, settings: &[Setting]) -> u64 {
    let put = async |tx: &mut dyn Tx| tx.put_settings(settings).await.expect("put");
    write(app, TENANT, put).await
}

fn called(name: &str) -> Called {
    Called {
        name: name.into(),
        also: vec![name.into(), "\u{fc} \"quoted\"".into()],
        perhaps: vec!["Anna".into()],
    }
}

fn list(names: &str, is_cut: bool) -> Property<Names> {
    let mut list = Names::default();
    list.push_words(names);
    list.is_cut |= is_cut;
    Property::Known(list)
}

pub(super) fn mailbox(name: &str, hour: i64) -> MailboxSettings {
    MailboxSettings {
        captured_at: at(hour),
        called: called(name),
        recipient_type: Property::Known(RecipientType("SharedMailbox".into())),
        audit_enabled: Property::Unknown,
        default_audit_set: list("Admin,Owner", false),
        audit_delegate: list("Update,SendAs", false),
        audit_owner: list("Send", false),
        audit_admin: Property::NotGiven,
        audit_log_age_limit: Property::Known(-90 * 86_400),
        region: Property::Known("EUR".into()),
        grant_send_on_behalf_to: Property::NotGiven,
    }
}

fn bypass(name: &str, hour: i64, enabled: bool) -> Setting {
    Setting::Bypass(BypassSettings {
        captured_at: at(hour),
        called: called(name),
        enabled: Property::Known(enabled),
    })
}

fn organization(hour: i64, audit_disabled: bool) -> Setting {
    Setting::Organization(OrganizationSettings {
        captured_at: at(hour),
        audit_disabled: Property::Known(audit_disabled),
        ingestion_enabled: Property::NotGiven,
        allowed_regions: list("EUR,NAM", true),
        default_region: Property::Unknown,
    })
}

fn permission(trustee: &str, hour: i64, rights: &[Right]) -> Setting {
    Setting::Permission(PermissionSettings {
        captured_at: at(hour),
        mailbox: SUPPORT.into(),
        trustee: trustee.into(),
        rights: rights.to_vec(),
        of_recipient: true,
        is_denied: rights.is_empty(),
    })
}

on_both_engines! {
    /// Everything comes back as it was, in a fixed order, and is nobody else's.
    async fn settings_come_back_as_they_were(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let all = [
            bypass("anna@contoso.com", 1, true),
            Setting::Mailbox(mailbox("a@contoso.com", 1)),
            Setting::Mailbox(mailbox("b@contoso.com", 1)),
            organization(1, true),
            permission("anna@contoso.com", 1, &[Right::SendAs]),
            permission("ben@contoso.com", 1, &[]),
        ];
        let mut reversed = all.to_vec();
        reversed.reverse();
        assert_eq!(put(&app, &reversed).await, 6);
        assert_eq!(app.store().settings(TENANT).await.expect("read"), all);
        assert_eq!(put(&app, &all).await, 0, "nothing is new");
        assert_eq!(put(&app, &[]).await, 0);
        // it does not say what it is of
        assert_eq!(put(&app, &[bypass("", 9, true)]).await, 0);
        assert_eq!(app.store().settings(OTHER_TENANT).await.expect("read"), []);
        write(&app, TENANT, async |tx| {
            assert_eq!(tx.count_settings().await.expect("counted"), 6);
            let keys = tx.setting_keys().await.expect("read");
            let expected = all.iter().filter_map(Setting::key);
            assert_eq!(keys, expected.collect());
        }).await;
        let some = app.store().mailbox_settings(TENANT, "a@contoso.com", "a@contoso.com", 9).await;
        assert_eq!(some.expect("read"), [("a@contoso.com".into(), mailbox("a@contoso.com", 1))]);
        let one = app.store().mailbox_settings(TENANT, "a", "z", 1).await.expect("read");
        assert_eq!(one.len(), 1);
        let nobody = app.store().mailbox_settings(OTHER_TENANT, "a", "z", 9).await;
        assert_eq!(nobody.expect("read"), []);
        // more than one statement takes
        let many: Vec<Setting> = (0..450).map(|n| bypass(&format!("{n:03}"), 1, true)).collect();
        assert_eq!(put(&app, &many).await, 450);
        assert_eq!(app.store().settings(TENANT).await.expect("read").len(), 456);
    }

    /// Whatever order they come in, in whatever pieces: the newest is kept, and of one time the
    /// same one.
    async fn the_order_of_arrival_does_not_matter(db: TestDb) {
        let region = |hour, region: &str| Setting::Mailbox(MailboxSettings {
            region: Property::Known(region.into()),
            ..mailbox(SUPPORT, hour)
        });
        let bare = |hour| Setting::Mailbox(MailboxSettings {
            region: Property::NotGiven,
            ..mailbox(SUPPORT, hour)
        });
        let cut = |hour, names: &str| Setting::Mailbox(MailboxSettings {
            audit_delegate: list(names, true),
            ..mailbox(SUPPORT, hour)
        });
        let all = [
            region(1, "EUR"), region(3, "NAM"), region(2, "APC"),
            // of one time
            bypass("anna@contoso.com", 5, true), bypass("anna@contoso.com", 5, false),
            // others than those that tell the region
            bare(9), bare(4),
            cut(6, "Update,SendAs"), cut(7, "Update,Create"), cut(8, "Update,SendAs"),
            organization(1, true), organization(2, false),
            permission("anna@contoso.com", 1, &[Right::SendAs]),
            permission("anna@contoso.com", 2, &[Right::SendAs]),
            permission("anna@contoso.com", 2, &[Right::SendAs, Right::FullAccess]),
        ];
        let mut kept: Option<Vec<Setting>> = None;
        let mut random = Random(7);
        for tenant in 0..8_u128 {
            let tenant = TenantId(Uuid::from_u128(1 + tenant));
            let app = db.app().await;
            register(&app, tenant).await;
            let mut order: Vec<Setting> = all.to_vec();
            random.shuffle(&mut order);
            let size = 1 + random.below(4) as usize;
            for some in order.chunks(size) {
                write(&app, tenant, async |tx| tx.put_settings(some).await.expect("put")).await;
            }
            let now = app.store().settings(tenant).await.expect("read");
            let kept = kept.get_or_insert_with(|| now.clone());
            assert_eq!(&now, kept);
            let settings: Settings = now.into_iter().collect();
            let told = |of: fn(&MailboxSettings) -> bool| {
                let hours = settings.mailboxes.iter().filter(|one| of(one));
                hours.map(|one| one.captured_at).collect::<Vec<_>>()
            };
            assert_eq!(told(|one| !one.region.is_given()), [at(9)]);
            assert_eq!(told(|one| one.audit_delegate.known().is_some_and(|list| list.is_cut)), [at(7), at(8)]);
            assert_eq!(settings.mailboxes.len(), 4);
            assert_eq!(settings.bypasses.len(), 1);
            assert_eq!(settings.organizations.len(), 1);
            assert_eq!(settings.permissions.len(), 2);
        }
    }

    /// Administrators' changes come back; of very many the newest, and the newest of each target.
    async fn changes_are_read(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let change = |n: u128, hour, target: &str, failed| AdminChange {
            time: at(hour),
            record_id: Uuid::from_u128(n),
            operation: "Set-Mailbox",
            actor: "root@contoso.com".into(),
            target: target.into(),
            failed,
            parameters: vec![("AuditDelegate".into(), "Update;\u{fc}".into()), ("Identity".into(), "x@y.z".into())],
        };
        let all = [
            change(1, 1, "old", false),
            change(2, 2, "busy", false),
            change(3, 3, "busy", false),
            change(4, 4, "busy", false),
            change(5, 5, "busy", true),
        ];
        write(&app, TENANT, async |tx| tx.put_admin_changes(&all).await.expect("put")).await;
        let read = async |newest, all| {
            let limit = ChangesLimit { newest, all };
            app.store().admin_changes(TENANT, limit).await.expect("read")
        };
        let of = |places: &[usize]| places.iter().map(|at| all[*at].clone()).collect::<Vec<_>>();
        assert_eq!(read(9, 9).await, of(&[3, 2, 1, 0]), "from new to old, what took effect");
        assert_eq!(read(2, 9).await, of(&[3, 2, 0]), "the newest of each target stays");
        assert_eq!(read(0, 9).await, of(&[3, 0]));
        assert_eq!(read(9, 2).await, of(&[3, 2]));
        let limit = ChangesLimit { newest: 9, all: 9 };
        assert_eq!(app.store().admin_changes(OTHER_TENANT, limit).await.expect("read"), []);
    }

    /// Messages that nobody sent, from new to old.
    async fn messages_of_nobody_are_read(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let own = |n: u128, time: &str| {
            Record::mailbox_side(n, SUPPORT, &format!("M{n}@x"), time).set("LogonType", 0)
        };
        let records = [
            own(1, "2026-03-02T09:00:00"),
            own(2, "2026-03-03T09:00:00"),
            own(3, "2026-03-04T09:00:00"),
            Record::mailbox_side(4, "anna@contoso.com", "M4@x", "2026-03-05T09:00:00"),
        ];
        let batch = Batch {
            tenant: TENANT,
            content: blob(&records).into(),
            records: Vec::new(),
            validate_only: false,
            request_id: None,
            source: String::new(),
            window: None,
        };
        app.ingest_audit_batch(batch).await.expect("ingested");
        let read = async |tenant, since, limit| {
            let found = app.store().messages_of_nobody(tenant, time(since), limit).await;
            let found = found.expect("read").into_iter();
            found.map(|message| message.id.expect("an id").to_string()).collect::<Vec<_>>()
        };
        assert_eq!(read(TENANT, "2026-03-01T00:00:00Z", 9).await, ["M3@x", "M2@x", "M1@x"]);
        assert_eq!(read(TENANT, "2026-03-03T09:00:00Z", 9).await, ["M3@x", "M2@x"]);
        assert_eq!(read(TENANT, "2026-03-01T00:00:00Z", 1).await, ["M3@x"]);
        assert!(read(OTHER_TENANT, "2026-03-01T00:00:00Z", 9).await.is_empty());
    }
}
