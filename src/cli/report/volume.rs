//! How much was sent, from which mailbox, when, and by whom of it.

use super::{
    charts::{self, Layer},
    figures::{CERTAINTIES, LogState},
    html::Html,
    names::Told,
    page::{Report, mailbox, who},
    sums::{Counts, MailboxSums},
    table::{self, Cell},
};
use crate::cli::show;
use std::cmp::Reverse;

/// Mailboxes that have a picture, and agents below each; the others are in the tables.
const MOST_CARDS: usize = 24;
const MOST_AGENTS: usize = 5;

pub(super) fn section(report: &Report<'_>, html: &mut Html<'_>) {
    let (axis, sums) = (report.axis, &report.fetched.sums);
    let step = axis.step.word();
    html.raw("<section id=\"volume\" aria-labelledby=\"volume-h\"><h2 id=\"volume-h\">");
    html.raw("How much was sent</h2><figure><figcaption>Messages a ")
        .raw(step);
    html.raw(", by how sure the agent is</figcaption>");
    html.raw("<ul class=\"legend\"><li><i class=\"k-both\"></i>agent known surely</li>");
    html.raw("<li><i class=\"k-contra\"></i>contradicted or in conflict</li>");
    html.raw("<li><i class=\"k-noperson\"></i>nobody named</li></ul>");
    let of = |number: fn(&Counts) -> u64| sums.periods.iter().map(number).collect();
    let layer = |class, number| Layer {
        class,
        numbers: of(number),
    };
    let layers = [
        layer("f-both", Counts::sure),
        layer("f-contra", |one| one.contradicted + one.conflict),
        layer("f-noperson", |one| {
            one.unresolved + one.not_a_person + one.erased
        }),
    ];
    let most = sums.periods.iter().map(|one| one.messages).max();
    let most = charts::round_up(most.unwrap_or(0));
    html.raw("<div class=\"plot\"><div class=\"y\" aria-hidden=\"true\"><span>");
    html.own(show::count(most)).raw("</span><span>");
    html.own(show::count(most / 2))
        .raw("</span><span>0</span></div>");
    let title = describe(step, &sums.periods);
    charts::columns(html, "chart large", most, &layers, &title);
    ticks(report, html);
    html.raw("</div></figure>");
    periods_table(report, html);
    cards(report, html);
    mailbox_tables(report, html);
    html.raw("</section>");
}

fn describe(step: &str, periods: &[Counts]) -> String {
    let all: u64 = periods.iter().map(|one| one.messages).sum();
    let most = periods.iter().map(|one| one.messages).max().unwrap_or(0);
    format!(
        "{} in {}, at most {} in one. The numbers are in a table below.",
        show::plural(all, "message"),
        show::plural(periods.len() as u64, step),
        show::count(most)
    )
}

/// Below a picture: its first, middle and last column.
pub(super) fn ticks(report: &Report<'_>, html: &mut Html<'_>) {
    let periods = &report.axis.periods;
    let mut at: Vec<usize> = vec![0, periods.len() / 2, periods.len().saturating_sub(1)];
    at.dedup();
    html.raw("<div class=\"x\" aria-hidden=\"true\">");
    for period in at.into_iter().filter_map(|at| periods.get(at)) {
        html.raw("<span>").own(&period.label).raw("</span>");
    }
    html.raw("</div>");
}

/// The header and the cells of all that is counted of something.
pub(super) fn numbers_header() -> impl Iterator<Item = &'static str> {
    let certainties = CERTAINTIES.iter().map(|(name, _, _)| *name);
    ["messages"].into_iter().chain(certainties)
}

pub(super) fn numbers(counts: &Counts) -> impl Iterator<Item = Cell> {
    let certainties = CERTAINTIES.map(|(_, _, number)| Cell::Number(number(counts)));
    [Cell::Number(counts.messages)]
        .into_iter()
        .chain(certainties)
}

const SIDES: [&str; 2] = ["mailbox side wrote", "agent side wrote"];

fn sides(counts: &Counts) -> [Cell; 2] {
    [counts.mailbox_side, counts.agent_side].map(Cell::Number)
}

fn periods_table(report: &Report<'_>, html: &mut Html<'_>) {
    let (axis, fetched) = (report.axis, report.fetched);
    let header: Vec<&str> = [axis.step.word()]
        .into_iter()
        .chain(numbers_header())
        .chain(["the log of it"])
        .collect();
    let periods = axis.periods.iter().zip(&fetched.sums.periods);
    let rows = periods.map(|(period, counts)| {
        let log = LogState::of(&fetched.coverage, period.range).words();
        [Cell::Own(period.label.clone())]
            .into_iter()
            .chain(numbers(counts))
            .chain([Cell::Own(log.into())])
            .collect()
    });
    table::folded(
        html,
        "t-periods",
        "Messages over time",
        &header,
        rows.collect(),
    );
}

