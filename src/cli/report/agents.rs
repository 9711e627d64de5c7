//! Who sent how much, and at which hours.

use super::{
    charts,
    html::Html,
    names::Told,
    page::{Report, who},
    table::{self, Cell},
    volume::{numbers, numbers_header, rest},
};
use crate::cli::show;

const MOST: usize = 12;
/// Messages, and the three ways in which a person may be named.
const OF_PERSONS: usize = 4;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

pub(super) fn section(report: &Report<'_>, html: &mut Html<'_>) {
    html.raw("<section id=\"agents\" aria-labelledby=\"agents-h\"><h2 id=\"agents-h\">");
    html.raw("Who sent it</h2>");
    ranking(report, html);
    hours(report, html);
    html.raw("</section>");
}

fn ranking(report: &Report<'_>, html: &mut Html<'_>) {
    let ranked = report.fetched.sums.ranked_agents();
    let first = ranked.first().map_or(0, |(_, sums)| sums.total.messages);
    html.raw("<p class=\"note\">");
    html.own(if ranked.len() > MOST {
        format!("The {MOST} agents who sent the most, of {}.", ranked.len())
    } else {
        "All agents.".to_owned()
    });
    html.raw("</p><ul class=\"legend\"><li><i class=\"k-both\"></i>both sides agree</li>");
    html.raw("<li><i class=\"k-one\"></i>one side</li>");
    html.raw("<li><i class=\"k-contra\"></i>contradicted</li></ul>");
    html.raw("<ol class=\"ranks wide\">");
    for (name, sums) in ranked.iter().take(MOST) {
        html.raw("<li>");
        who(html, report.names, &Told::from(*name));
        html.raw("<b>")
            .own(show::count(sums.total.messages))
            .raw("</b>");
        let parts = [
            ("f-both", sums.total.both_sides),
            ("f-one", sums.total.one_side),
            ("f-contra", sums.total.contradicted),
        ];
        charts::bar(html, &parts, first);
        html.raw("</li>");
    }
    html.raw("</ol>");
    let others = ranked.iter().skip(MOST);
    let others = others.map(|(_, sums)| sums.total.messages);
    rest(html, ranked.len().saturating_sub(MOST), others.sum());
    let is_named = |name: &str| report.names.display(&Told::from(name)).is_some();
    let named = ranked.iter().any(|(name, _)| is_named(name));
    let header = ["agent", "name"]
        .into_iter()
        .take(if named { 2 } else { 1 });
    let header: Vec<&str> = header.chain(numbers_header().take(OF_PERSONS)).collect();
    let rows = ranked.iter().map(|(name, sums)| {
        let told = Told::from(*name);
        let display = report.names.display(&told).cloned().unwrap_or_default();
        let mut row = vec![Cell::Told(told)];
        if named {
            row.push(Cell::Told(display));
        }
        row.extend(numbers(&sums.total).take(OF_PERSONS));
        row
    });
    table::folded(html, "t-agents", "Agents", &header, rows.collect());
}

fn hours(report: &Report<'_>, html: &mut Html<'_>) {
    let sums = &report.fetched.sums;
    html.raw("<h3>At which hours</h3><p class=\"note\">By the clock of ");
    html.own(report.axis.zone.name());
    html.raw(". The more the colour stands out, the more messages; each agent against the own ");
    html.raw("busiest hour.</p>");
    html.raw("<div class=\"two\"><figure><figcaption>All messages, by day of the week");
    html.raw("</figcaption><div class=\"lanes short\">");
    let most = sums.week.iter().flatten().copied().max().unwrap_or(0);
    for (day, hours) in WEEKDAYS.iter().zip(&sums.week) {
        html.raw("<div class=\"lane\"><span class=\"label\">")
            .raw(day)
            .raw("</span>");
        lane(html, hours, most);
        html.raw("</div>");
    }
    clock(html);
    html.raw("</div></figure><figure><figcaption>Agents, by hour of the day</figcaption>");
    html.raw("<div class=\"lanes\">");
    let ranked = sums.ranked_agents();
    for (name, sums) in ranked.iter().take(MOST) {
        html.raw("<div class=\"lane\"><span class=\"label\">");
        let told = Told::from(*name);
        html.told(report.names.display(&told).unwrap_or(&told))
            .raw("</span>");
        lane(
            html,
            &sums.hours,
            sums.hours.iter().copied().max().unwrap_or(0),
        );
        html.raw("</div>");
    }
    clock(html);
    html.raw("</div></figure></div>");
    let hour_names: Vec<String> = (0..24).map(|hour: u8| hour.to_string()).collect();
    let hour_names = || hour_names.iter().map(String::as_str);
    let header: Vec<&str> = ["weekday"].into_iter().chain(hour_names()).collect();
    let rows = WEEKDAYS.iter().zip(&sums.week).map(|(day, hours)| {
        let head = [Cell::Own((*day).to_owned())].into_iter();
        head.chain(hours.map(Cell::Number)).collect()
    });
    table::folded(
        html,
        "t-week",
        "Messages by weekday and hour",
        &header,
        rows.collect(),
    );
    let header: Vec<&str> = ["agent"].into_iter().chain(hour_names()).collect();
    let rows = ranked.iter().map(|(name, sums)| {
        let head = [Cell::Told(Told::from(*name))].into_iter();
        head.chain(sums.hours.map(Cell::Number)).collect()
    });
    table::folded(
        html,
        "t-hours",
        "Agents by hour of the day",
        &header,
        rows.collect(),
    );
}

fn lane(html: &mut Html<'_>, hours: &[u64; 24], most: u64) {
    let cells = hours.map(|number| charts::step(number, most));
    let busiest = (0..24).max_by_key(|at| (hours[*at], std::cmp::Reverse(*at)));
    let title = format!(
        "{} in 24 hours of the clock, the most from {} o'clock",
        show::plural(hours.iter().sum(), "message"),
        busiest.unwrap_or(0)
    );
    charts::cells(html, "cells", &cells, &title);
}

fn clock(html: &mut Html<'_>) {
    html.raw("<div class=\"lane\" aria-hidden=\"true\"><span class=\"label\"></span>");
    html.raw("<div class=\"x\"><span>0</span><span>6</span><span>12</span><span>18</span>");
    html.raw("<span>24</span></div></div>");
}
