//! What is wrong with the audit set-up, and the commands that repair it.

use super::{
    super::{findings::report::seen, show},
    html::Html,
    names::Told,
    page::Report,
};
use crate::pb::{Finding, FindingCause, FindingSeverity};

/// Causes that are shown, and of each those whom it concerns; the others are folded.
const MOST: usize = 10;
const MOST_SUBJECTS: usize = 4;

pub(super) fn section(report: &Report<'_>, html: &mut Html<'_>) {
    let findings = &report.fetched.findings;
    html.raw("<section id=\"findings\" aria-labelledby=\"findings-h\"><h2 id=\"findings-h\">");
    html.raw("What to repair</h2>");
    if findings.is_empty() {
        html.raw("<p>Nothing is known to be wrong with the audit set-up.</p></section>");
        return;
    }
    html.raw(
        "<p class=\"note\">The worst first. Commands are for Exchange Online PowerShell; an \
         administrator of the tenant runs them.</p>",
    );
    let is_known = |one: &&Finding| one.severity() != FindingSeverity::Unknown;
    let (known, open): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(is_known);
    let known = grouped(&known);
    let shown = known.len().min(MOST);
    list(html, &known[..shown]);
    folded(html, "More findings", &known[shown..]);
    folded(
        html,
        "What cannot be told, and the commands that tell",
        &grouped(&open),
    );
    html.raw("</section>");
}

/// Findings that say the same of several, in the order of the first of each.
fn grouped<'a>(findings: &[&'a Finding]) -> Vec<Vec<&'a Finding>> {
    let says = |one: &'a Finding| (one.severity, one.cause, &one.meaning, &one.advice);
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for one in findings {
        let same = groups.iter_mut().find(|group| says(group[0]) == says(one));
        match same {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn folded(html: &mut Html<'_>, title: &'static str, groups: &[Vec<&Finding>]) {
    let findings: usize = groups.iter().map(Vec::len).sum();
    if findings > 0 {
        html.raw("<details><summary>")
            .raw(title)
            .raw(" <span class=\"of\">");
        html.own(show::count(findings as u64));
        html.raw("</span></summary>");
        list(html, groups);
        html.raw("</details>");
    }
}

fn list(html: &mut Html<'_>, groups: &[Vec<&Finding>]) {
    html.raw("<ul class=\"findings\">");
    for group in groups {
        one(html, group);
    }
    html.raw("</ul>");
}

/// What is said of all of a group, which is not empty.
fn one(html: &mut Html<'_>, group: &[&Finding]) {
    let finding = group[0];
    html.raw(match finding.severity() {
        FindingSeverity::Error => "<li class=\"finding error\"><p class=\"sev\">Error",
        FindingSeverity::Warning => "<li class=\"finding warning\"><p class=\"sev\">Warning",
        FindingSeverity::Info => "<li class=\"finding\"><p class=\"sev\">Good to know",
        _ => "<li class=\"finding\"><p class=\"sev\">Cannot be told",
    });
    html.raw(" <code>");
    html.own(show::cell::<FindingCause>(finding.cause));
    html.raw("</code>");
    if group.len() > 1 {
        html.raw(" ")
            .own(show::count(group.len() as u64))
            .raw(" times");
    }
    html.raw("</p><h3>").told(&Told::from(&finding.meaning));
    html.raw("</h3>");
    let shown = group.len().min(MOST_SUBJECTS);
    subjects(html, &group[..shown]);
    if group.len() > shown {
        html.raw("<details><summary>");
        html.own(show::count((group.len() - shown) as u64));
        html.raw(" more</summary>");
        subjects(html, &group[shown..]);
        html.raw("</details>");
    }
    commands(html, group);
    if !finding.advice.is_empty() {
        html.raw("<p>")
            .told(&Told::from(&finding.advice))
            .raw("</p>");
    }
    let page = Told::from(&finding.page_url);
    if let Some(address) = page.as_link() {
        html.raw("<p><a rel=\"noreferrer\" href=\"").own(address);
        html.raw("\">Microsoft's page about it</a></p>");
    }
    html.raw("</li>");
}

/// Whom it concerns, and what was seen.
fn subjects(html: &mut Html<'_>, findings: &[&Finding]) {
    html.raw("<ul class=\"items\">");
    for finding in findings {
        html.raw("<li><span class=\"subject\">");
        match (finding.mailbox.as_str(), finding.agent.as_str()) {
            ("", "") => html.raw("the organisation"),
            (name, "") | ("", name) => html.told(&Told::from(name)),
            (mailbox, agent) => {
                html.told(&Told::from(agent)).raw(" in ");
                html.told(&Told::from(mailbox))
            }
        };
        html.raw("</span>");
        if !finding.clues.is_empty() {
            html.raw("<ul class=\"seen\">");
            for clue in &finding.clues {
                html.raw("<li>").told(&Told::from(seen(clue))).raw("</li>");
            }
            html.raw("</ul>");
        }
        html.raw("</li>");
    }
    html.raw("</ul>");
}

/// Those of all of a group, to be copied together.
fn commands(html: &mut Html<'_>, group: &[&Finding]) {
    let mut commands: Vec<&String> = Vec::new();
    for command in group.iter().flat_map(|finding| &finding.commands) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    if commands.is_empty() {
        return;
    }
    html.raw("<div class=\"command\"><pre tabindex=\"0\" role=\"region\" aria-label=\"");
    html.raw("Commands\"><code>");
    for (at, command) in commands.into_iter().enumerate() {
        html.raw(if at > 0 { "\n" } else { "" });
        html.told(&Told::from(command));
    }
    html.raw("</code></pre>");
    html.raw("<button type=\"button\" class=\"copy\" hidden>Copy</button></div>");
}