fn cards(report: &Report<'_>, html: &mut Html<'_>) {
    let ranked = report.fetched.sums.ranked_mailboxes();
    html.raw("<h3>By mailbox</h3><p class=\"note\">Each picture has a scale of its own.</p>");
    html.raw("<ul class=\"cards\">");
    for (name, sums) in ranked.iter().take(MOST_CARDS) {
        html.raw("<li class=\"card\"><h4>");
        mailbox(html, report.names, name);
        html.raw("</h4>");
        card(report, html, sums);
        html.raw("</li>");
    }
    html.raw("</ul>");
    if ranked.len() > MOST_CARDS {
        let others = &ranked[MOST_CARDS..];
        let messages = others.iter().map(|(_, sums)| sums.total.messages).sum();
        html.raw("<p class=\"note\">")
            .own(show::plural(others.len() as u64, "more mailbox"));
        html.raw(" with ").own(show::plural(messages, "message"));
        html.raw(": in the table below.</p>");
    }
    let silent = super::figures::silent(report.fetched, &report.mailbox);
    if !silent.is_empty() {
        html.raw(
            "<p class=\"note\">Shared mailboxes of the register from which nothing is known \
                  to have been sent: ",
        );
        for (at, name) in silent.iter().enumerate() {
            html.raw(if at > 0 { ", " } else { "" }).told(name);
        }
        html.raw(".</p>");
    }
}

fn card(report: &Report<'_>, html: &mut Html<'_>, sums: &MailboxSums) {
    let step = report.axis.step.word();
    html.raw("<p class=\"sum\"><strong>")
        .own(show::count(sums.total.messages));
    html.raw("</strong> ").raw(match sums.total.messages {
        1 => "message",
        _ => "messages",
    });
    let most = sums.periods.iter().map(|one| one.messages).max();
    let most = most.unwrap_or(0);
    html.raw(" <span class=\"of\">at most ")
        .own(show::count(most));
    html.raw(" a ").raw(step).raw("</span></p>");
    let all = Layer {
        class: "f-both",
        numbers: sums.periods.iter().map(|one| one.messages).collect(),
    };
    let title = describe(step, &sums.periods);
    charts::columns(html, "chart small", most, &[all], &title);
    ticks(report, html);
    let mut agents: Vec<_> = sums
        .agents
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .collect();
    agents.sort_by_key(|(_, counts)| Reverse(counts.messages));
    let first = agents.first().map_or(0, |(_, counts)| counts.messages);
    html.raw("<ol class=\"ranks\">");
    for (name, counts) in agents.iter().take(MOST_AGENTS) {
        html.raw("<li>");
        who(html, report.names, &Told::from(name.as_str()));
        html.raw("<b>")
            .own(show::count(counts.messages))
            .raw("</b>");
        charts::bar(html, &[("f-both", counts.messages)], first);
        html.raw("</li>");
    }
    html.raw("</ol>");
    let others = agents.iter().skip(MOST_AGENTS);
    let others = others.map(|(_, counts)| counts.messages);
    rest(html, agents.len().saturating_sub(MOST_AGENTS), others.sum());
    if let Some(nobody) = sums.agents.get("") {
        html.raw("<p class=\"note\">")
            .own(show::count(nobody.messages));
        html.raw(" by nobody who can be named.</p>");
    }
}

/// Agents that have no line of their own.
pub(super) fn rest(html: &mut Html<'_>, agents: usize, messages: u64) {
    if agents > 0 {
        html.raw("<p class=\"note\">")
            .own(show::plural(agents as u64, "other"));
        html.raw(" sent ").own(show::count(messages)).raw(".</p>");
    }
}

fn mailbox_tables(report: &Report<'_>, html: &mut Html<'_>) {
    let axis = report.axis;
    let ranked = report.fetched.sums.ranked_mailboxes();
    let mut rows = Vec::new();
    for (name, sums) in &ranked {
        for (period, counts) in axis.periods.iter().zip(&sums.periods) {
            if counts.messages > 0 {
                let row = [
                    Cell::Told(Told::from(*name)),
                    Cell::Own(period.label.clone()),
                ];
                let row = row.into_iter().chain(numbers(counts)).chain(sides(counts));
                rows.push(row.collect());
            }
        }
    }
    let header: Vec<&str> = ["mailbox", axis.step.word()]
        .into_iter()
        .chain(numbers_header())
        .chain(SIDES)
        .collect();
    table::folded(html, "t-mailboxes", "Mailboxes over time", &header, rows);
    let mut rows = Vec::new();
    for (name, sums) in &ranked {
        let mut agents: Vec<_> = sums.agents.iter().collect();
        agents.sort_by_key(|(agent, counts)| (agent.is_empty(), Reverse(counts.messages)));
        for (agent, counts) in agents {
            let row = [Told::from(*name), Told::from(agent.as_str())].map(Cell::Told);
            rows.push(row.into_iter().chain(numbers(counts)).collect());
        }
    }
    let header: Vec<&str> = ["mailbox", "agent"]
        .into_iter()
        .chain(numbers_header())
        .collect();
    table::folded(html, "t-pairs", "Mailboxes and agents", &header, rows);
}
