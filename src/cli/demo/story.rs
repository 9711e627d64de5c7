//! The demo as a person reads it: each step says which call it makes.

use super::super::{
    client::{Api, answer, request},
    lookup, show,
    table::{Screen, Table, Tone},
};
use super::{
    feed::{self, CASES, CONFLICT, LATE, SUPPORT, TENANT},
    whole,
};
use crate::pb::{
    Attribution, Basis, ExplainAttributionRequest, GetAttributionRequest, IngestAuditBatchRequest,
    IngestAuditBatchResponse, LookupAttributionsRequest, Mailbox, MailboxKind, PutMailboxesRequest,
    RegisterTenantRequest, Verdict, explain_attribution_request::Message, register_tenant_response,
};
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    time::SystemTime,
};

/// Whether every answer was the expected one.
pub(super) async fn play(api: &Api, address: SocketAddr) -> anyhow::Result<bool> {
    let screen = Screen::stdout();
    let heading = |text: &str| say(&format!("\n{}", screen.bold(text)));

    say(&screen.bold("Who sent this message from the shared mailbox?"))?;
    say(&format!(
        "\nThe mail says From: {SUPPORT}. Which agent wrote it stands only in the audit log\n\
         of Microsoft 365: on the side of the shared mailbox, of the agent, or of both.\n\
         sentby serves on {address} now, with an empty SQLite file; all this goes over gRPC."
    ))?;

    heading("1. The onboarding service registers a tenant, and its shared mailbox")?;
    register(api, TENANT, "Contoso", &[SUPPORT.to_owned()]).await?;

    heading("2. A collector sends what the audit log has so far")?;
    ingest(api, feed::first_blob()).await?;

    heading("3. Who sent what?  (LookupAttributions)")?;
    let answers = look_up(api).await?;
    say(&table(&answers).render(screen))?;
    let mut as_expected = compare(&answers)?;

    heading("4. Hours later the other side of one message arrives")?;
    let before = get(api, LATE).await?;
    ingest(api, feed::late_blob()).await?;
    let after = get(api, LATE).await?;
    say(&before_and_after(&before, &after).render(screen))?;
    as_expected &= !before.confirmed && after.confirmed && after.mailbox == SUPPORT;

    heading("5. And why?  (ExplainAttribution)")?;
    for id in [LATE, CONFLICT] {
        explain(api, id).await?;
    }

    heading("6. And a whole tenant, whose truth is known  (sentby simulate)")?;
    as_expected &= whole::play(api).await?;
    Ok(as_expected)
}

/// `println!` panics when nobody reads any more.
pub(super) fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// A tenant that consents now, and its shared mailboxes.
pub(super) async fn register(
    api: &Api,
    tenant: &str,
    name: &str,
    shared: &[String],
) -> anyhow::Result<()> {
    let register = RegisterTenantRequest {
        tenant_id: tenant.into(),
        display_name: name.into(),
        consented_at: Some(SystemTime::now().into()),
        retention_days: None,
    };
    let registered = answer(api.tenants().register_tenant(request(register)).await)?;
    let outcome = show::cell::<register_tenant_response::Outcome>(registered.outcome);
    say(&format!("RegisterTenant    {tenant}  {name}  → {outcome}"))?;

    let mailboxes = shared.iter().map(|address| Mailbox {
        address: address.clone(),
        kind: MailboxKind::Shared.into(),
        ..Default::default()
    });
    let put = PutMailboxesRequest {
        tenant_id: tenant.into(),
        mailboxes: mailboxes.collect(),
        remove: Vec::new(),
    };
    let put = answer(api.tenants().put_mailboxes(request(put)).await)?;
    say(&format!(
        "PutMailboxes      {}  SHARED  → {} added",
        shared.join(", "),
        put.added
    ))?;
    Ok(())
}

async fn ingest(api: &Api, content: Vec<u8>) -> anyhow::Result<()> {
    let done = post(api, TENANT, content).await?;
    say(&format!("IngestAuditBatch  {}", counts(&done)))?;
    Ok(())
}

pub(super) async fn post(
    api: &Api,
    tenant: &str,
    content: Vec<u8>,
) -> anyhow::Result<IngestAuditBatchResponse> {
    let batch = IngestAuditBatchRequest {
        tenant_id: tenant.into(),
        content: content.into(),
        ..Default::default()
    };
    Ok(answer(
        api.ingest().ingest_audit_batch(request(batch)).await,
    )?)
}

