//! What of the audit log is here: by day what was fetched, by mailbox and side what it wrote of.

use super::{
    super::show,
    charts::{self, Look},
    figures::{LogState, sent, time},
    html::Html,
    names::Told,
    page::{Report, mailbox},
    sums::{Counts, MailboxSums},
    table::{self, Cell},
    volume::ticks,
};
use crate::pb::{CoverageGap, Side, WindowClock, WindowOutcome};

const MOST: usize = 24;

pub(super) fn section(report: &Report<'_>, html: &mut Html<'_>) {
    html.raw("<section id=\"coverage\" aria-labelledby=\"coverage-h\"><h2 id=\"coverage-h\">");
    html.raw("What of the log is here</h2>");
    log(report, html);
    if report.fetched.sums.total.messages > 0 {
        sides(report, html);
    }
    gaps(report, html);
    sources(report, html);
    seen(report, html);
    html.raw("</section>");
}

impl LogState {
    fn look(self) -> Option<Look> {
        let (class, height) = match self {
            Self::Complete => ("f-both", 100),
            Self::Gap => ("f-contra", 60),
            Self::Lost => ("f-conflict", 35),
            Self::Open => ("f-noperson", 15),
            Self::Unknown => return None,
        };
        Some(Look { class, height })
    }

    fn key(self) -> &'static str {
        match self {
            Self::Complete => "<i class=\"k-both\"></i>",
            Self::Gap => "<i class=\"k-contra mid\"></i>",
            Self::Lost => "<i class=\"k-conflict low\"></i>",
            Self::Open => "<i class=\"k-noperson flat\"></i>",
            Self::Unknown => "<i class=\"k-none\"></i>",
        }
    }
}

fn log(report: &Report<'_>, html: &mut Html<'_>) {
    let step = report.axis.step.word();
    let periods = report.axis.periods.iter();
    let states = periods.map(|one| LogState::of(&report.fetched.coverage, one.range));
    let states: Vec<LogState> = states.collect();
    html.raw("<figure><figcaption>What was fetched of the log of the messages of each ");
    html.raw(step).raw("</figcaption><ul class=\"legend\">");
    for state in LogState::ALL {
        let count = states.iter().filter(|one| **one == state).count() as u64;
        if count > 0 {
            html.raw("<li>").raw(state.key()).raw(state.words());
            html.raw(" <b>")
                .own(show::plural(count, step))
                .raw("</b></li>");
        }
    }
    html.raw("</ul><div class=\"lanes\"><div class=\"lane\"><span class=\"label\">fetched</span>");
    let of = |state| states.iter().filter(|one| **one == state).count();
    let title = format!(
        "{} complete, {} with gaps, {} not complete yet, {} unknown",
        of(LogState::Complete),
        of(LogState::Gap) + of(LogState::Lost),
        of(LogState::Open),
        of(LogState::Unknown)
    );
    let cells: Vec<_> = states.iter().map(|state| state.look()).collect();
    charts::cells(html, "cells", &cells, &title);
    html.raw("</div>");
    axis(report, html);
    html.raw("</div></figure>");
}

/// The dates below lanes.
fn axis(report: &Report<'_>, html: &mut Html<'_>) {
    html.raw("<div class=\"lane\" aria-hidden=\"true\"><span class=\"label\"></span>");
    ticks(report, html);
    html.raw("</div>");
}

fn sides(report: &Report<'_>, html: &mut Html<'_>) {
    let ranked = report.fetched.sums.ranked_mailboxes();
    html.raw("<figure><figcaption>Which side wrote: of the messages of each ");
    html.raw(report.axis.step.word());
    html.raw(" so many are known to stand in the log of the mailbox, and in that of the agent");
    html.raw("</figcaption><ul class=\"legend\"><li><i class=\"k-s4\"></i>all</li>");
    html.raw("<li><i class=\"k-s3 high\"></i>90 % or more</li>");
    html.raw("<li><i class=\"k-s2 mid\"></i>half or more</li>");
    html.raw("<li><i class=\"k-s1 low\"></i>less</li>");
    html.raw("<li><i class=\"k-conflict flat\"></i>none</li>");
    html.raw("<li><i class=\"k-none\"></i>nothing was sent</li></ul><div class=\"lanes sides\">");
    for (name, sums) in ranked.iter().filter(|one| !one.0.is_empty()).take(MOST) {
        html.raw("<div class=\"lane\"><span class=\"label\">");
        mailbox(html, report.names, name);
        html.raw("</span><div class=\"pair\">");
        side(html, "mailbox", sums, |counts| counts.mailbox_side);
        side(html, "agent", sums, |counts| counts.agent_side);
        html.raw("</div></div>");
    }
    axis(report, html);
    html.raw(
        "</div><p class=\"note\">The numbers are in the table <em>Mailboxes over time</em> \
              above. A message that both sides write of in different ways counts for the stronger \
              one; one of which nothing but a plain <em>Send</em> tells counts for none.</p></figure>",
    );
}

fn side(html: &mut Html<'_>, of: &'static str, sums: &MailboxSums, number: fn(&Counts) -> u64) {
    let cells = sums
        .periods
        .iter()
        .map(|one| share(number(one), one.messages));
    let cells: Vec<_> = cells.collect();
    html.raw("<span class=\"side\">").raw(of).raw("</span>");
    let title = format!(
        "The {of} side wrote of {} of {}",
        show::count(number(&sums.total)),
        show::plural(sums.total.messages, "message")
    );
    charts::cells(html, "cells thin", &cells, &title);
}

