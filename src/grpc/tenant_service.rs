//! TenantService.

use super::{
    Handler, audit_settings,
    convert::{Fields, revision, timestamp},
};
use crate::{
    app::{
        put_mailboxes::RegisterChange,
        register_tenant::{Outcome, Registration},
    },
    domain::{Mailbox, MailboxKind, Tenant, TimeRange, Timestamp, setting::KnownSettings},
    pb::{self, tenant_service_server::TenantService},
};
use tonic::{Request, Response, Status, async_trait};

/// Entries of one PutMailboxes.
pub(super) const MAX_MAILBOXES: usize = 1_000;
/// A century.
const MAX_RETENTION_DAYS: u32 = 36_500;
/// Aliases of one entry.
const MAX_ALIASES: usize = 400;

#[async_trait]
impl TenantService for Handler {
    async fn register_tenant(
        &self,
        request: Request<pb::RegisterTenantRequest>,
    ) -> Result<Response<pb::RegisterTenantResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let display_name = fields.display_name("display_name", &request.display_name);
        let consented_at = fields.time("consented_at", request.consented_at);
        if request.retention_days.unwrap_or_default() > MAX_RETENTION_DAYS {
            fields.wrong("retention_days", "must be at most 36500, or 0: without end");
        }
        fields.check()?;
        let registration = Registration {
            tenant,
            display_name,
            consented_at: consented_at.unwrap_or(Timestamp::EARLIEST),
            retention_days: request.retention_days,
        };
        let (tenant, outcome) = self
            .run(|app| async move { app.register_tenant(registration).await })
            .await?;
        let outcome = match outcome {
            Outcome::Created => pb::register_tenant_response::Outcome::Created,
            Outcome::Reconsented => pb::register_tenant_response::Outcome::Reconsented,
            Outcome::Restored => pb::register_tenant_response::Outcome::Restored,
            Outcome::Updated => pb::register_tenant_response::Outcome::Updated,
            Outcome::Unchanged => pb::register_tenant_response::Outcome::Unchanged,
        };
        Ok(Response::new(pb::RegisterTenantResponse {
            tenant: Some(pb_tenant(tenant)),
            outcome: outcome.into(),
        }))
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Result<Response<pb::GetTenantResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let id = fields.tenant_id(&request.tenant_id);
        fields.check()?;
        let at_least = revision(request.at_least_revision);
        let (tenant, complete) = self
            .run(move |app| async move {
                let tenant = app.get_tenant(id, at_least).await?;
                let complete = match tenant.deletion {
                    None => app.complete_times(id).await?,
                    Some(_) => None,
                };
                Ok((tenant, complete))
            })
            .await?;
        let mut tenant = pb_tenant(tenant);
        if let (Some(readiness), Some(TimeRange { start, end })) = (&mut tenant.readiness, complete)
        {
            readiness.complete_since = Some(timestamp(start));
            readiness.complete_through = Some(timestamp(end));
        }
        Ok(Response::new(pb::GetTenantResponse {
            tenant: Some(tenant),
        }))
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Result<Response<pb::ListTenantsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let page_size = fields.page_size(request.page_size);
        fields.check()?;
        let (tenants, next_page_token) = self
            .run(move |app| async move {
                let granted = fields.granted();
                app.list_tenants(granted.as_deref(), page_size, &request.page_token)
                    .await
            })
            .await?;
        Ok(Response::new(pb::ListTenantsResponse {
            tenants: tenants.into_iter().map(pb_tenant).collect(),
            next_page_token,
        }))
    }

    async fn revoke_consent(
        &self,
        request: Request<pb::RevokeConsentRequest>,
    ) -> Result<Response<pb::RevokeConsentResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let id = fields.tenant_id(&request.tenant_id);
        let revoked_at = fields.optional_time("revoked_at", request.revoked_at);
        fields.check()?;
        let tenant = self
            .run(move |app| async move { app.revoke_consent(id, revoked_at).await })
            .await?;
        Ok(Response::new(pb::RevokeConsentResponse {
            tenant: Some(pb_tenant(tenant)),
        }))
    }

    async fn delete_tenant(
        &self,
        request: Request<pb::DeleteTenantRequest>,
    ) -> Result<Response<pb::DeleteTenantResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let id = fields.tenant_id(&request.tenant_id);
        fields.check()?;
        let tenant = self
            .run(move |app| async move { app.delete_tenant(id).await })
            .await?;
        Ok(Response::new(pb::DeleteTenantResponse {
            tenant: Some(pb_tenant(tenant)),
        }))
    }

    async fn put_mailboxes(
        &self,
        request: Request<pb::PutMailboxesRequest>,
    ) -> Result<Response<pb::PutMailboxesResponse>, Status> {
        let (fields, request) = Fields::open(request);
        let change = register_change(fields, request)?;
        let changed = self
            .run(|app| async move { app.put_mailboxes(change).await })
            .await?;
        Ok(Response::new(pb::PutMailboxesResponse {
            added: changed.added,
            changed: changed.changed,
            unchanged: changed.unchanged,
            removed: changed.removed,
            erased: changed.erased,
            reattributed: changed.reattributed,
            revision: changed.revision.0,
        }))
    }

    async fn list_mailboxes(
        &self,
        request: Request<pb::ListMailboxesRequest>,
    ) -> Result<Response<pb::ListMailboxesResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let id = fields.tenant_id(&request.tenant_id);
        let page_size = fields.page_size(request.page_size);
        fields.check()?;
        let (mailboxes, next_page_token) = self
            .run(move |app| async move {
                let at_least = revision(request.at_least_revision);
                app.list_mailboxes(id, at_least, page_size, &request.page_token)
                    .await
            })
            .await?;
        Ok(Response::new(pb::ListMailboxesResponse {
            mailboxes: mailboxes.into_iter().map(pb_mailbox).collect(),
            next_page_token,
        }))
    }
}

