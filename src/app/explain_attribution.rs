//! ExplainAttribution: one message with its evidence and the rule that was applied.

use super::{App, Error, Result, at_least, delete_tenant::found};
use crate::domain::{
    ActorKind, Attribution, Finding, Message, MessageKey, Revision, SendEvent, TenantId,
    attribute::{decide, judge},
    explain::reasoning,
};

#[derive(Debug)]
pub struct Explanation {
    pub message: Message,
    pub evidence: Vec<ExplainedEvent>,
    pub reasoning: Vec<String>,
    /// What is wrong with the set-up of its mailbox, of those who may have sent it, and of the
    /// organisation; the worst first.
    pub findings: Vec<Finding>,
}

/// Findings of an answer.
const MAX_FINDINGS: usize = 50;

/// One event as the rule saw it.
#[derive(Debug)]
pub struct ExplainedEvent {
    pub event: SendEvent,
    pub actor_kind: ActorKind,
    pub person: Option<String>,
    pub mailbox: Option<String>,
}

impl App {
    /// From the store, never from the cache.
    pub async fn explain_attribution(
        &self,
        id: TenantId,
        key: MessageKey,
        revision: Revision,
    ) -> Result<Explanation> {
        let tenant = self.tenant(id, revision).await?;
        let directory = self.directories.of_tenant(&*self.store, &tenant).await?;
        let snapshot = self.store.message(id, key).await?;
        let snapshot = found(&*self.store, id, snapshot).await?;
        at_least(revision, snapshot.as_of)?;
        let message = snapshot.value.ok_or(Error::NoEvidenceYet)?;
        let judged = judge(&message.evidence, &directory);
        let truncated = message.evidence.is_truncated();
        let mut reasoning = reasoning(&judged, &message.attribution, truncated);
        if decide(&judged, &directory) != message.attribution {
            let why =
                "The register of mailboxes has changed: this message is about to be judged anew.";
            reasoning.push(why.into());
        }
        let findings = self.judged(id, revision).await?;
        let findings = findings.findings.iter();
        let touching = findings.filter(|one| touches(one, &message.attribution));
        Ok(Explanation {
            findings: touching.take(MAX_FINDINGS).cloned().collect(),
            evidence: judged
                .iter()
                .map(|one| ExplainedEvent {
                    event: one.event.clone(),
                    actor_kind: one.actor.kind(),
                    person: one.person().map(Into::into),
                    mailbox: one.mailbox.clone(),
                })
                .collect(),
            reasoning,
            message,
        })
    }
}

/// It is about the mailbox, about one who may have sent the message, or about the organisation.
fn touches(finding: &Finding, attribution: &Attribution) -> bool {
    let mailbox = attribution.mailbox.as_deref();
    // no address is empty: then it is about nobody in particular
    let mailbox = mailbox.unwrap_or_default();
    let people = attribution.candidates.iter().chain(&attribution.agent);
    let concerns = |agent: &str| finding.subject.concerns(Some(mailbox), Some(agent));
    concerns("") || people.into_iter().any(|agent| concerns(agent))
}