fn counts(done: &IngestAuditBatchResponse) -> String {
    let counts = done.counts.unwrap_or_default();
    let operations: Vec<&str> = done.ignored_operations.keys().map(String::as_str).collect();
    let ignored = match operations.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    format!(
        "{} → {} kept, {} repeated, {} ignored{ignored}, {} quarantined; revision {}",
        show::plural(counts.received, "record"),
        counts.kept,
        counts.repeated,
        counts.ignored,
        counts.quarantined,
        done.revision
    )
}

async fn look_up(api: &Api) -> anyhow::Result<Vec<Attribution>> {
    let ids = CASES.iter().map(|case| case.message_id.to_owned());
    let lookup = LookupAttributionsRequest {
        tenant_id: TENANT.into(),
        message_ids: ids.collect(),
        ..Default::default()
    };
    let found = api
        .attributions()
        .lookup_attributions(request(lookup))
        .await;
    Ok(answer(found)?.attributions)
}

async fn get(api: &Api, id: &str) -> anyhow::Result<Attribution> {
    let get = GetAttributionRequest {
        tenant_id: TENANT.into(),
        message_id: id.into(),
        ..Default::default()
    };
    let found = answer(api.attributions().get_attribution(request(get)).await)?;
    Ok(found.attribution.unwrap_or_default())
}

fn table(answers: &[Attribution]) -> Table {
    let header = ["MESSAGE", "VERDICT", "AGENT", "CONFIRMED", "THE LOG HAS"];
    let mut table = Table::new(&header, 4, 14);
    for (one, case) in answers.iter().zip(&CASES) {
        // two people stand below each other
        let who = lookup::who(one).replace(" or ", "\nor ");
        table.row([
            (one.message_id.clone(), Tone::Plain),
            lookup::verdict(one),
            (who, Tone::Plain),
            lookup::confirmed(one),
            (case.log.to_owned(), Tone::Plain),
        ]);
    }
    table
}

fn before_and_after(before: &Attribution, after: &Attribution) -> Table {
    let header = [
        "",
        "AGENT",
        "CONFIRMED",
        "FROM MAILBOX",
        "STRONGEST EVIDENCE",
    ];
    let mut table = Table::new(&header, 4, 14);
    for (when, one) in [("before", before), ("after", after)] {
        let mailbox = if one.mailbox.is_empty() {
            "(not known)"
        } else {
            &one.mailbox
        };
        table.row([
            (when.to_owned(), Tone::Plain),
            (lookup::who(one), Tone::Plain),
            lookup::confirmed(one),
            (mailbox.to_owned(), Tone::Plain),
            (show::cell::<Basis>(one.basis), Tone::Plain),
        ]);
    }
    table
}

async fn explain(api: &Api, id: &str) -> anyhow::Result<()> {
    let explain = ExplainAttributionRequest {
        tenant_id: TENANT.into(),
        message: Some(Message::MessageId(id.into())),
        ..Default::default()
    };
    let explained = answer(
        api.attributions()
            .explain_attribution(request(explain))
            .await,
    )?;
    say(id)?;
    for why in explained.reasoning {
        say(&format!("  {why}"))?;
    }
    Ok(())
}

/// The demo is a test too: of the machine it runs on.
fn compare(answers: &[Attribution]) -> io::Result<bool> {
    let mut as_expected = answers.len() == CASES.len();
    for (one, case) in answers.iter().zip(&CASES) {
        let verdict = show::cell::<Verdict>(one.verdict);
        if verdict != case.verdict || one.agent != case.agent {
            as_expected = false;
            say(&format!(
                "NOT AS EXPECTED: {} should be {} {}",
                case.message_id, case.verdict, case.agent
            ))?;
        }
    }
    Ok(as_expected)
}

/// Ready to be copied.
pub(super) fn commands_to_try(address: SocketAddr) -> String {
    let sentby = show::program();
    let one = CASES[0].message_id;
    format!(
        "\n{}\n\
         {sentby} lookup --server {address} --tenant {TENANT} {one} {CONFLICT}\n\
         {sentby} explain --server {address} --tenant {TENANT} {CONFLICT}\n\
         grpcurl -plaintext {address} list\n\
         grpcurl -plaintext -d '{{\"tenant_id\": \"{TENANT}\", \"message_id\": \"{one}\"}}' \\\n  \
         {address} sentby.v1.AttributionService/GetAttribution\n\
         {sentby} import --server {address} --tenant YOUR-TENANT-GUID --register \\\n  \
         --shared support@YOUR-DOMAIN YOUR-EXPORT.csv\n\n\
         It goes on serving on {address}. Ctrl-C ends it.",
        Screen::stdout().bold("Try it, from another terminal:")
    )
}
