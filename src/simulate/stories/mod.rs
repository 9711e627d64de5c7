//! The stories: what the log holds of a message, and what a careful person who knows all of
//! it would say. Nothing here looks at how the service judges.

mod broken;
mod identity;
mod odd;
mod usual;

use super::{
    Account, Moment, Record, Story,
    feed::{Feed, Message},
};

impl Feed {
    pub(super) fn tell(&mut self, story: Story, at: Moment) {
        use Story as S;
        match story {
            S::BothSides => self.both_sides(at),
            S::MailboxSide => self.mailbox_side_only(at),
            S::AgentSide => self.agent_side_only(at),
            S::MailboxSideAndOwnSend => self.mailbox_side_and_own_send(at),
            S::OwnSend => self.own_send(at),
            S::OnBehalfBoth => self.on_behalf(at, true, true),
            S::OnBehalfMailboxSide => self.on_behalf(at, true, false),
            S::OnBehalfAgentSide => self.on_behalf(at, false, true),
            S::SendAsAndOnBehalf => self.send_as_and_on_behalf(at),
            S::TwoPeople => self.two_people(at),
            S::Contradicted => self.contradicted(at),
            S::TwoOwnSends => self.two_own_sends(at),
            S::Application => self.application(at, false),
            S::ApplicationAndPerson => self.application(at, true),
            S::System => self.system(at),
            S::SharedAccount => self.shared_account(at),
            S::SharedAccountAndPerson => self.shared_account_and_person(at),
            S::SharedAccountOtherName => self.shared_account_other_name(at),
            S::ExplainedId => self.explained_id(at),
            S::ExplainedLater => self.explained_later(at),
            S::IdBesideName => self.id_beside_name(at),
            S::UnknownId => self.unknown_id(at),
            S::UnknownIdBesideSend => self.unknown_id_beside_send(at),
            S::Failed => self.failed(at),
            S::FailedThenSent => self.failed_then_sent(at),
            S::NoMessageId => self.no_message_id(at),
            S::OddMessageId => self.odd_message_id(at),
            S::Repeated => self.repeated(at),
            S::TwoContents => self.two_contents(at),
            S::TwoContentsTwoPeople => self.two_contents_two_people(at),
            S::LateCopy => self.late_copy(at),
            S::LateSide => self.late_side(at),
            S::NotSent => self.not_sent(at),
            S::ReadAndSent => self.read_and_sent(at),
            S::MeetingResponse => self.meeting_response(at),
            S::Guest => self.guest(at),
            S::Claims => self.claims(at),
            S::Administrator => self.administrator(at),
            S::OddSpelling => self.odd_spelling(at),
            S::RenamedAgent => self.renamed_agent(at),
            S::Alias => self.alias(at),
            S::RenamedMailbox => self.renamed_mailbox(at),
            S::GuidOnly => self.guid_only(at),
            S::SettingsChanged => self.settings_changed(at),
            S::CutOff => self.cut_off(at),
            S::Foreign => self.foreign(at),
            S::ForeignSameId => self.foreign_same_id(at),
        }
    }

    /// SendAs in the log of the shared mailbox, so many milliseconds after the first record.
    fn mailbox_side(
        &mut self,
        message: &Message,
        who: &Account,
        shared: &Account,
        ms: i64,
    ) -> Record {
        let at = message.at.plus_ms(ms);
        let mail = &message.mail;
        self.scribe.send_as(at, mail, who, shared, shared)
    }

    /// SendAs in his own log.
    fn agent_side(
        &mut self,
        message: &Message,
        who: &Account,
        shared: &Account,
        ms: i64,
    ) -> Record {
        let at = message.at.plus_ms(ms);
        self.scribe.send_as(at, &message.mail, who, who, shared)
    }

    /// Each side stamps its own time: the other one's record is some seconds younger.
    fn seconds_later(&mut self) -> i64 {
        self.random.between(0, 5_000)
    }

    fn log_all(&mut self, message: &Message, records: &[Record]) {
        for record in records {
            self.log(message, record);
        }
    }
}

/// The fields that say as whom it was sent.
const SENT_AS: [&str; 2] = ["SendAsUserSmtp", "SendAsUserMailboxGuid"];
