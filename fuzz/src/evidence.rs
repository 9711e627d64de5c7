//! The column `evidence`: what is written comes back, and bytes that went wrong are an error.

use super::story::Bytes;
use sentby::{
    domain::Evidence,
    store::evidence::{decode, encode},
};

pub fn holds(data: &[u8]) {
    if let Ok(evidence) = decode(data) {
        comes_back(&evidence);
    }
    let mut bytes = Bytes(data);
    let truncated = bytes.byte() % 2 == 1;
    let events = bytes.events();
    comes_back(&Evidence::restore(events, truncated));
    // of the format that is written now, whatever is behind its mark
    for mark in [[0, 2], [0, 3]] {
        if let Ok(evidence) = decode(&[&mark, data].concat()) {
            comes_back(&evidence);
        }
    }
}

fn comes_back(evidence: &Evidence) {
    let bytes = encode(evidence);
    let again = decode(&bytes).expect("what was written is read");
    assert_eq!(&again, evidence);
    assert_eq!(encode(&again), bytes, "equal evidence, equal bytes");
}
