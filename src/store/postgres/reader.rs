//! The role that reads the views.

use super::url;
use crate::{
    domain::TenantId,
    store::{Result, StoreError},
};
use sqlx::{ConnectOptions as _, Connection as _, query, raw_sql};

const GRANT: &str = include_str!("reader.sql");

/// Safe to repeat; all of it or nothing is done. `tenants`: whose rows it reads from now on;
/// `None`: all.
pub(in crate::store) async fn grant_reader(
    url: &str,
    role: &str,
    tenants: Option<&[TenantId]>,
) -> Result<()> {
    let ids = |tenants: &[TenantId]| {
        let ids: Vec<String> = tenants.iter().map(ToString::to_string).collect();
        format!("{{{}}}", ids.join(","))
    };
    let mut connection = url::parse(url)?.options.connect().await?;
    let mut tx = connection.begin().await?;
    // a DO block takes no parameters
    query("SELECT set_config('sentby.reader', $1, true), set_config('sentby.reader_tenants', $2, true)")
        .bind(role)
        .bind(tenants.map(ids).unwrap_or_default())
        .execute(&mut *tx)
        .await?;
    raw_sql(GRANT).execute(&mut *tx).await?;
    tx.commit().await?;
    connection.close().await.map_err(StoreError::from)
}
