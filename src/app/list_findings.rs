//! ListFindings.

use super::{
    App, Error, Result,
    page::{cut, cut_by_size},
    secret::Query,
};
use crate::domain::{
    Finding, Revision, Severity, TenantId,
    finding::{Cause, Subject},
};

/// Which findings.
#[derive(Clone, Debug)]
pub struct FindingsFilter {
    pub tenant: TenantId,
    /// See [`Subject::concerns`].
    pub mailbox: Option<String>,
    pub agent: Option<String>,
    pub severity: Option<Severity>,
    pub at_least: Revision,
}

#[derive(Debug)]
pub struct Page {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Empty: this was the last page.
    pub next_token: String,
    /// They are of this revision, or of a later one.
    pub revision: Revision,
}

impl App {
    /// The next page begins behind the last finding of this one, whatever was repaired meanwhile.
    pub async fn list_findings(
        &self,
        filter: FindingsFilter,
        page_size: u32,
        token: &str,
    ) -> Result<Page> {
        let judged = self.judged(filter.tenant, filter.at_least).await?;
        let query = Query::new(
            "ListFindings",
            &[
                filter.tenant.0.as_bytes(),
                &judged.generation.0.to_le_bytes(),
                filter.mailbox.as_deref().unwrap_or_default().as_bytes(),
                filter.agent.as_deref().unwrap_or_default().as_bytes(),
                filter.severity.map_or("", Severity::name).as_bytes(),
            ],
        );
        let after = match token {
            "" => None,
            token => {
                let position = self.secret().await?.open(&query, token)?;
                Some(Place::decode(&position).ok_or(Error::PageTokenInvalid)?)
            }
        };
        let (mailbox, agent) = (filter.mailbox.as_deref(), filter.agent.as_deref());
        let is_asked = |finding: &&Finding| {
            filter.severity.is_none_or(|of| of == finding.severity)
                && finding.subject.concerns(mailbox, agent)
        };
        let asked = judged.findings.iter().filter(is_asked);
        let rest: Vec<&Finding> = match &after {
            None => asked.take(page_size as usize + 1).collect(),
            Some(place) => {
                let at_most = page_size as usize + 1;
                place.behind(asked).take(at_most).collect()
            }
        };
        let (rows, more) = cut(rest, page_size);
        let (rows, more) = cut_by_size(rows, more, |finding| finding.size());
        let next_token = match rows.last() {
            Some(_) if more => {
                let place = Place::of(&rows, after.as_ref());
                self.secret().await?.seal(&query, &place.encode())?
            }
            _ => String::new(),
        };
        Ok(Page {
            findings: rows.into_iter().cloned().collect(),
            next_token,
            revision: judged.revision,
        })
    }
}

/// The last finding of a page. Two may be about the same: then so many of them were told.
#[derive(Debug)]
struct Place {
    severity: Severity,
    cause: Cause,
    subject: Subject,
    told: usize,
}

impl Place {
    /// `rows` is a page behind `before`, and not empty.
    fn of(rows: &[&Finding], before: Option<&Self>) -> Self {
        let last = rows[rows.len() - 1];
        let same = rows.iter().rev();
        let same = same.take_while(|one| one.order() == last.order()).count();
        let earlier = before.filter(|place| same == rows.len() && place.order() == last.order());
        Self {
            severity: last.severity,
            cause: last.cause,
            subject: last.subject.clone(),
            told: same + earlier.map_or(0, |place| place.told),
        }
    }

    fn order(&self) -> (Severity, Cause, &Subject) {
        (self.severity, self.cause, &self.subject)
    }

    fn behind<'a>(
        &self,
        findings: impl Iterator<Item = &'a Finding>,
    ) -> impl Iterator<Item = &'a Finding> {
        let mut told = self.told;
        findings
            .skip_while(|finding| finding.order() < self.order())
            .filter(move |finding| {
                let is_told = told > 0 && finding.order() == self.order();
                told -= usize::from(is_told);
                !is_told
            })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut add = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        add(self.severity.name().as_bytes());
        add(self.cause.name().as_bytes());
        add(&(self.told as u64).to_le_bytes());
        // an empty name is none: what has no name is no subject
        add(self.subject.mailbox().unwrap_or_default().as_bytes());
        add(self.subject.agent().unwrap_or_default().as_bytes());
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut part = || {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (part, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            Some(part)
        };
        let severity = part()?;
        let cause = part()?;
        let told = u64::from_le_bytes(part()?.try_into().ok()?);
        let mailbox = String::from_utf8(part()?.to_vec()).ok()?;
        let agent = String::from_utf8(part()?.to_vec()).ok()?;
        let named = |name: &'static str, bytes: &[u8]| name.as_bytes() == bytes;
        Some(Self {
            severity: Severity::ALL
                .into_iter()
                .find(|one| named(one.name(), severity))?,
            cause: Cause::ALL
                .into_iter()
                .find(|one| named(one.name(), cause))?,
            subject: match (mailbox.is_empty(), agent.is_empty()) {
                (true, true) => Subject::Organization,
                (false, true) => Subject::Mailbox(mailbox),
                (true, false) => Subject::Agent(agent),
                (false, false) => Subject::Pair { mailbox, agent },
            },
            told: usize::try_from(told).ok()?,
        })
    }
}