fn share(part: u64, all: u64) -> Option<Look> {
    let (class, height) = match (part, all) {
        (_, 0) => return None,
        (0, _) => ("f-conflict", 18),
        (part, all) if part >= all => ("s4", 100),
        (part, all) if part * 10 >= all * 9 => ("s3", 85),
        (part, all) if part * 2 >= all => ("s2", 65),
        _ => ("s1", 40),
    };
    Some(Look { class, height })
}

fn gaps(report: &Report<'_>, html: &mut Html<'_>) {
    let coverage = &report.fetched.coverage;
    html.raw("<h3>Gaps, and what can be done</h3>");
    if coverage.gaps.is_empty() {
        html.raw("<p>No gap is known in this period.</p>");
        return;
    }
    let moment = |at: Option<&prost_types::Timestamp>| moment(report, at);
    let rows = coverage.gaps.iter().map(|gap| {
        let sent = sent(gap);
        let at = |time| Cell::Own(report.axis.moment(time));
        vec![
            sent.map_or(Cell::Own(String::new()), |sent| at(sent.start)),
            sent.map_or(Cell::Own(String::new()), |sent| at(sent.end)),
            Cell::Own(what_to_do(report, gap)),
            moment(gap.start.as_ref()),
            moment(gap.end.as_ref()),
            Cell::Own(clock(gap.clock).into()),
        ]
    });
    let header = [
        "messages sent from",
        "until",
        "what can be done",
        "not fetched from",
        "until",
        "by",
    ];
    table::whole(html, "t-gaps", "Gaps", &header, rows.collect());
    if coverage.gaps_omitted > 0 {
        html.raw("<p class=\"note\">")
            .own(show::count(coverage.gaps_omitted));
        html.raw(" more gaps are left out.</p>");
    }
}

fn what_to_do(report: &Report<'_>, gap: &CoverageGap) -> String {
    match time(gap.served_until.as_ref()) {
        Some(until) => format!(
            "Fetch it again: Microsoft serves it until {}",
            report.axis.moment(until)
        ),
        None => "Lost at Microsoft's feed: import a search or an export of that time".into(),
    }
}

fn clock(clock: i32) -> &'static str {
    match WindowClock::try_from(clock) {
        Ok(WindowClock::ContentCreated) => "when content was made",
        Ok(WindowClock::EventTime) => "when it happened",
        _ => "",
    }
}

fn moment(report: &Report<'_>, at: Option<&prost_types::Timestamp>) -> Cell {
    let at = time(at).map(|at| report.axis.moment(at));
    Cell::Own(at.unwrap_or_else(|| "–".into()))
}

fn sources(report: &Report<'_>, html: &mut Html<'_>) {
    let coverage = &report.fetched.coverage;
    let moment = |at: Option<&prost_types::Timestamp>| moment(report, at);
    let rows = coverage.sources.iter().map(|one| {
        let periods = one.periods.len() as u64 + one.periods_omitted;
        let failure = one.last_failure.clone().unwrap_or_default();
        let failed = match failure.received_at {
            None => Told::default(),
            Some(_) => {
                let outcome = show::cell::<WindowOutcome>(failure.outcome);
                Told::from(format!("{outcome} {}", failure.code))
            }
        };
        // the last ones are told: where the first of all begins is not
        let first = one.periods.first().filter(|_| one.periods_omitted == 0);
        vec![
            Cell::Told(Told::from(&one.source)),
            Cell::Own(clock(one.clock).into()),
            Cell::Number(periods),
            moment(first.and_then(|one| one.start.as_ref())),
            moment(one.periods.last().and_then(|one| one.end.as_ref())),
            moment(one.last_success.as_ref()),
            moment(failure.received_at.as_ref()),
            Cell::Told(failed),
        ]
    });
    let header = [
        "source",
        "by",
        "periods",
        "from",
        "until",
        "last success",
        "last failure",
        "with",
    ];
    table::folded(
        html,
        "t-sources",
        "Who fetched what",
        &header,
        rows.collect(),
    );
}

fn seen(report: &Report<'_>, html: &mut Html<'_>) {
    let coverage = &report.fetched.coverage;
    let moment = |at: Option<&prost_types::Timestamp>| moment(report, at);
    let asked = Told::from(&report.mailbox);
    let asked = report.names.shown(&asked);
    let sums = &report.fetched.sums.mailboxes;
    // it may have sent nothing in the period, or be asked for by an alias
    let is_asked = |name: &String| *name == asked || sums.contains_key(name);
    let seen = coverage.sides.iter();
    let seen = seen.filter(|one| report.mailbox.is_empty() || is_asked(&one.mailbox));
    let rows = seen.map(|one| {
        let side = match one.side() {
            Side::Mailbox => "mailbox",
            Side::Agent => "agent",
            Side::Unspecified => "",
        };
        vec![
            Cell::Told(Told::from(&one.mailbox)),
            Cell::Told(Told::from(&one.agent)),
            Cell::Own(side.into()),
            moment(one.first_event.as_ref()),
            moment(one.last_event.as_ref()),
        ]
    });
    let header = ["mailbox", "agent", "side", "first event", "last event"];
    let rows: Vec<_> = rows.collect();
    table::folded(
        html,
        "t-sides",
        "When each side wrote first and last",
        &header,
        rows,
    );
    if coverage.sides_omitted > 0 {
        html.raw("<p class=\"note\">Left out: ");
        html.own(show::count(coverage.sides_omitted)).raw(".</p>");
    }
}
