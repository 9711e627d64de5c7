//! The role that reads the views.

use super::url;
use crate::store::{Result, StoreError};
use sqlx::{ConnectOptions as _, Connection as _, query, raw_sql};

const GRANT: &str = include_str!("reader.sql");

/// Safe to repeat; all of it or nothing is done.
pub(in crate::store) async fn grant_reader(url: &str, role: &str) -> Result<()> {
    let mut connection = url::parse(url)?.options.connect().await?;
    let mut tx = connection.begin().await?;
    // a DO block takes no parameters
    query("SELECT set_config('sentby.reader', $1, true)")
        .bind(role)
        .execute(&mut *tx)
        .await?;
    raw_sql(GRANT).execute(&mut *tx).await?;
    tx.commit().await?;
    connection.close().await.map_err(StoreError::from)
}