fn pb_tenant(tenant: Tenant) -> pb::Tenant {
    let state = match (tenant.deletion, tenant.revoked_at) {
        (Some(_), _) => pb::TenantState::Deleting,
        (None, None) => pb::TenantState::Active,
        (None, Some(_)) => pb::TenantState::ConsentRevoked,
    };
    let split = |span: Option<(Timestamp, Timestamp)>| {
        span.map(|(first, last)| (timestamp(first), timestamp(last)))
            .unzip()
    };
    let (first_mailbox_side_event, last_mailbox_side_event) = split(tenant.readiness.mailbox_side);
    let (first_agent_side_event, last_agent_side_event) = split(tenant.readiness.agent_side);
    pb::Tenant {
        settling: !tenant.is_settled(),
        tenant_id: tenant.id.to_string(),
        display_name: tenant.display_name,
        state: state.into(),
        consented_at: Some(timestamp(tenant.consented_at)),
        revoked_at: tenant.revoked_at.map(timestamp),
        registered_at: Some(timestamp(tenant.registered_at)),
        revision: tenant.revision.0,
        deleted_at: tenant.deletion.map(|one| timestamp(one.deleted_at)),
        delete_after: tenant.deletion.map(|one| timestamp(one.delete_after)),
        retention_days: tenant.retention_days,
        readiness: Some(pb::Readiness {
            first_mailbox_side_event,
            last_mailbox_side_event,
            first_agent_side_event,
            last_agent_side_event,
            complete_since: None,
            complete_through: None,
        }),
    }
}

fn pb_mailbox((mailbox, settings): (Mailbox, KnownSettings)) -> pb::Mailbox {
    let kind = match mailbox.kind {
        MailboxKind::Shared => pb::MailboxKind::Shared,
        MailboxKind::User => pb::MailboxKind::User,
        MailboxKind::Group => pb::MailboxKind::Group,
        MailboxKind::Resource => pb::MailboxKind::Resource,
    };
    pb::Mailbox {
        address: mailbox.address,
        kind: kind.into(),
        aliases: mailbox.aliases,
        display_name: mailbox.display_name,
        mailbox_guid: mailbox.guid.map(|id| id.to_string()).unwrap_or_default(),
        object_id: mailbox
            .object_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        region: settings.region.clone().unwrap_or_default(),
        audit: audit_settings::known(settings),
    }
}

fn register_change(
    mut fields: Fields,
    request: pb::PutMailboxesRequest,
) -> Result<RegisterChange, Status> {
    let tenant = fields.tenant_id(&request.tenant_id);
    for (field, count) in [
        ("mailboxes", request.mailboxes.len()),
        ("remove", request.remove.len()),
    ] {
        if count > MAX_MAILBOXES {
            fields.wrong(field, format!("must be at most {MAX_MAILBOXES}"));
        }
    }
    fields.check()?;
    let settings = request.mailboxes.iter().enumerate();
    let settings = settings
        .filter_map(|(at, mailbox)| audit_settings::captured(&mut fields, at, mailbox))
        .collect();
    let put = request
        .mailboxes
        .into_iter()
        .enumerate()
        .filter_map(|(at, mailbox)| register_entry(&mut fields, at, mailbox))
        .collect();
    let remove = request
        .remove
        .iter()
        .enumerate()
        .filter_map(|(at, address)| fields.address(&format!("remove[{at}]"), address))
        .collect();
    fields.check()?;
    Ok(RegisterChange {
        tenant,
        put,
        settings,
        remove,
    })
}

fn register_entry(fields: &mut Fields, at: usize, mailbox: pb::Mailbox) -> Option<Mailbox> {
    let path = |field: &str| format!("mailboxes[{at}].{field}");
    let address = fields.address(&path("address"), &mailbox.address);
    let kind = match mailbox.kind() {
        pb::MailboxKind::Shared => Some(MailboxKind::Shared),
        pb::MailboxKind::User => Some(MailboxKind::User),
        pb::MailboxKind::Group => Some(MailboxKind::Group),
        pb::MailboxKind::Resource => Some(MailboxKind::Resource),
        pb::MailboxKind::Unspecified => {
            fields.wrong(path("kind"), "must be one of the kinds");
            None
        }
    };
    if mailbox.aliases.len() > MAX_ALIASES {
        fields.wrong(path("aliases"), format!("must be at most {MAX_ALIASES}"));
        return None;
    }
    let mut aliases: Vec<String> = mailbox
        .aliases
        .iter()
        .enumerate()
        .filter_map(|(n, alias)| fields.address(&path(&format!("aliases[{n}]")), alias))
        .filter(|alias| Some(alias) != address.as_ref())
        .collect();
    aliases.sort_unstable();
    aliases.dedup();
    Some(Mailbox {
        display_name: fields.display_name(&path("display_name"), &mailbox.display_name),
        guid: fields.optional_guid(&path("mailbox_guid"), &mailbox.mailbox_guid),
        object_id: fields.optional_guid(&path("object_id"), &mailbox.object_id),
        address: address?,
        kind: kind?,
        aliases,
    })
}
