//! The envelopes that records come in, made from native ones; and that they change nothing.

use serde_json::{Map, Value as Json, json};

use super::fixtures::fixtures;
use super::*;

/// What a caller would send that has one record in it.
pub(super) struct Envelope {
    pub what: &'static str,
    /// One JSON object.
    pub wrap: fn(&Fields) -> Json,
}

pub(super) const ENVELOPES: [Envelope; 30] = [
    Envelope {
        what: "Search-UnifiedAuditLog, text",
        wrap: |record| search_row(text(record)),
    },
    Envelope {
        what: "Search-UnifiedAuditLog, object",
        wrap: |record| search_row(object(record)),
    },
    Envelope {
        what: "text of text",
        wrap: |record| search_row(json_text(&text(record))),
    },
    Envelope {
        what: "auditLogRecord of Graph",
        wrap: |record| graph_record(record, annotated(object(record))),
    },
    Envelope {
        what: "its properties in a dictionary",
        wrap: |record| {
            let data = json!({"@odata.type": "#microsoft.graph.security.auditData", "dynamicProperties": annotated(object(record))});
            graph_record(record, data)
        },
    },
    Envelope {
        what: "the same by the PowerShell modules",
        wrap: |record| {
            let data = json!({"AdditionalProperties": annotated(object(record))});
            graph_record(record, data)
        },
    },
    Envelope {
        what: "OfficeActivity",
        wrap: |record| office_activity(record),
    },
    Envelope {
        what: "CloudAppEvents by Event Hub",
        wrap: |record| {
            json!({"time": "2024-05-06T07:20:00.1234567Z", "tenantId": TENANT.to_string(), "operationName": "Publish",
                "category": "AdvancedHunting-CloudAppEvents", "properties": cloud_app_event(with_z(record))})
        },
    },
    Envelope {
        what: "the same with its properties as text",
        wrap: |record| {
            json!({"category": "AdvancedHunting-CloudAppEvents", "tenantId": TENANT.to_string().to_uppercase(),
                "properties": json_text(&cloud_app_event(text(record)))})
        },
    },
    Envelope {
        what: "CloudAppEvents of advanced hunting",
        wrap: |record| cloud_app_event(with_z(record)),
    },
    Envelope {
        what: "CloudAppEvents in Sentinel",
        wrap: |record| {
            let mut row = cloud_app_event(text(record));
            row["TenantId"] = json!(WORKSPACE);
            row["TimeGenerated"] = json!("2024-05-06T07:20:00.1234567Z");
            row
        },
    },
    Envelope {
        what: "Wazuh",
        wrap: |record| json!({"integration": "office365", "office365": stringly(object(record))}),
    },
    Envelope {
        what: "an alert of Wazuh",
        wrap: |record| wazuh_alert(record),
    },
    Envelope {
        what: "an alert of Wazuh in its index",
        wrap: |record| json!({"_index": "wazuh-alerts", "_id": "x", "_source": wazuh_alert(record)}),
    },
    Envelope {
        what: "Wazuh, keys with dots",
        wrap: |record| dotted("data.office365.", &json!({"id": "1"}), record),
    },
    Envelope {
        what: "Wazuh around a row",
        wrap: |record| json!({"integration": "office365", "office365": search_row(text(record))}),
    },
    Envelope {
        what: "Elastic, native text",
        wrap: |record| {
            let mut document = elastic(record);
            document["event"]["original"] = text(record);
            document
        },
    },
    Envelope {
        what: "Elastic, native text, keys with dots",
        wrap: |record| json!({"event.original": text(record), "event.id": "x", "user.email": "x"}),
    },
    Envelope {
        what: "Elastic, parsed",
        wrap: |record| elastic(record),
    },
    Envelope {
        what: "Elastic, parsed, native text that is none",
        wrap: |record| {
            let mut document = elastic(record);
            document["event"]["original"] = json!("{Operation=SendAs, Id=7}");
            document
        },
    },
    Envelope {
        what: "Elastic, parsed, one key with a dot",
        wrap: |record| {
            let mut document = elastic(record);
            document["o365.audit"] = document["o365"]["audit"].take();
            document
        },
    },
    Envelope {
        what: "Elastic, parsed, keys with dots",
        wrap: |record| {
            let base = json!({"event.id": given(record, "Id"), "event.action": given(record, "Operation"),
                "organization.id": given(record, "OrganizationId"), "event.code": "ExchangeItem"});
            dotted("o365.audit.", &base, record)
        },
    },
    Envelope {
        what: "Elastic, found by a search",
        wrap: |record| json!({"_index": "x", "_score": 1.5, "_source": elastic(record)}),
    },
    Envelope {
        what: "Elastic, not parsed",
        wrap: |record| json!({"@timestamp": "2024-05-06T09:08:09.123Z", "event": {"dataset": "o365.audit"}, "o365audit": object(record)}),
    },
    Envelope {
        what: "Elastic, not parsed, keys with dots",
        wrap: |record| {
            dotted(
                "o365audit.",
                &json!({"event.dataset": "o365.audit"}),
                record,
            )
        },
    },
    Envelope {
        what: "Splunk",
        wrap: |record| json!({"_raw": text(record), "_time": "2024-05-06 07:08:09.000 UTC"}),
    },
    Envelope {
        what: "a line that Splunk exports",
        wrap: |record| json!({"preview": false, "offset": 0, "result": {"_raw": text(record), "sourcetype": "o365:management:activity"}}),
    },
    Envelope {
        what: "a page of one",
        wrap: |record| page(&[object(record)]),
    },
    Envelope {
        what: "a page of one of a page of one",
        wrap: |record| json!({"records": [page(&[search_row(text(record))])]}),
    },
    Envelope {
        what: "Windows PowerShell",
        wrap: |record| json!({"value": [search_row(text(record))], "Count": 1}),
    },
];

