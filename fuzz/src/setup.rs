//! Exports of the audit set-up: whatever they are, the same by each way to read them.

use sentby::{
    audit::{NotRecognised, Setup, read_setup},
    domain::{TenantId, Timestamp},
};
use std::io::{self, Read};
use uuid::Uuid;

/// Gives its bytes in small portions.
struct Portions<'a>(&'a [u8], usize);

impl Read for Portions<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 5 % 63 + 1;
        let length = self.1.min(self.0.len()).min(out.len());
        out[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn read(source: impl Read, named: bool) -> (Result<Setup, NotRecognised>, Option<TenantId>) {
    let mut tenant = named.then_some(TenantId(Uuid::from_u128(7)));
    let setup = read_setup(
        source,
        Timestamp::from_micros(1_772_000_000_000_000),
        &mut tenant,
    );
    (setup.expect("nothing that is read fails"), tenant)
}

pub fn holds(data: &[u8]) {
    let whole = read(data, false);
    assert_eq!(
        read(Portions(data, data.len() % 63), false),
        whole,
        "in portions"
    );
    if let Ok(setup) = &whole.0 {
        assert!(setup.problems.len() <= 1_000);
        assert!(setup.problems.is_sorted_by_key(|problem| problem.number));
        for problem in &setup.problems {
            assert!(problem.number > 0 && !problem.detail.is_empty());
        }
        let named = read(data, true).0.expect("the same form");
        assert_eq!(named.settings, setup.settings, "settings name no tenant");
    }
    // as PowerShell redirects it
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.starts_with('\u{feff}') || text.contains('\0') || text.is_empty() {
        return;
    }
    for (mark, bytes) in [
        ([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ([0xfe, 0xff], u16::to_be_bytes),
    ] {
        let units = text.encode_utf16().flat_map(bytes);
        let wide: Vec<u8> = mark.into_iter().chain(units).collect();
        assert_eq!(read(&wide[..], false), whole, "in UTF-16");
    }
}
