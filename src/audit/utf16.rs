//! Input as UTF-8, also where PowerShell has written UTF-16.

use std::io::{self, ErrorKind, Read};

/// Bytes are taken from the source in portions of this size.
const PORTION: usize = 64 << 10;

/// No portion is longer as UTF-8: two bytes become three at most.
pub(super) const MAX_PORTION: usize = PORTION / 2 * 3 + 8;

/// In place of a half byte pair: no UTF-8, so that the record does not decode.
const NO_UTF8: u8 = 0xff;

pub(super) struct Utf8Input<R> {
    source: R,
    portion: Vec<u8>,
    encoding: Encoding,
    /// Read from the source.
    bytes: u64,
    ended: bool,
}

enum Encoding {
    /// Not even the byte order mark was seen: what there is of it.
    Unknown(Vec<u8>),
    Utf8,
    Utf16(Utf16),
}

impl<R: Read> Utf8Input<R> {
    pub fn new(source: R) -> Self {
        Self {
            source,
            portion: vec![0; PORTION],
            encoding: Encoding::Unknown(Vec::new()),
            bytes: 0,
            ended: false,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Appends the next portion, which may be empty before the end.
    pub fn read_into(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let length = loop {
            match self.source.read(&mut self.portion) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.bytes += length as u64;
        self.ended = length == 0;
        let portion = &self.portion[..length];
        match &mut self.encoding {
            Encoding::Unknown(seen) => {
                seen.extend_from_slice(portion);
                let mut utf16 = match seen.as_slice() {
                    [0xff, 0xfe, ..] => Utf16::new(u16::from_le_bytes),
                    [0xfe, 0xff, ..] => Utf16::new(u16::from_be_bytes),
                    [_, _, ..] => {
                        out.append(seen);
                        self.encoding = Encoding::Utf8;
                        return Ok(());
                    }
                    _ => {
                        if self.ended {
                            out.append(seen);
                        }
                        return Ok(());
                    }
                };
                utf16.push(&seen[2..], out);
                if self.ended {
                    utf16.finish(out);
                }
                self.encoding = Encoding::Utf16(utf16);
            }
            Encoding::Utf8 => out.extend_from_slice(portion),
            Encoding::Utf16(utf16) => {
                utf16.push(portion, out);
                if self.ended {
                    utf16.finish(out);
                }
            }
        }
        Ok(())
    }
}

struct Utf16 {
    unit: fn([u8; 2]) -> u16,
    half: Option<u8>,
    /// The first of two units that make one character.
    high: Option<u16>,
}

impl Utf16 {
    fn new(unit: fn([u8; 2]) -> u16) -> Self {
        Self {
            unit,
            half: None,
            high: None,
        }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            match self.half.take() {
                None => self.half = Some(byte),
                Some(first) => self.push_unit((self.unit)([first, byte]), out),
            }
        }
    }

    fn push_unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                push_char(c, out);
                return;
            }
            out.push(NO_UTF8);
        }
        match char::from_u32(u32::from(unit)) {
            Some(c) => push_char(c, out),
            None if unit < 0xdc00 => self.high = Some(unit),
            None => out.push(NO_UTF8),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            out.push(NO_UTF8);
        }
        if self.half.take().is_some() {
            out.push(NO_UTF8);
        }
    }
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], portion: usize) -> Vec<u8> {
        let mut input = Utf8Input::new(Portions { bytes, portion });
        let mut out = Vec::new();
        while !input.is_ended() {
            input.read_into(&mut out).expect("no error");
        }
        assert_eq!(input.bytes(), bytes.len() as u64);
        out
    }

    struct Portions<'a> {
        bytes: &'a [u8],
        portion: usize,
    }

    impl Read for Portions<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let length = self.portion.min(self.bytes.len()).min(out.len());
            out[..length].copy_from_slice(&self.bytes[..length]);
            self.bytes = &self.bytes[length..];
            Ok(length)
        }
    }

    #[test]
    fn every_encoding_in_any_portions() {
        let text = "a\u{e9}\u{20ac}\u{1f4e7}z";
        let units: Vec<u16> = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for portion in 1..8 {
            for bytes in [text.as_bytes(), &little, &big] {
                assert_eq!(read(bytes, portion), text.as_bytes(), "{portion}");
            }
            for short in ["", "a", "ab"] {
                assert_eq!(read(short.as_bytes(), portion), short.as_bytes());
            }
        }
    }

    #[test]
    fn broken_utf16_does_not_become_text() {
        for (bytes, expected) in [
            (&[0xff, 0xfe, b'a', 0, b'b'][..], &[b'a', NO_UTF8][..]),
            (&[0xff, 0xfe, 0x3d, 0xd8, b'a', 0], &[NO_UTF8, b'a']),
            (&[0xff, 0xfe, 0x3d, 0xd8], &[NO_UTF8]),
            (&[0xff, 0xfe, 0xe7, 0xdc, b'a', 0], &[NO_UTF8, b'a']),
        ] {
            assert_eq!(read(bytes, 1), expected);
            assert_eq!(read(bytes, 100), expected);
        }
    }
}
