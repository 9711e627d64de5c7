//! How many connections there are, asked when somebody wants to know.

use crate::telemetry::meters::{Store, is_installed, on_render};
use sqlx::{Database, Pool};

pub(super) fn sampled<D: Database>(name: &'static str, pool: &Pool<D>) {
    if !is_installed() {
        return;
    }
    let (used, idle) = Store::connections(name);
    let pool = pool.clone();
    on_render(move || {
        let unused = pool.num_idle();
        let all = usize::try_from(pool.size()).unwrap_or_default();
        used.set(all.saturating_sub(unused) as f64);
        idle.set(unused as f64);
    });
}
