//! Tokens: what was sealed opens for its query, and nothing else does.

use sentby::app::{
    Error,
    secret::{Query, Secret},
};

pub fn holds(data: &[u8]) {
    let secret = Secret::new(&[7; 32]);
    let (head, rest) = data.split_at(data.len().min(4));
    let (part, position) = rest.split_at(
        rest.len()
            .min(usize::from(head.first().copied().unwrap_or(0)) % 32),
    );
    let query = Query::new("List", &[part, head]);
    let is_refused = |text: &str| {
        let opened = secret.open(&query, text);
        assert!(
            matches!(opened, Err(Error::PageTokenInvalid)),
            "{text}: {opened:?}"
        );
    };
    is_refused(&String::from_utf8_lossy(data));
    let token = secret.seal(&query, position).expect("sealed");
    assert_eq!(secret.open(&query, &token).expect("opens"), position);
    // the same bytes, cut at another place, are another query
    if !head.is_empty() {
        let moved = Query::new("List", &[&[part, head].concat(), b""]);
        let opened = secret.open(&moved, &token);
        assert!(
            matches!(opened, Err(Error::PageTokenMismatch)),
            "{opened:?}"
        );
    }

    let at = |n: usize, length: usize| usize::from(head.get(n).copied().unwrap_or(0)) % length;
    let mut bent = token.clone().into_bytes();
    let place = at(1, bent.len());
    bent[place] = b"AZaz09-_=+/ \0\x7f"[at(2, 14)];
    let bent = String::from_utf8(bent).expect("ASCII");
    if bent != token {
        is_refused(&bent);
    }
    is_refused(&token[..place]);
    is_refused(&format!("{token}{}", &token[..1 + at(3, token.len())]));
}
