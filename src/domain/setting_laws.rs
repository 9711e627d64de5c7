//! What is kept tells the rule the same as all that was ever captured.

use super::*;
use crate::domain::{
    AdminChange, Finding,
    findings::{Inputs, Observed, findings},
    settings::{Called, RecipientType},
    time::HOUR,
};
use proptest::{prelude::*, sample::select};
use std::collections::BTreeMap;

fn called(name: &str) -> Called {
    Called {
        name: name.into(),
        also: vec![name.into()],
        perhaps: Vec::new(),
    }
}

fn given<T: Clone + std::fmt::Debug + 'static>(
    values: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Property<T>> {
    prop_oneof![
        3 => values.prop_map(Property::Known),
        1 => Just(Property::Unknown),
        2 => Just(Property::NotGiven),
    ]
    .boxed()
}

fn list(names: &'static [&'static str]) -> BoxedStrategy<Property<Names>> {
    let some = proptest::sample::subsequence(names, 0..=names.len());
    given(
        (some, prop::bool::weighted(0.3)).prop_map(|(names, is_cut)| Names {
            names: names.into_iter().map(Into::into).collect(),
            is_cut,
        }),
    )
}

const SHARED: &str = "support@contoso.com";
const AGENT: &str = "anna@contoso.com";

fn mailbox() -> impl Strategy<Value = Setting> {
    let kinds = ["SharedMailbox", "UserMailbox"].map(|name| RecipientType(name.into()));
    let lists = (
        list(&["Admin", "Delegate", "Owner"]),
        list(&["Update", "SendAs", "SendOnBehalf"]),
        list(&["Update", "Send"]),
    );
    let rest = (
        given(select(kinds.to_vec())),
        given(any::<bool>()),
        given(select(vec![0, 86_400_i64])),
        given(select(vec!["EUR".to_owned(), "NAM".to_owned()])),
        list(&[AGENT]),
    );
    let export = select(vec![Export::Lists, Export::List, Export::Rest, Export::All]);
    let all = (select(vec![SHARED, AGENT]), lists, rest).prop_map(|(name, lists, rest)| {
        MailboxSettings {
            captured_at: Timestamp::EARLIEST,
            called: called(name),
            recipient_type: rest.0,
            audit_enabled: rest.1,
            default_audit_set: lists.0,
            audit_delegate: lists.1,
            audit_owner: lists.2,
            audit_admin: Property::NotGiven,
            audit_log_age_limit: rest.2,
            region: rest.3,
            grant_send_on_behalf_to: rest.4,
        }
    });
    (all, export).prop_map(|(all, export)| Setting::Mailbox(export.of(all)))
}

/// Which properties a command selects. Few ones, so that many settings have the same shape.
#[derive(Clone, Copy, Debug)]
enum Export {
    Lists,
    List,
    Rest,
    All,
}

impl Export {
    fn of(self, all: MailboxSettings) -> MailboxSettings {
        let nothing = MailboxSettings {
            captured_at: all.captured_at,
            called: all.called.clone(),
            recipient_type: Property::NotGiven,
            audit_enabled: Property::NotGiven,
            default_audit_set: Property::NotGiven,
            audit_delegate: Property::NotGiven,
            audit_owner: Property::NotGiven,
            audit_admin: Property::NotGiven,
            audit_log_age_limit: Property::NotGiven,
            region: Property::NotGiven,
            grant_send_on_behalf_to: Property::NotGiven,
        };
        match self {
            Self::All => all,
            Self::List => MailboxSettings {
                audit_delegate: all.audit_delegate,
                ..nothing
            },
            Self::Lists => MailboxSettings {
                default_audit_set: all.default_audit_set,
                audit_delegate: all.audit_delegate,
                audit_owner: all.audit_owner,
                ..nothing
            },
            Self::Rest => MailboxSettings {
                default_audit_set: Property::NotGiven,
                audit_delegate: Property::NotGiven,
                audit_owner: Property::NotGiven,
                ..all
            },
        }
    }
}

