//! Whether an answer is its caller's: of the keys that it asked for, and of its tenant.

use crate::{
    call::Answer,
    requests::{MESSAGES, Request, agent},
    stage::{KNOWN, Stage, TENANTS, Target},
};
use prost::Message as _;
use sentby::pb::{self, stream_audit_batches_response::Result as Outcome};
use std::collections::BTreeSet;
use tonic::Code;

/// Methods that answer of all tenants.
const OF_ALL: [&str; 2] = ["ListTenants", "GetServerInfo"];

/// Fails with whatever is wrong; marks the batches that were acknowledged.
pub fn check(stage: &Stage, target: &Target, request: &mut Request, answer: &Answer) {
    let method = &target.method;
    let what = format!("seed {}: {} of {}", stage.seed, method.name, request.tenant);
    assert_eq!(
        answer.status.code(),
        Code::Ok,
        "{what}: {:?}",
        answer.status
    );
    if !method.response.is_empty() && !OF_ALL.contains(&method.name.as_str()) {
        for message in &answer.messages {
            stage
                .api
                .texts(&method.response, message.clone(), &mut |field, text| {
                    let foreign = foreign(stage, request.tenant, text);
                    assert!(foreign.is_none(), "{what}: {field}: {text}");
                });
        }
    }
    let first = || answer.messages.first().expect("an answer").clone();
    match method.name.as_str() {
        "GetAttribution" => {
            let got = pb::GetAttributionResponse::decode(first()).expect("a response");
            known(
                &request.asked,
                &[got.attribution.expect("one")],
                request.tenant,
                &what,
            );
        }
        "LookupAttributions" => {
            let got = pb::LookupAttributionsResponse::decode(first()).expect("a response");
            known(&request.asked, &got.attributions, request.tenant, &what);
        }
        "ExplainAttribution" => {
            let got = pb::ExplainAttributionResponse::decode(first()).expect("a response");
            assert_eq!(got.evidence.len(), 1, "{what}: once");
            known(
                &request.asked,
                &[got.attribution.expect("one")],
                request.tenant,
                &what,
            );
        }
        "IngestAuditBatch" => {
            let got = pb::IngestAuditBatchResponse::decode(first()).expect("a response");
            assert_eq!(got.counts.expect("counts").kept, MESSAGES, "{what}");
            request.batches[0].is_acknowledged = true;
        }
        "StreamAuditBatches" => {
            let mut left: BTreeSet<u64> = (0..request.batches.len() as u64).collect();
            for message in &answer.messages {
                let got = pb::StreamAuditBatchesResponse::decode(message.clone());
                let got = got.expect("a response");
                assert!(left.remove(&got.sequence), "{what}: {got:?}");
                let response = match got.result {
                    Some(Outcome::Response(response)) => response,
                    // it is sent again, and nobody knows whether it was stored
                    Some(Outcome::Error(error)) if error.retry_after.is_some() => continue,
                    other => panic!("{what}: {other:?}"),
                };
                assert_eq!(response.counts.expect("counts").kept, MESSAGES, "{what}");
                let at = usize::try_from(got.sequence).expect("small");
                request.batches[at].is_acknowledged = true;
            }
            assert!(left.is_empty(), "{what}: no answer to {left:?}");
        }
        _ => {}
    }
}

/// The mark of another tenant in it.
fn foreign(stage: &Stage, tenant: usize, text: &str) -> Option<usize> {
    (0..TENANTS).filter(|other| *other != tenant).find(|other| {
        let id = stage.tenants[*other].to_string();
        text.contains(&format!("@t{other}.example")) || text.contains(&id)
    })
}

/// Each with its own answer, in the order asked.
fn known(asked: &[String], answers: &[pb::Attribution], tenant: usize, what: &str) {
    assert_eq!(asked.len(), answers.len(), "{what}");
    for (asked, answer) in asked.iter().zip(answers) {
        assert_eq!(asked, &answer.message_id, "{what}");
        let number = asked
            .strip_prefix('m')
            .and_then(|rest| rest.split_once('@'));
        let number = number.and_then(|(number, _)| number.parse::<u64>().ok());
        let agent = number.map_or(String::new(), |number| {
            assert!(number < KNOWN);
            agent(tenant, number)
        });
        assert_eq!(answer.agent, agent, "{what}: {asked}");
    }
}
