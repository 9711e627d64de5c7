//! AdminService.

use super::{
    Handler, MAX_CONNECTION_CALLS, MAX_INGEST_BYTES, MAX_MESSAGE_BYTES,
    convert::{Fields, timestamp},
    tenant_service::MAX_MAILBOXES,
};
use crate::{
    app::get_server_info::{Capacity, ServerInfo},
    domain::erasure::Subject,
    pb::{self, admin_service_server::AdminService},
    store::Erasure,
};
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl AdminService for Handler {
    async fn get_server_info(
        &self,
        _: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        let info = self.run(|app| async move { Ok(app.server_info().await) });
        Ok(Response::new(pb_info(info.await?)))
    }

    async fn erase_agent(
        &self,
        request: Request<pb::EraseAgentRequest>,
    ) -> Result<Response<pb::EraseAgentResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let subject = Subject::parse(&request.person);
        if subject.is_none() {
            let why = "must be an address, a SID (S-1-5-21-…), a GUID or a PUID (16 hexadecimal \
                       digits) of one person";
            fields.wrong("person", why);
        }
        fields.check()?;
        let Some(subject) = subject else {
            return Err(Status::invalid_argument("person")); // told by the check
        };
        let erasure = self
            .run(move |app| async move {
                if request.dry_run {
                    app.preview_erasure(tenant, &subject).await
                } else {
                    app.erase_agent(tenant, &subject).await
                }
            })
            .await?;
        Ok(Response::new(pb::EraseAgentResponse {
            erasure: Some(pb_erasure(erasure)),
        }))
    }
}

fn pb_info(info: ServerInfo) -> pb::GetServerInfoResponse {
    let settings = info.settings.into_iter();
    pb::GetServerInfoResponse {
        version: info.version.into(),
        schema_version: info.schema_version,
        oldest_schema_version: *info.schema_versions.start(),
        newest_schema_version: *info.schema_versions.end(),
        limits: Some(pb_limits(info.capacity)),
        settings: settings
            .map(|(name, value)| pb::ServerSetting {
                name: name.into(),
                value,
            })
            .collect(),
        server_time: Some(timestamp(info.time)),
    }
}

fn pb_limits(of: Capacity) -> pb::ServerLimits {
    pb::ServerLimits {
        batch_bytes: long(MAX_INGEST_BYTES),
        batch_records: number(of.batch_records),
        message_bytes: long(MAX_MESSAGE_BYTES),
        lookup_ids: number(of.lookup_ids),
        page_rows: i32::try_from(of.page_rows).unwrap_or(i32::MAX),
        put_mailboxes: number(MAX_MAILBOXES),
        watch_tenants: number(of.watch_tenants),
        answer_streams: number(of.answer_streams),
        watches: number(of.watches),
        batch_streams: number(of.batch_streams),
        calls: number(of.calls),
        calls_a_connection: i32::try_from(MAX_CONNECTION_CALLS).unwrap_or(i32::MAX),
        connections: number(of.connections),
        ingest_bytes: long(of.ingest_bytes),
        tenant_percent: number(of.tenant_percent),
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn long(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn pb_erasure(erasure: Erasure) -> pb::Erasure {
    pb::Erasure {
        pseudonym: erasure.pseudonym.to_string(),
        requested_at: Some(timestamp(erasure.requested_at)),
        finished_at: erasure.finished_at.map(timestamp),
        rows: erasure.counts.into_iter().collect(),
        revision: erasure.revision.map_or(0, |revision| revision.0),
    }
}
