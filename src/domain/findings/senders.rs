//! Who sends from shared mailboxes without being a person, as the evidence tells.

use super::{Sender, Span};
use crate::domain::{Actor, Directory, MailboxKind, Message, Timestamp, attribute::judge};
use std::collections::BTreeMap;

/// Of messages that nobody sent (verdict NOT_A_PERSON), by mailbox. What only a system sent, such
/// as a rule, is left out: nobody can change that.
pub fn senders(messages: &[Message], directory: &Directory) -> Vec<Sender> {
    let mut senders: BTreeMap<(String, bool), (u64, Span)> = BTreeMap::new();
    for message in messages {
        let Some(mailbox) = &message.attribution.mailbox else {
            continue;
        };
        let registered = directory.registered(mailbox);
        if registered.is_some_and(|known| known.kind != MailboxKind::Shared) {
            continue;
        }
        let Some(is_application) = is_application(message, directory) else {
            continue;
        };
        let at = message.attribution.sent_at;
        let sender = senders.entry((mailbox.clone(), is_application));
        let (count, seen) = sender.or_insert((
            0,
            Span {
                first: at,
                last: at,
            },
        ));
        *count += 1;
        widen(seen, at);
    }
    let sender = |((mailbox, is_application), (messages, seen))| Sender {
        mailbox,
        is_application,
        messages,
        seen,
    };
    senders.into_iter().map(sender).collect()
}

fn widen(seen: &mut Span, at: Timestamp) {
    seen.first = seen.first.min(at);
    seen.last = seen.last.max(at);
}

/// The account itself counts before an application. `None`: neither.
fn is_application(message: &Message, directory: &Directory) -> Option<bool> {
    let judged = judge(&message.evidence, directory);
    let actors = || judged.iter().filter(|one| !one.event.failed);
    if actors().any(|one| matches!(one.actor, Actor::SharedMailbox(_))) {
        return Some(false);
    }
    actors()
        .any(|one| one.actor == Actor::Application)
        .then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Gathering, MessageKey, Revision, SendEvent,
        attribute::tests::{SUPPORT, at, mailbox_side, register},
        send_event::UserType,
    };
    use uuid::Uuid;

    fn message(events: &[SendEvent], directory: &Directory) -> Message {
        let mut gathering = Gathering::new(MessageKey(Uuid::nil()), None);
        gathering.add(events.iter().cloned());
        gathering.judge(directory, Revision(1)).message
    }

    /// The account itself, an application and the system, at this second.
    fn actors(second: i64) -> [SendEvent; 3] {
        let event = |record, user_id, user_type| SendEvent {
            time: at(second),
            user_type,
            ..mailbox_side(record, user_id)
        };
        [
            event(1, SUPPORT, None),
            event(2, "", Some(UserType::Application)),
            event(3, "s-1-5-18", None),
        ]
    }

    #[test]
    fn who_sends_without_being_a_person_is_counted() {
        let [account, application, system] = actors(0);
        let [later, ..] = actors(60);
        let failed = SendEvent {
            failed: true,
            ..account.clone()
        };
        let all: [&[SendEvent]; 5] = [
            &[later],
            &[account, application.clone()],
            std::slice::from_ref(&system),
            &[application.clone(), system.clone()],
            &[failed, application.clone()],
        ];
        let expected = |is_application, last| Sender {
            mailbox: SUPPORT.into(),
            is_application,
            messages: 2,
            seen: Span {
                first: at(0),
                last: at(last),
            },
        };
        let of = |kind| register(SUPPORT, kind, &[]);
        for register in [vec![], vec![of(MailboxKind::Shared)]] {
            let directory = Directory::new(register, []);
            let messages = all.map(|events| message(events, &directory));
            let found = senders(&messages, &directory);
            assert_eq!(found, [expected(false, 60), expected(true, 0)]);
        }
        // of a person's own mailbox nobody asks
        let directory = Directory::new(vec![of(MailboxKind::User)], []);
        let messages = all.map(|events| message(events, &directory));
        assert_eq!(senders(&messages, &directory), []);
    }
}
