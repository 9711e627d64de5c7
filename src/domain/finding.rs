//! What is wrong with a tenant's audit set-up, and the command that repairs it.

use super::Timestamp;
use uuid::Uuid;

mod table;

pub use table::{Page, Row};

/// Why evidence is missing or weak. Each has a row in the table of `docs/findings.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    UnifiedAuditLogOff,
    OrganizationAuditDisabled,
    AuditBypassed,
    SharedSendAsNotAudited,
    SharedSendOnBehalfNotAudited,
    AgentSendNotAudited,
    AuditNotEnabled,
    NoRetention,
    KindNotAudited,
    RegionsDiffer,
    SharedAccountSends,
    ApplicationSends,
    AgentWithoutSendAs,
    SendAsAndSendOnBehalf,
    ConsentRevoked,
    PermissionMissing,
    NoSubscription,
    ContentExpired,
    CollectorFails,
    SideWentSilent,
    AgentSideNeverSeen,
}

impl Cause {
    pub const ALL: [Self; 21] = [
        Self::UnifiedAuditLogOff,
        Self::OrganizationAuditDisabled,
        Self::AuditBypassed,
        Self::SharedSendAsNotAudited,
        Self::SharedSendOnBehalfNotAudited,
        Self::AgentSendNotAudited,
        Self::AuditNotEnabled,
        Self::NoRetention,
        Self::KindNotAudited,
        Self::RegionsDiffer,
        Self::SharedAccountSends,
        Self::ApplicationSends,
        Self::AgentWithoutSendAs,
        Self::SendAsAndSendOnBehalf,
        Self::ConsentRevoked,
        Self::PermissionMissing,
        Self::NoSubscription,
        Self::ContentExpired,
        Self::CollectorFails,
        Self::SideWentSilent,
        Self::AgentSideNeverSeen,
    ];

    /// As in the API (with its prefix), the documentation and the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }
}

/// What it does to attribution. The worst is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Messages stay without an answer.
    Error,
    /// There are answers, but fewer, or none that a second side confirms.
    Warning,
    /// Good to know.
    Info,
    /// Cannot be told from what was given; the remedy is the command that tells.
    Unknown,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Info, Self::Unknown];

    /// As in the API (with its prefix), the documentation and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Info => "INFO",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The tenant as a whole.
    Organization,
    /// By its address, or by whatever it is called where its address is not known.
    Mailbox(String),
    Agent(String),
    /// An agent, sending from this mailbox.
    Pair {
        mailbox: String,
        agent: String,
    },
}

impl Subject {
    pub fn mailbox(&self) -> Option<&str> {
        match self {
            Self::Mailbox(mailbox) | Self::Pair { mailbox, .. } => Some(mailbox),
            Self::Organization | Self::Agent(_) => None,
        }
    }

    pub fn agent(&self) -> Option<&str> {
        match self {
            Self::Agent(agent) | Self::Pair { agent, .. } => Some(agent),
            Self::Organization | Self::Mailbox(_) => None,
        }
    }
}

impl Subject {
    /// Whether it is about this mailbox or this agent; of a pair, about each that is named. What
    /// is about the organisation is about everybody.
    pub fn concerns(&self, mailbox: Option<&str>, agent: Option<&str>) -> bool {
        let is_all = mailbox.is_none() && agent.is_none();
        match self {
            Self::Organization => true,
            Self::Mailbox(name) => is_all || mailbox == Some(name),
            Self::Agent(name) => is_all || agent == Some(name),
            Self::Pair {
                mailbox: from,
                agent: who,
            } => mailbox.is_none_or(|name| name == from) && agent.is_none_or(|name| name == who),
        }
    }
}

/// Where something was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An export of settings of that time.
    Settings { captured_at: Timestamp },
    /// An administrator's change: who did it, and when.
    Feed {
        time: Timestamp,
        actor: String,
        operation: &'static str,
        record_id: Uuid,
    },
    /// The register of mailboxes.
    Register,
    /// The evidence that was taken in.
    Evidence,
    /// The tenant's consent.
    Consent,
    /// What the collector was answered.
    Collector,
}

