//! The forms that CSV exports come in.

use super::*;

struct Export {
    what: &'static str,
    header: &'static str,
    row: fn(&Fields) -> String,
}

fn cell_of(record: &Fields, key: &str) -> String {
    record.get(key).trim_matches('"').to_owned()
}

fn old_portal(record: &Fields) -> String {
    let (user, operation) = (cell_of(record, "UserId"), cell_of(record, "Operation"));
    let data = record.to_cell();
    format!("2024-05-06T07:08:09.0000000Z,{user},{operation},{data}")
}

fn new_portal(record: &Fields) -> String {
    let (user, operation) = (cell_of(record, "UserId"), cell_of(record, "Operation"));
    let (id, data) = (cell_of(record, "Id"), record.to_cell());
    format!("{id},2024-05-06T07:08:09.0000000Z ,2,{operation},{user},{data},,")
}

fn power_shell(record: &Fields) -> String {
    let (user, operation) = (cell_of(record, "UserId"), cell_of(record, "Operation"));
    let (id, data) = (cell_of(record, "Id"), record.to_cell());
    format!(
        "\"ExchangeItem\",\"5/6/2024 7:08:09 AM\",\"{user}\",\"{operation}\",{data},\"1\",\"2\",\"{id}\",\"True\",\"Unchanged\""
    )
}

const EXPORTS: [Export; 11] = [
    Export {
        what: "old portal",
        header: "CreationDate,UserIds,Operations,AuditData",
        row: old_portal,
    },
    Export {
        what: "new portal",
        header: "\u{feff}RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames",
        row: new_portal,
    },
    Export {
        what: "PowerShell",
        header: "\"RecordType\",\"CreationDate\",\"UserIds\",\"Operations\",\"AuditData\",\"ResultIndex\",\"ResultCount\",\"Identity\",\"IsValid\",\"ObjectState\"",
        row: power_shell,
    },
    Export {
        what: "PowerShell with its type and a byte order mark",
        header: "\u{feff}#TYPE Deserialized.Microsoft.Exchange.Data.ApplicationLogic.UnifiedAuditLogEvent\r\n\"RecordType\",\"CreationDate\",\"UserIds\",\"Operations\",\"AuditData\",\"ResultIndex\",\"ResultCount\",\"Identity\",\"IsValid\",\"ObjectState\"",
        row: power_shell,
    },
    Export {
        what: "other order and case, other columns",
        header: " auditdata , Comment",
        row: |record| format!("{},\"two\nlines, \"\"quoted\"\"\"", record.to_cell()),
    },
    Export {
        what: "semicolons",
        header: "sep=;\n\"UserIds\";\"AuditData\"",
        row: |record| format!("a,b;{}", record.to_cell()),
    },
    Export {
        what: "a cell of many lines",
        header: "UserIds,AuditData,ResultIndex",
        row: |record| format!("a,\"{}\",1", record.to_pretty_json().replace('"', "\"\"")),
    },
    Export {
        what: "advanced hunting",
        header: "Timestamp,ActionType,RawEventData,TenantId",
        row: |record| format!("\"Jan 1, 2024\",SendAs,{},x", record.to_cell()),
    },
    Export {
        what: "Splunk",
        header: "\"_raw\",\"_time\",source",
        row: |record| format!("{},\"2024\",audit", record.to_cell()),
    },
    Export {
        what: "Elastic",
        header: "\"@timestamp\",\"event.original\",\"event.action\"",
        row: |record| format!("\"May 6, 2024\",{},Send", record.to_cell()),
    },
    Export {
        what: "several such columns",
        header: "_raw,AuditData,RawEventData",
        row: |record| format!("x,{},y", record.to_cell()),
    },
];

fn export(export: &Export, records: &[Fields], line_end: &str) -> String {
    let mut text = format!("{}{line_end}", export.header);
    for record in records {
        text += &(export.row)(record);
        text += line_end;
    }
    text
}

#[test]
fn every_export_decodes_to_the_same() {
    let records = [
        Fields::mailbox_side(),
        Fields::own_send().text("Operation", "Create"),
        Fields::agent_side(),
    ];
    let expected = [
        records[0].decode(),
        records[1].decode(),
        records[2].decode(),
    ];
    for form in &EXPORTS {
        for line_end in ["\n", "\r\n"] {
            let text = export(form, &records, line_end);
            for text in [text.as_str(), text.trim_end()] {
                let decoded: Vec<_> = decode_all(text.as_bytes())
                    .into_iter()
                    .map(|record| record.decoded)
                    .collect();
                assert_eq!(decoded, expected, "{}", form.what);
                let read = read_all(text.as_bytes()).expect("a known form");
                assert_eq!(read.len(), 3);
                let again: Vec<_> = read.iter().map(|record| decode_one(record)).collect();
                assert_eq!(again, expected, "{}", form.what);
            }
        }
    }
}

#[test]
fn the_bytes_are_the_record_alone() {
    let text = export(&EXPORTS[0], &[Fields::mailbox_side()], "\r\n");
    let records = decode_all(text.as_bytes());
    assert_eq!(
        records[0].bytes,
        Fields::mailbox_side().to_json().as_bytes()
    );
}

