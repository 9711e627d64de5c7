//! What happens every day.

use super::SENT_AS;
use crate::simulate::{
    Moment, Truth,
    feed::{DAY, Feed},
    truth::{
        AGENT_SEND_AS, AGENT_SEND_ON_BEHALF, MAILBOX_SEND_AS, MAILBOX_SEND_ON_BEHALF, NOT_A_PERSON,
        SEND,
    },
};

impl Feed {
    pub(super) fn both_sides(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        // either may come first
        let (mailbox, agent) = if self.random.chance(50) {
            (0, later)
        } else {
            (later, 0)
        };
        let mailbox = self.mailbox_side(&message, &who, &shared, mailbox);
        let mut agent = self.agent_side(&message, &who, &shared, agent);
        if self.random.chance(30) {
            agent.set("UserId", who.upn.to_uppercase());
        }
        self.log_all(&message, &[mailbox, agent]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    pub(super) fn mailbox_side_only(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let mut record = self.mailbox_side(&message, &who, &shared, 0);
        if self.random.chance(50) {
            record = record.without(&SENT_AS); // then the owner of the log is all there is
        }
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    pub(super) fn agent_side_only(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let record = self.agent_side(&message, &who, &shared, 0);
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, AGENT_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    pub(super) fn mailbox_side_and_own_send(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let mailbox = self.mailbox_side(&message, &who, &shared, 0);
        let own = self.scribe.send(at.plus_ms(later), &message.mail, &who);
        self.log_all(&message, &[mailbox, own]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    pub(super) fn own_send(&mut self, at: Moment) {
        let who = self.agent();
        let message = self.message(at);
        let record = self.scribe.send(at, &message.mail, &who);
        self.log(&message, &record);
        self.is_true(&message, Truth::attributed(&who.upn, SEND, at));
    }

    pub(super) fn on_behalf(&mut self, at: Moment, mailbox_side: bool, agent_side: bool) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let mail = &message.mail;
        if mailbox_side {
            let record = self.scribe.send_on_behalf(at, mail, &who, &shared, &shared);
            self.log(&message, &record);
        }
        if agent_side {
            let ms = if mailbox_side {
                self.seconds_later()
            } else {
                0
            };
            let at = at.plus_ms(ms);
            let record = self.scribe.send_on_behalf(at, mail, &who, &who, &shared);
            self.log(&message, &record);
        }
        let basis = if mailbox_side {
            MAILBOX_SEND_ON_BEHALF
        } else {
            AGENT_SEND_ON_BEHALF
        };
        let truth = Truth::attributed(&who.upn, basis, at).from(&shared.address);
        self.is_true(
            &message,
            if mailbox_side && agent_side {
                truth.confirmed()
            } else {
                truth
            },
        );
    }

    /// With both rights Exchange uses SendAs; a log may have one of each.
    pub(super) fn send_as_and_on_behalf(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let (as_, behalf, basis) = if self.random.chance(50) {
            (&shared, &who, MAILBOX_SEND_AS)
        } else {
            (&who, &shared, AGENT_SEND_AS)
        };
        let (mail, late) = (&message.mail, at.plus_ms(later));
        let send_as = self.scribe.send_as(at, mail, &who, as_, &shared);
        let on_behalf = self
            .scribe
            .send_on_behalf(late, mail, &who, behalf, &shared);
        self.log_all(&message, &[send_as, on_behalf]);
        let truth = Truth::attributed(&who.upn, basis, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    pub(super) fn two_people(&mut self, at: Moment) {
        let ([one, other], shared) = (self.two_agents(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let first = self.mailbox_side(&message, &one, &shared, 0);
        let second = self.agent_side(&message, &other, &shared, later);
        self.log_all(&message, &[first, second]);
        let truth = Truth::conflict([&one, &other], MAILBOX_SEND_AS, at);
        self.is_true(&message, truth.from(&shared.address));
    }

    /// Only the SendAs says on whose account it was sent, so it is believed.
    pub(super) fn contradicted(&mut self, at: Moment) {
        let ([one, other], shared) = (self.two_agents(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let mut records = vec![self.mailbox_side(&message, &one, &shared, 0)];
        let mut truth = Truth::attributed(&one.upn, MAILBOX_SEND_AS, at)
            .from(&shared.address)
            .contradicted();
        if self.random.chance(50) {
            records.push(self.agent_side(&message, &one, &shared, later));
            truth = truth.confirmed();
        }
        let late = at.plus_ms(later);
        records.push(self.scribe.send(late, &message.mail, &other));
        self.log_all(&message, &records);
        self.is_true(&message, truth);
    }

    pub(super) fn two_own_sends(&mut self, at: Moment) {
        let [one, other] = self.two_agents();
        let message = self.message(at);
        let late = at.plus_ms(self.seconds_later());
        let first = self.scribe.send(at, &message.mail, &one);
        let second = self.scribe.send(late, &message.mail, &other);
        self.log_all(&message, &[first, second]);
        self.is_true(&message, Truth::conflict([&one, &other], SEND, at));
    }

    pub(super) fn application(&mut self, at: Moment, and_a_person: bool) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let record = self.scribe.application_send(at, &message.mail, &shared);
        self.log(&message, &record);
        let truth = if and_a_person {
            let record = self.mailbox_side(&message, &who, &shared, later);
            self.log(&message, &record);
            Truth::attributed(&who.upn, MAILBOX_SEND_AS, at)
        } else {
            Truth::sent(NOT_A_PERSON, SEND, at)
        };
        self.is_true(&message, truth.from(&shared.address));
    }

    /// Somebody has the password of the shared account. Who, nobody can tell.
    pub(super) fn shared_account(&mut self, at: Moment) {
        let shared = self.shared_of_one_name();
        let message = self.message(at);
        let record = self.scribe.send(at, &message.mail, &shared);
        self.log(&message, &record);
        let truth = Truth::sent(NOT_A_PERSON, SEND, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// A person is a better answer than nobody.
    pub(super) fn shared_account_and_person(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared_of_one_name());
        let message = self.message(at);
        let later = self.seconds_later();
        let own = self.scribe.send(at, &message.mail, &shared);
        let mailbox = self.mailbox_side(&message, &who, &shared, later);
        self.log_all(&message, &[own, mailbox]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// Its account is named by the tenant's first domain; only the log says whose it is.
    pub(super) fn shared_account_other_name(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.cast.shared[0].clone());
        let message = self.message(at);
        let later = self.seconds_later();
        let own = self.scribe.send(at, &message.mail, &shared);
        self.log(&message, &own);
        let truth = if self.random.chance(30) {
            let mailbox = self.mailbox_side(&message, &who, &shared, later);
            self.log(&message, &mailbox);
            Truth::attributed(&who.upn, MAILBOX_SEND_AS, at)
        } else {
            Truth::sent(NOT_A_PERSON, SEND, at)
        };
        self.is_true(&message, truth.from(&shared.address));
    }

    /// An attempt without the right to.
    pub(super) fn failed(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let record = self.mailbox_side(&message, &who, &shared, 0);
        self.log(&message, &record.with("ResultStatus", "Failed"));
        self.is_true(&message, Truth::pending());
    }

    pub(super) fn failed_then_sent(&mut self, at: Moment) {
        let ([who, other], shared) = (self.two_agents(), self.shared());
        let message = self.message(at);
        // his own first attempt, or somebody else's
        let first = if self.random.chance(50) { &who } else { &other };
        let failed = self.agent_side(&message, first, &shared, -2_000);
        let sent = self.mailbox_side(&message, &who, &shared, 0);
        self.log_all(&message, &[failed.with("ResultStatus", "Failed"), sent]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    pub(super) fn late_copy(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let record = self.agent_side(&message, &who, &shared, 0);
        self.log(&message, &record);
        self.log_late(&record, 5 * DAY);
        let truth = Truth::attributed(&who.upn, AGENT_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// It was known already; now it is confirmed.
    pub(super) fn late_side(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let mut records = [
            self.mailbox_side(&message, &who, &shared, 0),
            self.agent_side(&message, &who, &shared, later),
        ];
        self.random.shuffle(&mut records);
        self.log(&message, &records[0]);
        let days = self.random.between(2, 6);
        self.log_late(&records[1], days * DAY);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    pub(super) fn meeting_response(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let mut message = self.message(at);
        let kind = *self.random.pick(&["Accepted", "Tentative", "Declined"]);
        message.mail.subject = format!("{kind}: Weekly support stand-up");
        let truth = if self.random.chance(60) {
            let record = self.scribe.send(at, &message.mail, &who);
            self.log(&message, &record);
            Truth::attributed(&who.upn, SEND, at)
        } else {
            let record = self.mailbox_side(&message, &who, &shared, 0);
            self.log(&message, &record);
            Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address)
        };
        self.is_true(&message, truth);
    }
}