impl Source {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "SETTINGS",
            Self::Feed { .. } => "FEED",
            Self::Register => "REGISTER",
            Self::Evidence => "EVIDENCE",
            Self::Consent => "CONSENT",
            Self::Collector => "COLLECTOR",
        }
    }
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clue {
    pub source: Source,
    /// For people: `AuditDelegate is Update, SoftDelete`.
    pub says: String,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// For Exchange Online PowerShell, one after the other; names are filled in and quoted.
    /// None: no setting repairs it.
    pub commands: Vec<String>,
    /// For people: what else to know, or what to do where there is no command. May be empty.
    pub advice: String,
    pub page: Page,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub cause: Cause,
    pub severity: Severity,
    pub subject: Subject,
    /// One sentence for people.
    pub meaning: String,
    /// What was seen: what decides first.
    pub clues: Vec<Clue>,
    pub remedy: Remedy,
}

impl Finding {
    /// `meaning` and `remedy` are those of the table.
    pub(super) fn new(
        cause: Cause,
        severity: Severity,
        subject: Subject,
        clues: Vec<Clue>,
    ) -> Self {
        let row = cause.row();
        let (commands, advice, meaning) = match severity {
            Severity::Unknown => (
                row.check,
                "",
                format!("It cannot be told whether {}.", row.question),
            ),
            _ => (row.commands, row.advice, row.meaning.to_owned()),
        };
        let fill = |template: &&str| fill(template, &subject);
        Self {
            cause,
            severity,
            meaning,
            clues,
            remedy: Remedy {
                commands: commands.iter().map(fill).collect(),
                advice: fill(&advice),
                page: row.page,
            },
            subject,
        }
    }
}

impl Finding {
    /// The order in which findings are told: the worst first.
    pub fn order(&self) -> (Severity, Cause, &Subject) {
        (self.severity, self.cause, &self.subject)
    }

    /// About so many bytes as a message.
    pub fn size(&self) -> usize {
        const REST: usize = 256;
        let texts = [&self.meaning, &self.remedy.advice];
        let names = [self.subject.mailbox(), self.subject.agent()];
        let clue = |clue: &Clue| {
            let actor = match &clue.source {
                Source::Feed { actor, .. } => actor.len(),
                _ => 0,
            };
            clue.says.len() + actor + REST
        };
        REST + texts.iter().map(|text| text.len()).sum::<usize>()
            + names.into_iter().flatten().map(str::len).sum::<usize>()
            + self.clues.iter().map(clue).sum::<usize>()
            + self
                .remedy
                .commands
                .iter()
                .map(|one| one.len() + 4)
                .sum::<usize>()
    }

    /// What else it means, in the same sentence.
    pub(super) fn go_on(&mut self, more: &str) {
        let meaning = self.meaning.trim_end_matches('.');
        self.meaning = format!("{meaning}; {more}.");
    }
}

/// Puts the names of a subject into a template, in quotes.
fn fill(template: &str, subject: &Subject) -> String {
    let mut filled = String::new();
    let mut rest = template;
    // once from left to right: a name that looks like a placeholder is a name
    while let Some(at) = rest
        .find("{mailbox}")
        .into_iter()
        .chain(rest.find("{agent}"))
        .min()
    {
        filled.push_str(&rest[..at]);
        let (name, length) = if rest[at..].starts_with("{mailbox}") {
            (subject.mailbox().or(subject.agent()), "{mailbox}".len())
        } else {
            (subject.agent().or(subject.mailbox()), "{agent}".len())
        };
        filled.push_str(&quoted(name.unwrap_or_default()));
        rest = &rest[at + length..];
    }
    filled + rest
}

/// As PowerShell reads it: nothing inside of single quotes has a meaning but these quotes
/// themselves, of which it knows five, and twice is one.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests;
