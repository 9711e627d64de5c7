//! AttributionService.

use super::{
    Handler,
    attribution_stream::{self, Chunks},
    convert::{
        Fields, attribution, miss_reason, pb_actor_kind, pb_operation, pb_side, pending, revision,
        timestamp,
    },
    coverage_service::RangeFields,
    deadline::Deadline,
    finding::pb_finding,
    outbox::StreamEnds,
    status, summary,
    watch::{self, Changes},
};
use crate::{
    app::{
        coverage::Looked,
        explain_attribution::{ExplainedEvent, Explanation},
        list_attributions::Walk,
        lookup_attributions::MAX_LOOKUPS,
    },
    domain::{Absence, Answer, MessageId, MessageKey, Timestamp},
    pb::{
        self, attribution_service_server::AttributionService,
        explain_attribution_request::Message as Asked, lookup_attributions_request::Query,
    },
    store::RangeFilter,
};
use bytes::Bytes;
use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

/// The walk that a request asks for: two methods have these fields.
macro_rules! walk {
    ($fields:ident, $request:ident) => {
        Walk {
            tenant: $fields.tenant_id(&$request.tenant_id),
            filter: RangeFilter {
                range: $fields.range($request.start, $request.end),
                mailbox: $fields.address_filter("mailbox", &$request.mailbox),
                agent: $fields.address_filter("agent", &$request.agent),
                verdict: $fields.verdict_filter($request.verdict),
            },
            at_least: revision($request.at_least_revision),
        }
    };
}

#[async_trait]
impl AttributionService for Handler {
    async fn get_attribution(
        &self,
        request: Request<pb::GetAttributionRequest>,
    ) -> Result<Response<pb::GetAttributionResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let id = fields.message_id("message_id", &request.message_id);
        let sent_at = fields.optional_time("sent_at", request.sent_at);
        fields.check()?;
        let id = id.expect("checked");
        let found = self
            .app
            .get_attribution(tenant, id, sent_at, revision(request.at_least_revision))
            .await
            .map_err(status::from_error)?;
        Ok(Response::new(pb::GetAttributionResponse {
            attribution: Some(attribution(Answer::clone(&found))),
        }))
    }

    async fn lookup_attributions(
        &self,
        request: Request<pb::LookupAttributionsRequest>,
    ) -> Result<Response<pb::LookupAttributionsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let (ids, sent_at) = asked(&mut fields, request.message_ids, request.queries);
        fields.check()?;
        // what cannot be a message id is answered as such; its neighbours are looked up
        let asked: Vec<_> = ids.iter().map(|id| MessageKey::parse(id).ok()).collect();
        // times belong to those that are looked up
        let sent_at = sent_at.into_iter().zip(&asked);
        let sent_at: Vec<_> = sent_at.filter_map(|(at, key)| key.map(|_| at)).collect();
        let keys: Vec<MessageKey> = asked.iter().copied().flatten().collect();
        let found = self
            .app
            .look_up(tenant, &keys, &sent_at, revision(request.at_least_revision))
            .await
            .map_err(status::from_error)?;
        let mut found = found.into_iter();
        let items = asked.iter().zip(ids);
        let items = items.map(|(asked, text)| match asked {
            None => pending(text, None, pb::MissReason::InvalidMessageId)
                .encode_to_vec()
                .into(),
            Some(key) => match found.next() {
                Some(Looked::Known(known)) => known.encoded(encoded).clone(),
                Some(Looked::Absent(absence)) => absent(text, *key, absence),
                None => absent(text, *key, Absence::Open),
            },
        });
        let response = pb::LookupAttributionsResponse::of_encoded(items.collect());
        Ok(Response::new(response))
    }

    async fn list_attributions(
        &self,
        request: Request<pb::ListAttributionsRequest>,
    ) -> Result<Response<pb::ListAttributionsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let walk = walk!(fields, request);
        let page_size = fields.page_size(request.page_size);
        fields.check()?;
        let page = self
            .run(move |app| async move {
                app.list_attributions(&walk, page_size, &request.page_token)
                    .await
            })
            .await?;
        let told = page.coverage.map(RangeFields::from).unwrap_or_default();
        Ok(Response::new(pb::ListAttributionsResponse {
            attributions: page.answers.into_iter().map(attribution).collect(),
            next_page_token: page.next_token,
            revision: page.revision.0,
            watch_token: page.watch_token,
            complete_since: told.complete_since,
            complete_through: told.complete_through,
            gaps: told.gaps,
            gaps_omitted: told.gaps_omitted,
        }))
    }

    type StreamAttributionsStream = Chunks;

    async fn stream_attributions(
        &self,
        request: Request<pb::StreamAttributionsRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let deadline = Deadline::of_request(&request);
        let (mut fields, request) = Fields::open(request);
        let walk = walk!(fields, request);
        let chunk_size = fields.chunk_size(request.chunk_size);
        fields.check()?;
        let answers = self
            .run(move |app| async move {
                app.stream_attributions(walk, chunk_size, &request.resume_token)
                    .await
            })
            .await?;
        let ends = StreamEnds {
            standing: fields.into_standing(),
            deadline,
        };
        Ok(Response::new(attribution_stream::chunks(
            self, answers, ends,
        )))
    }

    type WatchAttributionsStream = Changes;

    async fn watch_attributions(
        &self,
        request: Request<pb::WatchAttributionsRequest>,
    ) -> Result<Response<Changes>, Status> {
        let deadline = Deadline::of_request(&request);
        let (mut fields, request) = Fields::open(request);
        let asked = watch::asked(&mut fields, request);
        fields.check()?;
        let watch = self
            .run(move |app| async move { app.watch_attributions(asked).await })
            .await?;
        let ends = StreamEnds {
            standing: fields.into_standing(),
            deadline,
        };
        Ok(Response::new(watch::changes(self, watch, ends)))
    }

    async fn summarize_agents(
        &self,
        request: Request<pb::SummarizeAgentsRequest>,
    ) -> Result<Response<pb::SummarizeAgentsResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let asked = summary::query(&mut fields, &request);
        let page_size = fields.summary_page_size(request.page_size);
        fields.check()?;
        let asked = asked.expect("checked");
        let page = self
            .app
            .summarize_agents(asked, page_size, request.page_token)
            .await
            .map_err(status::from_error)?;
        Ok(Response::new(summary::response(page)))
    }

    async fn explain_attribution(
        &self,
        request: Request<pb::ExplainAttributionRequest>,
    ) -> Result<Response<pb::ExplainAttributionResponse>, Status> {
        let (mut fields, request) = Fields::open(request);
        let tenant = fields.tenant_id(&request.tenant_id);
        let key = match &request.message {
            Some(Asked::MessageId(id)) => fields.message_id("message_id", id).map(|id| id.key()),
            Some(Asked::MessageKey(key)) => fields.message_key("message_key", key),
            None => {
                fields.wrong("message_id", "or message_key is required");
                None
            }
        };
        fields.check()?;
        let explanation = self
            .run(move |app| async move {
                let key = key.expect("checked");
                app.explain_attribution(tenant, key, revision(request.at_least_revision))
                    .await
            })
            .await?;
        Ok(Response::new(pb_explanation(explanation)))
    }
}

