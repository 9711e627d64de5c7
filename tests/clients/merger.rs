//! The reference merger (`examples/merger.py`) as its team runs it: its table is what is listed.

use crate::{
    merger_stage::{AGENTS, Stage, script},
    support::{process::Server, records::Record, wire::Wire},
};
use sentby::domain::{MailboxKind, TenantId};
use std::{fs, path::Path};
use tempfile::TempDir;

const TIME: &str = "2026-03-01T09:00:00";

/// One side of so many messages each.
fn sides(numbers: std::ops::Range<u32>, by_agent: bool, agent: &str) -> Vec<Record> {
    let record = |n: u32| {
        let id = u128::from(n) << 8 | u128::from(by_agent) << 7 | agent.len() as u128;
        let message = format!("M{n:06}@contoso.com");
        let make = if by_agent {
            Record::agent_side
        } else {
            Record::mailbox_side
        };
        make(id, agent, &message, TIME)
    };
    numbers.map(record).collect()
}

async fn with_messages(tenants: u128) -> Option<(Stage, Server)> {
    let stage = Stage::with(tenants).await?;
    for &tenant in &stage.tenants {
        stage.post(tenant, &sides(0..50, false, AGENTS[0])).await;
    }
    let server = Server::start(&stage.database());
    Some((stage, server))
}