fn others() -> impl Strategy<Value = Setting> {
    let organization = (
        given(any::<bool>()),
        given(any::<bool>()),
        list(&["EUR", "NAM"]),
    );
    let organization = organization.prop_map(|(audit_disabled, ingestion_enabled, regions)| {
        Setting::Organization(OrganizationSettings {
            captured_at: Timestamp::EARLIEST,
            audit_disabled,
            ingestion_enabled,
            allowed_regions: regions,
            default_region: Property::NotGiven,
        })
    });
    let bypass = given(any::<bool>()).prop_map(|enabled| {
        Setting::Bypass(BypassSettings {
            captured_at: Timestamp::EARLIEST,
            called: called(AGENT),
            enabled,
        })
    });
    let trustees = [AGENT, "ben@contoso.com", r"nt authority\self"];
    let rights = proptest::sample::subsequence(vec![Right::SendAs, Right::FullAccess], 1..=2);
    let permission = (select(trustees.to_vec()), rights, any::<[bool; 2]>());
    let permission = permission.prop_map(|(trustee, rights, [of_recipient, is_denied])| {
        Setting::Permission(PermissionSettings {
            captured_at: Timestamp::EARLIEST,
            mailbox: SHARED.into(),
            trustee: trustee.into(),
            rights,
            of_recipient,
            is_denied,
        })
    });
    prop_oneof![organization, bypass, permission]
}

fn at(setting: &mut Setting, hour: i64) {
    let captured_at = Timestamp::EARLIEST.plus(hour * HOUR);
    match setting {
        Setting::Mailbox(one) => one.captured_at = captured_at,
        Setting::Organization(one) => one.captured_at = captured_at,
        Setting::Bypass(one) => one.captured_at = captured_at,
        Setting::Permission(one) => one.captured_at = captured_at,
    }
}

/// What is wrong; not with which words, for what is older may be among these.
fn judged(settings: &[Setting]) -> Vec<(String, Option<String>)> {
    let settings: Settings = settings.iter().cloned().collect();
    let changes: [AdminChange; 0] = [];
    let found = findings(&Inputs {
        settings: &settings,
        register: &[],
        changes: &changes,
        observed: &Observed::default(),
    });
    let line = |finding: &Finding| {
        let (severity, cause, subject) = finding.order();
        let decides = finding.clues.first().map(|clue| clue.says.clone());
        (format!("{severity:?} {cause:?} {subject:?}"), decides)
    };
    found.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_newest_of_each_key_tells_all(
        mut all in prop::collection::vec(prop_oneof![3 => mailbox(), 1 => others()], 0..12),
    ) {
        for (hour, setting) in all.iter_mut().enumerate() {
            at(setting, hour as i64);
        }
        let newest = all.iter().map(|one| (one.key().expect("a name"), one.clone()));
        let newest: BTreeMap<SettingKey, Setting> = newest.collect();
        let kept: Vec<Setting> = newest.into_values().collect();
        prop_assert_eq!(judged(&kept), judged(&all));
    }
}

pub(in crate::domain) fn untold() -> MailboxSettings {
    MailboxSettings {
        captured_at: Timestamp::EARLIEST,
        called: called(SHARED),
        recipient_type: Property::NotGiven,
        audit_enabled: Property::NotGiven,
        default_audit_set: Property::NotGiven,
        audit_delegate: Property::NotGiven,
        audit_owner: Property::NotGiven,
        audit_admin: Property::NotGiven,
        audit_log_age_limit: Property::NotGiven,
        region: Property::NotGiven,
        grant_send_on_behalf_to: Property::NotGiven,
    }
}

/// One of each kind, of the hours 1 to 4.
fn one_of_each() -> Settings {
    let hour = |hour: i64| Timestamp::EARLIEST.plus(hour * HOUR);
    Settings {
        mailboxes: vec![MailboxSettings {
            captured_at: hour(1),
            ..untold()
        }],
        organizations: vec![OrganizationSettings {
            captured_at: hour(2),
            audit_disabled: Property::NotGiven,
            ingestion_enabled: Property::NotGiven,
            allowed_regions: Property::NotGiven,
            default_region: Property::NotGiven,
        }],
        bypasses: vec![BypassSettings {
            captured_at: hour(3),
            called: called(AGENT),
            enabled: Property::NotGiven,
        }],
        permissions: vec![PermissionSettings {
            captured_at: hour(4),
            mailbox: SHARED.into(),
            trustee: AGENT.into(),
            rights: vec![Right::SendAs],
            of_recipient: true,
            is_denied: false,
        }],
    }
}

