//! People and mailboxes whose names are not in the record, or not the ones of today.

use super::SENT_AS;
use crate::simulate::{
    Account, Moment, Record, Truth,
    cast::{guid, puid},
    feed::{DAY, Feed},
    truth::{AGENT_SEND_AS, MAILBOX_SEND_AS, SEND, UNRESOLVED},
};

/// What stands in `UserId` where Exchange could not find the name.
#[derive(Clone, Copy, Debug)]
enum Identifier {
    Sid,
    Puid,
    ObjectId,
}

const IDENTIFIERS: [Identifier; 3] = [Identifier::Sid, Identifier::Puid, Identifier::ObjectId];

/// The record with an identifier for the name, and no other one beside it.
fn by_identifier(record: Record, who: &Account, identifier: Identifier) -> Record {
    let record = record.without(&["TokenObjectId", "TokenTenantId"]);
    match identifier {
        Identifier::Sid => record
            .with("UserId", who.sid.as_str())
            .with("UserKey", who.sid.as_str())
            .with("LogonUserSid", who.sid.as_str()),
        Identifier::Puid => record
            .with("UserId", who.puid.as_str())
            .with("UserKey", who.puid.as_str())
            .without(&["LogonUserSid"]),
        Identifier::ObjectId => record
            .with("UserId", who.object_id.to_string())
            .with("UserKey", "Not Available")
            .without(&["LogonUserSid"]),
    }
}

