//! CoverageService, and windows and gaps as messages.

use super::{
    Handler,
    convert::{Fields, pb_side, revision, timestamp},
    finding::{pb_checked, pb_page},
};
use crate::{
    app::{
        check_audit_settings::Check,
        coverage::RangeCoverage,
        get_coverage::{CoverageReport, SourceReport},
        list_findings::FindingsFilter,
        window_may_end,
    },
    domain::{
        Clock, Gap, Lag, TimeRange, Timestamp, Window,
        coverage::{Failure, Outcome},
    },
    pb::{self, coverage_service_server::CoverageService},
    store::ledger::SideSeen,
};
use tonic::{Request, Response, Status, async_trait};

/// Characters of the code of a failure.
const MAX_CODE: usize = 100;

#[async_trait]
impl CoverageService for Handler {
    async fn get_coverage(
        &self,
        request: Request<pb::GetCoverageRequest>,
    ) -> Result<Response<pb::GetCoverageResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let is_bounded = request.start.is_some() || request.end.is_some();
        let range = fields.open_range(request.start, request.end);
        fields.check()?;
        let report = self
            .run(move |app| async move {
                let range = is_bounded.then_some(range);
                app.get_coverage(tenant, range, revision(request.at_least_revision))
                    .await
            })
            .await?;
        Ok(Response::new(pb_report(report)))
    }

    async fn list_findings(
        &self,
        request: Request<pb::ListFindingsRequest>,
    ) -> Result<Response<pb::ListFindingsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let filter = FindingsFilter {
            tenant: fields.tenant_id(&request.tenant_id),
            mailbox: fields.address_filter("mailbox", &request.mailbox),
            agent: fields.address_filter("agent", &request.agent),
            severity: fields.severity_filter(request.severity),
            at_least: revision(request.at_least_revision),
        };
        let page_size = fields.page_size(request.page_size);
        fields.check()?;
        let page = self
            .run(move |app| async move {
                app.list_findings(filter, page_size, &request.page_token)
                    .await
            })
            .await?;
        Ok(Response::new(pb_page(page)))
    }

    async fn check_audit_settings(
        &self,
        request: Request<pb::CheckAuditSettingsRequest>,
    ) -> Result<Response<pb::CheckAuditSettingsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let check = Check {
            tenant: fields.tenant_id(&request.tenant_id),
            content: request.content,
            captured_at: fields.optional_time("captured_at", request.captured_at),
            validate_only: request.validate_only,
        };
        fields.check()?;
        let checked = self
            .run(|app| async move { app.check_audit_settings(check).await })
            .await?;
        Ok(Response::new(pb_checked(checked)))
    }
}

/// The window of a batch; `None`: it has none.
pub(super) fn window(fields: &mut Fields, window: Option<pb::Window>) -> Option<Window> {
    let window = window?;
    let start = fields.time("window.start", window.start);
    let end = fields.time("window.end", window.end);
    if let (Some(start), Some(end)) = (start, end) {
        if start >= end {
            fields.wrong("window.end", "must be after window.start");
        }
        if !window_may_end(end) {
            fields.wrong("window.end", "must not be in the future");
        }
    }
    let clock = match window.clock() {
        pb::WindowClock::ContentCreated => Some(Clock::ContentCreated),
        pb::WindowClock::EventTime => Some(Clock::EventTime),
        pb::WindowClock::Unspecified => {
            fields.wrong("window.clock", "must be one of the clocks");
            None
        }
    };
    let outcome = match window.outcome() {
        pb::WindowOutcome::Complete => Some(Outcome::Complete),
        pb::WindowOutcome::Partial => Some(Outcome::Partial),
        pb::WindowOutcome::Failed => Some(Outcome::Failed),
        pb::WindowOutcome::Unspecified => {
            fields.wrong("window.outcome", "must be one of the outcomes");
            None
        }
    };
    let code = fields.label("window.code", &window.code, MAX_CODE);
    if outcome == Some(Outcome::Complete) && code.is_some() {
        fields.wrong("window.code", "goes with PARTIAL and FAILED only");
    }
    Some(Window {
        range: TimeRange {
            start: start?,
            end: end?,
        },
        clock: clock?,
        outcome: outcome?,
        code: code.unwrap_or_default(),
    })
}

