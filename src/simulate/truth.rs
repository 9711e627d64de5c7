//! What is true of one message, as the story of it says.

use super::{Account, Moment};
use uuid::Uuid;

pub const ATTRIBUTED: &str = "ATTRIBUTED";
pub const CONFLICT: &str = "CONFLICT";
pub const NOT_A_PERSON: &str = "NOT_A_PERSON";
pub const UNRESOLVED: &str = "UNRESOLVED";
pub const PENDING: &str = "PENDING";

pub const MAILBOX_SEND_AS: &str = "MAILBOX_SEND_AS";
pub const AGENT_SEND_AS: &str = "AGENT_SEND_AS";
pub const MAILBOX_SEND_ON_BEHALF: &str = "MAILBOX_SEND_ON_BEHALF";
pub const AGENT_SEND_ON_BEHALF: &str = "AGENT_SEND_ON_BEHALF";
pub const SEND: &str = "SEND";

/// The columns of `truth.csv`.
pub const HEADER: &str = "message_id,verdict,agent,mailbox,basis,confirmed,contradicted,\
                          candidates,sent_at,tenant_id,story";

/// One row of `truth.csv`. Names are the API's, without their prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// As a caller has it, from the header of the mail: with or without `<>`.
    pub message_id: String,
    pub verdict: String,
    /// His newest name, in lower case; empty if there is none.
    pub agent: String,
    /// Its newest primary address; empty if none is known.
    pub mailbox: String,
    /// Empty without evidence that counts.
    pub basis: String,
    pub confirmed: bool,
    pub contradicted: bool,
    /// Of a conflict; sorted.
    pub candidates: Vec<String>,
    /// RFC 3339, whole seconds; empty if it was not sent.
    pub sent_at: String,
    pub tenant_id: Uuid,
    pub story: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no row of a truth.csv")]
pub struct NotATruth;

impl Truth {
    /// Sent at this moment; what made it known is `basis`.
    pub fn sent(verdict: &str, basis: &str, at: Moment) -> Self {
        Self {
            verdict: verdict.into(),
            basis: basis.into(),
            sent_at: format!("{}Z", at.native()),
            ..Self::default()
        }
    }

    pub fn attributed(agent: &str, basis: &str, at: Moment) -> Self {
        Self {
            agent: agent.to_lowercase(),
            ..Self::sent(ATTRIBUTED, basis, at)
        }
    }

    pub fn conflict(people: [&Account; 2], basis: &str, at: Moment) -> Self {
        let mut candidates = people.map(|one| one.upn.to_lowercase()).to_vec();
        candidates.sort();
        Self {
            candidates,
            ..Self::sent(CONFLICT, basis, at)
        }
    }

    /// Nothing says that it was sent.
    pub fn pending() -> Self {
        Self {
            verdict: PENDING.into(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn from(mut self, mailbox: &str) -> Self {
        self.mailbox = mailbox.to_lowercase();
        self
    }

    #[must_use]
    pub fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }

    #[must_use]
    pub fn contradicted(mut self) -> Self {
        self.contradicted = true;
        self
    }

    /// A line of `truth.csv`, without its end.
    pub fn row(&self) -> String {
        let fields = [
            &*self.message_id,
            &*self.verdict,
            &*self.agent,
            &*self.mailbox,
            &*self.basis,
            yes(self.confirmed),
            yes(self.contradicted),
            &*self.candidates.join(";"),
            &*self.sent_at,
            &*self.tenant_id.to_string(),
            &*self.story,
        ];
        fields.map(quoted).join(",")
    }

    /// The row of a line.
    pub fn parse(line: &str) -> Result<Self, NotATruth> {
        let fields: [String; 11] = fields(line)
            .and_then(|fields| fields.try_into().ok())
            .ok_or(NotATruth)?;
        let [
            message_id,
            verdict,
            agent,
            mailbox,
            basis,
            confirmed,
            contradicted,
            candidates,
            sent_at,
            tenant_id,
            story,
        ] = fields;
        Ok(Self {
            message_id,
            verdict,
            agent,
            mailbox,
            basis,
            confirmed: boolean(&confirmed)?,
            contradicted: boolean(&contradicted)?,
            candidates: candidates
                .split_terminator(';')
                .map(str::to_owned)
                .collect(),
            sent_at,
            tenant_id: Uuid::try_parse(&tenant_id).map_err(|_| NotATruth)?,
            story,
        })
    }
}

fn yes(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn boolean(text: &str) -> Result<bool, NotATruth> {
    text.parse().map_err(|_| NotATruth)
}

/// Message ids may hold anything.
fn quoted(field: &str) -> String {
    if field.contains([',', '"']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// The fields of a row on one line. `None`: a quote is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut in_quotes = false;
    let mut chars = line.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if in_quotes && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => fields.push(String::new()),
            c => field.push(c),
        }
    }
    (!in_quotes).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let truth = Truth {
            message_id: "<\"a,b\"@c>".into(),
            candidates: vec!["a@b.c".into(), "d@e.f".into()],
            tenant_id: Uuid::from_u128(7),
            story: "two_people".into(),
            ..Truth::sent(CONFLICT, SEND, Moment::from_seconds(1_772_409_600))
        };
        let row = truth.row();
        assert_eq!(
            row,
            "\"<\"\"a,b\"\"@c>\",CONFLICT,,,SEND,false,false,a@b.c;d@e.f,2026-03-02T00:00:00Z,\
             00000000-0000-0000-0000-000000000007,two_people"
        );
        assert_eq!(Truth::parse(&format!("{row}\r\n")), Ok(truth));
        assert_eq!(HEADER.split(',').count(), row.split(',').count() - 1);
    }

    #[test]
    fn what_is_no_row_is_told() {
        let row = Truth::pending().row();
        assert!(Truth::parse(&row).is_ok());
        for wrong in [
            "",
            HEADER,
            &row[1..],
            &format!("\"{row}"),
            &row.replace("false", "no"),
        ] {
            assert_eq!(Truth::parse(wrong), Err(NotATruth), "{wrong}");
        }
    }
}
