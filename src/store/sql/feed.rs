//! [`FeedStore`]: the change feed.

use super::{
    super::{
        Result, Snapshot,
        feed::{CommitLimit, FeedStore, Hints, TenantRevision},
        queries,
        rows::{AsOf, CommitRow, TenantRevisionRow, signed},
    },
    Engine, SqlStore, snapshot,
};
use crate::domain::{Commit, Revision, TenantId};
use async_trait::async_trait;
use sqlx::{Encode, Executor, FromRow, IntoArguments, Pool, Type, query_as};
use uuid::Uuid;

#[async_trait]
impl<E: Engine> FeedStore for SqlStore<E>
where
    for<'c> &'c Pool<E>: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'r> AsOf<CommitRow>: FromRow<'r, E::Row>,
    for<'r> TenantRevisionRow: FromRow<'r, E::Row>,
{
    async fn commits(
        &self,
        tenant: TenantId,
        after: Revision,
        limit: CommitLimit,
    ) -> Result<Option<Snapshot<Vec<Commit>>>> {
        let rows: Vec<AsOf<CommitRow>> = query_as(queries::COMMITS)
            .bind(tenant.0) // $1
            .bind(signed(after)) // $2
            .bind(i64::from(limit.revisions)) // $3
            .bind(i64::try_from(limit.bytes).unwrap_or(i64::MAX)) // $4
            .fetch_all(&self.readers)
            .await?;
        snapshot(tenant, rows, |row| row.into_commit(tenant))
    }

    async fn revisions(&self, tenants: &[TenantId]) -> Result<Vec<TenantRevision>> {
        let ids = tenants.iter().map(|tenant| tenant.0).collect();
        let rows: Vec<TenantRevisionRow> = query_as(E::REVISIONS)
            .bind(E::ids(ids))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(|row| row.checked(tenants)).collect()
    }

    async fn hint(&self, tenants: &[TenantId]) -> Result<()> {
        match &self.hints {
            Some(hints) => Ok(E::hint(hints, tenants).await?),
            None => Ok(()),
        }
    }

    async fn hints(&self) -> Result<Option<Box<dyn Hints>>> {
        match &self.hints {
            Some(hints) => Ok(E::hints(hints).await?),
            None => Ok(None),
        }
    }
}
