//! ListMailboxes.

use super::{App, Error, Result, page::cut, secret::Query};
use crate::domain::{Mailbox, Revision, TenantId};

impl App {
    /// A page of the register and the token of the next one (empty: this was the last).
    pub async fn list_mailboxes(
        &self,
        tenant: TenantId,
        revision: Revision,
        page_size: u32,
        token: &str,
    ) -> Result<(Vec<Mailbox>, String)> {
        let generation = self.tenant(tenant, revision).await?.generation;
        let query = Query::new(
            "ListMailboxes",
            &[tenant.0.as_bytes(), &generation.0.to_le_bytes()],
        );
        let after = match token {
            "" => String::new(),
            token => {
                let position = self.secret().await?.open(&query, token)?;
                String::from_utf8(position).map_err(|_| Error::PageTokenInvalid)?
            }
        };
        let rows = self.store.mailboxes(tenant, &after, page_size + 1).await?;
        let (mailboxes, more) = cut(rows, page_size);
        let next = match mailboxes.last() {
            Some(last) if more => self.secret().await?.seal(&query, last.address.as_bytes())?,
            _ => String::new(),
        };
        Ok((mailboxes, next))
    }
}
