//! JSON in one pass over its bytes, eight at a time. It takes what nearly every record
//! consists of, and what it takes is valid JSON. The rest it leaves: `None` says nothing
//! about the bytes.

use super::cut::is_space;

/// Deepest nesting that is taken: of brackets inside the outermost.
const MAX_OPEN: u32 = 60;

/// How many bytes of strings are looked at together.
const BLOCK: usize = 64;

/// Stands somewhere in a JSON text.
pub(super) struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
    /// Where the last block ends that was looked at.
    looked: usize,
    /// Bit by byte of the block: ends a run of plain text.
    marks: u64,
    is_ascii: bool,
}

/// What stands between two quotes.
pub(super) struct Text<'a> {
    pub bytes: &'a [u8],
    pub escapes: Escapes,
}

pub(super) enum Shape {
    Text(Escapes),
    /// A number, `true`, `false` or `null`.
    Word,
    /// An object or a list.
    Brackets,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Escapes {
    None,
    /// `\\`, `\"`, `\n` and the like.
    Short,
    /// `\u0041`; not checked to be a character.
    Unicode,
}

impl<'a> Scanner<'a> {
    pub fn new(json: &'a [u8]) -> Self {
        Self {
            json,
            at: 0,
            looked: 0,
            marks: 0,
            is_ascii: true,
        }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// No string had a byte beyond ASCII. If it had none, this may still be false.
    pub fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    /// Goes behind the next byte that is no white space.
    #[inline(always)]
    pub fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline(always)]
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Goes to the next byte that is no white space.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if byte > b' ' {
                return Some(byte);
            }
            if !is_space(byte) {
                return None;
            }
            self.at += 1;
        }
    }

    /// Behind an opening quote; goes behind the closing one.
    #[inline(always)]
    pub fn string(&mut self) -> Option<Text<'a>> {
        let start = self.at;
        self.run();
        let mut escapes = Escapes::None;
        if *self.json.get(self.at)? != b'"' {
            let rest = self.json.get(self.at..)?;
            let length;
            (escapes, length) = escaped(rest)?;
            // not all of it is looked at in blocks
            self.is_ascii &= rest[..length].is_ascii();
            self.at += length;
        }
        let bytes = self.json.get(start..self.at)?;
        self.at += 1;
        Some(Text { bytes, escapes })
    }

    /// Goes to the next quote, backslash or control character, or beyond the end.
    #[inline(always)]
    fn run(&mut self) {
        loop {
            if self.at < self.looked {
                let marks = self.marks >> (BLOCK - (self.looked - self.at));
                if marks != 0 {
                    // the lowest bit is that of the first byte
                    self.at += marks.trailing_zeros() as usize;
                    return;
                }
                self.at = self.looked;
            }
            let (marks, is_ascii) = look(self.json, self.at);
            self.looked = self.at + BLOCK;
            self.marks = marks;
            self.is_ascii &= is_ascii;
        }
    }

    /// A whole number or `true`, `false`, `null` that begins with this byte, which is done
    /// with. No fraction and no exponent.
    #[inline(always)]
    pub fn word(&mut self, first: u8) -> Option<()> {
        let rest = self.json.get(self.at..)?;
        self.at += match (first, rest) {
            (b'0', _) | (b'-', [b'0', ..]) => usize::from(first == b'-'),
            (b'1'..=b'9', _) | (b'-', [b'1'..=b'9', ..]) => {
                rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
            }
            (b't', [b'r', b'u', b'e', ..]) | (b'n', [b'u', b'l', b'l', ..]) => 3,
            (b'f', [b'a', b'l', b's', b'e', ..]) => 4,
            _ => return None,
        };
        // an error, or a number that goes on: what follows a value tells
        Some(())
    }

    /// Any value that begins with this byte, which is done with.
    #[inline(always)]
    pub fn value(&mut self, first: u8) -> Option<Shape> {
        match first {
            b'"' => self.string().map(|text| Shape::Text(text.escapes)),
            b'{' | b'[' => self.brackets(first).map(|()| Shape::Brackets),
            _ => self.word(first).map(|()| Shape::Word),
        }
    }

    /// Behind an opening bracket; goes behind the one that closes it.
    #[inline(always)]
    fn brackets(&mut self, first: u8) -> Option<()> {
        let mut open = Open::new(first);
        let mut is_first = true;
        loop {
            let mut byte = self.next()?;
            if !is_first || byte != open.closing() {
                if open.closing() == b'}' {
                    byte = self.behind_key(byte)?;
                }
                match byte {
                    b'"' => drop(self.string()?),
                    b'{' | b'[' => {
                        open.push(byte)?;
                        is_first = true;
                        continue;
                    }
                    byte => self.word(byte)?,
                }
                byte = self.next()?;
            }
            while byte != b',' {
                if byte != open.closing() {
                    return None;
                }
                if !open.pop() {
                    return Some(());
                }
                byte = self.next()?;
            }
            is_first = false;
        }
    }

    /// `quote`: the byte before. Returns the first byte of the value, which is done with.
    #[inline(always)]
    fn behind_key(&mut self, quote: u8) -> Option<u8> {
        if quote != b'"' {
            return None;
        }
        self.string()?;
        self.expect(b':')?;
        self.next()
    }
}

