//! Batches of known records, and what is true once they are stored.

use crate::{
    stage::{Message, RECORDS, blob_of},
    support::{OTHER_TENANT, TENANT, records::Record},
};
use sentby::{
    domain::TenantId,
    pb::{IngestAuditBatchRequest, IngestAuditBatchResponse},
    simulate::Random,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

pub const TENANTS: [TenantId; 3] = [
    TENANT,
    OTHER_TENANT,
    TenantId(Uuid::from_u128(0x3333_3333_3333_4333_8333_3333_3333_3333)),
];

/// So many messages of a tenant are written to at a time.
const SLOTS: usize = 12;
const TIME: &str = "2026-03-01T10:00:00";

/// The same bytes however often it is sent.
#[derive(Debug)]
pub struct Batch {
    pub tenant: TenantId,
    pub number: u64,
    /// Messages by number, and which of their records.
    pub records: Vec<(u32, u8)>,
    /// Records that do not matter, and some that cannot be read.
    pub noise: u64,
    pub broken: u64,
}

impl Batch {
    /// With these records alone.
    pub fn of(tenant: TenantId, number: u64, records: Vec<(u32, u8)>) -> Self {
        Self {
            tenant,
            number,
            records,
            noise: 0,
            broken: 0,
        }
    }

    pub fn request_id(&self) -> String {
        format!("batch-{}", self.number)
    }

    pub fn request(&self) -> IngestAuditBatchRequest {
        let message = |&(number, n): &(u32, u8)| {
            let tenant = self.tenant;
            Message { tenant, number }.record(n)
        };
        let mut records: Vec<Record> = self.records.iter().map(message).collect();
        // no two of them are the same, in whichever batch
        let id = |n: u64| 1 << 100 | u128::from(self.number) << 16 | u128::from(n);
        let noise = |n| Record::noise("MailItemsAccessed", id(n), TIME);
        records.extend((0..self.noise).map(noise));
        let broken = |n| Record::noise("SendAs", id(1_000 + n), "not a time");
        records.extend((0..self.broken).map(broken));
        IngestAuditBatchRequest {
            tenant_id: self.tenant.to_string(),
            content: blob_of(self.tenant, &records).into(),
            request_id: self.request_id(),
            ..Default::default()
        }
    }

    /// What it sent adds up, whoever was first with a record of it.
    #[track_caller]
    pub fn assert_answered(&self, answer: &IngestAuditBatchResponse) {
        let counts = answer.counts.expect("counts");
        let records = self.records.len() as u64;
        assert_eq!(counts.received, records + self.noise + self.broken);
        assert_eq!(counts.kept + counts.repeated, records, "{answer:?}");
        assert_eq!(counts.ignored, self.noise, "{answer:?}");
        assert_eq!(counts.quarantined, self.broken, "{answer:?}");
        assert_eq!(answer.quarantined_without_copy, 0);
        assert!(answer.revision > 0 && !answer.batch_id.is_empty());
    }
}

/// A batch that was sent until it was acknowledged, or given up.
#[derive(Debug)]
pub struct Sent {
    pub batch: Arc<Batch>,
    /// Of the first attempt.
    pub call: Duration,
    /// Each acknowledgement, and when it was there.
    pub answers: Vec<(Duration, IngestAuditBatchResponse)>,
}

/// A message until it has all its records, in an order of its own.
struct Slot {
    message: u32,
    left: Vec<u8>,
}

/// What is to be sent, and what was lately.
pub struct Batches(Mutex<Inner>);

struct Inner {
    next: u64,
    slots: [Vec<Slot>; TENANTS.len()],
    recent: VecDeque<Arc<Batch>>,
}

impl Batches {
    pub fn new() -> Self {
        let slot = |n| Slot {
            message: n as u32,
            left: Vec::new(),
        };
        Self(Mutex::new(Inner {
            next: 1,
            slots: TENANTS.map(|_| (0..SLOTS).map(slot).collect()),
            recent: VecDeque::new(),
        }))
    }

    /// Tells of each agent, so that nobody learns anything later.
    pub fn lesson(&self, tenant: TenantId) -> Arc<Batch> {
        let records = (0..RECORDS).map(|n| (u32::MAX, n)).collect();
        Arc::new(Batch::of(tenant, self.number(), records))
    }

    pub fn number(&self) -> u64 {
        let mut inner = self.0.lock().expect("no panic");
        inner.next += 1;
        inner.next
    }

    /// The next one, new or known: known as it is, or its records under another name.
    pub fn next(&self, random: &mut Random) -> Arc<Batch> {
        let mut inner = self.0.lock().expect("no panic");
        let recent = inner.recent.len() as u64;
        let old = (recent > 0).then(|| Arc::clone(&inner.recent[random.below(recent) as usize]));
        match old {
            Some(old) if random.chance(8) => return old,
            Some(old) if random.chance(8) => {
                inner.next += 1;
                let mut records = old.records.clone();
                random.shuffle(&mut records);
                return Arc::new(Batch::of(old.tenant, inner.next, records));
            }
            _ => {}
        }
        let of = random.below(TENANTS.len() as u64) as usize;
        let mut records: Vec<(u32, u8)> = (0..1 + random.below(5))
            .map(|_| inner.record(of, random))
            .collect();
        if random.chance(10) {
            records.push(records[0]);
        }
        inner.next += 1;
        let batch = Arc::new(Batch {
            noise: random.below(4),
            broken: u64::from(random.chance(10)),
            ..Batch::of(TENANTS[of], inner.next, records)
        });
        inner.recent.push_back(Arc::clone(&batch));
        if inner.recent.len() > 12 {
            inner.recent.pop_front();
        }
        batch
    }

    /// A message that somebody may ask for: mostly one that is written to.
    pub fn message(&self, of: usize, random: &mut Random) -> u32 {
        let inner = self.0.lock().expect("no panic");
        let slot = random.pick(&inner.slots[of]).message;
        let ago = SLOTS as u32 * random.below(10) as u32;
        match random.below(10) {
            0..6 => slot,
            6 => slot + SLOTS as u32, // will be
            _ => slot.saturating_sub(ago),
        }
    }
}

impl Inner {
    fn record(&mut self, of: usize, random: &mut Random) -> (u32, u8) {
        let slots = &mut self.slots[of];
        let at = random.below(slots.len() as u64) as usize;
        let slot = &mut slots[at];
        if slot.left.is_empty() {
            slot.message += SLOTS as u32;
            slot.left = (0..RECORDS).collect();
            random.shuffle(&mut slot.left);
        }
        let record = slot.left.pop().expect("some are left");
        (slot.message, record)
    }
}
