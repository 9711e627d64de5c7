//! `sentby coverage`

use super::{
    Outcome,
    client::{Need, Target, answer, request},
    show,
    table::{Screen, Table, Tone},
    tenant, time,
};
use crate::{
    config::Config,
    domain::{TenantId, Timestamp},
    pb::{
        CoverageGap, GetCoverageRequest, GetCoverageResponse, Lag, Period, Side, SideSeen,
        SourceCoverage, WindowClock, WindowFailure, WindowOutcome,
    },
};
use serde::Serialize;
use std::io::{self, Write as _};

/// From when to when is everything here, and what is missing?
///
/// By the windows of the batches that collectors have sent: without them nobody can tell "not
/// sent" from "not fetched". Gaps are told with what to do about them, and until when.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Coverage {
    /// The tenant whose log it is
    #[arg(long, value_name = "GUID", value_parser = tenant)]
    tenant: TenantId,
    /// Periods and gaps from then on only: 2026-03-01 or 2026-03-01T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Periods and gaps before that only
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// One JSON object: complete_since, complete_through, allowance_seconds, lag, sources, gaps,
    /// sides, revision
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub target: Target,
}

const EXAMPLES: &str = "\
Examples:
  sentby coverage --tenant GUID
  sentby coverage --tenant GUID --from 2026-03-01 --to 2026-04-01
  sentby coverage --tenant GUID --json | jq -r '.gaps[] | [.start, .end, .served_until] | @tsv'

The same by grpcurl:
  grpcurl -plaintext -d '{\"tenant_id\": \"GUID\"}' \\
    127.0.0.1:50051 sentby.v1.CoverageService/GetCoverage

Exit code: 0 if it was answered, also where something is missing.";

impl Coverage {
    pub async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let api = self.target.connect(&config, Need::Existing).await?;
        let message = GetCoverageRequest {
            tenant_id: self.tenant.to_string(),
            start: self.from.map(show::moment),
            end: self.to.map(show::moment),
            at_least_revision: 0,
        };
        let covered = api.coverage().get_coverage(request(message)).await;
        let covered = answer(covered)?;
        let text = if self.json {
            serde_json::to_string(&Json::of(&covered))?
        } else {
            words(&covered, Screen::stdout())
        };
        writeln!(io::stdout(), "{text}")?;
        Ok(Outcome::Done)
    }
}

fn words(covered: &GetCoverageResponse, screen: Screen) -> String {
    let mut parts = vec![summary(covered)];
    let mut part = |title: &str, table: Table, omitted: u64| {
        let mut text = format!("{}\n{}", screen.bold(title), table.render(screen));
        if omitted > 0 {
            text.push_str(&format!("\n… and {} more", show::count(omitted)));
        }
        parts.push(text);
    };
    if !covered.sources.is_empty() {
        let omitted = covered.sources.iter().map(|one| one.periods_omitted).sum();
        part("Covered", sources(&covered.sources), omitted);
    }
    if !covered.gaps.is_empty() {
        part("Gaps", gaps(&covered.gaps), covered.gaps_omitted);
    }
    let failures = covered.sources.iter();
    let failures: Vec<_> = failures.filter(|one| one.last_failure.is_some()).collect();
    if !failures.is_empty() {
        part("Last failures", failed(&failures), 0);
    }
    if !covered.sides.is_empty() {
        part("Sides", sides(&covered.sides), covered.sides_omitted);
    }
    parts.join("\n\n")
}