const WORKSPACE: &str = "99999999-9999-4999-8999-999999999999";

/// A record as JSON. Of fields that are there twice the last one.
pub(super) fn object(record: &Fields) -> Json {
    serde_json::from_str(&record.to_json()).expect("a record")
}

/// What is written there twice stays there twice.
pub(super) fn text(record: &Fields) -> Json {
    Json::String(record.to_json())
}

pub(super) fn json_text(json: &Json) -> Json {
    Json::String(json.to_string())
}

/// The field, whatever the case of its key.
fn take(object: &mut Map<String, Json>, key: &str) -> Option<Json> {
    let key = object
        .keys()
        .find(|known| known.eq_ignore_ascii_case(key))?;
    let key = key.clone();
    object.remove(&key)
}

fn given(record: &Fields, key: &str) -> Json {
    let Json::Object(mut object) = object(record) else {
        return Json::Null;
    };
    take(&mut object, key).unwrap_or_default()
}

fn fields(record: &Fields) -> Map<String, Json> {
    match object(record) {
        Json::Object(fields) => fields,
        other => panic!("no object: {other}"),
    }
}

fn search_row(data: Json) -> Json {
    json!({"RecordType": "ExchangeItem", "CreationDate": "5/6/2024 7:08:09 AM", "UserIds": "somebody@else.com",
        "Operations": "Create", "AuditData": data, "ResultIndex": 1, "ResultCount": 7,
        "Identity": "00000000-1634-4b76-9753-08d5649b7d68", "IsValid": true, "ObjectState": "Unchanged"})
}

/// As it repeats, and contradicts, what is in it.
fn graph_record(record: &Fields, data: Json) -> Json {
    json!({"@odata.type": "#microsoft.graph.security.auditLogRecord", "id": given(record, "Id"),
        "createdDateTime": "2024-05-06T07:09:00Z", "auditLogRecordType": "exchangeItem", "operation": "Create",
        "organizationId": TENANT.to_string(), "userType": "Regular", "userId": "0e1a2b3c-1634-4b76-9753-08d5649b7d68",
        "service": "Exchange", "objectId": null, "userPrincipalName": "somebody@else.com", "clientIp": "1.2.3.4",
        "administrativeUnits": [""], "auditData": data})
}

