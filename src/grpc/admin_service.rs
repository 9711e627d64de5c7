//! AdminService.

use super::{
    Handler,
    convert::{Fields, timestamp},
};
use crate::{
    domain::erasure::Subject,
    pb::{self, admin_service_server::AdminService},
    store::Erasure,
};
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl AdminService for Handler {
    async fn erase_agent(
        &self,
        request: Request<pb::EraseAgentRequest>,
    ) -> Result<Response<pb::EraseAgentResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
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

fn pb_erasure(erasure: Erasure) -> pb::Erasure {
    pb::Erasure {
        pseudonym: erasure.pseudonym.to_string(),
        requested_at: Some(timestamp(erasure.requested_at)),
        finished_at: erasure.finished_at.map(timestamp),
        rows: erasure.counts.into_iter().collect(),
        revision: erasure.revision.map_or(0, |revision| revision.0),
    }
}
