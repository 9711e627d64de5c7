//! Bad input: a clear code and reason, nothing lost, neighbours kept, no panic, no INTERNAL.

mod batches;
mod crowd;
mod spoil;

use super::server::{TestServer, counts, reason};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT,
        records::{Record, blob},
    },
};
use sentby::{grpc::MAX_INGEST_BYTES, pb};
use tonic::Code;

const ANNA: &str = "anna@contoso.com";
const AT: &str = "2026-03-01T09:00:00";

/// A bad record between two good ones: both are kept.
async fn between_neighbours(server: &TestServer, bad: &[u8], n: u128) -> pb::RecordProblem {
    let first = Record::mailbox_side(2 * n, ANNA, &format!("H{n}a@x"), AT).json();
    let last = Record::mailbox_side(2 * n + 1, ANNA, &format!("H{n}b@x"), AT).json();
    let content = [
        b"[",
        first.as_bytes(),
        b",",
        bad,
        b",",
        last.as_bytes(),
        b"]",
    ]
    .concat();
    let response = server.post(content).await.expect("ingested");
    assert_eq!(
        counts(&response)[1],
        2,
        "both neighbours of {n} are kept: {response:?}"
    );
    assert_eq!(counts(&response)[4], 1, "{response:?}");
    response.problems[0].clone()
}

