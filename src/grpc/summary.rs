//! SummarizeAgents: messages ⇄ domain.

use super::convert::{Fields, revision, timestamp};
use crate::{
    app::summarize_agents::{SummaryPage, SummaryQuery},
    domain::{
        Basis, Verdict,
        summary::{Bucket, Buckets, Counts, SummaryRow, Zone},
    },
    pb,
};

/// `None` if something is wrong, which `fields` tells.
pub(super) fn query(
    fields: &mut Fields,
    request: &pb::SummarizeAgentsRequest,
) -> Option<SummaryQuery> {
    let tenant = fields.tenant_id(&request.tenant_id);
    let range = fields.range(request.start, request.end);
    let bucket = bucket(request.bucket());
    if bucket.is_none() {
        fields.wrong("bucket", "must be BUCKET_HOUR, _DAY, _WEEK or _TOTAL");
    }
    let zone = Zone::named(&request.time_zone);
    if zone.is_none() {
        let why = "must be an IANA name, e.g. Europe/Berlin, or empty for UTC";
        fields.wrong("time_zone", why);
    }
    let mailbox = fields.address_filter("mailbox", &request.mailbox);
    let agent = fields.address_filter("agent", &request.agent);
    Some(SummaryQuery {
        tenant,
        buckets: Buckets {
            range,
            bucket: bucket?,
            zone: zone?,
        },
        mailbox,
        agent,
        at_least: revision(request.at_least_revision),
    })
}

fn bucket(bucket: pb::Bucket) -> Option<Bucket> {
    match bucket {
        pb::Bucket::Unspecified => None,
        pb::Bucket::Hour => Some(Bucket::Hour),
        pb::Bucket::Day => Some(Bucket::Day),
        pb::Bucket::Week => Some(Bucket::Week),
        pb::Bucket::Total => Some(Bucket::Total),
    }
}

pub(super) fn response(page: SummaryPage) -> pb::SummarizeAgentsResponse {
    pb::SummarizeAgentsResponse {
        rows: page.rows.into_iter().map(row).collect(),
        next_page_token: page.next_token,
        revision: page.revision.0,
        complete_through: page.complete_through.map(timestamp),
    }
}

fn row(row: SummaryRow) -> pb::AgentSummary {
    let counts = &row.counts;
    pb::AgentSummary {
        bucket_start: Some(timestamp(row.bucket.start)),
        bucket_end: Some(timestamp(row.bucket.end)),
        messages: counts.messages,
        verdicts: Some(verdicts(counts)),
        bases: Some(bases(counts)),
        confirmed: counts.confirmed,
        contradicted: counts.contradicted,
        certainty: Some(certainty(counts)),
        sides: Some(pb::SideCounts {
            mailbox: counts.by_mailbox_side,
            agent: counts.by_agent_side,
        }),
        without_message_id: counts.without_message_id,
        first_sent_at: Some(timestamp(counts.first)),
        last_sent_at: Some(timestamp(counts.last)),
        mailbox: row.mailbox,
        agent: row.agent,
    }
}

fn certainty(counts: &Counts) -> pb::CertaintyCounts {
    let attributed = counts.of_verdict(Verdict::Attributed);
    let others = counts.both_sides + counts.disputed;
    pb::CertaintyCounts {
        both_sides: counts.both_sides,
        one_side: attributed.saturating_sub(others),
        contradicted: counts.disputed,
    }
}

/// Of what is listed, nothing is PENDING.
fn verdicts(counts: &Counts) -> pb::VerdictCounts {
    pb::VerdictCounts {
        attributed: counts.of_verdict(Verdict::Attributed),
        conflict: counts.of_verdict(Verdict::Conflict),
        not_a_person: counts.of_verdict(Verdict::NotAPerson),
        unresolved: counts.of_verdict(Verdict::Unresolved),
        erased: counts.of_verdict(Verdict::Erased),
    }
}

fn bases(counts: &Counts) -> pb::BasisCounts {
    pb::BasisCounts {
        mailbox_send_as: counts.of_basis(Basis::MailboxSendAs),
        agent_send_as: counts.of_basis(Basis::AgentSendAs),
        mailbox_send_on_behalf: counts.of_basis(Basis::MailboxSendOnBehalf),
        agent_send_on_behalf: counts.of_basis(Basis::AgentSendOnBehalf),
        send: counts.of_basis(Basis::Send),
    }
}
