//! Writers that change messages again and again, readers that ask for them, and what they
//! did and saw.

use crate::{
    history::{Read, Shown, Write},
    stage::{Client, Message, RECORDS, Replica},
    support::TENANT,
};
use sentby::simulate::Random;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

const WRITERS: usize = 2; // a replica
const READERS: usize = 4; // a replica
/// So many messages are written to at a time.
const SLOTS: u64 = 24;

/// What writers and readers share.
pub struct Play {
    start: Instant,
    slots: Mutex<Vec<Slot>>,
    /// Batches on their way, or just acknowledged: some are sent twice.
    recent: Mutex<VecDeque<Vec<(u32, u8)>>>,
    /// The newest revision that anybody knows of.
    acknowledged: AtomicU64,
    /// Lookups to be made.
    left: AtomicI64,
    least: Duration,
    over: AtomicBool,
}

/// A message until it has all its records, then the next one.
#[derive(Clone, Copy)]
struct Slot {
    message: u32,
    records: u8,
}

impl Play {
    /// So many lookups, and for so long at least. The messages are new ones in each act.
    pub fn new(lookups: usize, least: Duration, act: u32) -> Self {
        // there are older ones from the beginning: nothing is ever stored of them
        let slot = |n: u64| Slot {
            message: act * 10_000_000 + (10 * SLOTS + n) as u32,
            records: 0,
        };
        Self {
            start: Instant::now(),
            slots: Mutex::new((0..SLOTS).map(slot).collect()),
            recent: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            left: AtomicI64::new(lookups as i64),
            least,
            over: AtomicBool::new(false),
        }
    }

    /// The readers are done.
    pub fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// On the clock of the play.
    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// What a writer sends next.
    fn batch(&self, random: &mut Random) -> Vec<(u32, u8)> {
        let mut recent = self.recent.lock().expect("no panic");
        if random.chance(15) && !recent.is_empty() {
            let again = random.below(recent.len() as u64) as usize;
            return recent[again].clone();
        }
        let mut slots = self.slots.lock().expect("no panic");
        let first = random.below(SLOTS);
        let batch: Vec<(u32, u8)> = (0..=random.below(3))
            .map(|n| {
                let slot = &mut slots[((first + n) % SLOTS) as usize];
                if slot.records == RECORDS {
                    slot.message += SLOTS as u32;
                    slot.records = 0;
                }
                slot.records += 1;
                (slot.message, slot.records - 1)
            })
            .collect();
        recent.push_back(batch.clone());
        if recent.len() > 8 {
            recent.pop_front();
        }
        batch
    }

    /// A message that a reader asks for: mostly one that is being written to.
    fn message(&self, random: &mut Random) -> u32 {
        let slots = self.slots.lock().expect("no panic");
        let slot = random.pick(&slots).message;
        let generation = SLOTS as u32;
        match random.below(20) {
            0..12 => slot,
            12..15 => slot + generation, // will be
            _ => slot - generation * (1 + random.below(10) as u32), // was
        }
    }

    fn asked(&self, random: &mut Random) -> u64 {
        let newest = self.acknowledged.load(Relaxed);
        match random.below(4) {
            0 | 1 => 0,
            2 => newest,
            _ => newest.saturating_sub(random.below(30)),
        }
    }
}

async fn write(play: Arc<Play>, client: Client, mut random: Random) -> Vec<Write> {
    let mut writes = Vec::new();
    while !play.is_over() {
        let records = play.batch(&mut random);
        let record = |&(number, n): &(u32, u8)| message(number).record(n);
        let content: Vec<_> = records.iter().map(record).collect();
        let call = play.now();
        let posted = client.post(TENANT, &content).await;
        let returned = play.now();
        let revision = posted.expect("a cache never fails an ingest").revision;
        play.acknowledged.fetch_max(revision, Relaxed);
        writes.push(Write {
            call,
            returned,
            revision,
            records,
        });
        sleep(Duration::from_micros(random.below(4_000))).await;
    }
    writes
}

fn message(number: u32) -> Message {
    Message {
        tenant: TENANT,
        number,
    }
}

/// What readers saw.
#[derive(Default)]
pub struct Seen {
    pub lookups: usize,
    pub reads: Vec<Read>,
    pub shown: Shown,
    pub slowest: Duration,
}

impl Seen {
    /// Asks for these messages and takes down what comes.
    async fn ask(&mut self, play: &Play, client: &Client, messages: &[u32], asked: u64, get: bool) {
        let mut ids: Vec<String> = messages
            .iter()
            .map(|&number| message(number).id())
            .collect();
        let call = play.now();
        let answers = if get {
            let id = ids.remove(0);
            client.get(TENANT, id, asked).await.map(|one| vec![one])
        } else {
            client.lookup(TENANT, ids, asked).await
        };
        let returned = play.now();
        let answers = answers.expect("a cache never fails a lookup");
        assert_eq!(answers.len(), messages.len());
        self.lookups += 1;
        self.slowest = self.slowest.max(returned - call);
        for (answer, &message) in answers.into_iter().zip(messages) {
            self.reads.push(Read {
                message,
                call,
                returned,
                asked,
                seen: answer.revision,
            });
            self.shown.add(message, answer);
        }
    }

    pub fn join(&mut self, other: Self) {
        self.lookups += other.lookups;
        self.reads.extend(other.reads);
        self.shown.join(other.shown);
        self.slowest = self.slowest.max(other.slowest);
    }
}

async fn read(play: Arc<Play>, client: Client, mut random: Random) -> Seen {
    let mut seen = Seen::default();
    loop {
        if play.left.fetch_sub(1, Relaxed) <= 0 {
            if play.now() >= play.least {
                return seen;
            }
            sleep(Duration::from_millis(10)).await; // only time is missing
        }
        let count = match random.below(3) {
            2 => 2 + random.below(19),
            _ => 1,
        };
        let messages: Vec<u32> = (0..count).map(|_| play.message(&mut random)).collect();
        let asked = play.asked(&mut random);
        let get = count == 1 && random.chance(50);
        seen.ask(&play, &client, &messages, asked, get).await;
    }
}

/// Writers and readers on all replicas until enough was asked.
pub async fn run(play: Arc<Play>, replicas: &[Replica], seed: u64) -> (Vec<Write>, Seen) {
    let mut random = Random(seed);
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    for replica in replicas {
        for _ in 0..WRITERS {
            let client = replica.client().await;
            writers.spawn(write(Arc::clone(&play), client, Random(random.next())));
        }
        for _ in 0..READERS {
            let client = replica.client().await;
            readers.spawn(read(Arc::clone(&play), client, Random(random.next())));
        }
    }
    let mut seen = Seen::default();
    while let Some(reader) = readers.join_next().await {
        seen.join(reader.expect("no reader fails"));
    }
    play.over.store(true, Relaxed);
    let writes: Vec<Write> = writers.join_all().await.concat();

    (writes, seen)
}

/// Each replica is asked once for all that was written, as of this revision.
pub async fn ask_all(play: &Play, replicas: &[Replica], writes: &[Write], asked: u64) -> Seen {
    let written = writes.iter().flat_map(|write| &write.records);
    let written: BTreeSet<u32> = written.map(|(message, _)| *message).collect();
    let written: Vec<u32> = written.into_iter().collect();
    let mut seen = Seen::default();
    for replica in replicas {
        let client = replica.client().await;
        for messages in written.chunks(500) {
            seen.ask(play, &client, messages, asked, false).await;
        }
    }
    seen
}
