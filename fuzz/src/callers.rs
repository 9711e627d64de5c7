//! The callers file, and who is let in by it. The first line is what a call shows, the rest the file, in
//! which HASH is the hash of that.

use sentby::access::{Access, Callers, MATRIX, Shown, TokenHash};
use std::sync::Arc;

pub fn holds(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (shown, file) = text.split_once('\n').unwrap_or(("", &text));
    let token = shown.get(7..).unwrap_or_default().trim();
    let hash = TokenHash::of(token).to_string();
    assert_eq!(
        TokenHash::parse(&hash).map(|it| it.to_string()),
        Some(hash.clone())
    );
    if let Some(parsed) = TokenHash::parse(shown) {
        assert!(parsed.to_string().eq_ignore_ascii_case(shown));
    }
    let file = file.replace("HASH", &hash);
    let callers = match Callers::parse(&file) {
        Ok(callers) => callers,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    assert!(
        callers.have_tokens() || callers.have_certificates(),
        "nobody could call"
    );
    let is_listed = file.to_ascii_lowercase().contains(&hash) || file.contains('\\');
    let access = Arc::new(Access::listed(callers));
    for rule in MATRIX.iter().map(Some).chain([None]) {
        let nothing = access.admit(rule, Shown::new(None, None));
        assert!(nothing.is_err(), "who shows nothing is nobody");
        let called = access.admit(rule, Shown::new(Some(shown.as_bytes()), None));
        let Ok(caller) = called else { continue };
        assert!(
            is_listed && rule.is_some() && !token.is_empty(),
            "{shown:?} is nobody's token"
        );
        assert!(!caller.name().is_empty());
        assert!(caller.tenants().is_none_or(|tenants| !tenants.is_empty()));
        assert!(caller.again().is_ok());
    }
}
