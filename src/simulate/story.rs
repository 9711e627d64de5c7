//! Which stories there are, and how often each is told.

use super::Random;

macro_rules! stories {
    ($($story:ident $name:literal $weight:literal $(#[$about:meta])*;)*) => {
        /// What happened to one message. The weights are those of a feed that
        /// shows everything: in a real tenant the odd ones are rarer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Story {
            $($(#[$about])* $story,)*
        }

        impl Story {
            pub const ALL: &'static [Self] = &[$(Self::$story),*];

            /// As `truth.csv` has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$story => $name,)*
                }
            }

            /// How often it is told, among all the others.
            fn weight(self) -> usize {
                match self {
                    $(Self::$story => $weight,)*
                }
            }
        }
    };
}

stories! {
    BothSides "both_sides" 150 /** SendAs in both logs, seconds apart. */;
    MailboxSide "mailbox_side" 40 /** SendAs in the shared mailbox's log only. */;
    AgentSide "agent_side" 24 /** SendAs in the agent's log only. */;
    MailboxSideAndOwnSend "mailbox_side_and_own_send" 24 /** The agent's side is a plain Send. */;
    OwnSend "own_send" 30 /** Private mail. */;
    OnBehalfBoth "on_behalf_both" 8 /** SendOnBehalf in both logs. */;
    OnBehalfMailboxSide "on_behalf_mailbox_side" 4 /** In the shared mailbox's only. */;
    OnBehalfAgentSide "on_behalf_agent_side" 4 /** In the agent's only. */;
    SendAsAndOnBehalf "send_as_and_on_behalf" 4 /** One of each for one message. */;
    TwoPeople "two_people" 3 /** SendAs of two people: nobody knows. */;
    Contradicted "contradicted" 3 /** SendAs of one, plain Send of another. */;
    TwoOwnSends "two_own_sends" 2 /** Plain Sends of two people. */;
    Application "application" 5 /** An application's Send. */;
    ApplicationAndPerson "application_and_person" 3 /** A person's SendAs beside it. */;
    System "system" 4 /** The service itself, as a group. */;
    SharedAccount "shared_account" 5 /** Signed in as the shared mailbox itself. */;
    SharedAccountAndPerson "shared_account_and_person" 3 /** A person's SendAs beside it. */;
    SharedAccountOtherName "shared_account_other_name" 3 /** Its account has another name. */;
    ExplainedId "explained_id" 4 /** A SID, PUID or object id that another record explains. */;
    ExplainedLater "explained_later" 3 /** Nothing explains it before some day. */;
    IdBesideName "id_beside_name" 3 /** The other side of the message explains it. */;
    UnknownId "unknown_id" 4 /** Nothing ever explains it. */;
    UnknownIdBesideSend "unknown_id_beside_send" 3 /** And the plain Send is another account's. */;
    Failed "failed" 3 /** An attempt, and nothing else. */;
    FailedThenSent "failed_then_sent" 3 /** An attempt, and then it was sent. */;
    NoMessageId "no_message_id" 4 /** It cannot be looked up. */;
    OddMessageId "odd_message_id" 6 /** Without brackets, folded, of another program. */;
    Repeated "repeated" 4 /** One record several times, its keys in another order. */;
    TwoContents "two_contents" 3 /** One record id with two contents, which agree. */;
    TwoContentsTwoPeople "two_contents_two_people" 1 /** One record id, two people. */;
    LateCopy "late_copy" 4 /** A copy comes five days late. */;
    LateSide "late_side" 6 /** The second side comes days late. */;
    NotSent "not_sent" 4 /** Read by somebody, or a draft. */;
    ReadAndSent "read_and_sent" 6 /** Drafted, sent, and read by others. */;
    MeetingResponse "meeting_response" 5 /** `Accepted: …` */;
    Guest "guest" 4 /** `#EXT#` */;
    Claims "claims" 3 /** A claims prefix before the name. */;
    Administrator "administrator" 4 /** `LogonType` 1. */;
    OddSpelling "odd_spelling" 8 /** Other cases of keys; numbers as text; names for numbers. */;
    RenamedAgent "renamed_agent" 5 /** His name changes in the middle. */;
    Alias "alias" 5 /** Sent as the second address of a mailbox. */;
    RenamedMailbox "renamed_mailbox" 4 /** Its address changes in the middle. */;
    GuidOnly "guid_only" 4 /** The mailbox by its GUID only. */;
    SettingsChanged "settings_changed" 1 /** Records of administrators around it. */;
    CutOff "cut_off" 3 /** A copy of a record is cut off. */;
    Foreign "foreign" 2 /** Another tenant's message. */;
    ForeignSameId "foreign_same_id" 2 /** Another tenant's record of the same message. */;
}

impl Story {
    /// Another message of the same person or mailbox explains the first one.
    pub(super) fn tells_of_two(self) -> bool {
        matches!(
            self,
            Self::ExplainedId
                | Self::ExplainedLater
                | Self::RenamedAgent
                | Self::Alias
                | Self::RenamedMailbox
                | Self::GuidOnly
        )
    }
}

/// Cards for stories: each is told as often as it weighs, in a random order.
#[derive(Clone, Debug)]
pub(super) struct Deck {
    stories: Vec<Story>,
    cards: Vec<Story>,
    is_first: bool,
}

impl Deck {
    pub fn of(stories: &[Story]) -> Self {
        Self {
            stories: stories.to_vec(),
            cards: Vec::new(),
            is_first: true,
        }
    }

    pub fn draw(&mut self, random: &mut Random) -> Story {
        if self.cards.is_empty() {
            // the first one is thinner: also a short feed has most of the rare ones
            let thinner = if self.is_first { 2 } else { 1 };
            self.is_first = false;
            for &story in &self.stories {
                let cards = story.weight().div_ceil(thinner);
                self.cards.extend(std::iter::repeat_n(story, cards));
            }
            random.shuffle(&mut self.cards);
        }
        self.cards.pop().unwrap_or(Story::BothSides)
    }
}