/// All that a message can become.
async fn live_on(stage: &Stage, tenant: TenantId) {
    stage.post(tenant, &sides(0..10, true, AGENTS[0])).await; // confirmed
    stage.post(tenant, &sides(10..20, true, AGENTS[1])).await; // in conflict
    stage
        .post(tenant, &sides(50..1_300, false, AGENTS[1]))
        .await; // new
    stage.put_mailbox(tenant, MailboxKind::Shared).await;
    assert!(stage.unlist(tenant, 0, 20).await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_now_and_then_keeps_an_equal_table() {
    let Some((mut stage, server)) = with_messages(2).await else {
        return;
    };
    let first = stage.once(&script(), &server.address);
    assert_eq!(first.matches("is complete").count(), 2, "{first}");
    stage.assert_equal(&server.url).await;
    for tenant in stage.tenants.clone() {
        live_on(&stage, tenant).await;
    }
    assert!(stage.difference(&server.url).await.is_some());
    assert_eq!(
        stage.once(&script(), &server.address),
        "",
        "by the feed alone"
    );
    stage.assert_equal(&server.url).await;

    stage.tenants.push(TenantId(uuid::Uuid::max()));
    let mut merger = stage.merger(&script(), &server.address, &["--once"]);
    assert_eq!(merger.ended(), Some(1));
    merger.says("NOT_FOUND TENANT_NOT_FOUND");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_follows_ends_when_asked_and_goes_on_where_it_was() {
    let Some((mut stage, server)) = with_messages(2).await else {
        return;
    };
    for n in 0..3 {
        let mut merger = stage.merger(&script(), &server.address, &[]);
        stage.caught_up(&mut merger).await;
        stage
            .post(stage.tenants[0], &sides(100 + n..110 + n, false, AGENTS[2]))
            .await;
        stage.caught_up(&mut merger).await;
        stage.assert_equal(&server.url).await;
        assert_eq!(merger.stop(), Some(0), "{}", merger.said());
        live_on(&stage, stage.tenants[1]).await;
        let walks = merger.said().matches("begins").count();
        assert_eq!(walks, if n == 0 { 2 } else { 0 }, "{}", merger.said());
    }
    // also while it waits for a server that is not there
    let address = server.address.clone();
    drop(server);
    let mut merger = stage.merger(&script(), &address, &[]);
    merger.says("again in");
    assert_eq!(merger.stop(), Some(0));
}

/// Registered anew: revisions begin again, and nothing is there.
pub fn new_life(tenant: TenantId) -> String {
    let rows = ["change", "attribution", "waiting"];
    let rows = rows.map(|table| format!("DELETE FROM {table} WHERE tenant_id = '{tenant}'"));
    format!(
        "UPDATE tenant SET generation = (random() * 1e18)::bigint, revision = 0 \
         WHERE tenant_id = '{tenant}'; {}",
        rows.join("; ")
    )
}

/// Each position that is lost: that tenant is read anew, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_position_is_found_again() {
    let Some((mut stage, server)) = with_messages(2).await else {
        return;
    };
    stage.once(&script(), &server.address);
    let (tenant, other) = (stage.tenants[0], stage.tenants[1]);
    let restored = format!(
        "UPDATE tenant SET revision = 1 WHERE tenant_id = '{tenant}'; \
         DELETE FROM change WHERE tenant_id = '{tenant}' AND revision > 1; \
         DELETE FROM attribution WHERE tenant_id = '{tenant}' AND revision > 1"
    );
    let expired = format!("DELETE FROM change WHERE tenant_id = '{tenant}'");
    let mine = format!("WHERE tenant_id = '{tenant}'");
    let nonsense = format!("UPDATE sentby_position SET resume_token = 'nonsense' {mine}");
    let crossed = format!(
        "UPDATE sentby_position SET resume_token = (SELECT resume_token FROM sentby_position \
         WHERE tenant_id = '{other}') {mine}"
    );
    let no_walk = format!("UPDATE sentby_position SET revision = NULL {mine}");
    let mut walks = 1;
    for (reason, of_merger, sql) in [
        ("FEED_POSITION_EXPIRED", false, &expired),
        ("FEED_TOKEN_INVALID", true, &nonsense),
        ("FEED_TOKEN_MISMATCH", true, &crossed),
        ("PAGE_TOKEN_MISMATCH", true, &no_walk),
        ("FEED_POSITION_AHEAD", false, &restored),
        ("FEED_GENERATION_CHANGED", false, &new_life(tenant)),
    ] {
        live_on(&stage, other).await;
        stage.post(tenant, &sides(200..260, false, AGENTS[1])).await;
        stage.unlist(tenant, 0, 3).await;
        match of_merger {
            true => stage.damage_merger(sql).await,
            false => stage.damage(sql).await,
        }
        if reason == "FEED_GENERATION_CHANGED" {
            stage.post(tenant, &sides(30..60, false, AGENTS[2])).await;
        }
        let said = stage.once(&script(), &server.address);
        walks += 1;
        assert!(
            said.contains(&format!("tenant {tenant}: {reason}")),
            "{reason}\n{said}"
        );
        assert_eq!(
            stage.position(tenant).await.expect("one").0,
            walks,
            "{said}"
        );
        assert_eq!(stage.position(other).await.expect("one").0, 1, "{said}");
        stage.assert_equal(&server.url).await;
    }
}

/// A connection over which nothing comes any more, and nobody says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_stream_is_noticed() {
    let Some((mut stage, server)) = with_messages(1).await else {
        return;
    };
    let (_, port) = server.address.rsplit_once(':').expect("a port");
    let wire = Wire::to(port.parse().expect("a number")).await;
    let address = format!("127.0.0.1:{}", wire.port);
    let mut merger = stage.merger(&script(), &address, &["--checkpoint", "1"]);
    stage.caught_up(&mut merger).await;
    wire.freeze();
    live_on(&stage, stage.tenants[0]).await;
    stage.caught_up(&mut merger).await;
    stage.assert_equal(&server.url).await;
    assert!(merger.said().contains("again in"), "{}", merger.said());
}

/// Runs through a life with a merger: the first difference that shows.
async fn difference_of(script: &Path) -> Option<String> {
    let (mut stage, server) = with_messages(1).await.expect("as before");
    let tenant = stage.tenants[0];
    stage.once(script, &server.address);
    live_on(&stage, tenant).await; // by the feed
    stage.once(script, &server.address);
    if let Some(difference) = stage.difference(&server.url).await {
        return Some(difference);
    }
    stage.unlist(tenant, u128::MAX / 2, 20).await; // by a walk
    stage
        .damage(&format!("DELETE FROM change WHERE tenant_id = '{tenant}'"))
        .await;
    stage.once(script, &server.address);
    if let Some(difference) = stage.difference(&server.url).await {
        return Some(difference);
    }
    stage.damage(&new_life(tenant)).await;
    stage.post(tenant, &sides(0..60, false, AGENTS[2])).await;
    stage.once(script, &server.address);
    stage.difference(&server.url).await
}

/// The comparison is worth something: a merger with a mistake fails it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merger_with_a_mistake_is_caught() {
    if Stage::with(1).await.is_none() {
        return;
    }
    assert_eq!(difference_of(&script()).await, None, "as it is");
    let text = fs::read_to_string(script()).expect("read");
    let folder = TempDir::new().expect("a temporary folder");
    for (name, line, mistake) in [
        ("no sweep", "AND walk <> %s\"", "AND walk <> %s AND false\""),
        (
            "no delete",
            "message_key = ANY(%s::uuid[])\"",
            "message_key = ANY(%s::uuid[]) AND false\"",
        ),
        (
            "old revisions win",
            "WHERE old.walk <> excluded.walk OR",
            "WHERE",
        ),
        (
            "no upsert of changes",
            "self.upsert(told.tenant_id,",
            "(lambda *_: 0)(told.tenant_id,",
        ),
        (
            "no candidates",
            "\"candidates\": list(of.candidates)",
            "\"candidates\": []",
        ),
    ] {
        assert_eq!(
            text.matches(line).count(),
            1,
            "{name}: the line is another one now"
        );
        let wrong = folder.path().join("wrong.py");
        fs::write(&wrong, text.replacen(line, mistake, 1)).expect("written");
        let difference = difference_of(&wrong).await;
        let difference = difference.unwrap_or_else(|| panic!("{name} is not noticed"));
        println!("{name}: {difference}");
    }
}
