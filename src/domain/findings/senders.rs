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
