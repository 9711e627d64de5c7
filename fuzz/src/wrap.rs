//! What stands around a native record, by family.

use serde_json::{Value, json, value::RawValue};

/// Puts the JSON of a record, as it is written, into an element of the family.
pub type Wrap = fn(&str) -> String;

fn text(record: &str) -> Value {
    Value::String(record.to_owned())
}

/// Of a template the place where the record goes, unchanged: an object keeps its contradictions.
fn around(template: Value, record: &str) -> String {
    template.to_string().replace("\"HERE\"", record)
}

pub const SEARCH: &[Wrap] = &[
    |record| search_row(text(record)).to_string(),
    |record| around(search_row(text("HERE")), record),
    |record| search_row(text(&text(record).to_string())).to_string(),
];

pub const GRAPH: &[Wrap] = &[
    |record| around(graph_record(text("HERE")), record),
    |record| around(graph_record(json!({"dynamicProperties": "HERE"})), record),
    |record| {
        around(
            graph_record(json!({"AdditionalProperties": "HERE"})),
            record,
        )
    },
];

pub const SIEM: &[Wrap] = &[
    |record| json!({"event": {"original": text(record), "dataset": "o365.audit"}}).to_string(),
    |record| json!({"event.original": text(record)}).to_string(),
    |record| {
        around(
            json!({"_source": {"event": {"dataset": "o365.audit"}, "o365audit": "HERE"}}),
            record,
        )
    },
    |record| json!({"_raw": text(record), "_time": "2024-05-06 07:08:09.000 UTC"}).to_string(),
    |record| json!({"preview": false, "result": {"_raw": text(record)}}).to_string(),
    |record| {
        around(
            json!({"integration": "office365", "office365": "HERE"}),
            record,
        )
    },
    |record| {
        around(
            json!({"rule": {"id": "91533"}, "data": {"integration": "office365", "office365": "HERE"}}),
            record,
        )
    },
    |record| {
        around(
            json!({"ActionType": "SendAs", "RawEventData": "HERE"}),
            record,
        )
    },
    |record| json!({"ActionType": "SendAs", "RawEventData": text(record)}).to_string(),
    |record| {
        around(
            json!({"category": "AdvancedHunting-CloudAppEvents", "properties": {"RawEventData": "HERE"}}),
            record,
        )
    },
];

pub const PAGES: &[Wrap] = &[
    |record| around(json!({"@odata.context": "x", "value": ["HERE"]}), record),
    |record| around(json!({"records": ["HERE"], "Count": 1}), record),
];

fn search_row(data: Value) -> Value {
    json!({"RecordType": "ExchangeItem", "CreationDate": "5/6/2024 7:08:09 AM", "UserIds": "x@else.com",
        "Operations": "Create", "AuditData": data, "ResultIndex": 1, "ResultCount": 7, "IsValid": true})
}

fn graph_record(data: Value) -> Value {
    json!({"@odata.type": "#microsoft.graph.security.auditLogRecord", "createdDateTime": "2024-05-06T07:09:00Z",
        "operation": "Create", "userPrincipalName": "x@else.com", "auditData": data})
}

pub fn is_object(json: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<&RawValue>(json);
    parsed.is_ok_and(|json| json.get().starts_with('{'))
}