/// The brackets that are open: from the lowest bit on those from inside to outside, 1 for a
/// list. Another 1 stands above them.
struct Open(u64);

impl Open {
    fn new(bracket: u8) -> Self {
        Self(0b10 | u64::from(bracket == b'['))
    }

    fn closing(&self) -> u8 {
        if self.0 & 1 == 1 { b']' } else { b'}' }
    }

    fn push(&mut self, bracket: u8) -> Option<()> {
        self.0 = self.0 << 1 | u64::from(bracket == b'[');
        (self.0 >> MAX_OPEN == 0).then_some(())
    }

    /// False: that was the outermost.
    fn pop(&mut self) -> bool {
        self.0 >>= 1;
        self.0 != 1
    }
}

/// Inside of a string: what is escaped from there on, and how far its closing quote is.
fn escaped(text: &[u8]) -> Option<(Escapes, usize)> {
    let mut escapes = Escapes::None;
    let mut rest = text;
    loop {
        rest = match rest {
            [b'"', ..] => return Some((escapes, text.len() - rest.len())),
            [b'\\', b'u', a, b, c, d, rest @ ..] => {
                if ![a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                escapes = Escapes::Unicode;
                rest
            }
            [b'\\', byte, rest @ ..] if br#""\/bfnrt"#.contains(byte) => {
                escapes = escapes.max(Escapes::Short);
                rest
            }
            [byte, rest @ ..] if !matches!(byte, b'\\' | ..b' ') => rest,
            // cut off, or a control character
            _ => return None,
        };
    }
}

/// Bit by byte of the block that begins there: a quote, a backslash, a control character, or
/// beyond the end. And whether all of it is ASCII.
#[inline(always)]
fn look(json: &[u8], at: usize) -> (u64, bool) {
    let rest = json.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(block) => (marks(block), block.is_ascii()),
        None => look_at_the_end(rest),
    }
}

#[cold]
fn look_at_the_end(rest: &[u8]) -> (u64, bool) {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    (marks(&block), block.is_ascii())
}

#[inline(never)]
fn marks(block: &[u8; BLOCK]) -> u64 {
    /// Times eight bytes of 0 or 1: these bits side by side, in the highest byte.
    const SIDE_BY_SIDE: u64 = 0x0102_0408_1020_4080;
    let is_mark = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < b' ');
    // written so that the compiler makes vectors of it
    let each: [u8; BLOCK] = std::array::from_fn(|at| u8::from(is_mark(block[at])));
    let (eights, _) = each.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |marks, (at, eight)| {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(SIDE_BY_SIDE) >> 56;
        marks | bits << (8 * at)
    })
}