fn summary(covered: &GetCoverageResponse) -> String {
    let since = show::time(covered.complete_since.as_ref());
    let through = show::time(covered.complete_through.as_ref());
    let mut lines = match since.zip(through) {
        Some((since, through)) => {
            let lost = covered.gaps.iter().any(|gap| gap.served_until.is_none());
            let but = if lost { ", but for what is lost" } else { "" };
            vec![
                format!("complete from {since} through {through}{but}"),
                "A message that was sent in it and is not here has left no record.".to_owned(),
            ]
        }
        None if covered.sources.is_empty() => vec![
            "no collector tells what it has covered: nothing is known to be complete".to_owned(),
        ],
        None => vec!["nothing is completely covered yet".to_owned()],
    };
    let allowance = hours(covered.allowance.as_ref()).unwrap_or_default();
    lines.push(format!(
        "Records are waited for {allowance} after the message was sent."
    ));
    if let Some(lag) = covered.lag.as_ref().filter(|lag| lag.events > 0) {
        let share = |name: &str, lag| Some(format!("{name} {}", hours(lag)?));
        let shares = [
            share("50 %", lag.p50.as_ref()),
            share("90 %", lag.p90.as_ref()),
            share("99 %", lag.p99.as_ref()),
            share("99.9 %", lag.p999.as_ref()),
        ];
        let shares: Vec<String> = shares.into_iter().flatten().collect();
        lines.push(format!(
            "They came within: {} (of {}).",
            shares.join(", "),
            show::plural(lag.events, "event")
        ));
    }
    lines.join("\n")
}

/// 90 minutes → `90 min`, 36 hours → `36 h`.
fn hours(duration: Option<&prost_types::Duration>) -> Option<String> {
    let minutes = duration?.seconds / 60;
    Some(match minutes {
        minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    })
}

fn sources(sources: &[SourceCoverage]) -> Table {
    let mut table = Table::new(&["SOURCE", "CLOCK", "FROM", "TO", "LAST SUCCESS"], 0, 12);
    for one in sources {
        for (at, period) in one.periods.iter().enumerate() {
            let last = if at + 1 == one.periods.len() {
                show::seconds(one.last_success.as_ref())
            } else {
                String::new()
            };
            let cells = [
                named(&one.source),
                show::cell::<WindowClock>(one.clock),
                full(period.start.as_ref()),
                full(period.end.as_ref()),
                last,
            ];
            table.row(cells.map(|cell| (cell, Tone::Plain)));
        }
    }
    table
}

fn gaps(gaps: &[CoverageGap]) -> Table {
    let header = [
        "CLOCK",
        "FROM",
        "TO",
        "CONCERNS MESSAGES SENT",
        "WHAT TO DO",
    ];
    let mut table = Table::new(&header, 4, 24);
    for gap in gaps {
        let (what, tone) = match show::time(gap.served_until.as_ref()) {
            Some(until) => (format!("fetch it until {until}"), Tone::Attention),
            None => (
                "lost: import a search of these messages (--window-start, --window-end)".into(),
                Tone::Faint,
            ),
        };
        let sent = format!(
            "{} to {}",
            full(gap.sent_start.as_ref()),
            full(gap.sent_end.as_ref())
        );
        table.row([
            (show::cell::<WindowClock>(gap.clock), Tone::Plain),
            (full(gap.start.as_ref()), Tone::Plain),
            (full(gap.end.as_ref()), Tone::Plain),
            (sent, Tone::Plain),
            (what, tone),
        ]);
    }
    table
}

fn failed(sources: &[&SourceCoverage]) -> Table {
    let header = ["SOURCE", "OUTCOME", "FROM", "TO", "RECEIVED AT", "CODE"];
    let mut table = Table::new(&header, 0, 12);
    for one in sources {
        let failure = one.last_failure.clone().unwrap_or_default();
        table.row([
            (named(&one.source), Tone::Plain),
            (
                show::cell::<WindowOutcome>(failure.outcome),
                Tone::Attention,
            ),
            (full(failure.start.as_ref()), Tone::Plain),
            (full(failure.end.as_ref()), Tone::Plain),
            (show::seconds(failure.received_at.as_ref()), Tone::Plain),
            (failure.code, Tone::Plain),
        ]);
    }
    table
}

fn sides(sides: &[SideSeen]) -> Table {
    let header = ["MAILBOX", "AGENT", "SIDE", "FIRST EVENT", "LAST EVENT"];
    let mut table = Table::new(&header, 0, 16);
    for one in sides {
        let cells = [
            one.mailbox.clone(),
            one.agent.clone(),
            show::cell::<Side>(one.side),
            full(one.first_event.as_ref()),
            full(one.last_event.as_ref()),
        ];
        table.row(cells.map(|cell| (cell, Tone::Plain)));
    }
    table
}

