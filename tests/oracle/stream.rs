//! Records that are hostile in what matters to the rule, made from a seed: a few messages that
//! everything happens to, many that little happens to, and people whose names do not stay.

use super::people::Entry;
use crate::support::{OTHER_TENANT, TENANT, feed::Random};
use serde_json::{Value, json};
use uuid::Uuid;

/// What a tenant sends, and what is registered of it.
#[derive(Clone, Debug)]
pub struct Stream {
    pub seed: u64,
    pub records: Vec<String>,
    pub register: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub struct Account {
    /// Names in the order of their use: one, or more of somebody who is renamed.
    pub upns: Vec<String>,
    /// Of the mailbox, in the same order; the last are its aliases.
    pub addresses: Vec<String>,
    pub alias: String,
    pub sid: String,
    pub puid: String,
    pub object: Uuid,
    pub mailbox: Uuid,
}

/// How much of what there is in a stream: not every one has everything, or nothing would show.
#[derive(Clone, Debug)]
pub struct Mood {
    /// Of a hundred events.
    pub nameless: u64,
    pub mixed_up: u64,
    pub failed: u64,
    pub nobody: u64,
    pub lacking: u64,
    pub odd_time: u64,
    pub odd: u64,
    /// Names that go from one to the next, and back.
    pub drama: u64,
    /// All within so many seconds.
    pub span: u64,
}

pub struct Teller {
    /// Who is explained at the end.
    pub late: Vec<Account>,
    pub random: Random,
    pub mood: Mood,
    pub people: Vec<Account>,
    pub shared: Vec<Account>,
    pub records: Vec<Value>,
}

pub const START: i64 = 1_772_409_600; // Monday, 2026-03-02

impl Stream {
    pub fn of(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let mood = Mood {
            nameless: *random.pick(&[0, 5, 30]),
            mixed_up: *random.pick(&[0, 0, 3, 20]),
            failed: *random.pick(&[0, 5, 20]),
            nobody: *random.pick(&[0, 5, 25]),
            lacking: *random.pick(&[0, 5, 25]),
            odd_time: *random.pick(&[0, 10]),
            odd: *random.pick(&[0, 3, 15]),
            drama: *random.pick(&[0, 0, 8, 50]),
            span: *random.pick(&[60, 5 * 3_600, 20 * 86_400]),
        };
        let people = (0..random.between(3, 9))
            .map(|n| person(&mut random, n))
            .collect();
        let shared = (0..3).map(|n| shared(&mut random, n)).collect();
        let mut teller = Teller {
            late: Vec::new(),
            random,
            mood,
            people,
            shared,
            records: Vec::new(),
        };
        teller.tell();
        let register = teller.register();
        let mut records: Vec<String> = teller.records.iter().map(Value::to_string).collect();
        let noise = teller.noise();
        records.extend(noise);
        teller.random.shuffle(&mut records);
        records.extend(teller.explanations());
        Self {
            seed,
            records,
            register,
        }
    }
}

pub fn guid(random: &mut Random) -> Uuid {
    Uuid::from_u128(random.id())
}

pub fn account(random: &mut Random, upns: Vec<String>, addresses: Vec<String>) -> Account {
    Account {
        alias: format!("alias-{}", addresses[0]),
        upns,
        addresses,
        sid: format!("S-1-5-21-1-2-{}", random.below(1 << 31)),
        puid: format!("1003{:012X}", random.next() >> 16),
        object: guid(random),
        mailbox: guid(random),
    }
}

fn person(random: &mut Random, n: i64) -> Account {
    let upn = format!("Agent{n}@contoso.com");
    match random.below(6) {
        0 => {
            let new = format!("married{n}@contoso.com");
            account(random, vec![upn.clone(), new.clone()], vec![upn, new])
        }
        1 => account(
            random,
            vec![upn],
            vec![format!("first.last{n}@contoso.com")],
        ),
        2 => {
            let guest = format!("guest{n}_partner.com#EXT#@contoso.onmicrosoft.com");
            account(random, vec![guest.clone()], vec![guest])
        }
        _ => account(random, vec![upn.clone()], vec![upn]),
    }
}

fn shared(random: &mut Random, n: usize) -> Account {
    let address = format!("{}@contoso.com", ["support", "sales", "billing"][n]);
    match random.below(4) {
        0 => {
            let new = format!("new-{address}");
            account(random, vec![address.clone()], vec![address, new])
        }
        1 => account(
            random,
            vec![format!("box{n}@contoso.onmicrosoft.com")],
            vec![address],
        ),
        _ => account(random, vec![address.clone()], vec![address]),
    }
}

impl Account {
    /// Renamed in the middle of the span.
    pub fn upn(&self, part: usize) -> &str {
        &self.upns[part.min(self.upns.len() - 1)]
    }

