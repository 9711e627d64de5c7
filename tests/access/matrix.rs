//! Every method × every role × every kind of tenant, as the table says, by real calls.

use super::{
    calls::{about, call, methods},
    site::{Site, only, permission_denied, refused, token, token_caller},
};
use crate::support::{
    OTHER_TENANT, TENANT,
    messages::{Api, Method},
};
use prost::Message as _;
use sentby::{
    access::{MATRIX, Named, Role, Rule, Who, rule},
    pb::{self, stream_audit_batches_response::Result as Outcome},
};
use std::{collections::BTreeSet, fs};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

const UNKNOWN: &str = "33333333-3333-4333-8333-333333333333";

#[test]
fn every_method_has_a_rule_that_knows_where_its_tenant_is() {
    let api = Api::read();
    let methods = methods(&api);
    assert!(methods.len() >= 21, "{}", methods.len());
    for method in methods {
        let rule = rule(method.full_name());
        let rule = rule.unwrap_or_else(|| panic!("{} has no rule: see MATRIX", method.name));
        let fields = api.fields(&method.request);
        let has = |name: &str| fields.iter().any(|field| field.name() == name);
        let expected = match rule.named {
            Named::One => has("tenant_id"),
            Named::EachBatch => has("batch") && !has("tenant_id"),
            Named::EachPosition => has("positions") && !has("tenant_id"),
            Named::None | Named::Granted => !has("tenant_id"),
        };
        assert!(expected, "{}: {:?}", method.name, rule.named);
    }
}

/// What a call comes to, wherever its status is.
async fn outcome(
    channel: &Channel,
    api: &Api,
    method: &Method,
    token: Option<&str>,
    tenant: &str,
) -> Result<(), Status> {
    let request = about(api, method, tenant);
    let answer = call(channel, &method.path, token, request).await?;
    if method.name != "StreamAuditBatches" {
        return Ok(());
    }
    let answer = pb::StreamAuditBatchesResponse::decode(answer).expect("an answer");
    assert_eq!(answer.sequence, 1);
    match answer.result.expect("a result") {
        Outcome::Response(_) => Ok(()),
        Outcome::Error(error) => {
            let mut details = tonic_types::ErrorDetails::new();
            let reason = error.reason().as_str_name().replace("ERROR_REASON_", "");
            details.set_error_info(reason, "sentby", error.metadata);
            let code = Code::from_i32(error.code);
            Err(Status::with_error_details(code, error.message, details))
        }
    }
}

fn is_let_in(answered: &Result<(), Status>) -> bool {
    let code = answered.as_ref().map_or_else(Status::code, |()| Code::Ok);
    !matches!(code, Code::PermissionDenied | Code::Unauthenticated)
}

/// The same to the byte, wherever it is said.
fn words(answered: Result<(), Status>) -> String {
    let status = answered.expect_err("refused");
    let info = status.get_details_error_info();
    format!("{:?} {} {info:?}", status.code(), status.message())
}

