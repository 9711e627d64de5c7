//! [`LedgerStore`] and [`LedgerTx`]: covered time.

use super::{
    super::{
        Result, Snapshot,
        ledger::{LedgerStore, LedgerTx, SideSeen},
        queries,
        rows::{AsOf, CoveredRow, FailureRow, LagRow, Micros, SideSeenRow, side},
    },
    Engine, SqlStore, snapshot, started,
    tx::SqlTx,
};
use crate::domain::{
    Lag, TenantId, TimeRange, Timestamp,
    coverage::{Covered, Failure, Line},
};
use async_trait::async_trait;
use sqlx::{
    Encode, Executor, FromRow, IntoArguments, Pool, QueryBuilder, Type, query, query_as,
    query_scalar,
};
use uuid::Uuid;

/// Rows of one statement with a list of them.
const ROWS: usize = 200;

#[async_trait]
impl<E: Engine> LedgerStore for SqlStore<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    for<'c> &'c Pool<E>: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'r> AsOf<CoveredRow>: FromRow<'r, E::Row>,
    for<'r> FailureRow: FromRow<'r, E::Row>,
    for<'r> LagRow: FromRow<'r, E::Row>,
    for<'r> SideSeenRow: FromRow<'r, E::Row>,
{
    async fn covered(&self, tenant: TenantId) -> Result<Option<Snapshot<Vec<Covered>>>> {
        let rows: Vec<AsOf<CoveredRow>> = query_as(queries::COVERED)
            .bind(tenant.0)
            .fetch_all(&self.readers)
            .await?;
        snapshot(rows, |row| row.into_covered(tenant))
    }

    async fn lag(&self, tenant: TenantId) -> Result<Lag> {
        let row: Option<LagRow> = query_as(queries::LAG)
            .bind(tenant.0)
            .fetch_optional(&self.readers)
            .await?;
        row.map_or(Ok(Lag::default()), |row| row.into_lag(tenant))
    }

    async fn last_failures(&self, tenant: TenantId, limit: u32) -> Result<Vec<Failure>> {
        let rows: Vec<FailureRow> = query_as(queries::LAST_FAILURES)
            .bind(tenant.0)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_failure(tenant))
            .collect()
    }

    async fn sides_seen(&self, tenant: TenantId, limit: u32) -> Result<Vec<SideSeen>> {
        let rows: Vec<SideSeenRow> = query_as(queries::SIDES_SEEN)
            .bind(tenant.0)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|row| row.into_side_seen(tenant))
            .collect()
    }

    async fn trim_covered(&self, tenant: TenantId, keep: u32) -> Result<u64> {
        let mut tx = started(&self.writers).await?;
        let deleted = query(queries::TRIM_COVERED)
            .bind(tenant.0) // $1
            .bind(i64::from(keep)) // $2
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(E::affected(&deleted))
    }
}

#[async_trait]
impl<E: Engine> LedgerTx for SqlTx<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'q> Vec<u8>: Encode<'q, E> + Type<E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'r> CoveredRow: FromRow<'r, E::Row>,
    for<'r> LagRow: FromRow<'r, E::Row>,
    for<'r> (String,): FromRow<'r, E::Row>,
{
    async fn covered_near(&mut self, line: &Line, range: TimeRange) -> Result<Vec<TimeRange>> {
        let tenant = self.tenant.id;
        let rows: Vec<CoveredRow> = query_as(queries::COVERED_NEAR)
            .bind(tenant.0) // $1
            .bind(line.source.as_str()) // $2
            .bind(line.clock.name()) // $3
            .bind(line.settled_days) // $4
            .bind(Micros::from(range.start)) // $5
            .bind(Micros::from(range.end)) // $6
            .fetch_all(&mut *self.tx)
            .await?;
        let near = rows.into_iter().map(|row| row.into_covered(tenant));
        near.map(|covered| Ok(covered?.range)).collect()
    }

    async fn cover(&mut self, line: &Line, range: TimeRange, advanced_at: Timestamp) -> Result<()> {
        query(queries::UNCOVER_NEAR)
            .bind(self.tenant.id.0) // $1
            .bind(line.source.as_str()) // $2
            .bind(line.clock.name()) // $3
            .bind(line.settled_days) // $4
            .bind(Micros::from(range.start)) // $5
            .bind(Micros::from(range.end)) // $6
            .execute(&mut *self.tx)
            .await?;
        query(queries::COVER)
            .bind(self.tenant.id.0) // $1 tenant_id
            .bind(line.source.as_str()) // $2 source
            .bind(line.clock.name()) // $3 clock
            .bind(line.settled_days) // $4 settled_days
            .bind(Micros::from(range.start)) // $5 start_at
            .bind(Micros::from(range.end)) // $6 end_at
            .bind(Micros::from(advanced_at)) // $7 advanced_at
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn covering_sources(&mut self, limit: u32) -> Result<Vec<String>> {
        Ok(query_scalar(queries::COVERING_SOURCES)
            .bind(self.tenant.id.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.tx)
            .await?)
    }

    async fn put_failure(&mut self, failure: &Failure) -> Result<()> {
        let window = &failure.window;
        query(queries::PUT_FAILURE)
            .bind(self.tenant.id.0) // $1 tenant_id
            .bind(failure.id()) // $2 failure_id
            .bind(failure.source.as_str()) // $3 source
            .bind(window.clock.name()) // $4 clock
            .bind(Micros::from(window.range.start)) // $5 start_at
            .bind(Micros::from(window.range.end)) // $6 end_at
            .bind(window.outcome.name()) // $7 outcome
            .bind(window.code.as_str()) // $8 code
            .bind(Micros::from(failure.received_at)) // $9 received_at
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn lag(&mut self) -> Result<Lag> {
        let tenant = self.tenant.id;
        let row: Option<LagRow> = query_as(queries::LAG)
            .bind(tenant.0)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map_or(Ok(Lag::default()), |row| row.into_lag(tenant))
    }

    async fn put_lag(&mut self, lag: &Lag) -> Result<()> {
        query(queries::PUT_LAG)
            .bind(self.tenant.id.0) // $1 tenant_id
            .bind(lag.encode()) // $2 events
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    async fn put_sides_seen(&mut self, sides: &[SideSeen]) -> Result<()> {
        let tenant = self.tenant.id;
        for some in sides.chunks(ROWS) {
            let mut statement = QueryBuilder::new(queries::INSERT_SIDES_SEEN);
            statement.push_values(some, |mut row, seen| {
                row.push_bind(tenant.0)
                    .push_bind(seen.pair.mailbox.as_str())
                    .push_bind(seen.pair.agent.as_str())
                    .push_bind(side(seen.pair.side))
                    .push_bind(Micros::from(seen.first))
                    .push_bind(Micros::from(seen.last));
            });
            let statement = statement.push(queries::SPAN_BOTH_TIMES).build();
            let statement = statement.persistent(false); // of as many rows as it happens to be
            statement.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}
