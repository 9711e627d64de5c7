//! Copies, contradictions and garbage.

use crate::simulate::{
    Account, Moment, Record, Truth,
    cast::guid,
    feed::{Feed, Kind, Message},
    truth::{AGENT_SEND_AS, MAILBOX_SEND_AS},
};

impl Feed {
    /// Three times the same, in three files.
    pub(super) fn repeated(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let mut record = self.agent_side(&message, &who, &shared, 0);
        self.log(&message, &record);
        for _ in 0..2 {
            record.shuffle(&mut self.random);
            let delay = self.delay();
            self.log_late(&record, delay);
        }
        let truth = Truth::attributed(&who.upn, AGENT_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// The two differ, but not in who it was.
    pub(super) fn two_contents(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let first = self.mailbox_side(&message, &who, &shared, 0);
        let second = match self.random.below(3) {
            0 => first.clone().with("UserType", 2),
            1 => first.clone().with("LogonType", 1),
            _ => first.clone().with("UserId", who.upn.to_uppercase()),
        };
        self.log_all(&message, &[first, second]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// Whichever came first: nobody knows which is right.
    pub(super) fn two_contents_two_people(&mut self, at: Moment) {
        let ([one, other], shared) = (self.two_agents(), self.shared());
        let message = self.message(at);
        let first = self.mailbox_side(&message, &one, &shared, 0);
        let second = self.mailbox_side(&message, &other, &shared, 0);
        let id = first.get("Id").cloned().unwrap_or_default();
        self.log_all(&message, &[first, second.with("Id", id)]);
        let truth = Truth::conflict([&one, &other], MAILBOX_SEND_AS, at);
        self.is_true(&message, truth.from(&shared.address));
    }

    /// A tool on the way cut a long record; another copy is whole.
    pub(super) fn cut_off(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let mut record = self.mailbox_side(&message, &who, &shared, 0);
        self.scribe.add_recipients(&mut record, 150);
        self.log(&message, &record);
        let cut = if self.random.chance(60) {
            10_000
        } else {
            // in the middle of something, but after the tenant's name
            self.random.below(9_000) + 900
        };
        let delay = self.delay();
        let cut = usize::try_from(cut).ok();
        self.post(&record, Kind::CutOff, delay, cut);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// It was sent, but not in this tenant.
    pub(super) fn foreign(&mut self, at: Moment) {
        let message = self.message(at);
        self.post_foreign(&message);
        self.is_true(&message, Truth::pending());
    }

    pub(super) fn foreign_same_id(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        self.post_foreign(&message);
        let record = self.mailbox_side(&message, &who, &shared, 0);
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    fn post_foreign(&mut self, message: &Message) {
        let (who, log): (Account, Account) = (self.stranger(), self.shared());
        let tenant = guid(&mut self.random).to_string();
        let record: Record = self.mailbox_side(message, &who, &log, 0);
        let record = record
            .with("OrganizationId", tenant)
            .with("OrganizationName", "elsewhere.onmicrosoft.com");
        let delay = self.delay();
        self.post(&record, Kind::Foreign, delay, None);
    }
}
