//! The end of an import: until every stored message knows what the records taught.

use super::super::{
    client::{Api, answer, request},
    status::Refused,
};
use crate::{domain::TenantId, pb::GetTenantRequest};
use std::time::{Duration, Instant};

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(300);

/// The server goes on by itself: whoever does not wait loses nothing.
pub(super) async fn wait(api: &Api, tenant: TenantId) -> Result<(), Refused> {
    let (start, mut told) = (Instant::now(), false);
    loop {
        let get = GetTenantRequest {
            tenant_id: tenant.to_string(),
            at_least_revision: 0,
        };
        let got = answer(api.tenants().get_tenant(request(get)).await)?;
        if !got.tenant.is_some_and(|tenant| tenant.settling) {
            return Ok(());
        }
        if !told {
            eprintln!("judging stored messages anew: the records taught who somebody is");
            told = true;
        }
        if start.elapsed() > PATIENCE {
            eprintln!("that goes on by itself; GetTenant says `settling` until it is done");
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