fn allowed(rule: &Rule, role: Role) -> bool {
    match rule.who {
        Who::Anybody | Who::AnyCaller => true,
        Who::Roles(roles) => roles.contains(&role),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_matrix_cell_by_cell() {
    let mut text = String::new();
    let callers = Role::ALL.map(|role| {
        let (one, all) = (token(), token());
        text += &token_caller(&format!("{} of one", role.name()), role.name(), &one);
        text += &only(&[TENANT]);
        text += &token_caller(&format!("{} of all", role.name()), role.name(), &all);
        (role, one, all)
    });
    let site = Site::start(&text).await;
    let channel = site.channel().await;
    let (granted, other) = (TENANT.to_string(), OTHER_TENANT.to_string());
    let api = Api::read();
    let mut cells = 0;
    for method in methods(&api) {
        let rule = rule(method.full_name()).expect("it has one");
        let names_tenants = !matches!(rule.named, Named::None | Named::Granted);
        for (role, one, all) in &callers {
            let name = format!("{} by {}", method.name, role.name());
            for tenant in [granted.as_str(), &other, UNKNOWN, "nonsense", ""] {
                let answered = outcome(&channel, &api, &method, Some(all), tenant).await;
                assert_eq!(
                    is_let_in(&answered),
                    allowed(rule, *role),
                    "{name}: {answered:?}"
                );

                let answered = outcome(&channel, &api, &method, Some(one), tenant).await;
                let may = allowed(rule, *role) && (!names_tenants || tenant == granted);
                assert_eq!(is_let_in(&answered), may, "{name}, {tenant}: {answered:?}");
                if !may {
                    assert_eq!(refused(answered), permission_denied(), "{name}");
                }
                cells += 2;
            }
            if names_tenants && allowed(rule, *role) {
                let told =
                    async |tenant| words(outcome(&channel, &api, &method, Some(one), tenant).await);
                let of_other = told(&other).await;
                assert_eq!(of_other, told(UNKNOWN).await, "{name}");
                assert_eq!(of_other, told("nonsense").await, "{name}");
                // who may see all of them is told what there is
                let unknown = outcome(&channel, &api, &method, Some(all), UNKNOWN).await;
                if let Err(status) = unknown {
                    let code = status.code();
                    assert!(
                        matches!(code, Code::NotFound | Code::InvalidArgument),
                        "{name}: {status:?}"
                    );
                }
            }
        }
        // nobody, and who makes something up
        for token in [None, Some("sentby_x")] {
            let answered = outcome(&channel, &api, &method, token, &granted).await;
            assert_eq!(
                refused(answered).0,
                Code::Unauthenticated,
                "{}",
                method.name
            );
        }
    }
    assert!(cells >= 21 * 4 * 5 * 2, "{cells}");
}

/// The standard services, and methods that are not in the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_need_no_token_and_what_has_no_rule_is_nobodys() {
    let reader = token();
    let site = Site::start(&token_caller("reader", "reader", &reader)).await;
    let channel = site.channel().await;
    let ask = async |path: &str, token| call(&channel, path, token, Vec::new()).await.map(|_| ());
    for token in [None, Some("sentby_wrong"), Some(reader.as_str())] {
        assert!(ask("/grpc.health.v1.Health/Check", token).await.is_ok());
    }
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_eq!(
        refused(ask(reflection, None).await).0,
        Code::Unauthenticated
    );
    assert!(is_let_in(&ask(reflection, Some(&reader)).await));
    for unknown in [
        "/sentby.v1.TenantService/DropTenant",
        "/other.v1.Service/Get",
    ] {
        assert_eq!(refused(ask(unknown, None).await).0, Code::Unauthenticated);
        let answered = ask(unknown, Some(&reader)).await;
        assert_eq!(refused(answered), permission_denied(), "{unknown}");
    }
}

/// A store that is not there is not missed by calls that are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_before_the_check() {
    let mut text = String::new();
    let callers = Role::ALL.map(|role| {
        let token = token();
        text += &token_caller(role.name(), role.name(), &token);
        text += &only(&[TENANT]);
        (role, token)
    });
    let site = Site::start(&text).await;
    site.lose_all_tables().await;
    let channel = site.channel().await;
    let api = Api::read();
    let mut missed = 0;
    for method in methods(&api) {
        let rule = rule(method.full_name()).expect("it has one");
        for (role, token) in &callers {
            let name = format!("{} by {}", method.name, role.name());
            let tenant = OTHER_TENANT.to_string();
            let answered = outcome(&channel, &api, &method, Some(token), &tenant).await;
            if matches!(rule.named, Named::None | Named::Granted) && allowed(rule, *role) {
                continue;
            }
            assert_eq!(refused(answered), permission_denied(), "{name}");
        }
        let answered = outcome(&channel, &api, &method, Some("sentby_x"), "x").await;
        assert_eq!(
            refused(answered).0,
            Code::Unauthenticated,
            "{}",
            method.name
        );
        // that it is missed by the others proves the rest
        if ["GetTenant", "IngestAuditBatch"].contains(&method.name.as_str()) {
            let collector = &callers[1].1;
            let tenant = TENANT.to_string();
            let answered = outcome(&channel, &api, &method, Some(collector), &tenant).await;
            assert_eq!(refused(answered).0, Code::Internal, "{}", method.name);
            missed += 1;
        }
    }
    assert_eq!(missed, 2);
}

/// `docs/access.md` has the table as the code has it.
#[test]
fn the_page_tells_the_same() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");
    let page = fs::read_to_string(page).expect("docs/access.md");
    let told: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains(".v1"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected: BTreeSet<String> = MATRIX
        .iter()
        .map(|rule| {
            let has = |role| if allowed(rule, role) { "x" } else { "" };
            let who = match rule.who {
                Who::Anybody => "anybody".into(),
                Who::AnyCaller => "any caller".into(),
                Who::Roles(_) => Role::ALL.map(has).join(" | "),
            };
            let who = match rule.who {
                Who::Roles(_) => who,
                _ => format!("{who} | | |"),
            };
            let line = format!("| `{}` | {who} |", rule.method);
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        told,
        expected,
        "\n{}",
        expected.iter().cloned().collect::<Vec<_>>().join("\n")
    );
}
