//! Senders that are no usual agent, and records that are written oddly.

use super::SENT_AS;
use crate::simulate::{
    Account, Moment, Record, Truth,
    cast::{guid, puid},
    feed::{Feed, Kind},
    truth::{MAILBOX_SEND_AS, MAILBOX_SEND_ON_BEHALF, NOT_A_PERSON, SEND},
};
use serde_json::{Value, json};

impl Feed {
    /// A connector, or the set-up of a group: the service writes into the group's mailbox.
    pub(super) fn system(&mut self, at: Moment) {
        let group = self.cast.group.clone();
        let user_id = *self.random.pick(&[
            "S-1-5-18",
            r"NT AUTHORITY\SYSTEM (w3wp)",
            r"NT AUTHORITY\SYSTEM (MSExchangeMailboxAssistants)",
        ]);
        let service = Account {
            upn: user_id.into(),
            sid: "S-1-5-18".into(),
            ..group.clone()
        };
        let message = self.message(at);
        let record = self
            .mailbox_side(&message, &service, &group, 0)
            .without(&["ClientProcessName", "ClientVersion", "TokenObjectId"])
            .with("UserKey", user_id)
            .with("UserType", 2)
            .with("LogonType", 1)
            .with("InternalLogonType", 1)
            .with("ExternalAccess", true)
            .with("MailboxOwnerMasterAccountSid", "S-1-5-10")
            .with(
                "ClientInfoString",
                "Client=WebServices;Action=ConfigureGroupMailbox",
            );
        self.log(&message, &record);
        let truth = Truth::sent(NOT_A_PERSON, MAILBOX_SEND_AS, at).from(&group.address);
        self.is_true(&message, truth);
    }

