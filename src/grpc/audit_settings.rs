//! Settings of mailboxes, as the register has them ⇄ domain.

use super::convert::{Fields, timestamp};
use crate::{
    domain::{
        Timestamp,
        directory::parse_address,
        setting::KnownSettings,
        settings::{Called, MailboxSettings, Names, Property},
    },
    pb,
};

/// Characters of a region.
const MAX_REGION: usize = 100;
/// Actions of a list, and characters of one.
const MAX_ACTIONS: usize = 100;
const MAX_ACTION: usize = 100;
/// Seconds of a period that PowerShell can write.
const MAX_PERIOD: u64 = 10_000_000 * 86_400;

/// What an entry says of its settings; `None`: nothing. When it was captured is not known yet.
pub(super) fn captured(
    fields: &mut Fields,
    at: usize,
    mailbox: &pb::Mailbox,
) -> Option<MailboxSettings> {
    let path = |field: &str| format!("mailboxes[{at}].{field}");
    if mailbox.region.is_empty() && mailbox.audit.is_none() {
        return None;
    }
    let region = fields.label(&path("region"), mailbox.region.trim(), MAX_REGION);
    let audit = mailbox.audit.clone().unwrap_or_default();
    let mut list = |name: &str, list: Option<pb::ActionList>| {
        list.map_or(Property::NotGiven, |list| {
            Property::Known(actions(
                fields,
                &path(&format!("audit.{name}")),
                &list.actions,
            ))
        })
    };
    let default_audit_set = list("default_audit_set", audit.default_audit_set);
    let audit_owner = list("audit_owner", audit.audit_owner);
    let audit_delegate = list("audit_delegate", audit.audit_delegate);
    let audit_admin = list("audit_admin", audit.audit_admin);
    let audit_log_age_limit = audit
        .audit_log_age_limit
        .map_or(Property::NotGiven, |period| {
            if period.nanos != 0 || period.seconds.unsigned_abs() > MAX_PERIOD {
                let why = "must be whole seconds, and at most 10,000,000 days";
                fields.wrong(path("audit.audit_log_age_limit"), why);
            }
            Property::Known(period.seconds)
        });
    // what is wrong with the address is told where the entry is read
    let name = parse_address(&mailbox.address)?;
    Some(MailboxSettings {
        captured_at: Timestamp::EARLIEST,
        called: Called {
            also: vec![name.clone()],
            name,
            perhaps: Vec::new(),
        },
        recipient_type: Property::NotGiven,
        audit_enabled: audit
            .audit_enabled
            .map_or(Property::NotGiven, Property::Known),
        default_audit_set,
        audit_delegate,
        audit_owner,
        audit_admin,
        audit_log_age_limit,
        region: region.map_or(Property::NotGiven, |region| {
            Property::Known(region.to_ascii_uppercase())
        }),
        grant_send_on_behalf_to: Property::NotGiven,
    })
}

fn actions(fields: &mut Fields, path: &str, actions: &[String]) -> Names {
    if actions.len() > MAX_ACTIONS {
        fields.wrong(path, format!("must be at most {MAX_ACTIONS} actions"));
        return Names::default();
    }
    for (at, action) in actions.iter().enumerate() {
        let is_word = action.bytes().all(|b| b.is_ascii_alphanumeric());
        if action.is_empty() || action.len() > MAX_ACTION || !is_word {
            let why = "must be the name of an action, such as SendAs";
            fields.wrong(format!("{path}.actions[{at}]"), why);
        }
    }
    Names {
        names: actions.to_vec(),
        is_cut: false,
    }
}

/// `None`: nothing is known.
pub(super) fn known(settings: KnownSettings) -> Option<pb::AuditSettings> {
    let captured_at = settings.captured_at?;
    let list = |names: Option<Names>| {
        names.map(|names| pb::ActionList {
            actions: names.names,
        })
    };
    let seconds = settings.audit_log_age_limit;
    Some(pb::AuditSettings {
        default_audit_set: list(settings.default_audit_set),
        audit_owner: list(settings.audit_owner),
        audit_delegate: list(settings.audit_delegate),
        audit_admin: list(settings.audit_admin),
        audit_enabled: settings.audit_enabled,
        audit_log_age_limit: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        captured_at: Some(timestamp(captured_at)),
    })
}
