//! ListTenants.

use super::{App, Error, Result, page::cut, secret::Query};
use crate::domain::{Tenant, TenantId};
use uuid::Uuid;

impl App {
    /// A page of tenants and the token of the next one (empty: this was the last).
    pub async fn list_tenants(&self, page_size: u32, token: &str) -> Result<(Vec<Tenant>, String)> {
        let query = Query::new("ListTenants", &[]);
        let after = match token {
            "" => None,
            token => {
                let position = self.secret().await?.open(&query, token)?;
                let id = Uuid::from_slice(&position).map_err(|_| Error::PageTokenInvalid)?;
                Some(TenantId(id))
            }
        };
        let rows = self.store.tenants(after, page_size + 1).await?;
        let (tenants, more) = cut(rows, page_size);
        let next = match tenants.last() {
            Some(last) if more => self.secret().await?.seal(&query, last.id.0.as_bytes())?,
            _ => String::new(),
        };
        Ok((tenants, next))
    }
}