fn annotated(mut data: Json) -> Json {
    data["@odata.type"] = json!("#microsoft.graph.security.defaultAuditData");
    for key in ["CreationTime", "Operation", "RecordType", "UserId", "Item"] {
        data[format!("{key}@odata.type")] = json!("#Edm.Other");
    }
    data
}

/// Every number and every Boolean as text.
fn stringly(json: Json) -> Json {
    match json {
        Json::Object(fields) => {
            let fields = fields.into_iter();
            fields.map(|(key, value)| (key, stringly(value))).collect()
        }
        Json::Array(list) => list.into_iter().map(stringly).collect(),
        Json::Number(number) => Json::String(number.to_string()),
        Json::Bool(value) => Json::String(if value { "True" } else { "False" }.into()),
        other => other,
    }
}

fn with_z(record: &Fields) -> Json {
    let mut json = object(record);
    if let Some(Json::String(time)) = json.get_mut("CreationTime")
        && time.len() == "2024-05-06T07:08:09".len()
    {
        time.push('Z');
    }
    json
}

fn cloud_app_event(data: Json) -> Json {
    json!({"ActionType": "SendAs", "AccountType": "Regular", "AccountObjectId": "0e1a2b3c-1634-4b76-9753-08d5649b7d68",
        "Timestamp": "2024-05-06T07:08:09.9876543Z", "Application": "Microsoft Exchange Online", "RawEventData": data})
}

fn wazuh_alert(record: &Fields) -> Json {
    json!({"timestamp": "2024-05-06T07:28:09.555+0000", "rule": {"id": "91724"}, "agent": {"id": "000"}, "id": "1715.7",
        "decoder": {"name": "json"}, "data": {"integration": "office365", "office365": stringly(object(record))},
        "location": "office365"})
}

fn office_activity(record: &Fields) -> Json {
    const NAMES: [(&str, &[&str]); 4] = [
        ("LogonType", &["Owner", "Admin", "Delegated"]),
        (
            "UserType",
            &[
                "Regular",
                "Reserved",
                "Admin",
                "DcAdmin",
                "System",
                "Application",
            ],
        ),
        ("RecordType", &["", "ExchangeAdmin", "ExchangeItem"]),
        ("InternalLogonType", &["Owner", "Admin"]),
    ];
    let mut row = fields(record);
    for (key, names) in NAMES {
        if let Some(value) = row.get_mut(key)
            && let Some(name) = value
                .as_u64()
                .and_then(|n| names.get(usize::try_from(n).ok()?))
        {
            *value = json!(name);
        }
    }
    for key in ["Item", "Parameters"] {
        if let Some(value) = row.get_mut(key)
            && !value.is_string()
        {
            *value = json_text(value);
        }
    }
    let id = row.get("Id").cloned();
    for (from, to) in [
        ("Id", "OfficeId"),
        ("CreationTime", "TimeGenerated"),
        ("Workload", "OfficeWorkload"),
        ("LogonType", "Logon_Type"),
        ("ObjectId", "OfficeObjectId"),
        (
            "SendOnBehalfOfUserMailboxGuid",
            "SendonBehalfOfUserMailboxGuid",
        ),
    ] {
        if let Some(value) = row.remove(from) {
            row.insert(to.into(), value);
        }
    }
    if let Some(Json::String(time)) = row.get_mut("TimeGenerated")
        && time.len() == "2024-05-06T07:08:09".len()
    {
        time.push_str(".0000000Z");
    }
    let mut row = stringly(Json::Object(row));
    row["SourceRecordId"] = id.unwrap_or_default();
    row["TenantId"] = json!(WORKSPACE);
    row["OfficeTenantId"] = json!("$RestApiTenantId$");
    row["Start_Time"] = json!("2024-05-06T07:13:09Z");
    row["Type"] = json!("OfficeActivity");
    row
}

