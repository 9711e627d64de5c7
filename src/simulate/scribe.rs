//! Writes native records of send events as Exchange Online does: the log of one tenant.

use super::{Account, Moment, Random, Record, cast::guid};
use serde_json::{Value, json};
use uuid::Uuid;

pub const SEND_AS: &str = "SendAs";
pub const SEND_ON_BEHALF: &str = "SendOnBehalf";
pub const SEND: &str = "Send";

/// What the records of one message have in common.
#[derive(Clone, Debug)]
pub struct Mail {
    /// `InternetMessageId`, in angle brackets.
    pub message_id: String,
    pub subject: String,
    /// That took the message: its id begins with this name.
    pub server: String,
}

/// Through what somebody works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Outlook,
    Web,
    Mobile,
    Graph,
}

#[derive(Clone, Debug)]
pub struct Scribe {
    tenant: Uuid,
    organization: String,
    pub(super) random: Random,
}

const SUBJECTS: [&str; 12] = [
    "Re: Your order",
    "Re: Invoice 2026-0417 is overdue",
    "RE: [Ticket #48213] Cannot sign in since the update",
    "Your refund is on its way",
    "Re: Delivery address changed: please confirm",
    "AW: Rückfrage zu Ihrer Bestellung",
    "Re: Réclamation, colis abîmé",
    "Fwd: Offer for 40 seats, valid until Friday",
    "Re: お問い合わせの件",
    "Thank you for waiting 🙂",
    "RE: RE: RE: contract, \"final\" version",
    "Re: warranty",
];
const CUSTOMERS: [&str; 6] = [
    "m.schmidt@customer.example",
    "jane.roe@mail.example",
    "purchasing@bigbuyer.example",
    "ana.lopez@correo.example",
    "it-desk@partner.example",
    "no.name@webmail.example",
];

impl Scribe {
    pub fn new(tenant: Uuid, organization: &str, seed: u64) -> Self {
        Self {
            tenant,
            organization: organization.to_owned(),
            random: Random(seed),
        }
    }

    /// A new message, with the id that Exchange gives it.
    pub fn mail(&mut self) -> Mail {
        let server = self.server();
        let local = format!(
            "{server}{:014X}{:08X}",
            self.random.next() >> 8,
            self.random.next() >> 32
        );
        Mail {
            message_id: format!("<{local}@{server}.eurprd04.prod.outlook.com>"),
            subject: (*self.random.pick(&SUBJECTS)).to_owned(),
            server,
        }
    }

    pub(super) fn server(&mut self) -> String {
        let site = *self.random.pick(&["AM0", "DB8", "VI1", "PA4"]);
        format!("{site}PR04MB{}", self.random.between(2_000, 10_000))
    }

    /// `who` sent as `shared`; the event is in the log of `log`: of `shared`, or his own.
    pub fn send_as(
        &mut self,
        at: Moment,
        mail: &Mail,
        who: &Account,
        log: &Account,
        shared: &Account,
    ) -> Record {
        self.event(SEND_AS, at, mail, who, log)
            .with("SendAsUserMailboxGuid", shared.mailbox.to_string())
            .with("SendAsUserSmtp", shared.address.as_str())
    }

    pub fn send_on_behalf(
        &mut self,
        at: Moment,
        mail: &Mail,
        who: &Account,
        log: &Account,
        shared: &Account,
    ) -> Record {
        self.event(SEND_ON_BEHALF, at, mail, who, log)
            .with("SendOnBehalfOfUserMailboxGuid", shared.mailbox.to_string())
            .with("SendOnBehalfOfUserSmtp", shared.address.as_str())
    }

    /// By the owner of a mailbox: it does not say on whose account.
    pub fn send(&mut self, at: Moment, mail: &Mail, owner: &Account) -> Record {
        self.event(SEND, at, mail, owner, owner)
    }

    /// An application with rights on the mailbox; the log calls it by the mailbox's name.
    pub fn application_send(&mut self, at: Moment, mail: &Mail, mailbox: &Account) -> Record {
        let application = guid(&mut self.random).to_string();
        self.send(at, mail, mailbox)
            .without(&["ClientProcessName", "ClientVersion", "TokenObjectId"])
            .with("UserType", 5)
            .with("UserKey", application.as_str())
            .with("ClientInfoString", "Client=REST;;")
            .with("AppId", "00000003-0000-0000-c000-000000000000")
            .with("ClientAppId", application)
            .with("SaveToSentItems", true)
    }

