//! Findings as messages.

use super::convert::{Fields, guid, timestamp};
use crate::{
    app::{
        check_audit_settings::{Checked, Counts},
        list_findings,
    },
    domain::{Clue, Finding, Severity, finding::Source},
    pb,
};

impl Fields {
    /// `None` for UNSPECIFIED.
    pub(super) fn severity_filter(&mut self, number: i32) -> Option<Severity> {
        match pb::FindingSeverity::try_from(number) {
            Ok(pb::FindingSeverity::Unspecified) => None,
            Ok(pb::FindingSeverity::Error) => Some(Severity::Error),
            Ok(pb::FindingSeverity::Warning) => Some(Severity::Warning),
            Ok(pb::FindingSeverity::Info) => Some(Severity::Info),
            Ok(pb::FindingSeverity::Unknown) => Some(Severity::Unknown),
            Err(_) => {
                self.wrong("severity", "must be one of the severities");
                None
            }
        }
    }
}

/// A finding as callers get it.
pub fn pb_finding(finding: &Finding) -> pb::Finding {
    let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let cause = format!("FINDING_CAUSE_{}", finding.cause.name());
    pb::Finding {
        cause: pb::FindingCause::from_str_name(&cause)
            .unwrap_or_default()
            .into(),
        severity: pb_severity(finding.severity).into(),
        mailbox: name(finding.subject.mailbox()),
        agent: name(finding.subject.agent()),
        meaning: finding.meaning.clone(),
        clues: finding.clues.iter().map(pb_clue).collect(),
        commands: finding.remedy.commands.clone(),
        advice: finding.remedy.advice.clone(),
        page_url: finding.remedy.page.url().to_owned(),
    }
}

fn pb_severity(severity: Severity) -> pb::FindingSeverity {
    match severity {
        Severity::Error => pb::FindingSeverity::Error,
        Severity::Warning => pb::FindingSeverity::Warning,
        Severity::Info => pb::FindingSeverity::Info,
        Severity::Unknown => pb::FindingSeverity::Unknown,
    }
}

fn pb_clue(clue: &Clue) -> pb::FindingClue {
    let from = |source: pb::FindingSource| pb::FindingClue {
        source: source.into(),
        says: clue.says.clone(),
        ..Default::default()
    };
    match &clue.source {
        Source::Settings { captured_at } => pb::FindingClue {
            time: Some(timestamp(*captured_at)),
            ..from(pb::FindingSource::Settings)
        },
        Source::Feed {
            time,
            actor,
            operation,
            record_id,
        } => pb::FindingClue {
            time: Some(timestamp(*time)),
            actor: actor.clone(),
            operation: (*operation).to_owned(),
            record_id: guid(*record_id),
            ..from(pb::FindingSource::Feed)
        },
        Source::Register => from(pb::FindingSource::Register),
        Source::Evidence => from(pb::FindingSource::Evidence),
        Source::Consent => from(pb::FindingSource::Consent),
        Source::Collector => from(pb::FindingSource::Collector),
    }
}

pub(super) fn pb_page(page: list_findings::Page) -> pb::ListFindingsResponse {
    pb::ListFindingsResponse {
        findings: page.findings.iter().map(pb_finding).collect(),
        next_page_token: page.next_token,
        revision: page.revision.0,
    }
}

pub(super) fn pb_checked(checked: Checked) -> pb::CheckAuditSettingsResponse {
    let Counts {
        mailboxes,
        organizations,
        bypasses,
        permissions,
        admin_changes,
        other_records,
    } = checked.counts;
    let problems = checked.problems.into_iter();
    let problems = problems.map(|problem| pb::ObjectProblem {
        number: problem.number,
        detail: problem.detail,
    });
    pb::CheckAuditSettingsResponse {
        counts: Some(pb::SetupCounts {
            mailboxes,
            organizations,
            bypasses,
            permissions,
            admin_changes,
            other_records,
        }),
        problems: problems.collect(),
        problems_omitted: checked.problems_omitted,
        changed: checked.changed,
        findings: checked.findings.iter().map(pb_finding).collect(),
        findings_omitted: checked.findings_omitted,
        revision: checked.revision.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Cause;

    #[test]
    fn every_cause_has_its_name_in_the_api() {
        for (at, cause) in Cause::ALL.into_iter().enumerate() {
            let name = format!("FINDING_CAUSE_{}", cause.name());
            let known = pb::FindingCause::from_str_name(&name).expect(&name);
            assert_eq!(i32::from(known), i32::try_from(at + 1).unwrap(), "{name}");
        }
        let more = i32::try_from(Cause::ALL.len() + 1).unwrap();
        assert!(pb::FindingCause::try_from(more).is_err());
    }
}
