//! Rows of SummarizeAgents, by hours, added up to what the page shows.

use super::axis::Axis;
use crate::{domain::Timestamp, pb::AgentSummary};
use std::{cmp::Reverse, collections::BTreeMap, ops::AddAssign};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub messages: u64,
    /// These seven are all of them, each in one.
    pub both_sides: u64,
    pub one_side: u64,
    pub contradicted: u64,
    pub conflict: u64,
    pub not_a_person: u64,
    pub unresolved: u64,
    pub erased: u64,
    /// That the side is known to have written of.
    pub mailbox_side: u64,
    pub agent_side: u64,
    pub without_message_id: u64,
}

impl Counts {
    fn of(row: &AgentSummary) -> Self {
        let verdicts = row.verdicts.unwrap_or_default();
        let certainty = row.certainty.unwrap_or_default();
        let sides = row.sides.unwrap_or_default();
        Self {
            messages: row.messages,
            both_sides: certainty.both_sides,
            one_side: certainty.one_side,
            contradicted: certainty.contradicted,
            conflict: verdicts.conflict,
            not_a_person: verdicts.not_a_person,
            unresolved: verdicts.unresolved,
            erased: verdicts.erased,
            mailbox_side: sides.mailbox,
            agent_side: sides.agent,
            without_message_id: row.without_message_id,
        }
    }

    /// One agent is named, and nobody else.
    pub fn sure(&self) -> u64 {
        self.both_sides + self.one_side
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.both_sides += more.both_sides;
        self.one_side += more.one_side;
        self.contradicted += more.contradicted;
        self.conflict += more.conflict;
        self.not_a_person += more.not_a_person;
        self.unresolved += more.unresolved;
        self.erased += more.erased;
        self.mailbox_side += more.mailbox_side;
        self.agent_side += more.agent_side;
        self.without_message_id += more.without_message_id;
    }
}

#[derive(Default)]
pub(super) struct MailboxSums {
    pub total: Counts,
    /// In the order of the axis.
    pub periods: Vec<Counts>,
    /// By agent; an empty one is nobody.
    pub agents: BTreeMap<String, Counts>,
}

#[derive(Default)]
pub(super) struct AgentSums {
    pub total: Counts,
    pub hours: [u64; 24],
}

#[derive(Default)]
pub(super) struct Sums {
    pub total: Counts,
    pub periods: Vec<Counts>,
    /// An empty one is not known.
    pub mailboxes: BTreeMap<String, MailboxSums>,
    /// Persons only.
    pub agents: BTreeMap<String, AgentSums>,
    /// From Monday, by hours.
    pub week: [[u64; 24]; 7],
}

impl Sums {
    pub fn of(axis: &Axis) -> Self {
        Self {
            periods: vec![Counts::default(); axis.periods.len()],
            ..Self::default()
        }
    }

    pub fn add(&mut self, axis: &Axis, row: &AgentSummary) {
        let counts = Counts::of(row);
        let seconds = row.bucket_start.map_or(0, |start| start.seconds);
        let start = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        let period = axis.index(start);
        let (weekday, hour) = axis.weekday_and_hour(start);
        self.total += counts;
        self.periods[period] += counts;
        self.week[weekday][hour] += counts.messages;
        let mailbox = self.mailboxes.entry(row.mailbox.clone()).or_default();
        mailbox
            .periods
            .resize(axis.periods.len(), Counts::default());
        mailbox.total += counts;
        mailbox.periods[period] += counts;
        *mailbox.agents.entry(row.agent.clone()).or_default() += counts;
        if !row.agent.is_empty() {
            let agent = self.agents.entry(row.agent.clone()).or_default();
            agent.total += counts;
            agent.hours[hour] += counts.messages;
        }
    }

    /// By messages, the most first; then by name.
    pub fn ranked_agents(&self) -> Vec<(&str, &AgentSums)> {
        let mut all: Vec<_> = self.agents.iter().map(|(a, b)| (a.as_str(), b)).collect();
        // of two the shorter name, so that Agent 9 comes before Agent 10
        all.sort_by_key(|(name, sums)| (Reverse(sums.total.messages), name.len(), *name));
        all
    }

    /// The same; what is not known stands last.
    pub fn ranked_mailboxes(&self) -> Vec<(&str, &MailboxSums)> {
        let mut all: Vec<_> = self
            .mailboxes
            .iter()
            .map(|(a, b)| (a.as_str(), b))
            .collect();
        all.sort_by_key(|(name, sums)| (name.is_empty(), Reverse(sums.total.messages)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{TimeRange, summary::Zone},
        pb::{CertaintyCounts, SideCounts, VerdictCounts},
    };

    #[test]
    fn rows_are_added_where_they_belong() {
        let time = |text| Timestamp::parse(text).unwrap();
        let range = TimeRange {
            start: time("2026-03-01T23:00:00Z"),
            end: time("2026-03-03T23:00:00Z"),
        };
        let axis = Axis::of(range, Zone::named("Europe/Berlin").unwrap());
        let mut sums = Sums::of(&axis);
        let row = |start: &str, mailbox: &str, agent: &str, messages| AgentSummary {
            bucket_start: Some(start.parse().unwrap()),
            mailbox: mailbox.into(),
            agent: agent.into(),
            messages,
            verdicts: Some(VerdictCounts {
                conflict: if agent.is_empty() { messages } else { 0 },
                ..Default::default()
            }),
            certainty: (!agent.is_empty()).then_some(CertaintyCounts {
                both_sides: 1,
                one_side: messages - 1,
                contradicted: 0,
            }),
            sides: Some(SideCounts {
                mailbox: messages,
                agent: 1,
            }),
            ..Default::default()
        };
        sums.add(&axis, &row("2026-03-02T08:00:00Z", "a@x", "anna@x", 5));
        sums.add(&axis, &row("2026-03-02T23:00:00Z", "b@x", "anna@x", 2));
        sums.add(&axis, &row("2026-03-02T23:00:00Z", "b@x", "", 3));
        let total = sums.total;
        assert_eq!((total.messages, total.sure(), total.conflict), (10, 7, 3));
        assert_eq!((total.mailbox_side, total.agent_side), (10, 3));
        let days: Vec<u64> = sums.periods.iter().map(|day| day.messages).collect();
        assert_eq!(days, [5, 5]);
        assert_eq!(sums.week[0][9], 5, "Monday at nine, in Berlin");
        assert_eq!(sums.week[1][0], 5);
        let agents = sums.ranked_agents();
        assert_eq!(agents.len(), 1, "nobody is no agent");
        assert_eq!((agents[0].1.hours[9], agents[0].1.hours[0]), (5, 2));
        assert_eq!(sums.mailboxes["b@x"].agents[""].messages, 3);
        assert_eq!(sums.mailboxes["b@x"].periods[0].messages, 0);
    }
}
