//! What chance alone would hardly bring about in a stream.

use super::stream::{Account, START, Teller, account, guid, remove, with};
use crate::support::TENANT;
use serde_json::{Value, json};

impl Teller {
    /// People and mailboxes of whom nothing but an identifier is known, until the end tells. What
    /// it tells must reach all that came before it.
    pub fn explanations(&mut self) -> Vec<String> {
        let late = std::mem::take(&mut self.late);
        let mut explanations = Vec::new();
        for (n, account) in (2_000..).zip(late) {
            let mut record = self.plain_event(n, &account);
            if self.random.chance(50) {
                record["TokenObjectId"] = account.object.to_string().into();
            }
            explanations.push(record.to_string());
        }
        explanations
    }

    /// Messages of newcomers, and from mailboxes that nothing names before the end.
    pub fn newcomers(&mut self, first: i64) {
        for n in 0..self.random.between(0, 6) {
            let name = format!("newcomer{n}@contoso.com");
            let who = account(&mut self.random, vec![name.clone()], vec![name]);
            for k in 0..4 {
                let mut record = self.plain_event(first + n * 4 + k, &who);
                record["Operation"] = "SendAs".into();
                record["MailboxOwnerUPN"] = self.shared[0].address(0).into();
                record["MailboxOwnerSid"] = self.shared[0].sid.as_str().into();
                record["MailboxGuid"] = self.shared[0].mailbox.to_string().into();
                record["UserKey"] = "Not Available".into();
                remove(&mut record, "LogonUserSid");
                match k {
                    0 => record["UserId"] = who.sid.as_str().into(),
                    1 => record["UserId"] = who.puid.as_str().into(),
                    _ => {
                        // somebody else, from the newcomer's mailbox
                        record["UserId"] = self.people[0].upn(0).into();
                        if k == 2 {
                            record["SendAsUserMailboxGuid"] = who.mailbox.to_string().into();
                        } else {
                            // in whose log it is, without an address
                            record["LogonUserSid"] = self.people[0].sid.as_str().into();
                            record["MailboxGuid"] = who.mailbox.to_string().into();
                            remove(&mut record, "MailboxOwnerUPN");
                        }
                    }
                }
                self.records.push(record);
            }
            if self.random.chance(80) {
                self.late.push(who);
            }
        }
    }

    /// Somebody's own mail, and the session of another one in his mailbox.
    pub fn visited(&mut self, n: i64) {
        let (who, other) = (self.person(), self.person());
        let (who, other) = (self.people[who].clone(), self.people[other].clone());
        let own = self.plain_event(n, &who);
        let visit = with(
            self.plain_event(n, &who),
            "LogonType",
            *self.random.pick(&[1, 2]),
        );
        let visit = with(visit, "LogonUserSid", other.sid.as_str());
        let visit = match self.random.below(3) {
            0 => visit, // by his own name
            1 => with(visit, "UserId", other.upn(0)),
            _ => with(
                with(visit, "UserId", "S-1-5-18"),
                "LogonUserSid",
                "S-1-5-18",
            ),
        };
        if self.random.chance(70) {
            self.records.push(own);
        }
        self.records.push(visit);
    }

    /// One does the same more often than is kept, and one of the records, at the bound, tells
    /// that he and another one are the same person.
    pub fn burst(&mut self, n: i64) {
        let (who, other) = (self.person(), self.person());
        let sent = START + self.random.below(self.mood.span).cast_signed();
        let at_bound = self.random.between(5, 12);
        let object = guid(&mut self.random).to_string();
        let twin = self.event(n, other, 0, sent);
        let twin = with(twin, "UserId", format!("twin{n}@contoso.com"));
        let twin = with(twin, "LogonUserSid", format!("S-1-5-21-6-{n}-2"));
        self.records
            .push(with(twin, "TokenObjectId", object.as_str()));
        let one = self.event(n, who, 0, sent);
        let one = with(one, "UserId", format!("burst{n}@contoso.com"));
        let mut one = with(one, "LogonUserSid", format!("S-1-5-21-6-{n}-1"));
        remove(&mut one, "TokenObjectId");
        for k in 0..12 {
            let time = self.time(sent + k);
            let record = with(one.clone(), "CreationTime", time);
            let mut record = with(record, "Id", guid(&mut self.random).to_string());
            if k == at_bound {
                record["TokenObjectId"] = object.as_str().into();
            }
            self.records.push(record);
        }
    }

    /// More people than are kept of one message, or more accounts under one name than tell
    /// anything about each other.
    pub fn crowd(&mut self, n: i64) {
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

    /// Out of one's own mailbox, with all that there is to tell.
    fn plain_event(&mut self, n: i64, who: &Account) -> Value {
        let at = START + self.random.below(self.mood.span).cast_signed();
        json!({
            "CreationTime": self.time(at),
            "Id": guid(&mut self.random).to_string(),
            "Operation": "Send",
            "OrganizationId": TENANT.to_string(),
            "RecordType": 2,
            "Workload": "Exchange",
            "UserId": who.upn(0),
            "UserKey": who.puid,
            "UserType": 0,
            "LogonType": 0,
            "LogonUserSid": who.sid,
            "MailboxOwnerSid": who.sid,
            "MailboxOwnerUPN": who.address(0),
            "MailboxGuid": who.mailbox.to_string(),
            "Item": {"InternetMessageId": self.message_id(n)},
        })
    }
}
