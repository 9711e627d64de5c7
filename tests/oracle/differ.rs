//! Where the two differ: told with the seed and the fewest records that still show it.

use super::{
    judge::{Answer, answers},
    real::Real,
    record::read,
    stream::Stream,
};
use crate::support::TENANT;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

type Answers = BTreeMap<String, Answer>;

fn expected(stream: &Stream) -> Answers {
    let records = stream.records.iter().map(String::as_str);
    answers(records, &stream.register, TENANT.0)
}

fn first_difference(one: &Answers, other: &Answers) -> Option<String> {
    let ids = one.keys().chain(other.keys());
    let mut differing = ids.filter(|id| one.get(*id) != other.get(*id));
    differing.next().cloned()
}

/// The number of messages; a difference as text.
pub async fn compare(real: &mut Real, stream: &Stream) -> Result<usize, String> {
    let should = expected(stream);
    let is = real.answers(stream).await;
    match first_difference(&should, &is) {
        None => Ok(should.len()),
        Some(id) => Err(told(real, stream, &id).await),
    }
}

/// Leaves out what is not needed for the same message to differ.
async fn told(real: &mut Real, stream: &Stream, id: &str) -> String {
    let until = Instant::now() + SHRINKING;
    let mut few = stream.clone();
    // mostly its own records are enough
    let mut own = few.clone();
    own.records.retain(|record| is_about(record, id));
    if differs(real, &own, id).await {
        few = own;
    }
    let mut size = few.records.len().div_ceil(2);
    while Instant::now() < until {
        let mut at = 0;
        let mut shrunk = false;
        while at < few.records.len() && Instant::now() < until {
            let mut fewer = few.clone();
            let end = (at + size).min(fewer.records.len());
            fewer.records.drain(at..end);
            if differs(real, &fewer, id).await {
                few = fewer;
                shrunk = true;
            } else {
                at = end;
            }
        }
        if size == 1 && !shrunk {
            break;
        }
        size = size.div_ceil(2).max(1);
    }
    let mut entries = few.register.len();
    while entries > 0 {
        entries -= 1;
        let mut fewer = few.clone();
        fewer.register.remove(entries);
        if differs(real, &fewer, id).await {
            few = fewer;
        }
    }
    let should = expected(&few);
    let is = real.answers(&few).await;
    let mut text = format!("seed {}, message {id}\n", stream.seed);
    for entry in &few.register {
        writeln!(text, "registered {entry:?}").expect("text");
    }
    for record in &few.records {
        writeln!(text, "{record}").expect("text");
    }
    writeln!(text, "oracle {:?}\n  real {:?}", should.get(id), is.get(id)).expect("text");
    text
}

/// A stream of a thousand records is down to a few by then.
pub const SHRINKING: Duration = Duration::from_secs(40);

fn is_about(record: &str, id: &str) -> bool {
    let event = read(record, TENANT.0);
    event.is_some_and(|event| event.message() == id)
}

async fn differs(real: &mut Real, stream: &Stream, id: &str) -> bool {
    let should = expected(stream);
    let is = real.answers(stream).await;
    should.get(id) != is.get(id)
}