/// A document of Elastic's pipeline. It moves some fields, and turns numbers into text.
fn elastic(record: &Fields) -> Json {
    let mut audit = fields(record);
    if let Some(Json::Array(list)) = audit.get("Parameters") {
        let named = |parameter: &Json| {
            let name = parameter["Name"].as_str().unwrap_or_default().to_owned();
            (name, parameter["Value"].clone())
        };
        let parameters = list.iter().map(named).collect();
        audit.insert("Parameters".into(), Json::Object(parameters));
    }
    let mut moved = |key| take(&mut audit, key).unwrap_or_default();
    let mut document = json!({"@timestamp": "2024-05-06T07:08:09.000Z", "ecs": {"version": "8.11.0"},
        "event": {"action": moved("Operation"), "code": "ExchangeItem", "id": moved("Id"), "kind": "event",
            "outcome": "success", "provider": moved("Workload"), "category": ["web"]},
        "organization": {"name": "contoso", "id": moved("OrganizationId")},
        "user": {"id": "somebody@else.com", "email": moved("MailboxOwnerUPN")},
        "host": {"id": "0e1a2b3c-1634-4b76-9753-08d5649b7d68"}, "tags": ["forwarded"]});
    document["o365"] = json!({"audit": stringly(Json::Object(audit))});
    document
}

/// Keys joined by dots.
fn dotted(prefix: &str, base: &Json, record: &Fields) -> Json {
    let mut document = base.clone();
    for (key, value) in fields(record) {
        match value {
            Json::Object(item) => {
                for (inner, value) in item {
                    document[format!("{prefix}{key}.{inner}")] = value;
                }
            }
            value => document[format!("{prefix}{key}")] = stringly(value),
        }
    }
    document
}

pub(super) fn page(records: &[Json]) -> Json {
    json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#x", "@odata.count": records.len(),
        "value": records, "zz": {"Id": "x", "value": [{}]}})
}

/// All fixtures, in all envelopes, in all forms of content.
#[test]
fn the_same_record_through_every_envelope() {
    for (what, record) in fixtures() {
        let expected = record.decode();
        for envelope in &ENVELOPES {
            let json = (envelope.wrap)(&record).to_string();
            let what = format!("{what}: {}: {json}", envelope.what);
            let records = decode_all(json.as_bytes());
            assert_eq!(records.len(), 1, "{what}");
            assert_eq!(records[0].decoded, expected, "{what}");
            assert_eq!(decode_one(json.as_bytes()), expected, "{what}");
            let read = read_all(json.as_bytes()).expect(&what);
            assert_eq!(read.len(), 1, "{what}");
            assert_eq!(decode_one(&read[0]), expected, "{what}");
        }
    }
}

/// Neighbours in every envelope, in arrays, lines and pages.
#[test]
fn neighbours_in_every_envelope() {
    let records: Vec<Fields> = fixtures().into_iter().map(|(_, record)| record).collect();
    let expected: Vec<_> = records.iter().map(Fields::decode).collect();
    for envelope in &ENVELOPES {
        let wrapped: Vec<Json> = records.iter().map(envelope.wrap).collect();
        let lines: Vec<String> = wrapped.iter().map(Json::to_string).collect();
        for content in [
            json!(wrapped).to_string(),
            lines.join("\n"),
            page(&wrapped).to_string(),
            serde_json::to_string_pretty(&json!({"records": wrapped})).expect("JSON"),
            json!([page(&wrapped[..3]), page(&[]), page(&wrapped[3..])]).to_string(),
        ] {
            let decoded: Vec<_> = decode_all(content.as_bytes())
                .into_iter()
                .map(|record| record.decoded)
                .collect();
            assert_eq!(decoded, expected, "{}", envelope.what);
            let read = read_all(content.as_bytes()).expect("a known form");
            let read: Vec<_> = read.iter().map(|record| decode_one(record)).collect();
            assert_eq!(read, expected, "{}", envelope.what);
        }
    }
}
