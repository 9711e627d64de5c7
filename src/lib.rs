//! sentby: which agent sent this message from the shared mailbox?
//!
//! It takes Microsoft 365 audit records in, merges what the two sides of the log say about
//! one message into one attribution, and answers by message id or by time range.
//!
//! # One record in
//!
//! A collector posts a content blob with `IngestAuditBatch`, or many with
//! `StreamAuditBatches` (`grpc/ingest_stream.rs`), where each goes the same way.
//!
//! 1. Who calls, and whether it may, is known before anything of its message is read
//!    (`server/listener.rs`, `grpc/access.rs`, [`access`]); no tenant's id comes out of a request but
//!    by its caller's grant (`grpc/convert.rs`). The call gets a place among those in progress, or
//!    is refused (`grpc/layers.rs`, `app/places.rs`), and its bytes are read when there is room for
//!    them (`grpc/inbox.rs`, `app/admission.rs`).
//!    [`grpc`] checks the fields of the request and calls the use case, in a task that the
//!    caller cannot cancel (`grpc/ingest_service.rs`, [`app::App::detached`]). A typed event
//!    becomes the record that it stands for (`grpc/send_event.rs`).
//! 2. A batch whose request id is known is answered as the first time (`app/receipt.rs`).
//!    Else `app/ingest_audit_batch.rs` hands the bytes to [`audit`], which cuts them into records
//!    and decodes each: a send event, an administrator's change, an operation that does not
//!    matter, or a problem that fails alone (`audit/mod.rs`): its bytes go into quarantine
//!    (`app/quarantine.rs`), from where a later decoder may take them in
//!    (`app/retry_quarantined_records.rs`).
//! 3. It waits for its turn with other batches of the tenant (`app/rounds.rs`). What waits is
//!    written together: in one transaction ([`store::Store::begin`]) the tenant's row is locked, its consent
//!    checked, and the stored messages that the batches touch are read ([`store::Tx`]).
//! 4. What the events teach about people and mailboxes joins the tenant's directory
//!    (`app/directories.rs`, [`domain::lesson`]); [`domain::Gathering`] adds them to the
//!    evidence of each message and judges it: [`domain::attribute()`], a pure function of two
//!    sets. So neither order nor repeats nor the split into batches can change an answer.
//!    A batch may say which period it completes: that goes into the tenant's ledger of covered
//!    time (`app/windows.rs`, [`domain::coverage`]), and which side wrote is noted
//!    (`app/sides.rs`).
//! 5. Only rows that changed are written, with the tenant's next revision and one `change`
//!    row (`store/sql.rs`, `store/postgres.rs`, `store/sqlite.rs`), and in any case the receipt
//!    of the batch. Where a lesson changes who somebody is, stored messages that it touches
//!    are judged anew, in the same transaction or in further ones (`app/reattribute.rs`).
//!    Then it commits.
//! 6. The answers go to the [`cache`], where no older value replaces them; what a Redis does not
//!    take is owed to it. Whoever watches the tenant is told. Then the caller gets its counts and
//!    the revision.
//!
//! # One answer out
//!
//! The metrics merger asks with `LookupAttributions`.
//!
//! 1. [`grpc`] normalises the message ids; one that cannot be a message id is answered as
//!    such and does not fail its neighbours (`grpc/attribution_service.rs`).
//! 2. `app/lookup_attributions.rs` looks into the [`cache`]: what this process holds is answered
//!    at once, and a Redis is asked for all keys of concurrent callers together
//!    ([`cache::Coalescer`]). Which life of the tenant the values must be of is known from the
//!    last read of the store (`app/scopes.rs`). A value that is older than the caller's
//!    `at_least_revision` is a miss.
//! 3. The rest, of concurrent callers together, is one query ([`store::Store::answers`]): rows,
//!    and the tenant's revision of the same snapshot. Every row is checked to be this
//!    tenant's (`store/rows.rs`).
//! 4. The answers are cached where nothing newer is there, and converted
//!    (`grpc/convert.rs`). An id without evidence is PENDING, for it may still come; or
//!    NO_EVIDENCE, where the time it was sent at is completely covered (`app/coverage.rs`).
//!
//! However many ask, and whatever the store does, a call ends in time: who asks for more than
//! there are places is refused at once, and every call of the store is bounded
//! (`store/bounded.rs`).
//!
//! Or it watches. A revision that is committed is known at once to the watches of its process
//! (`app/newest.rs`) and soon to those of others, by a hint of the store or by asking. A watch
//! (`app/watch_attributions.rs`) then reads the stretch of `change` rows behind its position, and
//! of each changed message what it is now (`app/feed.rs`). It goes out through
//! `grpc/outbox.rs`, as fast as the caller takes it, with the position behind it.
//!
//! What of the database is not as it must be is found before the first call (`app/fitness.rs`,
//! [`store::Store::check`]), and nothing is served from it then (`grpc/gate.rs`).
//!
//! A range passes the cache by. `app/list_attributions.rs` reads it a page at a time, each a
//! statement of its own that begins where the last one ended; `app/stream_attributions.rs` is
//! the same walk unasked, one page ahead of the caller.
//!
//! A summary counts a range by mailbox, agent and bucket: `app/summarize_agents.rs` takes it in
//! statements of some thousand messages, in slots of time that fall into one bucket each, and
//! [`domain::summary`] folds these into the rows of a page.
//!
//! Where there is no answer, the audit set-up may be why. `app/check_audit_settings.rs` keeps what
//! the PowerShell checks print ([`domain::setting`]: of each subject and shape the newest), and
//! `app/findings.rs` gathers all that a tenant is judged by and judges it, once a revision:
//! [`domain::findings()`], again a pure function of sets. `app/list_findings.rs` pages it.
//!
//! # What goes again
//!
//! A person who is erased (`app/erase_agent.rs`) becomes a pseudonym: [`domain::erasure`], a pure
//! function of an event and of keyed hashes, is applied to what comes in (`app/erased.rs`) and to what
//! is stored, which goes the way of a changed directory; the other tables are swept behind it
//! (`app/sweep.rs`). A deleted tenant is refused under its lock and purged later
//! (`app/delete_tenant.rs`), and messages that were kept long enough go as revisions like any other
//! (`app/outdated.rs`).
//!
//! # What it tells of itself
//!
//! Whatever goes through [`grpc`] is a call (`grpc/observe.rs`): it has an id, is counted and timed,
//! is a span, and a line of the log where it fails. The rooms count what only they know through
//! [`telemetry::meters`]. `server/ops.rs` serves that, and whether the process is ready, to the
//! platform; traces are sent (`telemetry/trace.rs`). Nothing of a person is in any of it.
//!
//! # Who may use whom
//!
//! `domain ← audit, store ← cache ← app ← grpc ← server ← cli`, never the other way, and
//! `domain ← access ← grpc` (a test holds it); any of them but `domain`, `access`, `audit` and
//! [`simulate`] may count by [`telemetry`], which uses none but [`config`]. Only [`grpc`] knows
//! tonic and the generated messages, apart from [`cli`], which
//! is a client; only [`store`] knows sqlx. The evidence column is protobuf too, by structs of
//! its own (`store/evidence.rs`).
//!
//! [`simulate`] makes feeds whose truth is known, for tests, benches and demonstrations. It
//! uses none of the other rooms, so that the truth cannot come from what it is to check.
//!
//! To add an RPC: `proto/sentby/v1` → a file in `app/` → a handler in `grpc/` → a test in
//! `tests/api/`; where it needs data, a method of [`store::Store`], its text in
//! `store/queries.rs`, and a case in `tests/store/`.

#![cfg_attr(test, allow(clippy::too_many_lines))] // tables of cases are long

pub mod access;
pub mod app;
pub mod audit;
pub mod cache;
pub mod cli;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod server;
pub mod simulate;
pub mod store;
pub mod telemetry;

/// The generated API (`proto/sentby/v1`).
pub mod pb {
    #![allow(clippy::all, clippy::clone_on_ref_ptr, clippy::too_many_lines)] // generated
    tonic::include_proto!("sentby.v1");
    pub use crate::grpc::LookupAttributionsResponse;
}
