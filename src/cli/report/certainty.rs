//! How sure the answers are, by mailbox.

use super::{
    charts,
    figures::{CERTAINTIES, percent},
    html::Html,
    names::Told,
    page::{Report, mailbox},
    table::{self, Cell},
    volume::{numbers, numbers_header},
};
use crate::cli::show;

const MOST: usize = 24;

pub(super) fn section(report: &Report<'_>, html: &mut Html<'_>) {
    let sums = &report.fetched.sums;
    html.raw("<section id=\"sure\" aria-labelledby=\"sure-h\"><h2 id=\"sure-h\">How sure is it");
    html.raw("</h2><ul class=\"legend\">");
    for (name, class, number) in CERTAINTIES {
        if number(&sums.total) > 0 {
            html.raw("<li><i class=\"k-")
                .raw(class)
                .raw("\"></i>")
                .raw(name);
            html.raw(" <b>")
                .own(show::count(number(&sums.total)))
                .raw("</b></li>");
        }
    }
    html.raw("</ul><ul class=\"ranks wide\">");
    let ranked = sums.ranked_mailboxes();
    for (name, sums) in ranked.iter().take(MOST) {
        let total = &sums.total;
        html.raw("<li>");
        mailbox(html, report.names, name);
        html.raw("<b>").own(percent(total.sure(), total.messages));
        html.raw(" <span class=\"of\">of ")
            .own(show::count(total.messages));
        html.raw(" surely</span></b>");
        let parts = FILLS.iter().zip(CERTAINTIES);
        let parts: Vec<_> = parts.map(|(fill, one)| (*fill, one.2(total))).collect();
        charts::bar(html, &parts, total.messages);
        html.raw("</li>");
    }
    html.raw("</ul>");
    let without = sums.total.without_message_id;
    if without > 0 {
        html.raw("<p class=\"note\">").own(show::count(without));
        html.raw(
            " of the messages have no message id in their records: they are counted, and \
                  nobody can join them to a mail.</p>",
        );
    }
    let header: Vec<&str> = ["mailbox"].into_iter().chain(numbers_header()).collect();
    let rows = ranked.iter().map(|(name, sums)| {
        let head = [Cell::Told(Told::from(*name))].into_iter();
        head.chain(numbers(&sums.total)).collect()
    });
    table::folded(
        html,
        "t-sure",
        "How sure, by mailbox",
        &header,
        rows.collect(),
    );
    html.raw("</section>");
}

/// In the order of [`CERTAINTIES`].
const FILLS: [&str; CERTAINTIES.len()] = [
    "f-both",
    "f-one",
    "f-contra",
    "f-conflict",
    "f-unres",
    "f-noperson",
    "f-erased",
];