    pub fn address(&self, part: usize) -> &str {
        &self.addresses[part.min(self.addresses.len() - 1)]
    }
}

impl Teller {
    fn tell(&mut self) {
        let hot = self.random.between(3, 11);
        for n in 0..hot {
            let events = match self.random.below(8) {
                0 => self.random.between(60, 120), // more than is kept
                _ => self.random.between(4, 30),
            };
            let about: Vec<usize> = (0..self.random.between(1, 6))
                .map(|_| self.person())
                .collect();
            self.message(n, &about, events, true);
        }
        let cold = self.random.between(80, 500);
        for n in hot..hot + cold {
            let events = self.random.between(1, 4);
            let about = if self.random.chance(85) {
                vec![self.person()]
            } else {
                vec![self.person(), self.person()]
            };
            self.message(n, &about, events, false);
        }
        for k in 0..self.random.between(0, 4) {
            self.burst(hot + cold + k);
        }
        self.newcomers(hot + cold + 10);
        for k in 0..self.random.between(0, 4) {
            self.visited(hot + cold + 40 + k);
        }
        if self.random.chance(30) {
            let n = if self.random.chance(50) {
                0
            } else {
                hot + cold + 4
            };
            self.crowd(n);
        }
    }

    pub fn person(&mut self) -> usize {
        usize::try_from(self.random.below(self.people.len() as u64)).expect("an index")
    }

    /// The events of one message, by some people.
    fn message(&mut self, n: i64, about: &[usize], events: i64, is_hot: bool) {
        let span = self.mood.span;
        let sent = START + self.random.below(span).cast_signed();
        let shared = usize::try_from(self.random.below(3)).expect("an index");
        for _ in 0..events {
            let who = *self.random.pick(about);
            let other = usize::try_from(self.random.below(3)).expect("an index");
            let shared = if self.random.chance(95) {
                shared
            } else {
                other
            };
            let spread = if is_hot { 60 } else { 4 };
            let time = sent + self.random.below(spread).cast_signed();
            let record = self.event(n, who, shared, time);
            if self.random.chance(4) {
                // the same record id, with another content
                let mut twin = self.event(n, who, shared, time);
                twin["Id"] = record["Id"].clone();
                self.records.push(twin);
            }
            if self.random.chance(10) {
                self.records.push(record.clone());
            }
            self.records.push(record);
        }
    }