#[test]
fn settings_are_kept_one_by_one() {
    let settings = one_of_each();
    assert_eq!((settings.len(), settings.is_empty()), (4, false));
    let all = Vec::<Setting>::from(settings.clone());
    let told = |one: &Setting| (one.kind().name(), one.captured_at());
    let hour = |hour: i64| Timestamp::EARLIEST.plus(hour * HOUR);
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            ("MAILBOX", hour(1)),
            ("ORGANIZATION", hour(2)),
            ("BYPASS", hour(3)),
            ("PERMISSION", hour(4))
        ]
    );
    assert!(all.iter().map(Setting::kind).eq(SettingKind::ALL));
    let subjects = all.iter().map(|one| one.key().expect("a subject").subject);
    let of_permission = format!("{SHARED}\n{AGENT}");
    assert!(subjects.eq([SHARED, "", AGENT, &of_permission]));
    assert_eq!(all.into_iter().collect::<Settings>(), settings);
    let mut twice = Settings::default();
    assert!(twice.is_empty());
    for _ in 0..2 {
        twice.append(settings.clone());
    }
    twice.bypasses.append(&mut one_of_each().bypasses);
    twice.permissions.append(&mut one_of_each().permissions);
    twice.permissions.append(&mut one_of_each().permissions);
    assert_eq!(twice.len(), 11);
    // what does not say what it is of takes no place
    let nameless = MailboxSettings {
        called: Called::default(),
        ..untold()
    };
    assert_eq!(Setting::Mailbox(nameless).key(), None);
}

#[test]
fn of_each_property_the_newest_that_tells_is_known() {
    let hour = |hour: i64| Timestamp::EARLIEST.plus(hour * HOUR);
    let names = |name: &str, is_cut| Names {
        names: vec![name.into()],
        is_cut,
    };
    let list = |name, is_cut| Property::Known(names(name, is_cut));
    let tells: [fn(&mut MailboxSettings, Names); 7] = [
        |one, _| one.region = Property::Known("EUR".into()),
        |one, _| one.audit_enabled = Property::Known(false),
        |one, _| one.audit_log_age_limit = Property::Known(7),
        |one, names| one.default_audit_set = Property::Known(names),
        |one, names| one.audit_owner = Property::Known(names),
        |one, names| one.audit_delegate = Property::Known(names),
        |one, names| one.audit_admin = Property::Known(names),
    ];
    for tell in tells {
        let mut told = untold();
        tell(&mut told, names("Send", false));
        let known = KnownSettings::of(vec![told]);
        assert_eq!(known.captured_at, Some(hour(0)), "{known:?}");
        assert_ne!(
            KnownSettings {
                captured_at: None,
                ..known
            },
            KnownSettings::default()
        );
    }
    let older = MailboxSettings {
        region: Property::Known("EUR".into()),
        audit_owner: list("Send", false),
        ..untold()
    };
    let newer = MailboxSettings {
        captured_at: hour(1),
        region: Property::Known("NAM".into()),
        audit_owner: list("Update", true),
        ..untold()
    };
    let newest = MailboxSettings {
        captured_at: hour(2),
        region: Property::Unknown,
        ..untold()
    };
    let expected = KnownSettings {
        captured_at: Some(hour(1)),
        region: Some("NAM".into()),
        audit_owner: Some(names("Send", false)),
        ..KnownSettings::default()
    };
    assert_eq!(KnownSettings::of(vec![newest, newer, older]), expected);
}

/// The rule does not trust a True, so what it knows by an older False must stay.
#[test]
fn a_false_is_not_replaced_by_a_true() {
    let key = |audit_enabled| {
        let setting = Setting::Mailbox(MailboxSettings {
            audit_enabled: Property::Known(audit_enabled),
            ..untold()
        });
        setting.key()
    };
    assert_eq!(key(false), key(false));
    assert_ne!(key(false), key(true));
}
