//! [`SummaryStore`]: counts of messages.

use super::{
    super::{
        RangeFilter, Result, queries,
        rows::{self, ExtentRow, Micros, TallyRow},
        summary::SummaryStore,
    },
    Engine, SqlStore,
};
use crate::domain::{
    TenantId, TimeRange,
    summary::{Slots, Tally},
};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::{Encode, Executor, FromRow, IntoArguments, Pool, Type, query_as};
use uuid::Uuid;

#[async_trait]
impl<E: Engine> SummaryStore for SqlStore<E>
where
    for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
    for<'c> &'c Pool<E>: Executor<'c, Database = E>,
    E::Arguments: IntoArguments<E>,
    for<'q> Uuid: Encode<'q, E> + Type<E>,
    for<'q> &'q str: Encode<'q, E> + Type<E>,
    for<'q> Option<&'q str>: Encode<'q, E>,
    for<'q> i64: Encode<'q, E> + Type<E>,
    for<'q> Micros: Encode<'q, E> + Type<E>,
    for<'r> ExtentRow: FromRow<'r, E::Row>,
    for<'r> TallyRow: FromRow<'r, E::Row>,
{
    async fn extent(
        &self,
        tenant: TenantId,
        range: TimeRange,
        messages: u32,
    ) -> Result<Option<TimeRange>> {
        let rows: Vec<ExtentRow> = query_as(queries::EXTENT)
            .bind(tenant.0) // $1
            .bind(Micros::from(range.start)) // $2
            .bind(Micros::from(range.end)) // $3
            .bind(i64::from(messages)) // $4
            .fetch_all(&self.readers)
            .await?;
        rows::extent(rows, tenant)
    }

    async fn tallies(
        &self,
        tenant: TenantId,
        filter: &RangeFilter,
        slots: Slots,
        add: &mut (dyn FnMut(Tally) + Send),
    ) -> Result<()> {
        let mut connection = self.readers.acquire().await?;
        let mut rows = query_as(E::TALLIES)
            .bind(tenant.0) // $1
            .bind(Micros::from(filter.range.start)) // $2
            .bind(Micros::from(filter.range.end)) // $3
            .bind(filter.mailbox.as_deref()) // $4
            .bind(filter.agent.as_deref()) // $5
            .bind(Micros::from(slots.origin)) // $6
            .bind(slots.width) // $7
            .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let row: TallyRow = row;
            add(row.into_tally(tenant)?);
        }
        Ok(())
    }
}
