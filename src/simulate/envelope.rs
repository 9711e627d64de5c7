//! Every form that audit records come in: what stands around a native record, in what file.

use super::{Delivered, Random};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

macro_rules! envelopes {
    ($($envelope:ident $name:literal $extension:literal $share:literal $(#[$about:meta])*;)*) => {
        /// The form of a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Envelope {
            $($(#[$about])* $envelope,)*
        }

        impl Envelope {
            pub const ALL: &'static [Self] = &[$(Self::$envelope),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$envelope => $name,)*
                }
            }

            pub fn extension(self) -> &'static str {
                match self {
                    $(Self::$envelope => $extension,)*
                }
            }

            /// How often a file has this form, among all the others.
            pub(super) fn share(self) -> usize {
                match self {
                    $(Self::$envelope => $share,)*
                }
            }
        }
    };
}

envelopes! {
    Blob "blob" "json" 12 /** Content blob of the Management Activity API: a JSON array. */;
    Lines "lines" "jsonl" 3 /** Native records, one a line. */;
    Search "search" "json" 2 /** Search-UnifiedAuditLog, `AuditData` as JSON text. */;
    SearchObjects "search-objects" "json" 1 /** The same, `AuditData` as an object. */;
    PortalOld "portal-old" "csv" 2 /** CSV of the portal, as it was. */;
    PortalNew "portal-new" "csv" 2 /** CSV of the portal, as it is. */;
    ExportCsv "export-csv" "csv" 2 /** Search-UnifiedAuditLog with Export-Csv. */;
    Graph "graph" "json" 2 /** A page of `security/auditLog/queries/…/records`. */;
    Sentinel "sentinel" "jsonl" 1 /** Rows of the table OfficeActivity. */;
    CloudAppEvents "cloud-app-events" "jsonl" 1 /** Defender XDR by an event hub. */;
    Wazuh "wazuh" "jsonl" 1 /** Wazuh. */;
    Elastic "elastic" "jsonl" 1 /** Elastic, the record in `event.original`. */;
}

/// Which of the two forms times have in an export.
#[derive(Clone, Copy, Debug)]
enum Locale {
    American,
    German,
}

impl Envelope {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// A whole file.
    pub fn wrap(self, records: &[Delivered], random: &mut Random) -> Vec<u8> {
        let locale = if random.chance(70) {
            Locale::American
        } else {
            Locale::German
        };
        let rows: Vec<String> = records
            .iter()
            .map(|record| {
                let row = self.row(record, locale, records.len());
                match record.cut {
                    Some(length) => row.chars().take(length).collect(),
                    None => row.into_owned(),
                }
            })
            .collect();
        match self {
            Self::Blob => format!("[{}]", rows.join(",")),
            Self::Search | Self::SearchObjects => format!("[\r\n{}\r\n]\r\n", rows.join(",\r\n")),
            Self::Graph => format!(
                "{{\"@odata.context\":\"https://graph.microsoft.com/v1.0/$metadata#security/\
                 auditLog/queries('7d2f')/records\",\"@odata.count\":{},\"value\":[{}]}}",
                rows.len(),
                rows.join(",")
            ),
            Self::PortalOld | Self::PortalNew | Self::ExportCsv => {
                format!("{}{}\r\n", self.csv_header(), rows.join("\r\n"))
            }
            _ => format!("{}\n", rows.join("\n")),
        }
        .into_bytes()
    }

    /// One record in its element, row or line.
    fn row(self, record: &Delivered, locale: Locale, count: usize) -> Cow<'_, str> {
        if matches!(self, Self::Blob | Self::Lines) {
            return Cow::Borrowed(&record.json);
        }
        let native = Native::of(&record.json);
        let row = match self {
            Self::Blob | Self::Lines => record.json.clone(),
            Self::Search => native
                .search(record.json.as_str().into(), locale, count)
                .to_string(),
            Self::SearchObjects => native
                .search(Value::Object(native.0.clone()), locale, count)
                .to_string(),
            Self::PortalOld => csv_row(&[
                format!("{}.0000000Z", native.text("CreationTime")),
                native.text("UserId"),
                native.text("Operation"),
                record.json.clone(),
            ]),
            Self::PortalNew => csv_row(&[
                native.text("Id"),
                format!("{}.0000000Z ", native.text("CreationTime")),
                native.record_type().0.to_string(),
                native.text("Operation"),
                native.text("UserId"),
                record.json.clone(),
                String::new(),
                String::new(),
            ]),
            Self::ExportCsv => {
                let search = native.search(record.json.as_str().into(), locale, count);
                let cells = EXPORT_COLUMNS.map(|column| quoted(&text(&search[column])));
                cells.join(",")
            }
            Self::Graph => native.graph().to_string(),
            Self::Sentinel => native.sentinel(record).to_string(),
            Self::CloudAppEvents => native.cloud_app_event(record).to_string(),
            Self::Wazuh => native.wazuh().to_string(),
            Self::Elastic => json!({
                "@timestamp": format!("{}.000Z", native.text("CreationTime")),
                "event": {
                    "dataset": "o365.audit",
                    "module": "o365",
                    "original": record.json,
                },
                "input": {"type": "o365audit"},
                "tags": ["forwarded", "preserve_original_event"],
            })
            .to_string(),
        };
        Cow::Owned(row)
    }

    fn csv_header(self) -> String {
        match self {
            Self::PortalOld => "CreationDate,UserIds,Operations,AuditData\r\n".into(),
            Self::PortalNew => {
                "\u{feff}RecordId,CreationDate,RecordType,Operation,UserId,AuditData,\
                 AssociatedAdminUnits,AssociatedAdminUnitsNames\r\n"
                    .into()
            }
            _ => {
                let columns = EXPORT_COLUMNS.map(quoted).join(",");
                format!("#TYPE System.Management.Automation.PSObject\r\n{columns}\r\n")
            }
        }
    }
}

