//! AdminService.

use super::{
    Handler, MAX_CONNECTION_CALLS, MAX_INGEST_BYTES, MAX_MESSAGE_BYTES, convert::timestamp,
    tenant_service::MAX_MAILBOXES,
};
use crate::{
    app::get_server_info::{Capacity, ServerInfo},
    pb::{self, admin_service_server::AdminService},
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
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn long(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
