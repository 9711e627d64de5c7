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
struct Account {
    /// Names in the order of their use: one, or more of somebody who is renamed.
    upns: Vec<String>,
    /// Of the mailbox, in the same order; the last are its aliases.
    addresses: Vec<String>,
    alias: String,
    sid: String,
    puid: String,
    object: Uuid,
    mailbox: Uuid,
}

/// How much of what there is in a stream: not every one has everything, or nothing would show.
#[derive(Clone, Debug)]
struct Mood {
    /// Of a hundred events.
    nameless: u64,
    mixed_up: u64,
    failed: u64,
    nobody: u64,
    lacking: u64,
    odd_time: u64,
    odd: u64,
    /// Names that go from one to the next, and back.
    drama: u64,
    /// All within so many seconds.
    span: u64,
}

struct Teller {
    random: Random,
    mood: Mood,
    people: Vec<Account>,
    shared: Vec<Account>,
    records: Vec<Value>,
}

const START: i64 = 1_772_409_600; // Monday, 2026-03-02

impl Stream {
    pub fn of(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let mood = Mood {
            nameless: *random.pick(&[0, 5, 30]),
            mixed_up: *random.pick(&[0, 0, 0, 3]),
            failed: *random.pick(&[0, 5, 20]),
            nobody: *random.pick(&[0, 5, 25]),
            lacking: *random.pick(&[0, 5, 25]),
            odd_time: *random.pick(&[0, 10]),
            odd: *random.pick(&[0, 3, 15]),
            drama: *random.pick(&[0, 0, 8, 50]),
            span: *random.pick(&[60, 5 * 3_600, 20 * 86_400]),
        };
        let people = (0..random.between(3, 9)).map(|n| person(&mut random, n)).collect();
        let shared = (0..3).map(|n| shared(&mut random, n)).collect();
        let mut teller = Teller {
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
        Self {
            seed,
            records,
            register,
        }
    }
}

fn guid(random: &mut Random) -> Uuid {
    Uuid::from_u128(random.id())
}

fn account(random: &mut Random, upns: Vec<String>, addresses: Vec<String>) -> Account {
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
        1 => account(random, vec![upn], vec![format!("first.last{n}@contoso.com")]),
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
        1 => account(random, vec![format!("box{n}@contoso.onmicrosoft.com")], vec![address]),
        _ => account(random, vec![address.clone()], vec![address]),
    }
}

impl Account {
    /// Renamed in the middle of the span.
    fn upn(&self, part: usize) -> &str {
        &self.upns[part.min(self.upns.len() - 1)]
    }

    fn address(&self, part: usize) -> &str {
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
            let about = (0..self.random.between(1, 6)).map(|_| self.person()).collect();
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
        if self.random.chance(15) {
            let n = if self.random.chance(50) { 0 } else { hot + cold };
            self.crowd(n);
        }
    }

    fn person(&mut self) -> usize {
        usize::try_from(self.random.below(self.people.len() as u64)).expect("an index")
    }

