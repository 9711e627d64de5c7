use super::*;

const SUPPORT: &str = "support@contoso.com";
const ANNA: &str = "anna@contoso.com";

fn subjects() -> [Subject; 4] {
    [
        Subject::Organization,
        Subject::Mailbox(SUPPORT.into()),
        Subject::Agent(ANNA.into()),
        Subject::Pair {
            mailbox: SUPPORT.into(),
            agent: ANNA.into(),
        },
    ]
}

#[test]
fn severities_and_sources_have_names() {
    let severities = Severity::ALL.map(Severity::name);
    assert_eq!(severities, ["ERROR", "WARNING", "INFO", "UNKNOWN"]);
    assert!(Severity::ALL.is_sorted(), "the worst is the smallest");
    let feed = Source::Feed {
        time: Timestamp::EARLIEST,
        actor: ANNA.into(),
        operation: "Set-Mailbox",
        record_id: Uuid::nil(),
    };
    let settings = Source::Settings {
        captured_at: Timestamp::EARLIEST,
    };
    let all = [
        settings,
        feed,
        Source::Register,
        Source::Evidence,
        Source::Consent,
        Source::Collector,
    ];
    assert_eq!(
        all.map(|source| source.name()),
        [
            "SETTINGS",
            "FEED",
            "REGISTER",
            "EVIDENCE",
            "CONSENT",
            "COLLECTOR"
        ]
    );
}

/// Asked about a mailbox, an agent or both.
#[test]
fn whom_a_finding_concerns() {
    let (support, anna, other) = (Some(SUPPORT), Some(ANNA), Some("x@contoso.com"));
    for (mailbox, agent, expected) in [
        (None, None, [true, true, true, true]),
        (support, None, [true, true, false, true]),
        (other, None, [true, false, false, false]),
        (None, anna, [true, false, true, true]),
        (None, other, [true, false, false, false]),
        (support, anna, [true, true, true, true]),
        (support, other, [true, true, false, false]),
        (other, anna, [true, false, true, false]),
    ] {
        let concerned = subjects().map(|subject| subject.concerns(mailbox, agent));
        assert_eq!(concerned, expected, "{mailbox:?} {agent:?}");
    }
    let names = subjects().map(|one| (one.mailbox().is_some(), one.agent().is_some()));
    let expected = [(false, false), (true, false), (false, true), (true, true)];
    assert_eq!(names, expected);
}

#[test]
fn a_finding_is_as_large_as_its_texts() {
    let text = |length: usize| "x".repeat(length);
    let empty = Finding {
        cause: Cause::AuditBypassed,
        severity: Severity::Error,
        subject: Subject::Organization,
        meaning: String::new(),
        clues: Vec::new(),
        remedy: Remedy {
            commands: Vec::new(),
            advice: String::new(),
            page: Page::AuditBypass,
        },
    };
    let mut full = empty.clone();
    full.meaning = text(1_000);
    full.remedy.advice = text(200);
    full.subject = Subject::Pair {
        mailbox: text(30),
        agent: text(4),
    };
    assert_eq!(full.size(), empty.size() + 1_234);
    // each of a list has something around it
    let before = full.size();
    full.remedy.commands = vec![text(1_000), text(2_000)];
    let commands = full.size() - before;
    assert!((3_001..3_100).contains(&commands), "{commands}");
    let clue = |source| Clue {
        source,
        says: text(10_000),
    };
    let size_with = |clue| {
        let finding = Finding {
            clues: vec![clue],
            ..full.clone()
        };
        finding.size()
    };
    let more = size_with(clue(Source::Register)) - full.size();
    assert!((10_000..11_000).contains(&more), "{more}");
    let feed = Source::Feed {
        time: Timestamp::EARLIEST,
        actor: text(500),
        operation: "Set-Mailbox",
        record_id: Uuid::nil(),
    };
    assert_eq!(size_with(clue(feed)) - full.size(), more + 500);
}

#[test]
fn names_are_filled_in_as_text_that_has_no_meaning() {
    let template = "Get-Mailbox {mailbox} | Where {agent} -eq {agent}";
    let filled = subjects().map(|subject| fill(template, &subject));
    assert_eq!(
        filled,
        [
            "Get-Mailbox '' | Where '' -eq ''",
            "Get-Mailbox 'support@contoso.com' | Where 'support@contoso.com' -eq 'support@contoso.com'",
            "Get-Mailbox 'anna@contoso.com' | Where 'anna@contoso.com' -eq 'anna@contoso.com'",
            "Get-Mailbox 'support@contoso.com' | Where 'anna@contoso.com' -eq 'anna@contoso.com'",
        ]
    );
    let odd = Subject::Mailbox("{agent}".into());
    assert_eq!(fill("{mailbox}", &odd), "'{agent}'");
    assert_eq!(fill("nobody", &odd), "nobody");
    assert_eq!(
        quoted("O'Neil; \u{2019}x\n"),
        "'O''Neil; \u{2019}\u{2019}x'"
    );
}
