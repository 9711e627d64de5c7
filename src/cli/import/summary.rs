//! What became of every record, for people and as JSON.

use super::{
    super::{show, status::Refused},
    batches::Batch,
    input::Input,
};
use crate::{
    domain::TenantId,
    pb::{Counts, IngestAuditBatchResponse, QuarantineReason},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Problems that are told one by one: in JSON, and to people.
const MAX_PROBLEMS: usize = 1_000;
const SHOWN_PROBLEMS: usize = 10;
const SHOWN_OPERATIONS: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct Summary {
    #[serde(skip)]
    tenant: TenantId,
    files: Vec<FileLine>,
    received: u64,
    kept: u64,
    repeated: u64,
    ignored: u64,
    ignored_operations: BTreeMap<String, u64>,
    quarantined: u64,
    quarantined_without_copy: u64,
    problems: Vec<Problem>,
    problems_omitted: u64,
    changed_messages: u64,
    revision: u64,
    /// Every record of every file was received, and the counts add up.
    accounted: bool,
    /// What else went wrong.
    errors: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FileLine {
    file: String,
    /// Cut out of it; how many of them were received is in the counts.
    records: u64,
    /// It could not be read, or not to its end.
    error: Option<String>,
    #[serde(skip)]
    ended: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Problem {
    file: String,
    /// From 1; of JSON lines it is the line, unless there are blank ones.
    record: u64,
    reason: String,
    detail: String,
    #[serde(skip)]
    at: usize,
}

impl Summary {
    pub fn new(tenant: TenantId, inputs: &[Input]) -> Self {
        let files = inputs.iter().map(|input| FileLine {
            file: input.title().to_owned(),
            records: 0,
            error: None,
            ended: false,
        });
        Self {
            tenant,
            files: files.collect(),
            received: 0,
            kept: 0,
            repeated: 0,
            ignored: 0,
            ignored_operations: BTreeMap::new(),
            quarantined: 0,
            quarantined_without_copy: 0,
            problems: Vec::new(),
            problems_omitted: 0,
            changed_messages: 0,
            revision: 0,
            accounted: true,
            errors: Vec::new(),
        }
    }

    pub fn stored(&mut self, batch: &Batch, response: &IngestAuditBatchResponse) {
        let counts: Counts = response.counts.unwrap_or_default();
        self.received += counts.received;
        self.kept += counts.kept;
        self.repeated += counts.repeated;
        self.ignored += counts.ignored;
        self.quarantined += counts.quarantined;
        self.quarantined_without_copy += response.quarantined_without_copy;
        for (operation, number) in &response.ignored_operations {
            *self
                .ignored_operations
                .entry(operation.clone())
                .or_default() += number;
        }
        self.changed_messages += response.changed_messages;
        self.revision = self.revision.max(response.revision);
        self.problems_omitted += response.problems_omitted;
        for problem in &response.problems {
            if self.problems.len() == MAX_PROBLEMS {
                self.problems_omitted += 1;
                continue;
            }
            self.problems.push(Problem {
                file: self.files[batch.file].file.clone(),
                record: batch.first + problem.index,
                reason: show::cell::<QuarantineReason>(problem.reason),
                detail: problem.detail.clone(),
                at: batch.file,
            });
        }
        // batches come back in any order
        self.problems
            .sort_by_key(|problem| (problem.at, problem.record));
        let sent = batch.records.len() as u64;
        let told = counts.kept + counts.repeated + counts.ignored + counts.quarantined;
        // more than was sent: a broken record may have swallowed others, which are found again
        if counts.received < sent || told != counts.received {
            self.accounted = false;
            self.errors.push(format!(
                "{}: {sent} records were sent, {} received and {told} accounted for; please \
                 report it",
                self.files[batch.file].file, counts.received
            ));
        }
    }

    pub fn refused(&mut self, batch: &Batch, refused: &Refused) {
        self.accounted = false;
        // those in flight at the same time mostly fail alike
        if self.errors.is_empty() {
            let last = batch.first + batch.records.len() as u64 - 1;
            let file = &self.files[batch.file].file;
            let (first, last) = (show::count(batch.first), show::count(last));
            self.errors
                .push(format!("{file}, records {first} to {last}: {refused}"));
        }
    }

    /// Nothing could be sent at all.
    pub fn failed(&mut self, refused: &Refused) {
        self.accounted = false;
        self.errors.push(refused.to_string());
    }

    /// Says what is wrong with the file, if anything is.
    pub fn ended(&mut self, at: usize, records: u64, problem: Option<String>) -> Option<String> {
        let line = &mut self.files[at];
        line.records = records;
        line.ended = true;
        let Some(problem) = problem else {
            let empty = format!("warning: {}: there is no record in it", line.file);
            return (records == 0).then_some(empty);
        };
        self.accounted = false;
        let told = format!("error: {}: {problem}", line.file);
        line.error = Some(problem);
        Some(told)
    }

    /// After the last piece.
    pub fn close(&mut self, interrupted: bool) {
        self.accounted &= !interrupted && self.files.iter().all(|file| file.ended);
        if interrupted {
            self.errors.push(
                "interrupted. Run the same command again: what is stored counts as repeated".into(),
            );
        }
    }

    pub fn is_accounted(&self) -> bool {
        self.accounted
    }

    /// Every record is stored in some way, or of no interest.
    pub fn is_kept(&self) -> bool {
        self.accounted && self.quarantined_without_copy == 0
    }

    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// A table of zeros below an error would only hide it.
    pub fn tells_something(&self) -> bool {
        self.received > 0
    }

    pub fn words(&self) -> String {
        let numbers = [
            ("received", self.received, String::new()),
            ("  kept", self.kept, String::new()),
            ("  repeated", self.repeated, String::new()),
            ("  ignored", self.ignored, self.operations()),
            ("  quarantined", self.quarantined, self.reasons()),
        ];
        let width = show::count(self.received).len();
        let mut lines: Vec<String> = numbers
            .iter()
            .map(|(what, number, more)| {
                let line = format!("{what:<15}{:>width$}   {more}", show::count(*number));
                line.trim_end().to_owned()
            })
            .collect();
        lines.push(show::changed(self.changed_messages, self.revision));
        if self.ignored > 0 && self.ignored == self.received {
            lines.push(
                "\nNone of these records says that somebody sent a message. Export the operations \
                 SendAs, SendOnBehalf and Send."
                    .into(),
            );
        }
        if self.quarantined > 0 {
            lines.push(format!(
                "\n{} could not be taken in:",
                show::plural(self.quarantined, "record")
            ));
            lines.extend(self.problems.iter().take(SHOWN_PROBLEMS).map(Problem::line));
            let shown = self.problems.len().min(SHOWN_PROBLEMS) as u64;
            if self.quarantined > shown {
                let more = show::count(self.quarantined - shown);
                lines.push(format!(
                    "  … and {more} more (--json tells of the first {MAX_PROBLEMS})"
                ));
            }
            let foreign = QuarantineReason::ForeignTenant;
            if self.problems.iter().any(|problem| problem.is(foreign)) {
                lines.push(
                    "  FOREIGN_TENANT: is --tenant the `OrganizationId` of these records?".into(),
                );
            }
            if self.quarantined_without_copy > 0 {
                let without = show::count(self.quarantined_without_copy);
                lines.push(format!(
                    "  {without} of them without a copy, as the quarantine is full: keep these files, \
                     and import them again when there is room"
                ));
            }
            let tenant = self.tenant;
            lines.push(format!(
                "  see them: sentby quarantine list --tenant {tenant}"
            ));
        }
        lines.join("\n")
    }

    /// For standard error: why it is not all well.
    pub fn complaints(&self, json: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if json && self.quarantined > 0 {
            let records = show::plural(self.quarantined, "record");
            lines.push(format!("warning: {records} quarantined: see `problems`"));
        }
        lines.extend(self.errors.iter().map(|error| format!("error: {error}")));
        let failed = self
            .files
            .iter()
            .filter(|file| file.error.is_some())
            .count() as u64;
        if failed > 0 && self.files.len() > 1 {
            let of = self.files.len();
            lines.push(format!(
                "error: {failed} of {of} files not taken in as a whole: see above"
            ));
        }
        lines
    }

    fn operations(&self) -> String {
        let mut operations: Vec<_> = self.ignored_operations.iter().collect();
        operations.sort_by_key(|&(name, number)| (std::cmp::Reverse(*number), name));
        let shown = operations.iter().take(SHOWN_OPERATIONS);
        let mut words: Vec<String> = shown
            .map(|(name, number)| format!("{name} {}", show::count(**number)))
            .collect();
        if operations.len() > SHOWN_OPERATIONS {
            words.push(format!("{} more", operations.len() - SHOWN_OPERATIONS));
        }
        words.join(", ")
    }

    fn reasons(&self) -> String {
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for problem in &self.problems {
            *reasons.entry(&problem.reason).or_default() += 1;
        }
        if self.problems_omitted > 0 {
            reasons.insert("not told", self.problems_omitted);
        }
        let words = reasons
            .iter()
            .map(|(reason, n)| format!("{reason} {}", show::count(*n)));
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Problem {
    fn is(&self, reason: QuarantineReason) -> bool {
        self.reason == show::cell::<QuarantineReason>(reason.into())
    }

    fn line(&self) -> String {
        let (file, reason, detail) = (&self.file, &self.reason, &self.detail);
        let record = show::count(self.record);
        if detail.is_empty() {
            format!("  {file}, record {record}: {reason}")
        } else {
            format!("  {file}, record {record}: {reason}: {detail}")
        }
    }
}
