//! Whose record it is, where it cannot be read.

use memchr::memchr3_iter;

use crate::domain::TenantId;

/// Bytes of another tenant are never stored, so what cannot be taken in is searched for its
/// name, however deep it stands in whatever envelope.
pub(super) fn names_another_tenant(bytes: &[u8], tenant: TenantId) -> bool {
    // UTF-16 of which the mark is lost: every other byte is 0
    if memchr::memchr(0, bytes).is_some() {
        let text: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
        return names_another_tenant(&text, tenant);
    }
    tenants(bytes).any(|named| named != tenant)
}

/// The first tenant that it names.
pub(super) fn named_tenant(bytes: &[u8]) -> Option<TenantId> {
    tenants(bytes).next()
}

fn tenants(bytes: &[u8]) -> impl Iterator<Item = TenantId> {
    memchr3_iter(b'o', b'O', b't', bytes).filter_map(|at| {
        let (before, rest) = bytes.split_at(at);
        named(before, rest).and_then(|guid| TenantId::parse(std::str::from_utf8(guid).ok()?))
    })
}

/// What a key that begins here gives as a tenant.
fn named<'a>(before: &[u8], rest: &'a [u8]) -> Option<&'a [u8]> {
    for key in ["OrganizationId", "OfficeTenantId", "organization.id"] {
        if let Some(rest) = behind(rest, key) {
            return Some(guid(rest));
        }
    }
    // of the Event Hub; Sentinel's TenantId is the name of a workspace
    if let Some(rest) = rest.strip_prefix(b"tenantId") {
        return (before.ends_with(b"\"") || before.ends_with(ESCAPED_QUOTE)).then(|| guid(rest));
    }
    // Elastic's {"organization":{"name":…,"id":…}}
    let object = behind(rest, "organization")?;
    if !matches!(object, [b'"' | b'\\', ..]) {
        return None;
    }
    let object = &object[..object.len().min(MAX_ORGANIZATION)];
    let object = object.split(|&b| b == b'}').next()?;
    memchr::memmem::find_iter(object, b"id")
        .map(|at| guid(&object[at + 2..]))
        .find(|guid| !guid.is_empty())
}

/// It is a short object, and there may be many of them.
const MAX_ORGANIZATION: usize = 1024;

const ESCAPED_QUOTE: &[u8] = b"\\u0022";

fn behind<'a>(bytes: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(key.len())?;
    head.eq_ignore_ascii_case(key.as_bytes()).then_some(rest)
}

/// The value behind a key; empty if it does not begin like a GUID. Single quotes are what some
/// languages print instead of JSON.
fn guid(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match bytes {
            _ if bytes.starts_with(ESCAPED_QUOTE) => &bytes[ESCAPED_QUOTE.len()..],
            [b'"' | b'\'' | b'\\' | b':' | b' ' | b'\t' | b'{', rest @ ..] => rest,
            _ => break,
        };
    }
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'-';
    &bytes[..bytes.iter().take_while(is_part).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_in_every_encoding() {
        let mine = "79dc228f-c8f2-4016-8bf0-b990b6c72e98";
        let other = "11111111-2222-3333-4444-555555555555";
        let tenant = TenantId::parse(mine).expect("a GUID");
        for (text, is_foreign) in [
            (r#"{"OrganizationId":"GUID"#, true),
            (r#"{"organizationid" : "{GUID}""#, true),
            (r#"{\"OrganizationId\":\"GUID\""#, true),
            (r#"{\\\"OrganizationId\\\":\\\"GUID"#, true),
            (r"\u0022OrganizationId\u0022:\u0022GUID\u0022", true),
            ("{'OrganizationId': 'GUID'", true),
            (r#""OfficeTenantId":"GUID""#, true),
            (r#"{"tenantId":"GUID","#, true),
            (r"\u0022tenantId\u0022:\u0022GUID", true),
            (r#"{"TenantId":"GUID","#, false),
            (r#"{"TokenTenantId":"GUID","#, false),
            (r#"{"guesttenantId":"GUID","#, false),
            (r#"{"organization.id":"GUID","#, true),
            (r#"{"organization":{"id":"GUID"#, true),
            (r#"{"organization":{"name":"Idaho","id":"GUID""#, true),
            (r#"{"organization":{"name":"x"},"id":"GUID""#, false),
            (r#"{"OrganizationName":"x","id":"GUID""#, false),
            (r#"{"OrganizationId":"","Id":"GUID""#, false),
            ("GUID", false),
            ("OrganizationId", false),
        ] {
            let names = |guid| {
                let text = text.replace("GUID", guid);
                names_another_tenant(text.as_bytes(), tenant)
            };
            assert_eq!(names(other), is_foreign, "{text}");
            assert!(!names(mine), "{text}");
            assert!(!names(&mine.to_uppercase()), "{text}");
        }
    }

    #[test]
    fn without_the_mark_of_its_encoding() {
        let tenant = TenantId::parse("79dc228f-c8f2-4016-8bf0-b990b6c72e98").expect("a GUID");
        let text = r#"{"OrganizationId":"11111111-2222-3333-4444-555555555555"}"#;
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(names_another_tenant(&little, tenant) && names_another_tenant(&big, tenant));
        let mine = text.replace("11111111-2222-3333-4444-555555555555", &tenant.to_string());
        let mine: Vec<u8> = mine.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!names_another_tenant(&mine, tenant));
    }
}