fn named(source: &str) -> String {
    if source.is_empty() {
        "(no name)".into()
    } else {
        source.into()
    }
}

fn full(time: Option<&prost_types::Timestamp>) -> String {
    show::time(time).unwrap_or_default()
}

/// `--json`. The names and their order are what scripts rely on.
#[derive(Serialize)]
struct Json<'a> {
    complete_since: Option<String>,
    complete_through: Option<String>,
    allowance_seconds: Option<i64>,
    lag: LagJson,
    sources: Vec<SourceJson<'a>>,
    gaps: Vec<GapJson>,
    gaps_omitted: u64,
    sides: Vec<SideJson<'a>>,
    sides_omitted: u64,
    revision: u64,
}

#[derive(Serialize)]
struct LagJson {
    events: u64,
    p50_seconds: Option<i64>,
    p90_seconds: Option<i64>,
    p99_seconds: Option<i64>,
    p999_seconds: Option<i64>,
}

#[derive(Serialize)]
struct SourceJson<'a> {
    source: &'a str,
    clock: Option<show::Name>,
    periods: Vec<PeriodJson>,
    periods_omitted: u64,
    last_success: Option<String>,
    last_failure: Option<FailureJson<'a>>,
}

#[derive(Serialize)]
struct PeriodJson {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Serialize)]
struct FailureJson<'a> {
    received_at: Option<String>,
    start: Option<String>,
    end: Option<String>,
    outcome: Option<show::Name>,
    code: &'a str,
}

#[derive(Serialize)]
struct GapJson {
    clock: Option<show::Name>,
    start: Option<String>,
    end: Option<String>,
    sent_start: Option<String>,
    sent_end: Option<String>,
    served_until: Option<String>,
}

#[derive(Serialize)]
struct SideJson<'a> {
    mailbox: &'a str,
    agent: &'a str,
    side: Option<show::Name>,
    first_event: Option<String>,
    last_event: Option<String>,
}

impl<'a> Json<'a> {
    fn of(covered: &'a GetCoverageResponse) -> Self {
        Self {
            complete_since: show::time(covered.complete_since.as_ref()),
            complete_through: show::time(covered.complete_through.as_ref()),
            allowance_seconds: covered.allowance.map(|allowance| allowance.seconds),
            lag: LagJson::of(&covered.lag.unwrap_or_default()),
            sources: covered.sources.iter().map(SourceJson::of).collect(),
            gaps: covered.gaps.iter().map(GapJson::of).collect(),
            gaps_omitted: covered.gaps_omitted,
            sides: covered.sides.iter().map(SideJson::of).collect(),
            sides_omitted: covered.sides_omitted,
            revision: covered.revision,
        }
    }
}

impl LagJson {
    fn of(lag: &Lag) -> Self {
        let seconds = |lag: Option<prost_types::Duration>| lag.map(|lag| lag.seconds);
        Self {
            events: lag.events,
            p50_seconds: seconds(lag.p50),
            p90_seconds: seconds(lag.p90),
            p99_seconds: seconds(lag.p99),
            p999_seconds: seconds(lag.p999),
        }
    }
}

impl<'a> SourceJson<'a> {
    fn of(source: &'a SourceCoverage) -> Self {
        let period = |period: &Period| PeriodJson {
            start: show::time(period.start.as_ref()),
            end: show::time(period.end.as_ref()),
        };
        Self {
            source: &source.source,
            clock: show::name::<WindowClock>(source.clock),
            periods: source.periods.iter().map(period).collect(),
            periods_omitted: source.periods_omitted,
            last_success: show::time(source.last_success.as_ref()),
            last_failure: source.last_failure.as_ref().map(FailureJson::of),
        }
    }
}

impl<'a> FailureJson<'a> {
    fn of(failure: &'a WindowFailure) -> Self {
        Self {
            received_at: show::time(failure.received_at.as_ref()),
            start: show::time(failure.start.as_ref()),
            end: show::time(failure.end.as_ref()),
            outcome: show::name::<WindowOutcome>(failure.outcome),
            code: &failure.code,
        }
    }
}