/// The message ids of a lookup, and when each was sent; no times where it has none.
fn asked(
    fields: &mut Fields,
    message_ids: Vec<String>,
    queries: Vec<Query>,
) -> (Vec<String>, Vec<Option<Timestamp>>) {
    if !message_ids.is_empty() && !queries.is_empty() {
        fields.wrong("queries", "or message_ids, not both");
    }
    for (field, count) in [
        ("message_ids", message_ids.len()),
        ("queries", queries.len()),
    ] {
        if count > MAX_LOOKUPS {
            fields.wrong(field, format!("must be at most {MAX_LOOKUPS}"));
        }
    }
    if queries.is_empty() {
        return (message_ids, Vec::new());
    }
    let queries = queries.into_iter().take(MAX_LOOKUPS).enumerate();
    let asked = queries.map(|(at, query)| {
        let sent_at = query.sent_at;
        let sent_at = fields.optional_time(&format!("queries[{at}].sent_at"), sent_at);
        (query.message_id, sent_at)
    });
    asked.unzip()
}

fn encoded(answer: &Answer) -> Bytes {
    attribution(answer.clone()).encode_to_vec().into()
}

/// The item of an id that nothing is stored of.
fn absent(text: String, key: MessageKey, absence: Absence) -> Bytes {
    let id = MessageId::parse(&text).map_or(text, MessageId::into_string);
    pending(id, Some(key), miss_reason(absence))
        .encode_to_vec()
        .into()
}

fn pb_explanation(explanation: Explanation) -> pb::ExplainAttributionResponse {
    pb::ExplainAttributionResponse {
        attribution: Some(attribution(explanation.message.answer())),
        truncated: explanation.message.evidence.is_truncated(),
        evidence: explanation.evidence.into_iter().map(pb_evidence).collect(),
        reasoning: explanation.reasoning,
        findings: explanation.findings.iter().map(pb_finding).collect(),
    }
}

fn pb_evidence(explained: ExplainedEvent) -> pb::Evidence {
    let event = explained.event;
    pb::Evidence {
        record_id: event.record_id.to_string(),
        operation: pb_operation(event.operation).into(),
        side: pb_side(event.side).into(),
        time: Some(timestamp(event.time)),
        user_id: event.user_id,
        actor_kind: pb_actor_kind(explained.actor_kind).into(),
        actor: explained.person.unwrap_or_default(),
        mailbox: explained.mailbox.unwrap_or_default(),
        failed: event.failed,
        logon_user_sid: event.logon_user_sid.unwrap_or_default(),
        object_id: event.object_id.map(|id| id.to_string()).unwrap_or_default(),
        user_key: event.user_key.unwrap_or_default(),
        admin: event.admin,
    }
}