on_both_engines! {
    /// Records that cannot be read fail alone.
    async fn a_bad_record_fails_alone(db: TestDb) {
        use pb::QuarantineReason as Why;
        let server = TestServer::with_tenant(&db).await;
        let record = |n| Record::mailbox_side(n, ANNA, "<X@x>", AT);
        let with = |n: u128, text: &str, instead: &str| record(n).json().replace(text, instead);
        let deep = format!(
            r#"{{"Id":"1","Operation":"SendAs","X":{}1{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let mut not_utf8 = record(1001).json().into_bytes();
        let at = not_utf8.windows(4).position(|w| w == b"anna").expect("the agent");
        not_utf8[at] = 0xff;
        let cases: Vec<(Vec<u8>, Why)> = vec![
            (deep.into(), Why::TooDeep),
            (not_utf8, Why::InvalidUtf8),
            (with(1002, "X@x", "X\\u0000@x").into(), Why::InvalidField),
            (with(1003, ANNA, "a\\u0000b").into(), Why::InvalidField),
            (with(1004, ANNA, "\\ud800").into(), Why::Malformed),
            (with(1005, "2026-03-01T09:00:00", "9999-99-99T99:99:99").into(), Why::InvalidField),
            (record(1006).set("Id", "not a guid").json().into(), Why::InvalidField),
            (record(1007).set("Operation", serde_json::Value::Null).json().into(), Why::MissingField),
            (with(1008, "\"SendAs\"", "\"SendAs\",\"operation\":\"Send\"").into(), Why::DuplicateField),
            (with(1009, "X@x", &"y".repeat(999)).into(), Why::InvalidField),
            // broken, and another tenant's: its bytes are not kept either
            (
                record(1010)
                    .set("OrganizationId", OTHER_TENANT.to_string())
                    .json()
                    .replace("\"UserType\":0", "\"UserType\":oops")
                    .into(),
                Why::ForeignTenant,
            ),
            (b"null".to_vec(), Why::Malformed),
            (b"12345".to_vec(), Why::Malformed),
            (b"\"text\"".to_vec(), Why::Malformed),
            (b"[[[[]]]]".to_vec(), Why::Malformed),
        ];
        for (n, (bad, why)) in cases.into_iter().enumerate() {
            let problem = between_neighbours(&server, &bad, n as u128 + 1).await;
            assert_eq!(problem.reason(), why, "case {n}: {problem:?}");
            assert!(!problem.detail.is_empty());
        }
        let foreign_bytes = "SELECT count(*) FROM quarantine WHERE tenant_id = $1 \
                             AND reason = 'FOREIGN_TENANT' AND bytes IS NOT NULL";
        assert_eq!(db.number(foreign_bytes, TENANT).await, 0);
        // a number of 10,000 digits where none is read is nobody's problem
        let digits = "9".repeat(10_000);
        let number = with(3000, "\"RecordType\":2", &format!("\"RecordType\":2,\"Big\":{digits}"));
        let response = server.post(number).await.expect("ingested");
        assert_eq!(counts(&response), [1, 1, 0, 0, 0]);
        let as_a_field = with(3001, "\"UserType\":0", &format!("\"UserType\":{digits}"));
        assert!(server.post(as_a_field).await.is_ok());
        db.assert_gapless(TENANT).await;
    }

    /// Content that is no batch of records.
    async fn content_that_is_no_batch(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for empty in ["", " \r\n", "[]", "[ ]", "\u{feff}[]"] {
            let response = server.post(empty).await.expect("an empty batch is fine");
            assert_eq!((counts(&response), response.revision), ([0; 5], 0), "{empty:?}");
        }
        let error = r#"{"error":{"code":"AF20022","message":"No subscription found"}}"#;
        let refused = server.post(error).await.expect_err("an error object");
        assert_eq!(reason(&refused), (Code::InvalidArgument, "CONTENT_IS_AN_ERROR".into()));
        assert!(refused.message().contains("AF20022"), "{}", refused.message());
        for garbage in ["<html>502 Bad Gateway</html>", "CreationDate,UserIds\r\n1,2"] {
            let refused = server.post(garbage).await.expect_err("garbage");
            assert_eq!(reason(&refused), (Code::InvalidArgument, "CONTENT_NOT_RECOGNISED".into()));
        }
        let many = format!("[{}]", vec!["{}"; 10_001].join(","));
        let refused = server.post(many).await.expect_err("too many");
        assert_eq!(reason(&refused), (Code::InvalidArgument, "TOO_MANY_RECORDS".into()));
        let just = format!("[{}]", vec!["{}"; 10_000].join(","));
        let response = server.post(just).await.expect("as many as may be");
        assert_eq!(counts(&response), [10_000, 0, 0, 0, 10_000]);
        assert_eq!((response.problems.len(), response.problems_omitted), (100, 9_900));
    }

    /// 16 MiB are taken, a byte more is refused, and the connection goes on.
    async fn a_message_over_the_limit(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let request = |size: usize| {
            let mut content = blob(&[Record::mailbox_side(1, ANNA, "<A@x>", AT)]);
            content.resize(size, b' ');
            pb::IngestAuditBatchRequest {
                tenant_id: TENANT.to_string(),
                content: content.into(),
                ..Default::default()
            }
        };
        // what surrounds the content in the message
        let around = prost::Message::encoded_len(&request(MAX_INGEST_BYTES)) - MAX_INGEST_BYTES;
        let fits = server.ingest().ingest_audit_batch(request(MAX_INGEST_BYTES - around)).await;
        assert_eq!(counts(&fits.expect("16 MiB").into_inner()), [1, 1, 0, 0, 0]);
        let too_large = request(MAX_INGEST_BYTES - around + 1);
        let refused = server.ingest().ingest_audit_batch(too_large).await.expect_err("too large");
        assert_eq!(reason(&refused), (Code::OutOfRange, "MESSAGE_TOO_LARGE".into()));
        let lookup = pb::LookupAttributionsRequest {
            tenant_id: TENANT.to_string(),
            message_ids: vec!["x".repeat(5 << 20)],
            ..Default::default()
        };
        let refused = server.attributions().lookup_attributions(lookup).await;
        assert_eq!(reason(&refused.expect_err("too large")).1, "MESSAGE_TOO_LARGE");
        assert_eq!(server.get("A@x").await.expect("the connection goes on").agent, ANNA);
    }

    /// What a handler never sees has a reason too.
    async fn calls_that_no_handler_sees(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut grpc = tonic::client::Grpc::new(server.channel.clone());
        let mut call = async |path: &'static str, message: &str| {
            grpc.ready().await.expect("connected");
            let codec = tonic_prost::ProstCodec::<pb::GetTenantRequest, pb::GetTenantResponse>::default();
            let request = tonic::Request::new(pb::GetTenantRequest { tenant_id: message.into(), ..Default::default() });
            let path = http::uri::PathAndQuery::from_static(path);
            grpc.unary(request, path, codec).await.expect_err("refused")
        };
        let unknown = call("/sentby.v1.TenantService/Explode", "").await;
        assert_eq!(reason(&unknown), (Code::Unimplemented, "NOT_IMPLEMENTED".into()));
        let unknown = call("/nobody.v1.NoService/Call", "").await;
        assert_eq!(reason(&unknown), (Code::Unimplemented, "NOT_IMPLEMENTED".into()));
        // a text where ListTenants has a number
        let malformed = call("/sentby.v1.TenantService/ListTenants", "contoso").await;
        assert_eq!(reason(&malformed), (Code::InvalidArgument, "MALFORMED_REQUEST".into()));
    }
}