    /// A send event with all that is usual.
    fn event(
        &mut self,
        operation: &str,
        at: Moment,
        mail: &Mail,
        who: &Account,
        log: &Account,
    ) -> Record {
        let mut record = self.mailbox_record(operation, 2, at, who, log);
        // by a delegate, whoever's log it is; now and then its owner
        if operation != SEND {
            let delegate = who.sid != log.sid || self.random.chance(90);
            record.set("LogonType", if delegate { 2 } else { 0 });
        }
        let item = self.item(mail);
        record
            .set("OriginatingServer", self.version_of(&mail.server))
            .set("Item", item);
        if self.random.chance(60) {
            record.set("SaveToSentItems", true);
        }
        if self.random.chance(50) {
            let count = 1 + self.random.below(3);
            self.add_recipients(&mut record, count);
        }
        record
    }

    /// Whom the message went to.
    pub(super) fn add_recipients(&mut self, record: &mut Record, count: u64) {
        let recipients: Vec<Value> = (0..count)
            .map(|n| {
                let address = *self.random.pick(&CUSTOMERS);
                let name = address.split('@').next().unwrap_or_default();
                json!({"Address": format!("{n}.{address}"), "Name": name})
            })
            .collect();
        record
            .set("recipientCount", count)
            .set("recipientList", recipients);
    }

    /// What every record has.
    pub(super) fn record(
        &mut self,
        operation: &str,
        record_type: u64,
        at: Moment,
        who: &Account,
    ) -> Record {
        let id = self.record_id(at);
        let address = self.client_ip();
        Record::new(at)
            .with("CreationTime", at.native())
            .with("Id", id.to_string())
            .with("Operation", operation)
            .with("OrganizationId", self.tenant.to_string())
            .with("RecordType", record_type)
            .with("ResultStatus", "Succeeded")
            .with("UserKey", who.puid.as_str())
            .with("UserType", 0)
            .with("Version", 1)
            .with("Workload", "Exchange")
            .with("ClientIP", address)
            .with("UserId", who.upn.as_str())
    }

    /// What `who` did in the mailbox of `log`, through one of the usual clients.
    pub(super) fn mailbox_record(
        &mut self,
        operation: &str,
        record_type: u64,
        at: Moment,
        who: &Account,
        log: &Account,
    ) -> Record {
        let mut record = self.record(operation, record_type, at, who);
        self.add_client(&mut record, who);
        let logon_type = if who.sid == log.sid { 0 } else { 2 };
        let server = self.server();
        record
            .set("ExternalAccess", false)
            .set("InternalLogonType", 0)
            .set("LogonType", logon_type)
            .set("LogonUserSid", who.sid.as_str())
            .set("MailboxGuid", log.mailbox.to_string())
            .set("MailboxOwnerSid", log.sid.as_str())
            .set("MailboxOwnerUPN", log.address.as_str())
            .set("OrganizationName", self.organization.as_str())
            .set("OriginatingServer", self.version_of(&server));
        record
    }

    fn add_client(&mut self, record: &mut Record, who: &Account) {
        let client = match self.random.below(100) {
            0..55 => Client::Outlook,
            55..85 => Client::Web,
            85..95 => Client::Mobile,
            _ => Client::Graph,
        };
        let address = record.get("ClientIP").cloned().unwrap_or_default();
        let session = guid(&mut self.random).to_string();
        let app = match client {
            Client::Outlook => "d3590ed6-52b3-4102-aeff-aad2292ab01c",
            Client::Web => "00000002-0000-0ff1-ce00-000000000000",
            Client::Mobile => "27922004-5251-4030-b22d-91ecd9a37ea4",
            Client::Graph => "00000003-0000-0000-c000-000000000000",
        };
        let info = match client {
            Client::Outlook => "Client=MSExchangeRPC",
            Client::Web => {
                "Client=OWA;Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0;"
            }
            Client::Mobile => "Client=OutlookService;Outlook-iOS/2.0;",
            Client::Graph => "Client=REST;Client=RESTSystem;;",
        };
        record.set("AppId", app);
        if client != Client::Outlook || self.random.chance(25) {
            let token = guid(&mut self.random).simple().to_string();
            let context = json!({
                "AADSessionId": session,
                "APIId": app,
                "ClientAppId": app,
                "CorrelationId": guid(&mut self.random).to_string(),
                "IssuedAtTime": record.at.plus_seconds(-1_800).native(),
                "UniqueTokenId": token.get(..22),
            });
            record.set("AppAccessContext", context);
        }
        record
            .set("ClientAppId", app)
            .set("ClientIPAddress", address)
            .set("ClientInfoString", info);
        if client == Client::Outlook {
            record
                .set("ClientProcessName", "OUTLOOK.EXE")
                .set("ClientVersion", "16.0.17328.20162");
        } else {
            // the token says who it is, and that never changes
            record
                .set("SessionId", session)
                .set("TokenObjectId", who.object_id.to_string())
                .set("TokenTenantId", self.tenant.to_string());
        }
        if self.random.chance(60) {
            let request = guid(&mut self.random).to_string().to_uppercase();
            record.set("ClientRequestId", format!("{{{request}}}"));
        }
    }

