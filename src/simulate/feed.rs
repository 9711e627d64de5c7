//! Tells stories, and delivers their records as Microsoft does: late, repeated, out of order.

use super::{
    Account, Envelope, Mail, Moment, Plan, Random, Record, Scribe, Story, Truth, cast::Cast,
    story::Deck,
};
use std::{cmp::Reverse, collections::BinaryHeap};
use uuid::Uuid;

/// What a record is to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A send event of the tenant.
    Send,
    /// An administrator's change that is kept.
    Admin,
    /// Of another operation.
    Noise,
    /// Of another tenant: cannot be taken in.
    Foreign,
    /// Cut off: cannot be taken in. Its whole copy is in the feed too.
    CutOff,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Admin => "admin",
            Self::Noise => "noise",
            Self::Foreign => "foreign",
            Self::CutOff => "cut_off",
        }
    }
}

/// One record as it arrives.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub due: Moment,
    pub kind: Kind,
    /// The native record, whole.
    pub json: String,
    /// Of this row or line, in whatever envelope, arrive so many characters.
    pub cut: Option<usize>,
    sequence: u64,
}

/// The log of one tenant in the order of its delivery. Holds only what is not delivered yet.
#[derive(Clone, Debug)]
pub struct Feed {
    plan: Plan,
    pub(super) cast: Cast,
    pub(super) scribe: Scribe,
    pub(super) random: Random,
    deck: Deck,
    /// Of this tenant.
    messages: u64,
    told: u64,
    now: Moment,
    story: Story,
    /// Records of other operations that are still to come.
    noise: f64,
    outbox: BinaryHeap<Reverse<Pending>>,
    sequence: u64,
    truth: Vec<Truth>,
    pub(super) without_id: u64,
}

/// One message while its story is told.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub at: Moment,
    pub mail: Mail,
    /// How long its first record is on the way.
    delay: i64,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// Of a hundred records.
const REPEATED: u64 = 12;

impl Feed {
    pub fn of(plan: &Plan, tenant: usize) -> Self {
        let cast = Cast::of(plan, tenant);
        let (tenants, number) = (plan.tenants.max(1) as u64, tenant as u64);
        let mut random = Random(plan.seed ^ number.wrapping_mul(0x9e37_79b9));
        Self {
            scribe: Scribe::new(cast.tenant, &cast.organization, random.next()),
            cast,
            random,
            deck: Deck::of(&plan.stories),
            messages: plan.messages / tenants + u64::from(number < plan.messages % tenants),
            told: 0,
            now: plan.start,
            story: Story::BothSides,
            noise: 0.0,
            outbox: BinaryHeap::new(),
            sequence: 0,
            truth: Vec::new(),
            without_id: 0,
            plan: plan.clone(),
        }
    }

    /// Content blobs of so many records each, as the Management Activity API answers them.
    /// The truth is forgotten.
    pub fn blobs(mut self, records: usize) -> impl Iterator<Item = Vec<u8>> {
        std::iter::from_fn(move || {
            let part: Vec<Delivered> = self.by_ref().take(records.max(1)).collect();
            self.truth.clear();
            (!part.is_empty()).then(|| Envelope::Blob.wrap(&part, &mut Random(0)))
        })
    }

    pub fn tenant(&self) -> Uuid {
        self.cast.tenant
    }

    /// The shared mailboxes that the tenant registers.
    pub fn register(&self) -> Vec<String> {
        self.cast.register()
    }

    /// What has become true since the last call, in the order of the stories. Take it as
    /// the feed goes on: it is kept until then.
    pub fn take_truth(&mut self) -> Vec<Truth> {
        std::mem::take(&mut self.truth)
    }

    /// Messages so far whose records have no message id, so that nobody can ask for them.
    pub fn without_id(&self) -> u64 {
        self.without_id
    }

    /// The next story. Nothing of it arrives before `now`.
    fn tell_next(&mut self) {
        let gap = self.plan.span_ms() / self.messages.max(1).cast_signed();
        let at = self.plan.start.plus_ms(gap * self.told.cast_signed());
        self.now = at;
        self.story = self.deck.draw(&mut self.random);
        if self.story.tells_of_two() && self.messages - self.told < 2 {
            self.story = Story::BothSides;
        }
        let jitter = self.random.between(0, gap.max(1));
        let before = self.sequence;
        self.tell(self.story, at.plus_ms(jitter));
        let events = self.sequence - before;
        self.noise += self.plan.noise * f64::from(u32::try_from(events).unwrap_or(0));
        while self.noise >= 1.0 {
            self.noise -= 1.0;
            let at = at.plus_ms(self.random.between(0, gap.max(1)));
            let record = self.scribe.noise(at, &self.cast);
            let delay = self.delay();
            self.deliver(&record, Kind::Noise, delay);
        }
    }

