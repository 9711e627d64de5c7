//! ListTenants.

use super::{App, Error, Result, page::cut, secret::Query};
use crate::domain::{Tenant, TenantId};
use uuid::Uuid;

impl App {
    /// A page of tenants and the token of the next one (empty: this was the last). `only`: of
    /// these, in any order.
    pub async fn list_tenants(
        &self,
        only: Option<&[TenantId]>,
        page_size: u32,
        token: &str,
    ) -> Result<(Vec<Tenant>, String)> {
        let query = Query::new("ListTenants", &[]);
        let after = match token {
            "" => None,
            token => {
                let position = self.secret().await?.open(&query, token)?;
                let id = Uuid::from_slice(&position).map_err(|_| Error::PageTokenInvalid)?;
                Some(TenantId(id))
            }
        };
        let rows = match only {
            None => self.store.tenants(after, page_size + 1).await?,
            Some(only) => self.these(only, after, page_size + 1).await?,
        };
        let (tenants, more) = cut(rows, page_size);
        let next = match tenants.last() {
            Some(last) if more => self.secret().await?.seal(&query, last.id.0.as_bytes())?,
            _ => String::new(),
        };
        Ok((tenants, next))
    }

    /// Those of `only` that are registered, behind `after`. They are few: who is trusted with
    /// many is trusted with all.
    async fn these(
        &self,
        only: &[TenantId],
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>> {
        let registered = self.store.revisions(only).await?.into_iter();
        let mut ids: Vec<TenantId> = registered
            .map(|found| found.tenant)
            .filter(|id| after.is_none_or(|after| *id > after))
            .collect();
        ids.sort_unstable();
        let mut tenants = Vec::new();
        for id in ids {
            if tenants.len() == limit as usize {
                break;
            }
            // one that was deleted since is not there
            tenants.extend(self.store.tenant(id).await?);
        }
        Ok(tenants)
    }
}