    pub(super) fn item(&mut self, mail: &Mail) -> Value {
        let folder = self.store_id('L', 80);
        let mut item = json!({
            "Id": if self.random.chance(40) { "Unknown".to_owned() } else { self.store_id('R', 112) },
            "InternetMessageId": mail.message_id,
            "ParentFolder": {"Id": folder, "Name": "Drafts", "Path": "\\Drafts"},
            "Subject": mail.subject,
        });
        if self.random.chance(40) {
            item["ImmutableId"] = self.store_id('L', 112).into();
        }
        if self.random.chance(40) {
            item["SizeInBytes"] = self.random.between(4_000, 900_000).into();
        }
        if self.random.chance(20) {
            let size = self.random.between(9_000, 4_000_000);
            item["Attachments"] = format!("image001.png (8754b); offer.pdf ({size}b)").into();
        }
        item
    }

    /// The id of something in a mailbox: base64, with a tail that says little.
    pub(super) fn store_id(&mut self, first: char, length: usize) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut id = format!("{first}gAAAAB");
        let mut bits = 0;
        while id.len() < length {
            if bits == 0 {
                bits = self.random.next();
            }
            id.push(char::from(
                ALPHABET[usize::try_from(bits & 63).unwrap_or(0)],
            ));
            bits >>= 6;
        }
        id
    }

    /// Of Exchange and SharePoint: the time of the event stands in its end.
    pub(super) fn record_id(&mut self, at: Moment) -> Uuid {
        let head = guid(&mut self.random).as_u128() >> 48 << 48;
        let instant = at.plus_ms(self.random.between(0, 1_000));
        Uuid::from_u128(head | u128::from(instant.ticks_of_id()))
    }

    /// Of everything else.
    pub(super) fn random_id(&mut self) -> Uuid {
        guid(&mut self.random)
    }

    fn version_of(&self, server: &str) -> String {
        format!("{server} (15.20.7203.000)\r\n")
    }

    pub(super) fn client_ip(&mut self) -> String {
        let host = self.random.below(254) + 1;
        match self.random.below(3) {
            0 => format!("203.0.113.{host}"),
            1 => format!("198.51.100.{host}:{}", self.random.between(1_024, 65_535)),
            _ => format!("2001:db8:85a3::{host:x}"),
        }
    }

    pub(super) fn tenant(&self) -> Uuid {
        self.tenant
    }

    pub(super) fn organization(&self) -> &str {
        &self.organization
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Plan, cast::Cast};

    #[test]
    fn the_two_sides_differ_where_the_log_differs() {
        let cast = Cast::of(&Plan::default(), 0);
        let mut scribe = Scribe::new(cast.tenant, &cast.organization, 1);
        let (who, shared) = (&cast.agents[0], &cast.shared[0]);
        let at = Moment::from_seconds(1_772_409_600);
        let mail = scribe.mail();
        let mailbox = scribe.send_as(at, &mail, who, shared, shared);
        let agent = scribe.send_as(at.plus_ms(1_500), &mail, who, who, shared);
        let same = |key: &str| mailbox.get(key) == agent.get(key);
        for key in ["UserId", "LogonUserSid", "SendAsUserSmtp", "OrganizationId"] {
            assert!(same(key), "{key}");
        }
        for key in [
            "Id",
            "MailboxOwnerUPN",
            "MailboxGuid",
            "MailboxOwnerSid",
            "CreationTime",
        ] {
            assert!(!same(key), "{key}");
        }
        assert_eq!(agent.get("MailboxOwnerSid"), agent.get("LogonUserSid"));
        assert_eq!(mailbox.get("LogonType"), Some(&2.into()));
    }

    #[test]
    fn a_message_id_begins_with_the_server_that_took_it() {
        let mut scribe = Scribe::new(Uuid::nil(), "x.onmicrosoft.com", 7);
        let mail = scribe.mail();
        assert!(mail.message_id.starts_with(&format!("<{}", mail.server)));
        assert!(mail.message_id.ends_with(".prod.outlook.com>"));
        assert_ne!(mail.message_id, scribe.mail().message_id);
    }
}