/// The fields of a range's answer.
#[derive(Default)]
pub(super) struct RangeFields {
    pub(super) complete_since: Option<prost_types::Timestamp>,
    pub(super) complete_through: Option<prost_types::Timestamp>,
    pub(super) gaps: Vec<pb::CoverageGap>,
    pub(super) gaps_omitted: u64,
}

impl From<RangeCoverage> for RangeFields {
    fn from(coverage: RangeCoverage) -> Self {
        Self {
            complete_since: coverage.complete.map(|complete| timestamp(complete.start)),
            complete_through: coverage.complete.map(|complete| timestamp(complete.end)),
            gaps: coverage.gaps.into_iter().map(pb_gap).collect(),
            gaps_omitted: coverage.gaps_omitted,
        }
    }
}

fn pb_report(report: CoverageReport) -> pb::GetCoverageResponse {
    pb::GetCoverageResponse {
        complete_since: report.complete.map(|complete| timestamp(complete.start)),
        complete_through: report.complete.map(|complete| timestamp(complete.end)),
        allowance: Some(duration(report.allowance)),
        lag: Some(pb_lag(&report.lag)),
        sources: report.sources.into_iter().map(pb_source).collect(),
        gaps: report.gaps.into_iter().map(pb_gap).collect(),
        gaps_omitted: report.gaps_omitted,
        sides: report.sides.into_iter().map(pb_side_seen).collect(),
        sides_omitted: report.sides_omitted,
        revision: report.revision.0,
    }
}

fn pb_lag(lag: &Lag) -> pb::Lag {
    let permille = |share| lag.permille(share).map(duration);
    pb::Lag {
        events: lag.events(),
        p50: permille(500),
        p90: permille(900),
        p99: permille(990),
        p999: permille(999),
    }
}

fn pb_source(source: SourceReport) -> pb::SourceCoverage {
    pb::SourceCoverage {
        source: source.source,
        clock: pb_clock(source.clock).into(),
        periods: source.periods.into_iter().map(pb_period).collect(),
        periods_omitted: source.periods_omitted,
        last_success: source.last_success.map(timestamp),
        last_failure: source.last_failure.map(pb_failure),
    }
}

fn pb_period(range: TimeRange) -> pb::Period {
    pb::Period {
        start: Some(timestamp(range.start)),
        end: Some(timestamp(range.end)),
    }
}

fn pb_failure(failure: Failure) -> pb::WindowFailure {
    let window = failure.window;
    let outcome = match window.outcome {
        Outcome::Complete => pb::WindowOutcome::Complete,
        Outcome::Partial => pb::WindowOutcome::Partial,
        Outcome::Failed => pb::WindowOutcome::Failed,
    };
    pb::WindowFailure {
        received_at: Some(timestamp(failure.received_at)),
        start: Some(timestamp(window.range.start)),
        end: Some(timestamp(window.range.end)),
        outcome: outcome.into(),
        code: window.code,
    }
}

fn pb_gap(gap: Gap) -> pb::CoverageGap {
    pb::CoverageGap {
        clock: pb_clock(gap.clock).into(),
        start: Some(timestamp(gap.range.start)),
        end: Some(timestamp(gap.range.end)),
        sent_start: Some(timestamp(gap.sent.start)),
        sent_end: Some(timestamp(gap.sent.end)),
        served_until: gap.served_until.map(timestamp),
    }
}

fn pb_clock(clock: Clock) -> pb::WindowClock {
    match clock {
        Clock::ContentCreated => pb::WindowClock::ContentCreated,
        Clock::EventTime => pb::WindowClock::EventTime,
    }
}

fn pb_side_seen(seen: SideSeen) -> pb::SideSeen {
    let event = |time: Timestamp| Some(timestamp(time));
    pb::SideSeen {
        mailbox: seen.pair.mailbox,
        agent: seen.pair.agent,
        side: pb_side(seen.pair.side).into(),
        first_event: event(seen.first),
        last_event: event(seen.last),
    }
}

/// Of whole seconds, as all of them are.
fn duration(micros: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: micros / 1_000_000,
        nanos: 0,
    }
}