    pub fn event(&mut self, n: i64, who: usize, shared: usize, time: i64) -> Value {
        let part = usize::from(time - START > (self.mood.span / 2).cast_signed());
        let (who, shared) = (self.people[who].clone(), self.shared[shared].clone());
        let operation = *self
            .random
            .pick(&["SendAs", "SendAs", "SendAs", "SendOnBehalf", "Send"]);
        let is_mailbox_side = operation != "Send" && self.random.chance(55);
        let log = if is_mailbox_side { &shared } else { &who };
        let mut record = json!({
            "CreationTime": self.time(time),
            "Id": guid(&mut self.random).to_string(),
            "Operation": operation,
            "OrganizationId": TENANT.to_string(),
            "RecordType": 2,
            "ResultStatus": "Succeeded",
            "UserId": who.upn(part),
            "UserKey": who.puid,
            "UserType": 0,
            "Workload": "Exchange",
            "LogonType": if is_mailbox_side || operation != "Send" { 2 } else { 0 },
            "LogonUserSid": who.sid,
            "MailboxOwnerSid": log.sid,
            "MailboxOwnerUPN": log.address(part),
            "MailboxGuid": log.mailbox.to_string(),
            "Item": {"Id": "Unknown", "InternetMessageId": self.message_id(n)},
        });
        if self.random.chance(40) {
            record["TokenObjectId"] = who.object.to_string().into();
        }
        if operation != "Send" && (!is_mailbox_side || self.random.chance(50)) {
            let (address, mailbox) = sent_as(operation);
            let by_alias = self.random.chance(10);
            let name = if by_alias {
                &shared.alias
            } else {
                shared.address(part)
            };
            record[address] = name.into();
            record[mailbox] = shared.mailbox.to_string().into();
        }
        self.distort(record, &who, &shared, part)
    }

    /// What must not change an answer.
    fn noise(&mut self) -> Vec<String> {
        let mut noise = Vec::new();
        for _ in 0..self.random.below(60) {
            let n = self.random.below(20).cast_signed();
            let who = self.person();
            let record = self.event(n, who, 0, START + n);
            noise.push(match self.random.below(6) {
                0 => with(record, "Operation", "MailItemsAccessed").to_string(),
                1 => with(record, "Operation", "Create").to_string(),
                2 => with(record, "OrganizationId", OTHER_TENANT.to_string()).to_string(),
                3 => with(record, "CreationTime", "yesterday").to_string(),
                4 => with(record, "Id", "17").to_string(),
                _ => {
                    let text = record.to_string();
                    text.chars().take(text.len() / 2).collect()
                }
            });
        }
        noise
    }

    fn register(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let registered = self.random.below(4);
        for (n, account) in self.shared.iter().enumerate() {
            if n as u64 >= registered {
                continue;
            }
            entries.push(entry(account, true, self.random.chance(50)));
        }
        let people = self.random.below(3);
        for account in self
            .people
            .iter()
            .take(usize::try_from(people).expect("few"))
        {
            entries.push(entry(account, false, self.random.chance(50)));
        }
        if self.random.chance(self.mood.drama) {
            let mut stage = entry(&self.people[1], self.random.chance(30), false);
            stage.address = "stage1@contoso.com".into();
            stage.aliases = vec![
                (*self
                    .random
                    .pick(&["stage2@contoso.com", "box1@contoso.com"]))
                .into(),
            ];
            entries.push(stage);
        }
        if self.random.chance(20) && entries.len() > 1 {
            // by mistake: two entries of one GUID and one object id
            let (guid, object_id) = (self.shared[0].mailbox, self.people[0].object);
            for entry in &mut entries {
                entry.guid = Some(guid);
                entry.object_id = Some(object_id);
            }
        }
        entries
    }
}

fn entry(account: &Account, nobody: bool, whole: bool) -> Entry {
    let address = account.addresses[0].to_lowercase();
    let mut aliases: Vec<String> = account.upns.iter().map(|upn| upn.to_lowercase()).collect();
    aliases.push(account.alias.to_lowercase());
    aliases.sort();
    aliases.dedup();
    aliases.retain(|alias| whole && *alias != address);
    Entry {
        address,
        nobody,
        aliases,
        guid: whole.then_some(account.mailbox),
        object_id: whole.then_some(account.object),
    }
}

fn sent_as(operation: &str) -> (&'static str, &'static str) {
    if operation == "SendAs" {
        ("SendAsUserSmtp", "SendAsUserMailboxGuid")
    } else {
        ("SendOnBehalfOfUserSmtp", "SendOnBehalfOfUserMailboxGuid")
    }
}

pub fn with(mut record: Value, field: &str, value: impl Into<Value>) -> Value {
    record[field] = value.into();
    record
}

pub fn remove(record: &mut Value, field: &str) {
    if let Some(fields) = record.as_object_mut() {
        fields.remove(field);
    }
}
