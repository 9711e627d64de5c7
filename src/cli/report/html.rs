//! Markup that nothing of a tenant gets into but as text.
//!
//! What is written comes in three kinds, and the types keep them apart: markup is a literal of
//! this program, words and numbers of this program are escaped, and what somebody else wrote
//! ([`Told`]) is masked where pseudonyms are wanted, escaped, and isolated, so that neither markup
//! nor the direction of its writing reaches what is around it. A [`Told`] cannot be displayed,
//! so there is no other way for it.

use super::names::{Names, Told};
use std::fmt::{self, Display, Write as _};

pub(super) struct Html<'a> {
    out: String,
    names: &'a Names,
}

impl<'a> Html<'a> {
    pub fn new(names: &'a Names) -> Self {
        Self {
            out: String::new(),
            names,
        }
    }

    /// Markup: a literal.
    pub fn raw(&mut self, literal: &'static str) -> &mut Self {
        self.out.push_str(literal);
        self
    }

    /// Words and numbers of this program, as text or as the value of an attribute in quotes.
    pub fn own(&mut self, text: impl Display) -> &mut Self {
        // a string takes everything
        let _ = write!(Escaping(&mut self.out), "{text}");
        self
    }

    /// What somebody else wrote, as text.
    pub fn told(&mut self, text: &Told) -> &mut Self {
        let names = self.names;
        self.raw("<bdi>");
        for (at, part) in names.shown(text).split('@').enumerate() {
            // where an address is broken, if it has to be
            self.raw(if at > 0 { "<wbr>@" } else { "" }).own(part);
        }
        self.raw("</bdi>")
    }

    /// The same as the value of an attribute in quotes, or within a title, where no markup is.
    pub fn told_plainly(&mut self, text: &Told) -> &mut Self {
        // the two characters isolate as `bdi` does
        let names = self.names;
        self.own(format_args!("\u{2068}{}\u{2069}", names.shown(text)))
    }

    pub fn into_text(self) -> String {
        self.out
    }
}

/// Takes text; characters that markup is made of become references to them, and those that
/// neither HTML nor people can read become the sign of that.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                c if c.is_control() => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_is_text_and_nothing_else() {
        let names = Names::default();
        let mut html = Html::new(&names);
        html.raw("<p title=\"")
            .told_plainly(&Told::from("\"><img src=x onerror=alert(1)>"))
            .raw("\">")
            .told(&Told::from("<script>alert('x')</script>\u{202e}\u{0}&"))
            .own(format_args!("{} < {}", 1, 2))
            .raw("</p>");
        assert_eq!(
            html.into_text(),
            "<p title=\"\u{2068}&quot;&gt;&lt;img src=x onerror=alert(1)&gt;\u{2069}\">\
             <bdi>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{202e}\u{fffd}&amp;</bdi>\
             1 &lt; 2</p>"
        );
    }
}
