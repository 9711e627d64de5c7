//! Hints by NOTIFY: that a tenant has changed, to whoever waits for it in another process.
//!
//! They go out after the commit, on a connection of their own: within the transaction, those of
//! all tenants would wait for each other at its end. They may get lost, for whoever reconnects
//! and for all behind a pooler that shares connections; the truth is found by asking.

use super::super::{Hints, Result};
use crate::domain::TenantId;
use async_trait::async_trait;
use sqlx::{Pool, Postgres, postgres::PgListener, query};
use std::{fmt, fmt::Write as _};
use uuid::Uuid;

/// Every schema of the database has it: what is not known is passed over.
const CHANNEL: &str = "sentby_changed";
/// A tenant has 32 characters and a space, and a payload less than 8,000.
const TENANTS: usize = 200;

pub(super) async fn send(pool: &Pool<Postgres>, tenants: &[TenantId]) -> Result<(), sqlx::Error> {
    for some in tenants.chunks(TENANTS) {
        let mut payload = String::with_capacity(33 * some.len());
        for tenant in some {
            // writing to a string cannot fail
            let _ = write!(payload, "{} ", tenant.0.simple());
        }
        query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(payload)
            .execute(pool)
            .await?;
    }
    Ok(())
}

pub(super) async fn listen(pool: &Pool<Postgres>) -> Result<Listener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(Listener(listener))
}

/// Connects again by itself.
pub(super) struct Listener(PgListener);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

#[async_trait]
impl Hints for Listener {
    async fn next(&mut self) -> Result<Vec<TenantId>> {
        let hint = self.0.recv().await?;
        let ids = hint.payload().split_ascii_whitespace();
        let ids = ids.filter_map(|id| Uuid::try_parse(id).ok());
        Ok(ids.map(TenantId).collect())
    }
}
