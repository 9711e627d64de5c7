//! The fast lane. Nearly all records are plain: native ones, with every key once, nothing
//! escaped that matters and nothing odd. Those are read here in one pass that looks at few
//! of their values; and of nearly all of these the operation is of no interest.
//!
//! [`Native`] and [`super::decode`] are the truth about every record. What this says of one
//! is what they say; where it cannot know that cheaply it says nothing, and they are asked.

use std::borrow::Cow;

use uuid::Uuid;

use super::MAX_RECORD;
use super::cut::{Object, parse};
use super::decode::counted;
use super::fields::Value;
use super::keys::Key;
use super::native::{Field, Native};
use super::scan::{Escapes, Scanner, Shape};
use crate::domain::{Operation, TenantId, admin_change};

/// More digits may be too many for a number.
const MAX_DIGITS: usize = 18;

/// A plain record: valid JSON and UTF-8, not nested too deep.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    object: &'a [u8],
    /// Where the JSON of every field is, by its number; nothing is at 0.
    places: [Place; Field::ALL.len()],
    /// Bit by field: its text is not what stands there.
    escaped: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    end: u32,
}

impl<'a> Plain<'a> {
    /// The object at the beginning, and how long it is. `None` says nothing about it.
    pub fn read(json: &'a [u8]) -> Option<(Self, usize)> {
        let mut plain = Self {
            object: &json[..json.len().min(MAX_RECORD)],
            places: [Place::default(); _],
            escaped: 0,
        };
        let mut scanner = Scanner::new(plain.object);
        scanner.expect(b'{')?;
        loop {
            scanner.expect(b'"')?;
            let key = scanner.string()?;
            scanner.expect(b':')?;
            if key.escapes != Escapes::None {
                return None;
            }
            let key = Key::of_unpadded(key.bytes)?;
            let first = scanner.next()?;
            let start = scanner.at() - 1;
            let shape = scanner.value(first)?;
            match key {
                Key::Unknown => {}
                Key::Field(field) => plain.put(field, &shape, start, scanner.at())?,
                // of an envelope, of a page, of another schema
                Key::Alias(..) | Key::Outer(_) | Key::List(_) => return None,
            }
            match scanner.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        plain.object = &plain.object[..scanner.at()];
        if !scanner.is_ascii() {
            std::str::from_utf8(plain.object).ok()?;
        }
        Some((plain, scanner.at()))
    }

    #[inline(always)]
    fn put(&mut self, field: Field, shape: &Shape, start: usize, end: usize) -> Option<()> {
        let is_plain = match (field, shape) {
            (Field::Item | Field::Parameters, _) => true,
            (_, Shape::Text(Escapes::None)) => true,
            (_, Shape::Text(Escapes::Short)) => {
                self.escaped |= 1 << field as u32;
                true
            }
            // which may be half of a character
            (_, Shape::Text(Escapes::Unicode)) => false,
            (_, Shape::Word) => self.object[start] != b'-' && end - start <= MAX_DIGITS,
            (_, Shape::Brackets) => false,
        };
        let place = &mut self.places[field as usize];
        if place.end != 0 || !is_plain {
            return None;
        }
        *place = Place {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
        };
        Some(())
    }

    /// Empty if there is none.
    fn json(&self, field: Field) -> &'a [u8] {
        let Place { start, end } = self.places[field as usize];
        &self.object[start as usize..end as usize]
    }

    /// The text, if it is one and nothing in it is escaped.
    fn bare_text(&self, field: Field) -> Option<&'a [u8]> {
        match self.json(field) {
            [b'"', text @ .., b'"'] if self.escaped & 1 << field as u32 == 0 => Some(text),
            _ => None,
        }
    }

    /// The name to count it by, if it is this tenant's and of no interest. `None` says
    /// nothing about it.
    pub fn ignored(&self, tenant: TenantId) -> Option<Cow<'a, str>> {
        let organization = self.bare_text(Field::OrganizationId)?;
        if Uuid::try_parse_ascii(organization) != Ok(tenant.0) {
            return None;
        }
        let name = std::str::from_utf8(self.bare_text(Field::Operation)?).ok()?;
        let name = name.trim();
        let is_noise = Operation::parse(name).is_none() && admin_change::operation(name).is_none();
        if is_noise { counted(name) } else { None }
    }

    /// What the truth reads of it.
    pub fn native(&self) -> Option<Native<'a>> {
        let mut native = Native::default();
        for field in Field::ALL {
            let json = self.json(field);
            match field {
                _ if json.is_empty() => {}
                Field::Item => native.item = Some(std::str::from_utf8(json).ok()?),
                Field::Parameters => native.parameters = Some(std::str::from_utf8(json).ok()?),
                field => native.set(field, self.value(field, json)?),
            }
        }
        Some(native)
    }

    fn value(&self, field: Field, json: &'a [u8]) -> Option<Value<'a>> {
        Some(match json {
            b"null" => Value::Null,
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            [b'"', ..] => Value::Text(match self.bare_text(field) {
                Some(text) => Cow::Borrowed(std::str::from_utf8(text).ok()?),
                None => Cow::Owned(serde_json::from_slice(json).ok()?),
            }),
            digits => Value::Integer(std::str::from_utf8(digits).ok()?.parse().ok()?),
        })
    }
}

/// An object that has been read, one way or the other.
#[derive(Debug)]
pub(super) enum Parsed<'a> {
    Plain(Plain<'a>),
    Native(Box<Native<'a>>),
}

impl<'a> Object<'a> for Parsed<'a> {
    fn read(json: &'a [u8]) -> Result<(Self, usize), serde_json::Error> {
        if let Some((plain, length)) = Plain::read(json) {
            return Ok((Self::Plain(plain), length));
        }
        parse(json).map(|(native, length)| (Self::Native(Box::new(native)), length))
    }

    fn may_be_a_page(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Native(native) => native.list().is_some(),
        }
    }
}