    /// A message of the story that is being told.
    pub(super) fn message(&mut self, at: Moment) -> Message {
        self.told += 1;
        Message {
            at,
            mail: self.scribe.mail(),
            delay: self.delay(),
        }
    }

    pub(super) fn agent(&mut self) -> Account {
        self.random.pick(&self.cast.agents).clone()
    }

    pub(super) fn two_agents(&mut self) -> [Account; 2] {
        let first = self.agent();
        loop {
            let second = self.agent();
            if second != first {
                return [first, second];
            }
        }
    }

    pub(super) fn shared(&mut self) -> Account {
        self.random.pick(&self.cast.shared).clone()
    }

    /// Its account is named as the mailbox is.
    pub(super) fn shared_of_one_name(&mut self) -> Account {
        self.random.pick(&self.cast.shared[1..]).clone()
    }

    /// The log has this record of the message; it comes with the others, or some time later.
    pub(super) fn log(&mut self, message: &Message, record: &Record) {
        let delay = if self.random.chance(70) {
            message.delay + self.random.between(0, 12_000)
        } else {
            self.delay()
        };
        self.deliver(record, Kind::Send, delay);
    }

    pub(super) fn log_late(&mut self, record: &Record, delay: i64) {
        self.post(record, Kind::Send, delay, None);
    }

    /// `truth` of the message; its id as a caller has it.
    pub(super) fn is_true(&mut self, message: &Message, truth: Truth) {
        let id = message.mail.message_id.as_str();
        let bare = id.trim_start_matches('<').trim_end_matches('>');
        let message_id = if self.random.chance(30) { id } else { bare };
        self.truth.push(Truth {
            message_id: message_id.to_owned(),
            tenant_id: self.cast.tenant,
            story: self.story.name().to_owned(),
            ..truth
        });
    }

    /// Milliseconds from an event to its delivery: 60 to 90 minutes, some hours, some days.
    pub(super) fn delay(&mut self) -> i64 {
        match self.random.below(1_000) {
            0..900 => self.random.between(60 * MINUTE, 90 * MINUTE),
            900..990 => self.random.between(90 * MINUTE, 8 * HOUR),
            _ => self.random.between(8 * HOUR, 5 * DAY),
        }
    }

    /// Once or more often: copies are designed behaviour.
    pub(super) fn deliver(&mut self, record: &Record, kind: Kind, delay: i64) {
        self.post(record, kind, delay, None);
        if !self.random.chance(REPEATED) {
            return;
        }
        let later = match self.random.below(100) {
            0..5 => 5 * DAY,
            _ => self.random.between(0, 100 * MINUTE),
        };
        if self.random.chance(25) {
            let mut copy = record.clone();
            copy.shuffle(&mut self.random);
            self.post(&copy, kind, delay + later, None);
        } else {
            self.post(record, kind, delay + later, None);
        }
    }

    pub(super) fn post(&mut self, record: &Record, kind: Kind, delay: i64, cut: Option<usize>) {
        self.sequence += 1;
        self.outbox.push(Reverse(Pending(Delivered {
            due: record.at.plus_ms(delay),
            kind,
            json: record.json(),
            cut,
            sequence: self.sequence,
        })));
    }
}

impl Iterator for Feed {
    type Item = Delivered;

    fn next(&mut self) -> Option<Delivered> {
        loop {
            let told = self.told >= self.messages;
            match self.outbox.peek() {
                Some(Reverse(first)) if told || first.0.due <= self.now => {
                    return self.outbox.pop().map(|Reverse(first)| first.0);
                }
                None if told => return None,
                _ => self.tell_next(),
            }
        }
    }
}

/// In the order of delivery; the sequence makes it the same every time.
#[derive(Clone, Debug)]
struct Pending(Delivered);

impl Pending {
    fn key(&self) -> (Moment, u64) {
        (self.0.due, self.0.sequence)
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