impl GapJson {
    fn of(gap: &CoverageGap) -> Self {
        Self {
            clock: show::name::<WindowClock>(gap.clock),
            start: show::time(gap.start.as_ref()),
            end: show::time(gap.end.as_ref()),
            sent_start: show::time(gap.sent_start.as_ref()),
            sent_end: show::time(gap.sent_end.as_ref()),
            served_until: show::time(gap.served_until.as_ref()),
        }
    }
}

impl<'a> SideJson<'a> {
    fn of(seen: &'a SideSeen) -> Self {
        Self {
            mailbox: &seen.mailbox,
            agent: &seen.agent,
            side: show::name::<Side>(seen.side),
            first_event: show::time(seen.first_event.as_ref()),
            last_event: show::time(seen.last_event.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<prost_types::Timestamp> {
        Some(text.parse().unwrap())
    }

    fn covered() -> GetCoverageResponse {
        let hours = |hours: i64| {
            Some(prost_types::Duration {
                seconds: hours * 3_600,
                nanos: 0,
            })
        };
        GetCoverageResponse {
            complete_since: time("2026-03-01T00:00:00Z"),
            complete_through: time("2026-03-02T05:00:00Z"),
            allowance: hours(24),
            lag: Some(Lag {
                events: 1_200,
                p50: hours(1),
                ..Default::default()
            }),
            sources: vec![SourceCoverage {
                source: "me".into(),
                clock: WindowClock::ContentCreated.into(),
                periods: vec![Period {
                    start: time("2026-03-01T00:00:00Z"),
                    end: time("2026-03-03T05:00:00Z"),
                }],
                ..Default::default()
            }],
            gaps: vec![CoverageGap {
                clock: WindowClock::ContentCreated.into(),
                start: time("2026-03-03T05:00:00Z"),
                end: time("2026-03-03T06:00:00Z"),
                sent_start: time("2026-03-02T05:00:00Z"),
                sent_end: time("2026-03-03T06:00:00Z"),
                served_until: time("2026-03-10T05:00:00Z"),
            }],
            revision: 7,
            ..Default::default()
        }
    }

    #[test]
    fn the_json_has_a_fixed_shape() {
        let json = serde_json::to_string(&Json::of(&covered())).unwrap();
        let expected = concat!(
            r#"{"complete_since":"2026-03-01T00:00:00Z","complete_through":"2026-03-02T05:00:00Z","#,
            r#""allowance_seconds":86400,"lag":{"events":1200,"p50_seconds":3600,"p90_seconds":null,"#,
            r#""p99_seconds":null,"p999_seconds":null},"sources":[{"source":"me","#,
            r#""clock":"CONTENT_CREATED","periods":[{"start":"2026-03-01T00:00:00Z","#,
            r#""end":"2026-03-03T05:00:00Z"}],"periods_omitted":0,"last_success":null,"#,
            r#""last_failure":null}],"gaps":[{"clock":"CONTENT_CREATED","#,
            r#""start":"2026-03-03T05:00:00Z","end":"2026-03-03T06:00:00Z","#,
            r#""sent_start":"2026-03-02T05:00:00Z","sent_end":"2026-03-03T06:00:00Z","#,
            r#""served_until":"2026-03-10T05:00:00Z"}],"gaps_omitted":0,"sides":[],"#,
            r#""sides_omitted":0,"revision":7}"#,
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn people_read_what_is_complete_and_what_to_do() {
        let text = summary(&covered());
        let through = "complete from 2026-03-01T00:00:00Z through 2026-03-02T05:00:00Z\n";
        assert!(text.starts_with(through), "{text}");
        assert!(text.contains("waited for 24 h"), "{text}");
        assert!(text.ends_with("50 % 1 h (of 1,200 events)."), "{text}");
        let mut lost = covered();
        lost.gaps[0].served_until = None;
        assert!(summary(&lost).contains("05:00:00Z, but for what is lost"));
        let none = summary(&GetCoverageResponse::default());
        assert!(none.starts_with("no collector tells"), "{none}");
    }
}
