//! A directory with a feed: `<tenant>/NNNN-<envelope>.<extension>`, `truth.csv`,
//! `summary.json`.

use super::{File, Files, Kind, Plan, truth};
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

/// `summary.json`: what was made from what.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub seed: u64,
    pub messages: u64,
    pub start: String,
    pub days: u32,
    pub agents: usize,
    pub shared: usize,
    pub noise: f64,
    pub envelopes: Vec<&'static str>,
    pub tenants: Vec<TenantSummary>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct TenantSummary {
    pub tenant_id: String,
    /// Addresses to be registered as shared mailboxes.
    pub register: Vec<String>,
    pub files: u64,
    pub bytes: u64,
    /// Every record that arrives, by what it is to the service.
    pub records: BTreeMap<&'static str, u64>,
    /// Of another tenant, or cut off.
    pub cannot_be_taken_in: u64,
    /// Rows of `truth.csv`, by story.
    pub stories: BTreeMap<String, u64>,
    /// Messages without an id have no row.
    pub without_message_id: u64,
}

/// Writes it all. `dir` is there and empty; what was written is whole when `summary.json`
/// is there. `on_file` hears of every file.
pub fn write(
    plan: &Plan,
    dir: &Path,
    gzip: bool,
    mut on_file: impl FnMut(&File),
) -> io::Result<Summary> {
    let mut rows = BufWriter::new(fs::File::create_new(dir.join("truth.csv"))?);
    writeln!(rows, "{}", truth::HEADER)?;
    let mut tenants = Vec::with_capacity(plan.tenants);
    for files in plan.files() {
        tenants.push(tenant(files, dir, gzip, &mut rows, &mut on_file)?);
    }
    rows.into_inner()?.sync_all()?;
    let summary = Summary {
        seed: plan.seed,
        messages: plan.messages,
        start: format!("{}Z", plan.start.native()),
        days: plan.days,
        agents: plan.agents,
        shared: plan.shared,
        noise: plan.noise,
        envelopes: plan.envelopes.iter().map(|one| one.name()).collect(),
        tenants,
    };
    let json = serde_json::to_string_pretty(&summary)?;
    fs::write(dir.join("summary.json"), format!("{json}\n"))?;
    Ok(summary)
}

fn tenant(
    mut files: Files,
    dir: &Path,
    gzip: bool,
    rows: &mut impl Write,
    on_file: &mut impl FnMut(&File),
) -> io::Result<TenantSummary> {
    let mut summary = TenantSummary {
        tenant_id: files.feed().tenant().to_string(),
        register: files.feed().register(),
        ..TenantSummary::default()
    };
    let dir = dir.join(&summary.tenant_id);
    fs::create_dir(&dir)?;
    while let Some(file) = files.next() {
        let stored = if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&file.bytes)?;
            fs::write(dir.join(format!("{}.gz", file.name)), encoder.finish()?)
        } else {
            fs::write(dir.join(&file.name), &file.bytes)
        };
        stored?;
        summary.files += 1;
        summary.bytes += file.bytes.len() as u64;
        on_file(&file);
        for truth in files.take_truth() {
            writeln!(rows, "{}", truth.row())?;
            *summary.stories.entry(truth.story).or_default() += 1;
        }
    }
    for (kind, count) in files.records() {
        *summary.records.entry(kind.name()).or_default() += count;
        if matches!(kind, Kind::Foreign | Kind::CutOff) {
            summary.cannot_be_taken_in += count;
        }
    }
    summary.without_message_id = files.feed().without_id();
    Ok(summary)
}