impl Feed {
    /// Another message of his, that tells all that there is to know of him.
    fn explain(&mut self, who: &Account, at: Moment) {
        let message = self.message(at);
        let record = self
            .scribe
            .send(at, &message.mail, who)
            .with("TokenObjectId", who.object_id.to_string());
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, SEND, at);
        self.is_true(&message, truth);
    }

    /// A message out of the mailbox's own log, which knows its address.
    fn explain_mailbox(&mut self, shared: &Account, at: Moment) {
        let who = self.agent();
        let message = self.message(at);
        let record = self.mailbox_side(&message, &who, shared, 0);
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// Shortly before it, or days after it.
    fn some_other_time(&mut self, at: Moment) -> Moment {
        if self.random.chance(50) {
            at.plus_ms(-self.random.between(1_000, 25 * 60_000))
        } else {
            at.plus_ms(self.random.between(1_000, 4 * DAY))
        }
    }

    fn some_time_after(&mut self, at: Moment) -> Moment {
        at.plus_ms(self.random.between(60_000, DAY))
    }

    pub(super) fn explained_id(&mut self, at: Moment) {
        let who = self.agent();
        let identifier = *self.random.pick(&IDENTIFIERS);
        self.sent_by_identifier(at, &who, identifier);
        let other = self.some_other_time(at);
        self.explain(&who, other);
    }

    /// The message of a person of whom the record has an identifier only.
    fn sent_by_identifier(&mut self, at: Moment, who: &Account, identifier: Identifier) {
        let shared = self.shared();
        let message = self.message(at);
        let (record, basis) = if self.random.chance(60) {
            let record = self.mailbox_side(&message, who, &shared, 0);
            (record, MAILBOX_SEND_AS)
        } else {
            (self.agent_side(&message, who, &shared, 0), AGENT_SEND_AS)
        };
        self.log(&message, &by_identifier(record, who, identifier));
        let truth = Truth::attributed(&who.upn, basis, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// Everything of the newcomer waits for the day on which his name is known.
    pub(super) fn explained_later(&mut self, at: Moment) {
        let (who, known_from) = (self.cast.newcomer.clone(), self.cast.known_from);
        let identifier = *self.random.pick(&IDENTIFIERS);
        self.sent_by_identifier(at, &who, identifier);
        let then = self.some_time_after(at.max(known_from));
        self.explain(&who, then);
    }

    pub(super) fn id_beside_name(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let named = self.mailbox_side(&message, &who, &shared, 0);
        let other = self.agent_side(&message, &who, &shared, later);
        let other = by_identifier(other, &who, Identifier::Sid);
        self.log_all(&message, &[named, other]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    /// An account of a domain that no record names.
    fn nobody(&mut self) -> Account {
        Account {
            sid: format!("S-1-5-21-7-7-7-{}", self.random.below(1 << 31)),
            puid: puid(&mut self.random),
            object_id: guid(&mut self.random),
            ..self.agent()
        }
    }

    pub(super) fn unknown_id(&mut self, at: Moment) {
        let (nobody, shared) = (self.nobody(), self.shared());
        let message = self.message(at);
        let record = self.mailbox_side(&message, &nobody, &shared, 0);
        let record = match self.random.below(6) {
            0 => by_identifier(record, &nobody, Identifier::Sid),
            1 => by_identifier(record, &nobody, Identifier::Puid),
            2 => by_identifier(record, &nobody, Identifier::ObjectId),
            form => by_identifier(record, &nobody, Identifier::Sid)
                .with("UserKey", "NOT-FOUND")
                .with(
                    "UserId",
                    match form {
                        3 => "NOT-FOUND",
                        4 => "",
                        _ => r#""host.example/admin.user" on behalf of "host.example/user1""#,
                    },
                ),
        };
        self.log(&message, &record);
        let truth = Truth::sent(UNRESOLVED, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// SendAs says on whose account it was sent, and that is another account than the one
    /// of the plain Send: every identifier of the two differs.
    pub(super) fn unknown_id_beside_send(&mut self, at: Moment) {
        let (nobody, who, shared) = (self.nobody(), self.agent(), self.shared());
        let identifier = *self.random.pick(&IDENTIFIERS);
        let message = self.message(at);
        let late = at.plus_ms(self.seconds_later());
        let record = self.mailbox_side(&message, &nobody, &shared, 0);
        let own = self
            .scribe
            .send(late, &message.mail, &who)
            .with("TokenObjectId", who.object_id.to_string());
        let record = by_identifier(record, &nobody, identifier);
        self.log_all(&message, &[record, own]);
        let truth = Truth::sent(UNRESOLVED, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// Every message of his is his under his newest name.
    pub(super) fn renamed_agent(&mut self, at: Moment) {
        let agent = self.cast.renamed_agent.clone();
        let (who, shared) = (agent.at(at), self.shared());
        let message = self.message(at);
        let mut records = vec![self.mailbox_side(&message, who, &shared, 0)];
        let mut truth =
            Truth::attributed(&agent.after.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        if self.random.chance(50) {
            let later = self.seconds_later();
            records.push(self.agent_side(&message, who, &shared, later));
            truth = truth.confirmed();
        }
        self.log_all(&message, &records);
        self.is_true(&message, truth);
        let then = self.some_time_after(at.max(agent.at));
        self.explain(&agent.after, then);
    }

    /// The agent's log has the address that he chose; the mailbox's own its primary one.
    pub(super) fn alias(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.cast.aliased.clone());
        let alias = self.cast.alias.clone();
        let message = self.message(at);
        let later = self.seconds_later();
        let agent = self.agent_side(&message, &who, &shared, 0);
        let mut records = vec![agent.with("SendAsUserSmtp", alias.as_str())];
        let truth = if self.random.chance(50) {
            let mailbox = self.mailbox_side(&message, &who, &shared, later);
            records.push(if self.random.chance(50) {
                mailbox.with("SendAsUserSmtp", alias)
            } else {
                mailbox
            });
            Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).confirmed()
        } else {
            Truth::attributed(&who.upn, AGENT_SEND_AS, at)
        };
        self.log_all(&message, &records);
        self.is_true(&message, truth.from(&shared.address));
        let other = self.some_other_time(at);
        self.explain_mailbox(&shared, other);
    }

    /// Every message out of it is out of the mailbox of today's address.
    pub(super) fn renamed_mailbox(&mut self, at: Moment) {
        let mailbox = self.cast.renamed_mailbox.clone();
        let (who, shared) = (self.agent(), mailbox.at(at));
        let message = self.message(at);
        let (record, basis) = if self.random.chance(50) {
            let record = self.mailbox_side(&message, &who, shared, 0);
            (record, MAILBOX_SEND_AS)
        } else {
            (self.agent_side(&message, &who, shared, 0), AGENT_SEND_AS)
        };
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, basis, at).from(&mailbox.after.address);
        self.is_true(&message, truth);
        let then = self.some_time_after(at.max(mailbox.at));
        self.explain_mailbox(&mailbox.after, then);
    }

    pub(super) fn guid_only(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let record = self.agent_side(&message, &who, &shared, 0);
        self.log(&message, &record.without(&SENT_AS[..1]));
        let truth = Truth::attributed(&who.upn, AGENT_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
        let other = self.some_other_time(at);
        self.explain_mailbox(&shared, other);
    }
}