#[test]
fn the_header_is_no_record() {
    for form in &EXPORTS {
        let text = export(form, &[], "\r\n");
        assert_eq!(outcomes(text.as_bytes()), [""; 0], "{}", form.what);
        // two exports in one file, each with its own
        let second = export(&EXPORTS[1], &[Fields::mailbox_side()], "\r\n");
        let both = format!("{text}\r\n,,\r\n{second}");
        assert_eq!(outcomes(both.as_bytes()), ["S"], "{}", form.what);
    }
}

#[test]
fn rows_without_a_record_are_kept_as_they_are() {
    let header = "CreationDate,UserIds,Operations,AuditData";
    let good = old_portal(&Fields::mailbox_side());
    for (row, bytes) in [
        ("2024,a,Send,", "2024,a,Send,"),
        ("2024,a,Send", "2024,a,Send"),
        ("2024,a,Send,\"\"", "2024,a,Send,\"\""),
        ("2024,a,Send,{}", "{}"),
        ("2024,a,Send,\"cut\"", "cut"),
        ("2024,a,Send,\"{\"\"Id\"\":1", "2024,a,Send,\"{\"\"Id\"\":1"),
        ("2024,a,Send,\"{\"\"Id\"\":\"", "{\"Id\":"),
        ("null", "null"),
        ("a \"b\" c", "a \"b\" c"),
        (
            "ExchangeItem,\"x\",\"y\",\"z\" w",
            "ExchangeItem,\"x\",\"y\",\"z\" w",
        ),
    ] {
        let text = format!("{header}\r\n{good}\r\n{row}\r\n{good}\r\n");
        let records = decode_all(text.as_bytes());
        assert_eq!(records.len(), 3, "{row}");
        assert!(records[1].decoded.is_err(), "{row}");
        assert_eq!(records[1].bytes, bytes.as_bytes());
        assert_eq!(outcome(&records[0]), "S");
        assert_eq!(outcome(&records[2]), "S");
    }
}

#[test]
fn more_or_fewer_columns_than_the_header_has() {
    let data = Fields::mailbox_side().to_cell();
    for row in [
        format!("2024,a,Send,{data},,,"),
        format!("2024,a,Send,{data},more"),
    ] {
        let text = format!("CreationDate,UserIds,Operations,AuditData,Last\n{row}\n");
        assert_eq!(outcomes(text.as_bytes()), ["S"], "{row}");
    }
    let text = format!("CreationDate,AuditData,B,C\n1,{data}\n");
    assert_eq!(outcomes(text.as_bytes()), ["S"]);
}

/// Cut at any byte, or with any byte turned into one that matters: the rows around it stay.
#[test]
fn a_broken_row_fails_alone() {
    // the others differ in the name of the column only
    for form in EXPORTS[..7]
        .iter()
        .filter(|form| !(form.row)(&Fields::mailbox_side()).contains('\n'))
    {
        let header = form.header;
        let expected = [
            Fields::mailbox_side().decode(),
            Fields::agent_side().decode(),
        ];
        let [before, row, after] = [
            Fields::mailbox_side(),
            Fields::own_send(),
            Fields::agent_side(),
        ]
        .map(|record| (form.row)(&record));
        for line_end in ["\n", "\r\n"] {
            let check = |broken: &[u8]| {
                let text = [
                    header.as_bytes(),
                    line_end.as_bytes(),
                    before.as_bytes(),
                    line_end.as_bytes(),
                    broken,
                    line_end.as_bytes(),
                    after.as_bytes(),
                ]
                .concat();
                let records = decode_all(&text);
                let (first, last) = (&records[0], &records[records.len() - 1]);
                let shown = String::from_utf8_lossy(broken);
                assert_eq!(first.decoded, expected[0], "{shown}");
                assert_eq!(last.decoded, expected[1], "{shown}");
                assert!(records.len() <= 4, "{shown}");
            };
            for at in 0..row.len() {
                check(&row.as_bytes()[..at]);
                for byte in [b'"', b'\n', b',', b'{'] {
                    let mut changed = row.clone().into_bytes();
                    changed[at] = byte;
                    check(&changed);
                }
            }
        }
    }
}

/// A row that was cut off in its cell would swallow the rows behind it.
#[test]
fn a_cell_of_many_lines_is_one_only_if_it_holds_a_record_and_the_row_fits() {
    let good = old_portal(&Fields::mailbox_side());
    let pretty = Fields::mailbox_side().to_pretty_json().replace('"', "\"\"");
    for (row, is_one) in [
        (format!("2024,a,Send,\"{pretty}\""), true),
        ("2024,a,Send,\"cut\nhere\"".into(), false),
        ("2024,a,Send,\"{\"\"Id\"\":1,\n7\"".into(), false),
        (format!("2024,\"a\nb\",\"{pretty}\""), false),
    ] {
        let text = format!("CreationDate,UserIds,Operations,AuditData\n{good}\n{row}\n{good}\n");
        let lines = vec!["MALFORMED"; row.lines().count()];
        let found = if is_one { vec!["S"] } else { lines };
        assert_eq!(
            outcomes(text.as_bytes()),
            [&["S"], &found[..], &["S"]].concat(),
            "{row}"
        );
    }
}
