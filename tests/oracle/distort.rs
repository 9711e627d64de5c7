//! What goes wrong with the records of a stream, each by its mood.

use super::stream::{Account, Teller, guid, remove};
use serde_json::{Value, json};
use uuid::Uuid;

impl Teller {
    /// What goes wrong with a record, each by its mood.
    pub fn distort(
        &mut self,
        mut record: Value,
        who: &Account,
        shared: &Account,
        part: usize,
    ) -> Value {
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
            if self.random.chance(50) {
                record["LogonType"] = (*self.random.pick(&[1, 2])).into();
            }
        }
        if self.random.chance(mood.drama) {
            self.rename(&mut record);
        }
        if self.random.chance(15) {
            for field in [
                "UserId",
                "MailboxOwnerUPN",
                "SendAsUserSmtp",
                "LogonUserSid",
            ] {
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
    fn odd(&mut self, record: Value) -> Value {
        if self.random.chance(50) {
            self.spelled_oddly(record)
        } else {
            self.mistaken(record)
        }
    }

    fn spelled_oddly(&mut self, mut record: Value) -> Value {
        match self.random.below(6) {
            0 => {
                let fields = record.as_object().cloned().unwrap_or_default();
                let odd = fields.into_iter();
                return Value::Object(
                    odd.map(|(key, value)| (key.to_lowercase(), value))
                        .collect(),
                );
            }
            1 => {
                for field in ["UserType", "LogonType"] {
                    if let Some(Value::Number(number)) = record.get(field).cloned() {
                        record[field] = number.to_string().into();
                    }
                }
            }
            2 => record["Item"] = record["Item"].to_string().into(),
            3 => {
                for field in ["MailboxGuid", "Id", "SendAsUserMailboxGuid"] {
                    if let Some(guid) = record.get(field).and_then(Value::as_str) {
                        record[field] = format!("{{{}}}", guid.to_uppercase()).into();
                    }
                }
            }
            4 => {
                let names = ["SENDAS", "sendonbehalf", "send"];
                record["Operation"] = (*self.random.pick(&names)).into();
            }
            _ => {
                for field in [
                    "UserId",
                    "MailboxOwnerUPN",
                    "LogonUserSid",
                    "SendAsUserSmtp",
                ] {
                    if let Some(text) = record.get(field).and_then(Value::as_str) {
                        record[field] = format!(" {text}\t").into();
                    }
                }
            }
        }
        record
    }

    fn mistaken(&mut self, mut record: Value) -> Value {
        match self.random.below(6) {
            0 => {
                let names = ["Regular", "guest", "Admin", "System"];
                record["UserType"] = (*self.random.pick(&names)).into();
                record["LogonType"] = (*self.random.pick(&["Owner", "delegated", "Admin"])).into();
            }
            1 => record["UserType"] = (*self.random.pick(&[1, 11, -1])).into(),
            2 => {
                let words = ["True", "False", "Succeeded ", "", "FAILED"];
                record["ResultStatus"] = (*self.random.pick(&words)).into();
            }
            3 => {
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
            4 => {
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
            _ => {
                let ids = ["x".repeat(999), " <> ".into(), "a\0b@c".into()];
                record["Item"] = json!({"InternetMessageId": self.random.pick(&ids)});
            }
        }
        record
    }

    /// One of few names, which one mostly by the time: so names follow one another, come back and
    /// go on to others.
    fn rename(&mut self, record: &mut Value) {
        let digits = record["CreationTime"].as_str().unwrap_or_default().bytes();
        let period: u64 = digits.take(15).map(u64::from).sum();
        for (field, name) in [
            ("UserId", "stage"),
            ("MailboxOwnerUPN", "box"),
            ("SendAsUserSmtp", "box"),
        ] {
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
            (
                format!("S-1-5-21-9-9-{n}"),
                format!("1009{n:012X}"),
                Uuid::from_u128(n.into()),
            )
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
    pub fn message_id(&mut self, n: i64) -> String {
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

    pub fn time(&mut self, at: i64) -> String {
        let instant = jiff::Timestamp::from_second(at).expect("a time");
        let text = instant.to_string();
        let native = text.trim_end_matches('Z').to_owned();
        if !self.random.chance(self.mood.odd_time) {
            return native;
        }
        let later = jiff::Timestamp::from_second(at + 7_200)
            .expect("a time")
            .to_string();
        match self.random.below(5) {
            0 => text,
            1 => format!("{native}.9990000"),
            2 => format!("{native}.1Z"),
            3 => format!("{native}.0000000Z "),
            _ => format!("{}+02:00", later.trim_end_matches('Z')),
        }
    }
}
