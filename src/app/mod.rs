//! Use cases: one file per RPC. Knows the domain, the records and the traits of store and
//! cache; nothing of gRPC or SQL.
//!
//! A call that may write must run to its end even if the caller leaves: whoever calls from a
//! place that can be cancelled goes through [`App::detached`].

mod directories;
mod error;
pub mod expire;
pub mod explain_attribution;
pub mod get_attribution;
pub mod get_tenant;
pub mod ingest_audit_batch;
pub mod list_attributions;
pub mod list_audit_batches;
pub mod list_mailboxes;
pub mod list_quarantined_records;
pub mod list_tenants;
pub mod lookup_attributions;
mod merge;
mod page;
mod prepared;
pub mod put_mailboxes;
mod quarantine;
mod reattribute;
mod receipt;
pub mod register_tenant;
pub mod retry_quarantined_records;
pub mod revoke_consent;
mod scopes;
mod secret;

use crate::{
    cache::{Cache, Coalescer},
    domain::{Revision, Tenant, TenantId, Timestamp},
    store::{Store, Tx},
};
use directories::Directories;
pub use error::{Error, FieldError, Result};
use lookup_attributions::StoredAnswers;
use moka::sync::Cache as Moka;
pub use page::page_size;
use scopes::Scopes;
use secret::{Secret, SecretCell};
use std::{
    future::Future,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::SystemTime,
};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tracing::Instrument as _;

/// What every use case works with.
#[derive(Debug)]
pub struct App {
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    scopes: Arc<Scopes>,
    /// Answers that are in no cache.
    stored_answers: Coalescer<StoredAnswers>,
    directories: Directories,
    queues: Moka<TenantId, Arc<Mutex<()>>>,
    /// Rung where a call leaves messages to be judged anew by somebody else.
    unsettled: Notify,
    secret: Arc<SecretCell>,
}

impl App {
    /// `secret`: the deployment's, if it is not kept in the store.
    pub fn new(store: Arc<dyn Store>, cache: Cache, secret: Option<[u8; 32]>) -> Self {
        let cache = Arc::new(cache);
        let secret = Arc::new(SecretCell::new(Arc::clone(&store), secret));
        let scopes = Arc::new(Scopes::new(cache.is_shared().then(|| Arc::clone(&secret))));
        let stored_answers = StoredAnswers {
            store: Arc::clone(&store),
            cache: Arc::clone(&cache),
            scopes: Arc::clone(&scopes),
        };
        Self {
            store,
            cache,
            scopes,
            stored_answers: Coalescer::new(stored_answers),
            directories: Directories::default(),
            queues: Moka::new(QUEUES),
            unsettled: Notify::new(),
            secret,
        }
    }

    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Runs a use case in a task of its own: a caller that leaves only stops waiting, and
    /// what was begun is committed or rolled back, never left open.
    pub async fn detached<T, F, Fut>(self: &Arc<Self>, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let task = tokio::spawn(run(Arc::clone(self)).in_current_span());
        task.await.unwrap_or_else(|failed| Err(Error::bug(&failed)))
    }

    async fn secret(&self) -> Result<&Arc<Secret>> {
        self.secret.get().await
    }

    /// Starts a write of this tenant. Writers of one tenant wait here for each other, not
    /// each with a connection of the store, so that one busy tenant leaves the others theirs.
    async fn begin(&self, id: TenantId) -> Result<Write> {
        self.scopes.ready().await?;
        let queue = self.queues.get_with(id, Arc::default);
        let turn = queue.lock_owned().await;
        let tx = self.store.begin(id).await?;
        let tx = tx.ok_or(Error::TenantNotFound(id))?;
        Ok(Write { tx, _turn: turn })
    }

    async fn tenant(&self, id: TenantId) -> Result<Tenant> {
        let tenant = self.store.tenant(id).await?;
        tenant.ok_or(Error::TenantNotFound(id))
    }
}

/// Tenants whose queue of writers is kept. One that falls out gets another queue; the store's
/// own lock is what counts.
const QUEUES: u64 = 10_000;

/// A write of one tenant, and its turn among the writers of this process.
struct Write {
    tx: Box<dyn Tx>,
    _turn: OwnedMutexGuard<()>,
}

impl Write {
    async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

impl Deref for Write {
    type Target = dyn Tx;

    fn deref(&self) -> &Self::Target {
        &*self.tx
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.tx
    }
}

/// Refuses an answer that is older than the caller demands.
fn at_least(asked: Revision, as_of: Revision) -> Result<()> {
    if as_of >= asked {
        Ok(())
    } else {
        Err(Error::RevisionNotReached { asked, as_of })
    }
}

/// The server's clock. It never orders or merges anything: it stamps what was received when.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
