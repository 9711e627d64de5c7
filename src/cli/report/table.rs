//! The numbers behind a picture, folded.

use super::{html::Html, names::Told};
use crate::cli::show;

pub(super) enum Cell {
    Own(String),
    Told(Told),
    Number(u64),
}

/// More rows than anybody reads, and a page has to open at once.
const MOST_ROWS: usize = 2_000;

/// `id` names it for whoever reads the page by a program; `title` is its caption.
pub(super) fn folded(
    html: &mut Html<'_>,
    id: &'static str,
    title: &'static str,
    header: &[&str],
    rows: Vec<Vec<Cell>>,
) {
    html.raw("<details><summary>")
        .raw(title)
        .raw(" <span class=\"of\">");
    html.own(show::plural(rows.len() as u64, "row"))
        .raw("</span></summary>");
    whole(html, id, title, header, rows);
    html.raw("</details>");
}

/// The same, not folded.
pub(super) fn whole(
    html: &mut Html<'_>,
    id: &'static str,
    title: &'static str,
    header: &[&str],
    rows: Vec<Vec<Cell>>,
) {
    html.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    html.raw(title)
        .raw("\"><table id=\"")
        .raw(id)
        .raw("\"><caption>");
    html.raw(title).raw("</caption><thead><tr>");
    let first = rows.first();
    for (at, title) in header.iter().enumerate() {
        let is_number = first
            .and_then(|row| row.get(at))
            .is_some_and(Cell::is_number);
        html.raw(if is_number {
            "<th scope=\"col\" class=\"n\">"
        } else {
            "<th scope=\"col\">"
        });
        html.own(title).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    let omitted = rows.len().saturating_sub(MOST_ROWS) as u64;
    for row in rows.into_iter().take(MOST_ROWS) {
        html.raw("<tr>");
        for cell in row {
            match cell {
                // ends of cells and rows are understood, and half of the page
                Cell::Own(text) => html.raw("<td>").own(text),
                Cell::Told(text) if text.is_empty() => html.raw("<td>–"),
                Cell::Told(text) => html.raw("<td>").told(&text),
                Cell::Number(number) => html.raw("<td class=n>").own(show::count(number)),
            };
        }
    }
    html.raw("</tbody></table></div>");
    if omitted > 0 {
        html.raw("<p class=\"note\">").own(show::count(omitted));
        html.raw(" more rows are left out: <code>sentby summary --csv</code> has all.</p>");
    }
}

impl Cell {
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }
}
