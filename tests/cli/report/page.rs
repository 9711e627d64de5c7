//! What a page says, read from its tables, and the same from the answers of the API.

use crate::support::browser::Browser;
use sentby::{domain::Timestamp, pb::AgentSummary};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Makes `looks`, in the page.
pub const LOOKS: &str = concat!("globalThis.looks = ", include_str!("looks.js"), "; 1");

/// Numbers by what they are of: the cells in front of them.
pub type Table = BTreeMap<Vec<String>, Vec<u64>>;

pub fn rows(browser: &mut Browser, id: &str) -> Vec<Vec<String>> {
    let rows = browser.eval(&format!("looks.rows('{id}')"));
    serde_json::from_value(rows).expect("rows of text")
}

pub fn number(cell: &str) -> u64 {
    cell.replace(',', "").parse().expect("a number")
}

/// A table of the page has these rows, but for those of nothing, each once.
#[track_caller]
pub fn same(
    browser: &mut Browser,
    id: &str,
    keys: usize,
    numbers: Range<usize>,
    mut expected: Table,
) {
    let mut shown = Table::new();
    for row in rows(browser, id) {
        let key = row[..keys].iter().map(|cell| cell.replace('–', ""));
        let numbers: Vec<u64> = row[numbers.clone()]
            .iter()
            .map(|cell| number(cell))
            .collect();
        let before = shown.insert(key.collect(), numbers);
        assert_eq!(before, None, "{id}: {row:?} twice");
    }
    let is_something = |_: &Vec<String>, numbers: &mut Vec<u64>| numbers.iter().any(|n| *n > 0);
    shown.retain(is_something);
    expected.retain(is_something);
    assert!(!expected.is_empty(), "{id}");
    assert_eq!(shown, expected, "{id}");
}

/// As the page has them: all, by how sure they are, by side.
fn numbers(row: &AgentSummary) -> [u64; 10] {
    let verdicts = row.verdicts.unwrap_or_default();
    let certainty = row.certainty.unwrap_or_default();
    let sides = row.sides.unwrap_or_default();
    [
        row.messages,
        certainty.both_sides,
        certainty.one_side,
        certainty.contradicted,
        verdicts.conflict,
        verdicts.unresolved,
        verdicts.not_a_person,
        verdicts.erased,
        sides.mailbox,
        sides.agent,
    ]
}

fn added(
    rows: &[AgentSummary],
    many: usize,
    key: impl Fn(&AgentSummary) -> Option<Vec<String>>,
) -> Table {
    let mut table = Table::new();
    for row in rows {
        let Some(key) = key(row) else { continue };
        let sums = table.entry(key).or_insert_with(|| vec![0; many]);
        for (sum, number) in sums.iter_mut().zip(numbers(row)) {
            *sum += number;
        }
    }
    table
}

fn day(row: &AgentSummary) -> String {
    let seconds = row.bucket_start.expect("a time").seconds;
    let text = clock(seconds);
    text.split(',').next().expect("a day").to_owned()
}

pub fn by_day(rows: &[AgentSummary]) -> Table {
    added(rows, 8, |row| Some(vec![day(row)]))
}

pub fn by_mailbox_and_day(rows: &[AgentSummary]) -> Table {
    added(rows, 10, |row| Some(vec![row.mailbox.clone(), day(row)]))
}

pub fn by_pair(rows: &[AgentSummary]) -> Table {
    let pair = |row: &AgentSummary| vec![row.mailbox.clone(), row.agent.clone()];
    added(rows, 8, |row| Some(pair(row)))
}

pub fn by_agent(rows: &[AgentSummary]) -> Table {
    let agent = |row: &AgentSummary| vec![row.agent.clone()];
    added(rows, 4, |row| (!row.agent.is_empty()).then(|| agent(row)))
}

pub fn by_mailbox(rows: &[AgentSummary]) -> Table {
    added(rows, 8, |row| Some(vec![row.mailbox.clone()]))
}

/// `2 Mar 2026, 09:14` by the clock of the stage's zone, an hour before UTC all the year.
pub fn clock(seconds: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let local = Timestamp::from_micros((seconds + 3_600) * 1_000_000).to_string();
    let number = |range: Range<usize>| local[range].parse::<usize>().expect("a number");
    let month = MONTHS[number(5..7) - 1];
    format!(
        "{} {month} {}, {}",
        number(8..10),
        &local[..4],
        &local[11..16]
    )
}

/// What stands on a page, without what only breaks lines and isolates.
pub fn plain(html: &str) -> String {
    let mut text = html.to_owned();
    for (from, to) in [
        ("<wbr>", ""),
        ("<bdi>", ""),
        ("</bdi>", ""),
        ("\u{a0}", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(from, to);
    }
    text
}

/// Whatever looks like an address.
pub fn addresses(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_alphanumeric() || "._+#-".contains(c);
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('@') {
        let before = text[..at]
            .rsplit(|c| !is_part(c))
            .next()
            .unwrap_or_default();
        let after = text[at + 1..]
            .split(|c| !is_part(c))
            .next()
            .unwrap_or_default();
        let after = after.trim_end_matches('.');
        if !before.is_empty() && after.contains('.') {
            found.insert(format!("{before}@{after}"));
        }
    }
    found
}
