//! What `--register` and `--shared` do before the import. Both leave alone what is there
//! already, so that the same command can be run again and again.

use super::super::{
    client::{Api, answer, request},
    show,
    status::Refused,
};
use crate::{
    domain::TenantId,
    pb::{
        ErrorReason, GetTenantRequest, ListMailboxesRequest, Mailbox, MailboxKind,
        PutMailboxesRequest, RegisterTenantRequest, register_tenant_response,
    },
};
use std::time::SystemTime;

/// Registers an unknown tenant as consenting now. A known one keeps its consent, and above
/// all a revoked one keeps the revoke: an import must not undo what an administrator did.
pub(super) async fn tenant(api: &Api, tenant: TenantId) -> Result<(), Refused> {
    let tenant_id = tenant.to_string();
    let get = GetTenantRequest {
        tenant_id: tenant_id.clone(),
        at_least_revision: 0,
    };
    match answer(api.tenants().get_tenant(request(get)).await) {
        Ok(_) => return Ok(()),
        Err(refused) if refused.reason() == Some(ErrorReason::TenantNotFound) => {}
        Err(refused) => return Err(refused),
    }
    let register = RegisterTenantRequest {
        tenant_id,
        display_name: String::new(),
        consented_at: Some(SystemTime::now().into()),
        retention_days: None,
    };
    let registered = api.tenants().register_tenant(request(register)).await;
    let outcome = answer(registered)?.outcome;
    let outcome = show::cell::<register_tenant_response::Outcome>(outcome);
    eprintln!("tenant {tenant}: {outcome}");
    Ok(())
}

/// Puts the addresses into the register as shared mailboxes. An entry that is there keeps
/// its aliases and names.
pub(super) async fn shared_mailboxes(
    api: &Api,
    tenant: TenantId,
    addresses: &[String],
) -> Result<(), Refused> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mailboxes = to_put(&registered(api, tenant).await?, addresses);
    if mailboxes.is_empty() {
        return Ok(());
    }
    let put = PutMailboxesRequest {
        tenant_id: tenant.to_string(),
        mailboxes,
        remove: Vec::new(),
    };
    let put = answer(api.tenants().put_mailboxes(request(put)).await)?;
    eprintln!(
        "register of mailboxes: {} added, {} changed, {} judged anew",
        put.added,
        put.changed,
        show::plural(put.reattributed, "message")
    );
    Ok(())
}

async fn registered(api: &Api, tenant: TenantId) -> Result<Vec<Mailbox>, Refused> {
    let mut mailboxes = Vec::new();
    let mut page_token = String::new();
    loop {
        let list = ListMailboxesRequest {
            tenant_id: tenant.to_string(),
            page_size: 1_000,
            page_token,
            at_least_revision: 0,
        };
        let page = answer(api.tenants().list_mailboxes(request(list)).await)?;
        mailboxes.extend(page.mailboxes);
        if page.next_page_token.is_empty() {
            return Ok(mailboxes);
        }
        page_token = page.next_page_token;
    }
}

fn to_put(registered: &[Mailbox], addresses: &[String]) -> Vec<Mailbox> {
    let mut put: Vec<Mailbox> = Vec::new();
    for address in addresses {
        let entry = registered
            .iter()
            .find(|entry| entry.address == *address || entry.aliases.contains(address));
        let entry = match entry {
            Some(entry) if entry.kind() == MailboxKind::Shared => continue,
            // settings that were captured earlier are not captured now
            Some(entry) => Mailbox {
                region: String::new(),
                audit: None,
                ..entry.clone()
            },
            None => Mailbox {
                address: address.clone(),
                ..Default::default()
            },
        };
        if !put.iter().any(|other| other.address == entry.address) {
            put.push(Mailbox {
                kind: MailboxKind::Shared.into(),
                ..entry
            });
        }
    }
    put
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_keeps_what_it_has() {
        let entry = |address: &str, kind: MailboxKind, aliases: &[&str]| Mailbox {
            address: address.into(),
            kind: kind.into(),
            aliases: aliases.iter().map(|&alias| alias.into()).collect(),
            display_name: "name".into(),
            ..Default::default()
        };
        let registered = [
            entry(
                "support@contoso.com",
                MailboxKind::Shared,
                &["help@contoso.com"],
            ),
            entry(
                "sales@contoso.com",
                MailboxKind::User,
                &["shop@contoso.com"],
            ),
        ];
        let put = |addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(|&a| a.into()).collect();
            to_put(&registered, &addresses)
        };
        assert_eq!(put(&["support@contoso.com", "help@contoso.com"]), []);
        assert_eq!(
            put(&["shop@contoso.com", "sales@contoso.com"]),
            [entry(
                "sales@contoso.com",
                MailboxKind::Shared,
                &["shop@contoso.com"]
            )]
        );
        let new = put(&["new@contoso.com", "new@contoso.com"]);
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].kind(), MailboxKind::Shared);
    }
}
