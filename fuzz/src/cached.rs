//! What a Redis may hold: nothing that we did not seal opens, and whatever we once sealed is a value, or
//! void.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sentby::{
    cache::sealed::{Opened, Sealer},
    domain::{Answer, MessageKey},
};
use uuid::Uuid;

const KEY: [u8; 32] = [7; 32];

pub fn holds(data: &[u8]) {
    let sealer = Sealer::new(&KEY);
    let key = MessageKey(Uuid::from_u128(9));
    assert!(sealer.open(key, &mut data.to_vec()).is_none(), "not ours");
    // as a program of another version may have sealed it: 16 digits of a revision, then the body
    let Some((as_of, body)) = data.split_first_chunk::<8>() else {
        return;
    };
    let as_of = u64::from_le_bytes(*as_of);
    let sealed = seal(key, as_of, body);
    let opened = sealer.open(key, &mut sealed.clone());
    let other = MessageKey(Uuid::from_u128(10));
    assert!(
        sealer.open(other, &mut sealed.clone()).is_none(),
        "another key's"
    );
    let Some(Opened::Value(cached)) = opened else {
        assert!(matches!(opened, Some(Opened::Void)), "it is ours");
        return;
    };
    assert_eq!(cached.as_of.0, as_of);
    let mut again = sealer.seal(key, &cached).expect("there is randomness");
    let Some(Opened::Value(again)) = sealer.open(key, &mut again) else {
        panic!("it opened before: {cached:?}")
    };
    let answer = |known: &Option<std::sync::Arc<sentby::cache::Known>>| {
        known.as_deref().map(|known| Answer::clone(known))
    };
    assert_eq!(again.as_of, cached.as_of);
    assert_eq!(answer(&again.answer), answer(&cached.answer));
}

/// By the table of `cache/sealed.rs`.
fn seal(key: MessageKey, as_of: u64, body: &[u8]) -> Vec<u8> {
    let digits = format!("{as_of:016x}").into_bytes();
    let aad = Aad::from([&digits[..], key.0.as_bytes()].concat());
    let cipher = UnboundKey::new(&AES_256_GCM, &KEY).expect("a key of 32 bytes");
    let nonce = [1; 12];
    let mut sealed = body.to_vec();
    LessSafeKey::new(cipher)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .expect("sealed");
    [&digits[..], &nonce, &sealed].concat()
}