    /// The events of one message, by some people.
    fn message(&mut self, n: i64, about: &Vec<usize>, events: i64, is_hot: bool) {
        let span = self.mood.span;
        let sent = START + self.random.below(span).cast_signed();
        let shared = usize::try_from(self.random.below(3)).expect("an index");
        for _ in 0..events {
            let who = *self.random.pick(about);
            let other = usize::try_from(self.random.below(3)).expect("an index");
            let shared = if self.random.chance(95) { shared } else { other };
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

    /// More people than are kept of one message, or more accounts under one name than tell
    /// anything about each other.
    fn crowd(&mut self, n: i64) {
        let one_name = self.random.chance(50);
        for k in 0..70 {
            let (message, name) = if one_name {
                (n + k % 9, "everybody@contoso.com".to_owned())
            } else {
                (n, format!("crowd{k}@contoso.com"))
            };
            let time = START + k * self.mood.span.cast_signed() / 70;
            let record = self.event(message, 0, 0, time);
            let record = with(record, "UserId", name);
            let record = with(record, "LogonUserSid", format!("S-1-5-21-5-5-{k}"));
            let record = with(record, "UserKey", format!("1004{k:012X}"));
            let record = with(record, "TokenObjectId", guid(&mut self.random).to_string());
            self.records.push(record.clone());
            if self.random.chance(20) {
                let sid = record["LogonUserSid"].clone();
                let mut nameless = with(record, "UserId", sid);
                nameless["Id"] = guid(&mut self.random).to_string().into();
                self.records.push(nameless);
            }
        }
    }

    fn event(&mut self, n: i64, who: usize, shared: usize, time: i64) -> Value {
        let part = usize::from(time - START > (self.mood.span / 2).cast_signed());
        let (who, shared) = (self.people[who].clone(), self.shared[shared].clone());
        let operation = *self.random.pick(&["SendAs", "SendAs", "SendAs", "SendOnBehalf", "Send"]);
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
            let name = if by_alias { &shared.alias } else { shared.address(part) };
            record[address] = name.into();
            record[mailbox] = shared.mailbox.to_string().into();
        }
        self.distort(record, &who, &shared, part)
    }

    /// What goes wrong with a record, each by its mood.
    fn distort(&mut self, mut record: Value, who: &Account, shared: &Account, part: usize) -> Value {
        let mood = self.mood.clone();
        if self.random.chance(mood.failed) {
            record["ResultStatus"] = (*self.random.pick(&["Failed", "failed"])).into();
        }
        if self.random.chance(5) {
            record["ResultStatus"] = "PartiallySucceeded".into();
        }
        if self.random.chance(4) {
            record["UserType"] = (*self.random.pick(&[2, 9, 10])).into();
            record["LogonType"] = (*self.random.pick(&[1, 6])).into();
        }
        if self.random.chance(mood.nobody) {
            record = self.nobody(record, shared, part);
        } else if self.random.chance(mood.nameless) {
            record = self.nameless(record, who);
        } else if self.random.chance(mood.mixed_up) {
            let other = self.person();
            record["LogonUserSid"] = self.people[other].sid.clone().into();
        }
        if self.random.chance(mood.drama) {
            self.rename(&mut record);
        }
        if self.random.chance(15) {
            for field in ["UserId", "MailboxOwnerUPN", "SendAsUserSmtp", "LogonUserSid"] {
                if let Some(text) = record.get(field).and_then(Value::as_str) {
                    record[field] = text.to_uppercase().into();
                }
            }
        }
        if self.random.chance(3) {
            let name = record["UserId"].as_str().unwrap_or_default().to_owned();
            if name.contains('@') {
                record["UserId"] = format!("i:0#.f|membership|{name}").into();
            }
        }
        if self.random.chance(mood.lacking) {
            self.take_away(&mut record);
        }
        if self.random.chance(mood.odd) {
            record = self.odd(record);
        }
        record
    }

    /// The same in another spelling; or what stands in a field by mistake.
    fn odd(&mut self, mut record: Value) -> Value {
        match self.random.below(12) {
            0 => {
                let fields = record.as_object().cloned().unwrap_or_default();
                let odd = fields.into_iter().map(|(key, value)| (key.to_lowercase(), value));
                return Value::Object(odd.collect());
            }
            1 => {
                for field in ["UserType", "LogonType"] {
                    if let Some(Value::Number(number)) = record.get(field).cloned() {
                        record[field] = number.to_string().into();
                    }
                }
            }
            2 => {
                record["UserType"] = (*self.random.pick(&["Regular", "guest", "Admin", "System"])).into();
                record["LogonType"] = (*self.random.pick(&["Owner", "delegated", "Admin"])).into();
            }
            3 => record["Item"] = record["Item"].to_string().into(),
            4 => {
                for field in ["MailboxGuid", "Id", "SendAsUserMailboxGuid"] {
                    if let Some(guid) = record.get(field).and_then(Value::as_str) {
                        record[field] = format!("{{{}}}", guid.to_uppercase()).into();
                    }
                }
            }
            5 => record["UserType"] = (*self.random.pick(&[1, 11, -1])).into(),
            6 => {
                let words = ["True", "False", "Succeeded ", "", "FAILED"];
                record["ResultStatus"] = (*self.random.pick(&words)).into();
            }
            7 => {
                let names = [
                    r#""host.example/admin.user" on behalf of "host.example/user1""#,
                    "agent0@localhost",
                    "Default-17@contoso.templateTenant",
                    "0000000000000000",
                    "a b@contoso.com",
                    "agent1@x@contoso.com",
                ];
                record["UserId"] = (*self.random.pick(&names)).into();
            }
            8 => {
                // the fields of the other operation
                for (from, to) in [
                    ("SendAsUserSmtp", "SendOnBehalfOfUserSmtp"),
                    ("SendAsUserMailboxGuid", "SendOnBehalfOfUserMailboxGuid"),
                ] {
                    if let Some(value) = record.get(from).cloned() {
                        remove(&mut record, from);
                        record[to] = value;
                    }
                }
            }
            9 => {
                let id = self.random.pick(&["x".repeat(999), " <> ".into(), "a\0b@c".into()]).clone();
                record["Item"] = json!({"InternetMessageId": id});
            }
            10 => record["Operation"] = (*self.random.pick(&["SENDAS", "sendonbehalf", "send"])).into(),
            _ => {
                for field in ["UserId", "MailboxOwnerUPN", "LogonUserSid", "SendAsUserSmtp"] {
                    if let Some(text) = record.get(field).and_then(Value::as_str) {
                        record[field] = format!(" {text}\t").into();
                    }
                }
            }
        }
        record
    }

    /// One of few names, which one mostly by the time: so names follow one another, come back and
    /// go on to others.
    fn rename(&mut self, record: &mut Value) {
        let digits = record["CreationTime"].as_str().unwrap_or_default().bytes();
        let period: u64 = digits.take(15).map(u64::from).sum();
        for (field, name) in [("UserId", "stage"), ("MailboxOwnerUPN", "box"), ("SendAsUserSmtp", "box")] {
            let is_here = record.get(field).is_some_and(|value| value.is_string());
            if is_here && self.random.chance(60) {
                let n = period / 3 + self.random.below(10) / 9;
                record[field] = format!("{name}{}@contoso.com", n % 4).into();
            }
        }
    }

    /// Someone or something that is no agent.
    fn nobody(&mut self, mut record: Value, shared: &Account, part: usize) -> Value {
        match self.random.below(6) {
            0 => {
                record["UserType"] = (*self.random.pick(&[5, 6])).into();
                record["UserId"] = shared.upn(part).into();
                record["UserKey"] = guid(&mut self.random).to_string().into();
                record["LogonUserSid"] = shared.sid.clone().into();
            }
            1 => record["UserType"] = (*self.random.pick(&[3, 4, 7, 8])).into(),
            2 => {
                record["UserId"] = "S-1-5-18".into();
                record["LogonUserSid"] = "S-1-5-18".into();
                record["UserKey"] = "S-1-5-18".into();
                record["UserType"] = 2.into();
            }
            3 => {
                let names = [
                    r"NT AUTHORITY\SYSTEM (w3wp)",
                    r"nt authority\system (Microsoft.Exchange.Servicehost)",
                    "ServicePrincipal_5d0c1ee5-1c43-4b8f-a0b2-7a1d2f0b9a11",
                    "app@sharepoint",
                ];
                record["UserId"] = (*self.random.pick(&names)).into();
                record["UserKey"] = "Not Available".into();
                remove(&mut record, "LogonUserSid");
                remove(&mut record, "TokenObjectId");
            }
            _ => {
                // somebody has the password of the shared account
                record["UserId"] = shared.upn(part).into();
                record["UserKey"] = shared.puid.clone().into();
                record["LogonUserSid"] = shared.sid.clone().into();
                record["MailboxOwnerUPN"] = shared.address(part).into();
                record["MailboxOwnerSid"] = shared.sid.clone().into();
                record["MailboxGuid"] = shared.mailbox.to_string().into();
                remove(&mut record, "TokenObjectId");
            }
        }
        record
    }

    /// An identifier for the name, of him or of nobody who is known.
    fn nameless(&mut self, mut record: Value, who: &Account) -> Value {
        let (sid, puid, object) = if self.random.chance(75) {
            (who.sid.clone(), who.puid.clone(), who.object)
        } else {
            let n = self.random.below(3);
            (format!("S-1-5-21-9-9-{n}"), format!("1009{n:012X}"), Uuid::from_u128(n.into()))
        };
        remove(&mut record, "TokenObjectId");
        remove(&mut record, "LogonUserSid");
        record["UserKey"] = "Not Available".into();
        match self.random.below(5) {
            0 => {
                record["UserId"] = sid.clone().into();
                record["LogonUserSid"] = sid.into();
            }
            1 => {
                record["UserId"] = puid.clone().into();
                record["UserKey"] = puid.into();
            }
            2 => record["UserId"] = object.to_string().into(),
            3 => {
                record["UserId"] = "".into();
                record["LogonUserSid"] = sid.into();
            }
            _ => record["UserId"] = (*self.random.pick(&["", "NOT-FOUND", "Certificate"])).into(),
        }
        record
    }

    fn take_away(&mut self, record: &mut Value) {
        const FIELDS: [&str; 12] = [
            "UserKey",
            "UserType",
            "LogonType",
            "LogonUserSid",
            "MailboxOwnerSid",
            "MailboxOwnerUPN",
            "MailboxGuid",
            "SendAsUserSmtp",
            "SendAsUserMailboxGuid",
            "SendOnBehalfOfUserSmtp",
            "OrganizationId",
            "ResultStatus",
        ];
        for _ in 0..=self.random.below(3) {
            let field = *self.random.pick(&FIELDS);
            remove(record, field);
        }
        if self.random.chance(20) {
            remove(record, "Item");
        }
    }

    /// The same id in all its forms.
    fn message_id(&mut self, n: i64) -> String {
        let id = format!("Msg{n:04}.AbC@AM0PR04.prod.outlook.com");
        match self.random.below(14) {
            0 => id,
            1 => format!(" <{id}>\t"),
            2 => format!("<Msg{n:04}\r\n .AbC@AM0PR04.prod.outlook.com>"),
            3 => format!("<{}>", id.to_uppercase()), // another message
            4 => format!("<<{id}>>"),
            _ => format!("<{id}>"),
        }
    }

    fn time(&mut self, at: i64) -> String {
        let instant = jiff::Timestamp::from_second(at).expect("a time");
        let text = instant.to_string();
        let native = text.trim_end_matches('Z').to_owned();
        if !self.random.chance(self.mood.odd_time) {
            return native;
        }
        let later = jiff::Timestamp::from_second(at + 7_200).expect("a time").to_string();
        match self.random.below(5) {
            0 => text,
            1 => format!("{native}.9990000"),
            2 => format!("{native}.1Z"),
            3 => format!("{native}.0000000Z "),
            _ => format!("{}+02:00", later.trim_end_matches('Z')),
        }
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
        for account in self.people.iter().take(usize::try_from(people).expect("few")) {
            entries.push(entry(account, false, self.random.chance(50)));
        }
        if self.random.chance(self.mood.drama) {
            let mut stage = entry(&self.people[1], self.random.chance(30), false);
            stage.address = "stage1@contoso.com".into();
            stage.aliases = vec![(*self.random.pick(&["stage2@contoso.com", "box1@contoso.com"])).into()];
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

fn with(mut record: Value, field: &str, value: impl Into<Value>) -> Value {
    record[field] = value.into();
    record
}

fn remove(record: &mut Value, field: &str) {
    if let Some(fields) = record.as_object_mut() {
        fields.remove(field);
    }
}
