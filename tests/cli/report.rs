//! `sentby report`: what the page says is what the API says, and a real browser shows it to everybody.

#[path = "report/page.rs"]
mod page;
#[path = "report/stage.rs"]
mod stage;

use crate::support::{
    browser::Browser,
    process::{run, succeeded, text},
};
use page::{by_agent, by_day, by_mailbox, number, same};
use sentby::pb::{AgentSummary, Bucket};
use serde_json::Value;
use stage::{Stage, ZONE};
use std::collections::{BTreeMap, BTreeSet};

/// A page for a month of a dozen mailboxes and five dozen agents: it is to be sent by mail.
const MOST_BYTES: usize = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_the_api_says_and_everybody_can_read_it() {
    let stage = Stage::simulated(6_000).await;
    let path = stage.report(&[]);
    let size = std::fs::metadata(&path).expect("a file").len();
    assert!((size as usize) < MOST_BYTES, "{size} bytes");
    let Some(mut browser) = Browser::start() else {
        return;
    };
    browser.look(1280, "light", "screen");
    browser.open(&path);
    let loaded = "performance.timing.loadEventEnd - performance.timing.navigationStart";
    eprintln!("{size} bytes, open after {} ms", browser.eval(loaded));
    browser.eval(page::LOOKS);

    figures(&stage, &mut browser).await;
    coverage_and_findings(&stage, &mut browser).await;
    looks(&mut browser);
    prints(&mut browser, &path);
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Every table is compared with counts that another bucket of the RPC made.
async fn figures(stage: &Stage, browser: &mut Browser) {
    let days = stage.summary(Bucket::Day, "").await;
    let total = stage.summary(Bucket::Total, "").await;
    let all: u64 = total.iter().map(|row| row.messages).sum();
    let agents: BTreeSet<&str> = total.iter().map(|row| row.agent.as_str()).collect();
    let agents = agents.iter().filter(|agent| !agent.is_empty()).count();
    let mailboxes: BTreeSet<&str> = total.iter().map(|row| row.mailbox.as_str()).collect();
    let mailboxes = mailboxes.iter().filter(|name| !name.is_empty()).count();
    assert!(
        agents >= 60 && mailboxes >= 12,
        "{agents} agents, {mailboxes} mailboxes"
    );
    let lead = browser.eval("document.querySelector('.lead').textContent");
    let lead = lead.as_str().expect("text").replace(',', "");
    let expected =
        format!("{all} messages were sent from {mailboxes} mailboxes; {agents} agents are known.");
    assert_eq!(lead, expected);

    let conflicts = |rows: &[AgentSummary]| -> u64 {
        let verdicts = rows.iter().filter_map(|row| row.verdicts);
        verdicts.map(|verdicts| verdicts.conflict).sum()
    };
    assert!(
        conflicts(&total) > 10,
        "a story without conflicts tells little"
    );
    same(browser, "t-periods", 1, 1..9, by_day(&days));
    same(
        browser,
        "t-mailboxes",
        2,
        2..12,
        page::by_mailbox_and_day(&days),
    );
    same(browser, "t-pairs", 2, 2..10, page::by_pair(&total));
    same(browser, "t-agents", 1, 2..6, by_agent(&total));
    same(browser, "t-sure", 1, 1..9, by_mailbox(&total));
    // hours of the day, by the clock of the zone, an hour before UTC
    let hours = stage.summary(Bucket::Hour, "").await;
    let mut by_hour: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut by_weekday = vec![vec![0; 24]; 7];
    for row in &hours {
        let local = row.bucket_start.expect("a time").seconds + 3_600;
        let (day, hour) = (local.div_euclid(86_400), local.rem_euclid(86_400) / 3_600);
        by_weekday[(day + 3).rem_euclid(7) as usize][hour as usize] += row.messages;
        if !row.agent.is_empty() {
            let hours = by_hour
                .entry(row.agent.clone())
                .or_insert_with(|| vec![0; 24]);
            hours[hour as usize] += row.messages;
        }
    }
    let by_hour = by_hour
        .into_iter()
        .map(|(agent, hours)| (vec![agent], hours));
    same(browser, "t-hours", 1, 1..25, by_hour.collect());
    let week = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let week = week
        .iter()
        .map(|day| vec![(*day).to_owned()])
        .zip(by_weekday);
    same(browser, "t-week", 1, 1..25, week.collect());
}

async fn coverage_and_findings(stage: &Stage, browser: &mut Browser) {
    let coverage = stage.coverage().await;
    let gaps = page::rows(browser, "t-gaps");
    assert_eq!(gaps.len(), coverage.gaps.len());
    assert!(
        coverage.gaps.len() >= 2,
        "a lost one and one that can be fetched"
    );
    for (row, gap) in gaps.iter().zip(&coverage.gaps) {
        let can = gap.served_until.is_some();
        assert_eq!(row[2].starts_with("Fetch it again"), can, "{row:?}");
    }
    let through = coverage.complete_through.expect("something is complete");
    let title = browser.eval("document.querySelector('#complete strong').textContent");
    let title = title.as_str().expect("text").replace('\u{a0}', " ");
    assert_eq!(
        title,
        format!("Complete until {}", page::clock(through.seconds))
    );
    let sides = page::rows(browser, "t-sides");
    assert_eq!(sides.len(), coverage.sides.len());
    for (row, side) in sides.iter().zip(&coverage.sides) {
        assert_eq!((&row[0], &row[1]), (&side.mailbox, &side.agent));
        let last = side.last_event.expect("a time").seconds;
        assert_eq!(row[4], page::clock(last));
    }
    // of each finding its commands, whole
    let findings = stage.findings().await;
    let shown = browser.eval(
        "[...document.querySelectorAll('.finding pre')].flatMap(pre => pre.textContent.split('\\n'))",
    );
    let shown: BTreeSet<&str> = shown
        .as_array()
        .expect("lines")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let commands = findings.iter().flat_map(|finding| &finding.commands);
    let commands: BTreeSet<&str> = commands.map(String::as_str).collect();
    assert!(commands.len() > 5);
    assert_eq!(shown, commands);
    let subjects = browser.eval("document.querySelectorAll('.finding .subject').length");
    assert_eq!(subjects, findings.len());
}

/// On a phone and on a desk, light and dark, by keyboard and to who listens.
fn looks(browser: &mut Browser) {
    assert_eq!(browser.eval("looks.structure()"), Value::Array(Vec::new()));
    for (width, scheme) in [
        (360, "light"),
        (1280, "dark"),
        (360, "dark"),
        (1280, "light"),
    ] {
        browser.look(width, scheme, "screen");
        for open in ["false", "true"] {
            let fold = format!(
                "for (const one of document.querySelectorAll('details')) one.open = {open}"
            );
            browser.eval(&fold);
            let wide = browser.eval("document.scrollingElement.scrollWidth");
            assert_eq!(wide, width, "it scrolls sideways");
        }
        let contrast = browser.eval("looks.contrast()");
        assert_eq!(
            contrast["wrong"],
            Value::Array(Vec::new()),
            "{width} {scheme}"
        );
        assert!(
            contrast["seen"].as_u64() > Some(1_000),
            "{}",
            contrast["seen"]
        );
    }
    browser.eval("for (const one of document.querySelectorAll('details')) one.open = false");
    browser.eval("document.activeElement.blur(); scrollTo(0, 0)");
    let controls = browser.eval("looks.controls()");
    let controls = controls.as_array().expect("controls").len();
    assert!(controls > 15, "{controls}");
    for at in 0..controls {
        browser.press_tab();
        let focused = "[document.activeElement.dataset.order ?? document.activeElement.outerHTML.slice(0, 200), \
             getComputedStyle(document.activeElement).outlineStyle]";
        let focused = browser.eval(focused);
        assert_eq!(focused[0], at.to_string(), "the order of the keyboard");
        assert_ne!(focused[1], "none", "it shows where it is");
    }
}

/// On paper all tables are there, whole, also where no script runs.
fn prints(browser: &mut Browser, path: &std::path::Path) {
    let off = serde_json::json!({"value": true});
    browser.call("Emulation.setScriptExecutionDisabled", off);
    browser.look(695, "dark", "print"); // A4 without its margins
    browser.open(path);
    browser.eval(page::LOOKS);
    let clipped = browser.eval("looks.clipped()");
    assert_eq!(clipped["wrong"], Value::Array(Vec::new()));
    assert!(clipped["seen"].as_u64() >= Some(12), "{clipped}");
    let paper = browser.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, "rgb(255, 255, 255)", "no dark paper");
    let contrast = browser.eval("looks.contrast()");
    assert_eq!(contrast["wrong"], Value::Array(Vec::new()), "on paper");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_is_more_than_text() {
    let stage = Stage::hostile().await;
    let path = stage.report(&[]);
    let Some(mut browser) = Browser::start() else {
        return;
    };
    for (width, media) in [(360, "screen"), (1280, "screen"), (695, "print")] {
        browser.look(width, "light", media);
        browser.open(&path);
        browser.eval(page::LOOKS);
        browser.eval("for (const one of document.querySelectorAll('details')) one.open = true");
        let wide = browser.eval("document.scrollingElement.scrollWidth");
        assert_eq!(wide, width, "it scrolls sideways");
        if media == "print" {
            assert_eq!(
                browser.eval("looks.clipped().wrong"),
                Value::Array(Vec::new())
            );
        }
    }
    assert_eq!(browser.eval("window.pwned"), Value::Null);
    assert_eq!(browser.eval("looks.structure()"), Value::Array(Vec::new()));
    for (selector, count) in [
        ("script", 1),
        ("img, iframe, object, link, form", 0),
        ("style", 1),
    ] {
        let found = browser.eval(&format!("document.querySelectorAll('{selector}').length"));
        assert_eq!(found, count, "{selector}");
    }
    // each is there as it is written, apart from what is around it
    let shown = browser.eval("[...document.querySelectorAll('bdi')].map(one => one.textContent)");
    let shown: Vec<&str> = shown
        .as_array()
        .expect("texts")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for name in &stage.names {
        assert!(shown.contains(&name.as_str()), "{name:?}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
    let paper = browser.call(
        "Page.printToPDF",
        serde_json::json!({"preferCSSPageSize": true}),
    );
    assert!(
        paper["data"]
            .as_str()
            .is_some_and(|data| data.starts_with("JVBERi")),
        "a PDF"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_leave_nobody() {
    let stage = Stage::simulated(1_500).await;
    let path = stage.report(&["--pseudonyms"]);
    let html = std::fs::read_to_string(&path).expect("a page");
    let html = page::plain(&html);
    let total = stage.summary(Bucket::Total, "").await;
    let shared: BTreeSet<String> = stage.shared.iter().cloned().collect();
    assert!(html.contains("GrantSendOnBehalfTo has Agent "));
    let (mut looked_for, in_any_case) = (0, html.to_lowercase());
    for name in stage.everybody().await {
        assert!(!in_any_case.contains(&name.to_lowercase()), "{name}");
        looked_for += 1;
    }
    assert!(looked_for > 70, "{looked_for}");
    for address in page::addresses(&html) {
        assert!(shared.contains(&address), "{address} is no shared mailbox");
    }
    assert!(shared.iter().all(|address| html.contains(address.as_str())));
    assert!(html.contains("People have pseudonyms in this report."));
    assert!(!html.contains("S-1-5-21-"), "no identifier of an account");

    // one pseudonym is one person: the numbers of each are those of somebody
    let Some(mut browser) = Browser::start() else {
        return;
    };
    browser.open(&path);
    browser.eval(page::LOOKS);
    let rows = page::rows(&mut browser, "t-agents");
    let agents = by_agent(&total);
    assert_eq!(rows.len(), agents.len());
    let numbers = |row: &Vec<String>| row[1..5].iter().map(|cell| number(cell)).collect();
    let mut shown: Vec<Vec<u64>> = rows.iter().map(numbers).collect();
    let mut expected: Vec<Vec<u64>> = agents.into_values().collect();
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row[0], format!("Agent {}", at + 1));
    }
    // nothing stands in the order of the names: whoever knows the staff could count them off
    let place = |row: &Vec<String>| [&row[0], &row[1]].map(|name| (name.len(), name.clone()));
    let sides = page::rows(&mut browser, "t-sides");
    let places: Vec<_> = sides.iter().map(place).collect();
    assert!(places.len() > 100 && places.is_sorted());
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mailbox_no_mailbox_and_wrong_usage() {
    let stage = Stage::hostile().await;
    let page = |path: &std::path::Path| {
        let html = std::fs::read_to_string(path).expect("a page");
        page::plain(&html)
    };
    let one = page(&stage.report(&["--mailbox", "support@contoso.com"]));
    assert!(one.contains("from support@contoso.com only"), "{one}");
    assert!(!one.contains("sales@contoso.com"), "of one mailbox only");
    let total = stage.summary(Bucket::Total, "support@contoso.com").await;
    let sum: u64 = total.iter().map(|row| row.messages).sum();
    assert!(one.contains(&format!("{sum} messages were sent from 1 mailbox;")));

    let out = stage.folder.path().join("empty.html").display().to_string();
    let database = stage.database.clone();
    let ask_for = |from: &str, to: &str, out: &str, more: &[&str]| {
        let tenant = stage.tenant.as_str();
        let of = [
            "report",
            "--database",
            &database,
            "--tenant",
            tenant,
            "--time-zone",
            ZONE,
            "--from",
            from,
            "--to",
            to,
            "--out",
            out,
        ];
        run(&[&of[..], more].concat())
    };
    let ask = |from: &str, to: &str, out: &str| ask_for(from, to, out, &[]);
    succeeded(&ask("2020-01-01", "2020-02-01", &out));
    let empty = page(std::path::Path::new(&out));
    assert!(empty.contains("No message is known to have been sent in this period."));
    assert!(empty.contains("1 Jan 2020 to 31 Jan 2020"), "{empty}");
    // when its sides wrote is told all the same
    for more in [&[][..], &["--pseudonyms"]] {
        let more = [&["--mailbox", "support@contoso.com"], more].concat();
        succeeded(&ask_for("2020-01-01", "2020-02-01", &out, &more));
        let quiet = page(std::path::Path::new(&out));
        let sides = quiet.split("id=\"t-sides\"").nth(1).expect("the table");
        assert!(sides.contains("support@contoso.com"), "{sides}");
        assert!(!sides.contains("sales@contoso.com"), "{sides}");
    }
    let html = succeeded(&ask("2020-01-01", "2020-02-01", "-"));
    assert!(html.starts_with("<!doctype html>"));
    let wrong = ask("2020-02-01", "2020-01-01", &out);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("--from"),
        "{}",
        text(&wrong.stderr)
    );
    let nowhere = ask("2020-01-01", "2020-02-01", "/nowhere/a.html");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("cannot write /nowhere/a.html"));
}
