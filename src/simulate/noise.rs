//! The other operations of the feed: most of it, and none of our business.

use super::{Account, Mail, Moment, Record, Scribe, cast::Cast, cast::guid};
use serde_json::{Value, json};

/// Shares of a hundred, as a busy tenant has them: what Exchange does to itself, and reading.
const SHARES: [(u64, Kind); 11] = [
    (35, Kind::SystemCmdlet),
    (26, Kind::MailItemsAccessed),
    (9, Kind::UserLoggedIn),
    (8, Kind::FileAccessed),
    (6, Kind::Item("Create", 2)),
    (6, Kind::Item("Update", 2)),
    (3, Kind::Item("SoftDelete", 3)),
    (3, Kind::Item("MoveToDeletedItems", 3)),
    (1, Kind::Item("HardDelete", 3)),
    (2, Kind::Item("ApplyRecord", 2)),
    (1, Kind::InboxRule),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    SystemCmdlet,
    MailItemsAccessed,
    UserLoggedIn,
    FileAccessed,
    /// With its record type.
    Item(&'static str, u64),
    InboxRule,
}

const SYSTEM_ACCOUNTS: [&str; 4] = [
    r"NT AUTHORITY\SYSTEM (Microsoft.Exchange.ServiceHost)",
    r"NT AUTHORITY\SYSTEM (Microsoft.Exchange.Servicehost)",
    r"NT AUTHORITY\SYSTEM (w3wp)",
    r"NT AUTHORITY\SYSTEM (Microsoft.Exchange.Management.ForwardSync)",
];
/// Cmdlets, and a parameter each: nothing that says who may send or what is logged.
const SYSTEM_CMDLETS: [(&str, &str, &str); 5] = [
    ("Set-Mailbox", "MailboxPlan", "ExchangeOnlineEnterprise"),
    ("Set-Mailbox", "SKUAssigned", "True"),
    ("Set-Mailbox", "ElcProcessingDisabled", "False"),
    ("Set-User", "RemotePowerShellEnabled", "True"),
    (
        "Set-MailboxPlan",
        "IssueWarningQuota",
        "98 GB (105,226,698,752 bytes)",
    ),
];

impl Scribe {
    /// Something else that happens in the tenant.
    pub(super) fn noise(&mut self, at: Moment, cast: &Cast) -> Record {
        let mut left = self.random.below(100);
        let kind = SHARES.iter().find_map(|&(share, kind)| {
            let drawn = left < share;
            left = left.saturating_sub(share);
            drawn.then_some(kind)
        });
        let who = self.random.pick(&cast.agents).clone();
        match kind.unwrap_or(Kind::SystemCmdlet) {
            Kind::SystemCmdlet => self.system_cmdlet(at, &who),
            Kind::MailItemsAccessed => {
                let shared = self.random.pick(&cast.shared).clone();
                let log = if self.random.chance(40) {
                    &shared
                } else {
                    &who
                };
                self.mail_items_accessed(at, &who, log, &[])
            }
            Kind::UserLoggedIn => self.user_logged_in(at, &who),
            Kind::FileAccessed => self.file_accessed(at, &who),
            Kind::Item(operation, record_type) => {
                let mail = self.mail();
                self.touched(operation, record_type, at, &who, &mail)
            }
            Kind::InboxRule => self.inbox_rule(at, &who),
        }
    }

    fn system_cmdlet(&mut self, at: Moment, target: &Account) -> Record {
        let account = *self.random.pick(&SYSTEM_ACCOUNTS);
        let &(operation, name, value) = self.random.pick(&SYSTEM_CMDLETS);
        let path = format!(
            "EURPR04A001.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/{}/{}",
            self.organization(),
            target.object_id
        );
        let server = self.server();
        self.record(operation, 1, at, target)
            .without(&["ClientIP"])
            .with("ResultStatus", "True")
            .with("UserKey", account)
            .with("UserType", 3)
            .with("ObjectId", path.as_str())
            .with("UserId", account)
            .with("AppId", "")
            .with("ClientAppId", "")
            .with("ExternalAccess", true)
            .with("OrganizationName", self.organization())
            .with("OriginatingServer", format!("{server} (15.20.7203.000)"))
            .with(
                "Parameters",
                json!([
                    {"Name": "Identity", "Value": path},
                    {"Name": "DomainController", "Value": format!("{server}.EURPR04A001.PROD.OUTLOOK.COM")},
                    {"Name": name, "Value": value},
                    {"Name": "ErrorAction", "Value": "Stop"},
                ]),
            )
    }

    /// Somebody's client read messages: these, and some more.
    pub fn mail_items_accessed(
        &mut self,
        at: Moment,
        who: &Account,
        log: &Account,
        message_ids: &[&str],
    ) -> Record {
        let folders = if self.random.chance(25) { 3 } else { 1 };
        let mut folders: Vec<Value> = (0..folders).map(|_| self.folder()).collect();
        if let Some(items) = folders[0]["FolderItems"].as_array_mut() {
            for id in message_ids {
                items.push(json!({"InternetMessageId": id, "SizeInBytes": 48_213}));
            }
        }
        let id = self.random_id();
        let bind = self.random.chance(85);
        self.mailbox_record("MailItemsAccessed", 50, at, who, log)
            .with("Id", id.to_string())
            .with(
                "OperationProperties",
                json!([
                    {"Name": "MailAccessType", "Value": if bind { "Bind" } else { "Sync" }},
                    {"Name": "IsThrottled", "Value": "False"},
                ]),
            )
            .with("OperationCount", 1 + message_ids.len())
            .with("Folders", folders)
    }

    fn folder(&mut self) -> Value {
        let items = 1 + self.random.below(4);
        let items: Vec<Value> = (0..items)
            .map(|_| {
                json!({
                    "Id": self.store_id('R', 88),
                    "InternetMessageId": self.mail().message_id,
                    "SizeInBytes": self.random.between(3_000, 400_000),
                })
            })
            .collect();
        json!({"FolderItems": items, "Id": self.store_id('L', 80), "Path": "\\Inbox"})
    }

    /// Something was done with a message: `Create` of a draft, `Update`, one of the deletes.
    pub(super) fn touched(
        &mut self,
        operation: &str,
        record_type: u64,
        at: Moment,
        who: &Account,
        mail: &Mail,
    ) -> Record {
        let item = self.item(mail);
        let record = self.mailbox_record(operation, record_type, at, who, who);
        match operation {
            "Update" => record.with("Item", item).with(
                "ModifiedProperties",
                json!(["RecipientCollection", "ItemClass", "MessageFlags"]),
            ),
            _ if record_type == 3 => record
                .with("AffectedItems", json!([item]))
                .with("CrossMailboxOperation", false)
                .with(
                    "Folder",
                    json!({"Id": self.store_id('L', 80), "Path": "\\Inbox"}),
                ),
            _ => record.with("Item", item),
        }
    }

    fn user_logged_in(&mut self, at: Moment, who: &Account) -> Record {
        let id = self.random_id();
        let address = self.client_ip();
        let object_id = who.object_id.to_string();
        self.record("UserLoggedIn", 15, at, who)
            .with("Id", id.to_string())
            .with("UserKey", object_id.as_str())
            .with("Workload", "AzureActiveDirectory")
            .with("ObjectId", "00000002-0000-0ff1-ce00-000000000000")
            .with("AzureActiveDirectoryEventType", 1)
            .with(
                "ExtendedProperties",
                json!([
                    {"Name": "ResultStatusDetail", "Value": "Success"},
                    {"Name": "UserAgent", "Value": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"},
                    {"Name": "RequestType", "Value": "OAuth2:Authorize"},
                ]),
            )
            .with("ModifiedProperties", json!([]))
            .with("Actor", json!([{"ID": object_id, "Type": 0}, {"ID": who.upn, "Type": 5}]))
            .with("ActorContextId", self.tenant().to_string())
            .with("ActorIpAddress", address)
            .with("InterSystemsId", guid(&mut self.random).to_string())
            .with("IntraSystemId", id.to_string())
            .with("SupportTicketId", "")
            .with("Target", json!([{"ID": "00000002-0000-0ff1-ce00-000000000000", "Type": 0}]))
            .with("TargetContextId", self.tenant().to_string())
            .with("ApplicationId", "d3590ed6-52b3-4102-aeff-aad2292ab01c")
            .with(
                "DeviceProperties",
                json!([
                    {"Name": "OS", "Value": "Windows10"},
                    {"Name": "BrowserType", "Value": "Edge"},
                    {"Name": "IsCompliantAndManaged", "Value": "True"},
                    {"Name": "SessionId", "Value": guid(&mut self.random).to_string()},
                ]),
            )
            .with("ErrorNumber", "0")
    }

    fn file_accessed(&mut self, at: Moment, who: &Account) -> Record {
        let site = self
            .organization()
            .replace(".onmicrosoft.com", ".sharepoint.com");
        let file = format!("Offer {}.docx", self.random.between(1_000, 10_000));
        self.record("FileAccessed", 6, at, who)
            .without(&["ResultStatus"])
            .with(
                "UserKey",
                format!("i:0h.f|membership|{}@live.com", who.puid.to_lowercase()),
            )
            .with("Workload", "SharePoint")
            .with(
                "ObjectId",
                format!("https://{site}/sites/team/Shared Documents/{file}"),
            )
            .with("AuthenticationType", "FormsCookieAuth")
            .with("BrowserName", "Edge")
            .with("BrowserVersion", "124.0.0.0")
            .with("CorrelationId", guid(&mut self.random).to_string())
            .with("EventSource", "SharePoint")
            .with("GeoLocation", "EUR")
            .with("HighPriorityMediaProcessing", false)
            .with("IsManagedDevice", true)
            .with("ItemType", "File")
            .with("ListId", guid(&mut self.random).to_string())
            .with("ListItemUniqueId", guid(&mut self.random).to_string())
            .with("Platform", "WinDesktop")
            .with("Site", guid(&mut self.random).to_string())
            .with("SiteUrl", format!("https://{site}/sites/team/"))
            .with("SourceFileExtension", "docx")
            .with("SourceFileName", file)
            .with("SourceRelativeUrl", "Shared Documents")
            .with(
                "UserAgent",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
            )
            .with("WebId", guid(&mut self.random).to_string())
    }

    fn inbox_rule(&mut self, at: Moment, who: &Account) -> Record {
        let server = self.server();
        self.record("New-InboxRule", 1, at, who)
            .with("ResultStatus", "True")
            .with("UserType", 2)
            .with("ObjectId", format!("{}\\Move newsletters", who.object_id))
            .with("ExternalAccess", false)
            .with("OrganizationName", self.organization())
            .with("OriginatingServer", format!("{server} (15.20.7203.000)"))
            .with(
                "Parameters",
                json!([
                    {"Name": "Name", "Value": "Move newsletters"},
                    {"Name": "SubjectContainsWords", "Value": "newsletter"},
                    {"Name": "MoveToFolder", "Value": "Newsletters"},
                ]),
            )
    }

    /// An administrator changed what is logged, or who may send.
    pub(super) fn settings_changed(
        &mut self,
        at: Moment,
        administrator: &Account,
        operation: &str,
        object: &str,
        parameters: &[(&str, &str)],
    ) -> Record {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(name, value)| json!({"Name": name, "Value": value}))
            .collect();
        let (server, session) = (self.server(), guid(&mut self.random));
        self.record(operation, 1, at, administrator)
            .with("ResultStatus", "True")
            .with("UserType", 2)
            .with("ObjectId", object)
            .with("AppId", "fb78d390-0c51-40cd-8e17-fdbfab77341b")
            .with("ClientAppId", "")
            .with("ExternalAccess", false)
            .with("OrganizationName", self.organization())
            .with("OriginatingServer", format!("{server} (15.20.7203.000)"))
            .with("Parameters", parameters)
            .with("SessionId", session.to_string())
    }
}
