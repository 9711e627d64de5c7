//! Whether calls should come here, as probes are told. One of the process: it serves one API.

use super::meters::meters;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
enum State {
    Ready,
    /// Why not.
    NotReady(String),
    /// For good.
    Stopping,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of a server that does not stop.
pub fn set(ready: &Result<(), String>) {
    let mut state = state();
    if matches!(*state, Some(State::Stopping)) {
        return;
    }
    meters().ready.set(if ready.is_ok() { 1.0 } else { 0.0 });
    *state = Some(match ready {
        Ok(()) => State::Ready,
        Err(why) => State::NotReady(why.clone()),
    });
}

pub fn stopping() {
    meters().ready.set(0.0);
    *state() = Some(State::Stopping);
}

/// `Err`: why not, in words.
pub fn get() -> Result<(), String> {
    match &*state() {
        Some(State::Ready) => Ok(()),
        Some(State::NotReady(why)) => Err(why.clone()),
        Some(State::Stopping) => Err("the server stops".into()),
        None => Err("the server starts".into()),
    }
}