    pub(super) fn guest(&mut self, at: Moment) {
        let (guest, shared) = (self.cast.guest.clone(), self.shared());
        let message = self.message(at);
        let record = self.mailbox_side(&message, &guest, &shared, 0);
        let record = record.with("UserType", 10).with("ExternalAccess", true);
        self.log(&message, &record);
        let truth = Truth::attributed(&guest.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    pub(super) fn claims(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let later = self.seconds_later();
        let claims = format!("i:0#.f|membership|{}", who.upn.to_lowercase());
        let mailbox = self.mailbox_side(&message, &who, &shared, 0);
        let agent = self.agent_side(&message, &who, &shared, later);
        self.log_all(&message, &[mailbox.with("UserId", claims), agent]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    /// A person with rights on everything, or an impersonation in his name.
    pub(super) fn administrator(&mut self, at: Moment) {
        let (who, shared) = (self.cast.administrator.clone(), self.shared());
        let message = self.message(at);
        let mut record = self.mailbox_side(&message, &who, &shared, 0);
        let mut basis = MAILBOX_SEND_AS;
        if self.random.chance(30) {
            // of an administrator, and only of him, a plain Send is logged there too
            record = record.without(&SENT_AS).with("Operation", "Send");
            basis = SEND;
        }
        let record = record
            .with("UserType", 2)
            .with("LogonType", if self.random.chance(80) { 1 } else { 6 })
            .with("InternalLogonType", 1);
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, basis, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// Tools between Microsoft and us write the same things in other ways.
    pub(super) fn odd_spelling(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        if self.random.chance(30) {
            let mail = &message.mail;
            let mut record = self.scribe.send_on_behalf(at, mail, &who, &shared, &shared);
            record.rename(
                "SendOnBehalfOfUserMailboxGuid",
                "SendonBehalfOfUserMailboxGuid",
            );
            self.spell_oddly(&mut record);
            self.log(&message, &record);
            let truth = Truth::attributed(&who.upn, MAILBOX_SEND_ON_BEHALF, at);
            self.is_true(&message, truth.from(&shared.address));
            return;
        }
        let later = self.seconds_later();
        let mut mailbox = self.mailbox_side(&message, &who, &shared, 0);
        let mut agent = self.agent_side(&message, &who, &shared, later);
        mailbox.rename("SendAsUserSmtp", "SendAsUserSMTP");
        self.spell_oddly(&mut mailbox);
        self.spell_oddly(&mut agent);
        self.log_all(&message, &[mailbox, agent]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    fn spell_oddly(&mut self, record: &mut Record) {
        let record_type = *self.random.pick(&["2", "ExchangeItem", "exchangeItem"]);
        let user_type = *self.random.pick(&["0", "Regular"]);
        record
            .set("RecordType", record_type)
            .set("UserType", user_type)
            .set("ExternalAccess", "False");
        if let Some(Value::Number(logon_type)) = record.get("LogonType").cloned() {
            record.set("LogonType", logon_type.to_string());
        }
        if let Some(Value::String(guid)) = record.get("MailboxGuid").cloned() {
            record.set("MailboxGuid", format!("{{{}}}", guid.to_uppercase()));
        }
        if self.random.chance(40) {
            let item = record.get("Item").map(Value::to_string);
            record.set("Item", item);
        }
        if self.random.chance(40) {
            for key in ["LogonUserSid", "MailboxOwnerUPN", "UserId", "Operation"] {
                record.rename(key, &key.to_lowercase());
            }
        }
        record.rename("ExternalAccess", "ExternalAccess ");
    }

    /// The id of the mail's header is the truth; the record has it in some form.
    pub(super) fn odd_message_id(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let mut message = self.message(at);
        let form = self.random.below(6);
        let of_exchange = message.mail.message_id.clone();
        let (local, domain) = of_exchange.split_once('@').unwrap_or_default();
        message.mail.message_id = match form {
            0 => format!("{local}@{}", domain.to_uppercase()),
            1 => format!("<CAF={}+w=Q@mail.gmail.com>", &local[5..]),
            2 => format!(
                "<odspmicro-ReceivedShareActivity-{}@RD00155D58D748>",
                &local[5..]
            ),
            _ => of_exchange.clone(),
        };
        let written = match form {
            3 => of_exchange.trim_matches(['<', '>']).to_owned(),
            4 => format!("{local}@\r\n {domain}"),
            5 => format!(" {of_exchange}\t"),
            _ => message.mail.message_id.clone(),
        };
        let mut first = message.clone();
        first.mail.message_id = written;
        let later = self.seconds_later();
        let mailbox = self.mailbox_side(&first, &who, &shared, 0);
        let agent = self.agent_side(&message, &who, &shared, later);
        self.log_all(&message, &[mailbox, agent]);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth.confirmed());
    }

    /// Optional says the schema: nobody can ask for it.
    pub(super) fn no_message_id(&mut self, at: Moment) {
        let (who, shared) = (self.agent(), self.shared());
        let message = self.message(at);
        let record = self.mailbox_side(&message, &who, &shared, 0);
        let record = match self.random.below(3) {
            0 => record.without(&["Item"]),
            1 => record.with("Item", json!({"Id": "Unknown"})),
            _ => record.with("Item", json!({"Id": "Unknown", "InternetMessageId": ""})),
        };
        self.log(&message, &record);
        self.without_id += 1;
    }

    /// Other operations have the ids of messages too.
    pub(super) fn not_sent(&mut self, at: Moment) {
        let who = self.agent();
        let message = self.message(at);
        let id = message.mail.message_id.as_str();
        let record = if self.random.chance(50) {
            self.scribe.mail_items_accessed(at, &who, &who, &[id])
        } else {
            self.scribe.touched("Create", 2, at, &who, &message.mail)
        };
        let delay = self.delay();
        self.deliver(&record, Kind::Noise, delay);
        self.is_true(&message, Truth::pending());
    }

    pub(super) fn read_and_sent(&mut self, at: Moment) {
        let ([who, reader], shared) = (self.two_agents(), self.shared());
        let message = self.message(at);
        let (mail, id) = (&message.mail, message.mail.message_id.as_str());
        let draft = self
            .scribe
            .touched("Create", 2, at.plus_ms(-6_000), &who, mail);
        let read = at.plus_ms(90_000);
        let read = self
            .scribe
            .mail_items_accessed(read, &reader, &reader, &[id]);
        for record in [draft, read] {
            let delay = self.delay();
            self.deliver(&record, Kind::Noise, delay);
        }
        let record = self.mailbox_side(&message, &who, &shared, 0);
        self.log(&message, &record);
        let truth = Truth::attributed(&who.upn, MAILBOX_SEND_AS, at).from(&shared.address);
        self.is_true(&message, truth);
    }

    /// The changes that explain why evidence stops or starts, around an ordinary message.
    pub(super) fn settings_changed(&mut self, at: Moment) {
        let who = self.cast.administrator.clone();
        let (agent, shared) = (self.agent(), self.shared());
        let added = self.random.chance(50);
        let changes = changes(&agent.upn, &shared.address, added);
        for (n, (operation, object, parameters)) in (0..).zip(changes) {
            let at = at.plus_seconds(7 * n);
            let record = self
                .scribe
                .settings_changed(at, &who, operation, object, &parameters);
            let delay = self.delay();
            self.deliver(&record, Kind::Admin, delay);
        }
        self.mailbox_side_only(at);
    }

    /// Somebody who is in no other record.
    pub(super) fn stranger(&mut self) -> Account {
        Account {
            upn: "mallory@elsewhere.example".into(),
            address: "mallory@elsewhere.example".into(),
            sid: "S-1-5-21-9-9-9-1001".into(),
            puid: puid(&mut self.random),
            object_id: guid(&mut self.random),
            ..self.agent()
        }
    }
}

/// Cmdlet, `ObjectId`, parameters.
type Change<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);

fn changes<'a>(agent: &'a str, shared: &'a str, added: bool) -> [Change<'a>; 6] {
    let (send_as, full_access) = if added {
        ("Add-RecipientPermission", "Add-MailboxPermission")
    } else {
        ("Remove-RecipientPermission", "Remove-MailboxPermission")
    };
    let of = |identity, name, value| vec![("Identity", identity), (name, value)];
    let right = |trustee, right| {
        vec![
            ("Identity", shared),
            (trustee, agent),
            ("AccessRights", right),
        ]
    };
    [
        (
            "Set-AdminAuditLogConfig",
            "Admin Audit Log Settings",
            vec![("UnifiedAuditLogIngestionEnabled", "True")],
        ),
        (
            "Set-OrganizationConfig",
            "",
            vec![("AuditDisabled", "False")],
        ),
        (
            "Set-MailboxAuditBypassAssociation",
            agent,
            of(agent, "AuditBypassEnabled", "True"),
        ),
        (
            "Set-Mailbox",
            shared,
            of(shared, "AuditDelegate", "Update, SoftDelete"),
        ),
        (send_as, shared, right("Trustee", "SendAs")),
        (full_access, shared, right("User", "FullAccess")),
    ]
}