const EXPORT_COLUMNS: [&str; 10] = [
    "RecordType",
    "CreationDate",
    "UserIds",
    "Operations",
    "AuditData",
    "ResultIndex",
    "ResultCount",
    "Identity",
    "IsValid",
    "ObjectState",
];
const RECORD_TYPES: [(u64, &str); 6] = [
    (1, "ExchangeAdmin"),
    (2, "ExchangeItem"),
    (3, "ExchangeItemGroup"),
    (6, "SharePointFileOperation"),
    (15, "AzureActiveDirectoryStsLogon"),
    (50, "ExchangeItemAggregated"),
];
const USER_TYPES: [&str; 11] = [
    "Regular",
    "Reserved",
    "Admin",
    "DcAdmin",
    "System",
    "Application",
    "ServicePrincipal",
    "CustomPolicy",
    "SystemPolicy",
    "PartnerTechnician",
    "Guest",
];
const LOGON_TYPES: [&str; 7] = [
    "Owner",
    "Admin",
    "Delegated",
    "Transport",
    "SystemService",
    "BestAccess",
    "DelegatedAdmin",
];

/// The fields of a record, as a tool that rewrites it reads them.
struct Native(Map<String, Value>);

impl Native {
    fn of(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        let field = fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        field.map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> String {
        self.get(name).map(text).unwrap_or_default()
    }

    /// Its number and its name.
    fn record_type(&self) -> (u64, &'static str) {
        let written = self.text("RecordType");
        let known = RECORD_TYPES.iter().find(|(number, name)| {
            number.to_string() == written || name.eq_ignore_ascii_case(&written)
        });
        known.copied().unwrap_or((0, ""))
    }

    fn name_of(&self, field: &str, names: &[&'static str]) -> String {
        let written = self.text(field);
        let number: Option<usize> = written.parse().ok();
        let name = number.and_then(|number| names.get(number));
        name.map_or(written, |&name| name.to_owned())
    }

    /// An object of Search-UnifiedAuditLog. Its time is written as the machine likes it.
    fn search(&self, audit_data: Value, locale: Locale, count: usize) -> Value {
        let written = self.text("CreationTime");
        json!({
            "RecordType": self.record_type().1,
            "CreationDate": in_locale(&written, locale),
            "UserIds": self.text("UserId"),
            "Operations": self.text("Operation"),
            "AuditData": audit_data,
            "ResultIndex": 1,
            "ResultCount": count,
            "Identity": self.text("Id"),
            "IsValid": true,
            "ObjectState": "Unchanged",
        })
    }

    fn graph(&self) -> Value {
        let mut audit_data = self.0.clone();
        let of = "#microsoft.graph.security.defaultAuditData";
        audit_data.insert("@odata.type".into(), of.into());
        for list in ["recipientList", "Folders", "AffectedItems"] {
            if audit_data.contains_key(list) {
                audit_data.insert(
                    format!("{list}@odata.type"),
                    "#Collection(graph.Json)".into(),
                );
            }
        }
        let record_type = self.record_type().1;
        let record_type = match record_type.split_at_checked(1) {
            Some((first, rest)) => format!("{}{rest}", first.to_lowercase()),
            None => String::new(),
        };
        json!({
            "id": self.text("Id"),
            "createdDateTime": format!("{}Z", self.text("CreationTime")),
            "auditLogRecordType": record_type,
            "operation": self.text("Operation"),
            "organizationId": self.text("OrganizationId"),
            "userType": self.name_of("UserType", &USER_TYPES),
            "userId": self.text("UserId"),
            "service": self.text("Workload"),
            "objectId": self.get("ObjectId"),
            "userPrincipalName": self.text("UserId"),
            "clientIp": self.get("ClientIP"),
            "administrativeUnits": [""],
            "auditData": audit_data,
        })
    }

    /// A flat row; what the table has no column for keeps its own name.
    fn sentinel(&self, record: &Delivered) -> Value {
        let id = self.text("Id");
        let arrived = format!("{}Z", record.due.native());
        let mut row = json!({
            "TenantId": "00000000-0000-0000-0000-00000000051e",
            "SourceSystem": "OfficeActivityManager",
            "TimeGenerated": format!("{}Z", self.text("CreationTime")),
            "ElevationTime": arrived,
            "Start_Time": arrived,
            "OfficeId": id,
            "SourceRecordId": id,
            "OfficeTenantId": self.text("OrganizationId"),
            "RecordType": self.record_type().0.to_string(),
            "UserType": self.name_of("UserType", &USER_TYPES),
            "Type": "OfficeActivity",
        });
        for (key, value) in &self.0 {
            let name = key.trim();
            let column = match name.to_ascii_lowercase().as_str() {
                "id" | "creationtime" | "recordtype" | "usertype" => continue,
                "workload" => "OfficeWorkload",
                "objectid" => "OfficeObjectId",
                "clientipaddress" => "Client_IPAddress",
                "logontype" => "Logon_Type",
                _ => name,
            };
            row[column] = match column {
                "Logon_Type" | "InternalLogonType" => self.name_of(name, &LOGON_TYPES),
                _ => text(value),
            }
            .into();
        }
        row
    }

    fn cloud_app_event(&self, record: &Delivered) -> Value {
        let time = format!("{}Z", self.text("CreationTime"));
        let mut raw = self.0.clone();
        raw.insert("CreationTime".into(), time.as_str().into());
        let raw = Value::Object(raw);
        let application = self.text("UserType") == "5";
        json!({
            "time": format!("{}Z", record.due.native()),
            "tenantId": self.text("OrganizationId"),
            "operationName": "Publish",
            "category": "AdvancedHunting-CloudAppEvents",
            "properties": {
                "ActionType": self.text("Operation"),
                "Application": "Microsoft Exchange Online",
                "AccountType": if application { "Application" } else { "Regular" },
                "AccountDisplayName": self.text("UserId"),
                "Timestamp": time,
                // an object, or its text
                "RawEventData": if record.json.len().is_multiple_of(2) {
                    raw
                } else {
                    Value::String(raw.to_string())
                },
            },
        })
    }

    /// Numbers are text there.
    fn wazuh(&self) -> Value {
        let fields = self.0.iter().map(|(key, value)| match value {
            Value::Number(number) => (key.clone(), Value::String(number.to_string())),
            value => (key.clone(), value.clone()),
        });
        json!({
            "integration": "office365",
            "office365": Value::Object(fields.collect()),
        })
    }
}

/// As text: of an object or a list its JSON, of a boolean as .NET writes it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// `2021-07-19T17:55:04` as people write it.
fn in_locale(native: &str, locale: Locale) -> String {
    let number = |from: usize, to: usize| native.get(from..to)?.parse::<u32>().ok();
    let parts = (number(0, 4), number(5, 7), number(8, 10), number(11, 13));
    let (Some(year), Some(month), Some(day), Some(hour)) = parts else {
        return native.to_owned();
    };
    let rest = native.get(13..19).unwrap_or_default();
    match locale {
        Locale::American => {
            let half = if hour < 12 { "AM" } else { "PM" };
            let hour = (hour + 11) % 12 + 1;
            format!("{month}/{day}/{year} {hour}{rest} {half}")
        }
        Locale::German => format!("{day:02}.{month:02}.{year} {hour:02}{rest}"),
    }
}

/// Quoted only where it must be.
fn csv_row(cells: &[String]) -> String {
    let cells: Vec<Cow<'_, str>> = cells
        .iter()
        .map(|cell| {
            if cell.contains([',', '"', '\r', '\n']) {
                Cow::Owned(quoted(cell))
            } else {
                Cow::Borrowed(cell.as_str())
            }
        })
        .collect();
    cells.join(",")
}

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for (native, american, german) in [
            (
                "2021-07-19T17:55:04",
                "7/19/2021 5:55:04 PM",
                "19.07.2021 17:55:04",
            ),
            (
                "2026-03-02T00:07:09",
                "3/2/2026 12:07:09 AM",
                "02.03.2026 00:07:09",
            ),
            ("", "", ""),
        ] {
            assert_eq!(in_locale(native, Locale::American), american);
            assert_eq!(in_locale(native, Locale::German), german);
        }
    }

    #[test]
    fn a_name_leads_to_its_envelope() {
        for &envelope in Envelope::ALL {
            assert_eq!(Envelope::from_name(envelope.name()), Some(envelope));
        }
        assert_eq!(Envelope::from_name("xml"), None);
    }
}
