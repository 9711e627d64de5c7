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

/// The rule does not trust a True, so what it knows by an older False must stay.
#[test]
fn a_false_is_not_replaced_by_a_true() {
    let key = |audit_enabled| {
        let setting = Setting::Mailbox(MailboxSettings {
            captured_at: Timestamp::EARLIEST,
            called: called(SHARED),
            recipient_type: Property::NotGiven,
            audit_enabled: Property::Known(audit_enabled),
            default_audit_set: Property::NotGiven,
            audit_delegate: Property::NotGiven,
            audit_owner: Property::NotGiven,
            audit_admin: Property::NotGiven,
            audit_log_age_limit: Property::NotGiven,
            region: Property::NotGiven,
            grant_send_on_behalf_to: Property::NotGiven,
        });
        setting.key()
    };
    assert_eq!(key(false), key(false));
    assert_ne!(key(false), key(true));
}
