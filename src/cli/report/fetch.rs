//! What a report is drawn from, all of it over the API.

use super::{
    super::{
        client::{Api, again, request},
        findings, show,
    },
    axis::Axis,
    sums::Sums,
};
use crate::{
    domain::TenantId,
    pb::{
        Bucket, Finding, GetCoverageRequest, GetCoverageResponse, GetTenantRequest,
        ListFindingsRequest, ListMailboxesRequest, Mailbox, SummarizeAgentsRequest, Tenant,
    },
};

pub(super) struct Fetched {
    pub tenant: Tenant,
    pub register: Vec<Mailbox>,
    /// Read before the messages were counted, so these are all that it speaks of.
    pub coverage: GetCoverageResponse,
    pub sums: Sums,
    pub findings: Vec<Finding>,
    /// Of the tenant, when the counting began.
    pub revision: u64,
}

pub(super) async fn all(
    api: &Api,
    tenant: TenantId,
    axis: &Axis,
    mailbox: &str,
) -> anyhow::Result<Fetched> {
    let tenant_id = tenant.to_string();
    let (start, end) = (show::moment(axis.range.start), show::moment(axis.range.end));
    let asked = GetTenantRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision: 0,
    };
    let told = again(async || api.tenants().get_tenant(request(asked.clone())).await).await?;
    let register = register(api, &tenant_id).await?;
    let asked = GetCoverageRequest {
        tenant_id: tenant_id.clone(),
        start: Some(start),
        end: Some(end),
        at_least_revision: 0,
    };
    let coverage =
        again(async || api.coverage().get_coverage(request(asked.clone())).await).await?;
    let asked = SummarizeAgentsRequest {
        tenant_id: tenant_id.clone(),
        start: Some(start),
        end: Some(end),
        bucket: Bucket::Hour.into(),
        time_zone: axis.zone.name().to_owned(),
        mailbox: mailbox.to_owned(),
        ..Default::default()
    };
    let (sums, revision) = sums(api, axis, asked).await?;
    let asked = ListFindingsRequest {
        tenant_id,
        mailbox: mailbox.to_owned(),
        ..Default::default()
    };
    let (findings, _) = findings::all(api, asked).await?;
    Ok(Fetched {
        tenant: told.tenant.unwrap_or_default(),
        register,
        coverage,
        sums,
        findings,
        revision,
    })
}

async fn register(api: &Api, tenant_id: &str) -> anyhow::Result<Vec<Mailbox>> {
    let mut asked = ListMailboxesRequest {
        tenant_id: tenant_id.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page =
            again(async || api.tenants().list_mailboxes(request(asked.clone())).await).await?;
        all.extend(page.mailboxes);
        asked.page_token = page.next_page_token;
        if asked.page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn sums(
    api: &Api,
    axis: &Axis,
    mut asked: SummarizeAgentsRequest,
) -> anyhow::Result<(Sums, u64)> {
    let mut sums = Sums::of(axis);
    loop {
        let ask = async || {
            let asked = request(asked.clone());
            api.attributions().summarize_agents(asked).await
        };
        let page = again(ask).await?;
        for row in &page.rows {
            sums.add(axis, row);
        }
        asked.page_token = page.next_page_token;
        if asked.page_token.is_empty() {
            return Ok((sums, page.revision));
        }
    }
}
