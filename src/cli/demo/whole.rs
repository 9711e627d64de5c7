//! The last step of the demo: a tenant with everything in it, and every answer compared
//! with what is true.

use super::super::{client::Api, lookup, show, verify::Report};
use super::story::{post, register, say};
use crate::simulate::{Plan, Truth};
use std::collections::BTreeSet;

const MESSAGES: u64 = 400;
/// Differences that are shown.
const SHOWN: usize = 5;

fn plan() -> Plan {
    Plan {
        messages: MESSAGES,
        ..Plan::default()
    }
}

/// Whether every answer is true.
pub(super) async fn play(api: &Api) -> anyhow::Result<bool> {
    let mut as_expected = true;
    for mut files in plan().files() {
        let tenant = files.feed().tenant().to_string();
        register(api, &tenant, "Simulated", &files.feed().register()).await?;
        let (mut number, mut forms) = (0, BTreeSet::new());
        let (mut received, mut kept, mut quarantined) = (0, 0, 0);
        let mut truth: Vec<Truth> = Vec::new();
        while let Some(file) = files.next() {
            let counts = post(api, &tenant, file.bytes).await?.counts;
            let counts = counts.unwrap_or_default();
            number += 1;
            forms.insert(file.envelope);
            received += counts.received;
            kept += counts.kept;
            quarantined += counts.quarantined;
            truth.extend(files.take_truth());
        }
        say(&format!(
            "IngestAuditBatch  {} in {} forms: {} → {} kept, {} quarantined",
            show::plural(number, "file"),
            forms.len(),
            show::plural(received, "record"),
            show::count(kept),
            show::count(quarantined),
        ))?;
        as_expected &= compare(api, &truth).await?;
    }
    Ok(as_expected)
}

async fn compare(api: &Api, truth: &[Truth]) -> anyhow::Result<bool> {
    let mut report = Report::new(SHOWN);
    for rows in truth.chunks(lookup::MAX_IDS) {
        report.check(api, rows.to_vec()).await?;
    }
    say(&format!(
        "LookupAttributions  {} of {} stories: {}",
        show::plural(report.rows(), "message"),
        report.stories(),
        if report.is_equal() {
            "every answer is what happened"
        } else {
            "NOT AS EXPECTED"
        }
    ))?;
    for line in report.shown() {
        say(line)?;
    }
    Ok(report.is_equal())
}
