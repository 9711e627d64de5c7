//! The page as a whole: its frame, and what stands on top of it.

use super::{
    agents, certainty, coverage,
    figures::{completeness, headline, percent, sureness, wrong},
    findings,
    html::Html,
    names::{Names, Told},
    volume,
};
use crate::{cli::show, domain::Timestamp};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};

use super::{axis::Axis, fetch::Fetched};

const STYLE: &str = include_str!("style.css");
/// Copies a command, and unfolds everything for a printer. All else works without it.
const SCRIPT: &str = include_str!("copy.js");

/// All that the page is made of.
pub(super) struct Report<'a> {
    pub fetched: &'a Fetched,
    pub axis: &'a Axis,
    pub names: &'a Names,
    /// The one mailbox that was asked for, or nothing.
    pub mailbox: String,
    pub made_at: Timestamp,
}

impl Report<'_> {
    pub fn html(&self) -> String {
        let mut html = Html::new(self.names);
        self.head(&mut html);
        html.raw("<a class=\"skip\" href=\"#main\">Skip to the report</a>");
        self.top(&mut html);
        html.raw("<main id=\"main\" tabindex=\"-1\">");
        self.answers(&mut html);
        if self.fetched.sums.total.messages > 0 {
            volume::section(self, &mut html);
            agents::section(self, &mut html);
            certainty::section(self, &mut html);
        }
        coverage::section(self, &mut html);
        findings::section(self, &mut html);
        self.about(&mut html);
        html.raw("</main><footer><p>Made by sentby ");
        html.own(env!("CARGO_PKG_VERSION")).raw(" on ");
        html.own(self.axis.moment(self.made_at)).raw(" (");
        html.own(self.axis.zone.name()).raw("), of revision ");
        html.own(show::count(self.fetched.revision));
        html.raw(" of the tenant ")
            .told(&Told::from(&self.fetched.tenant.tenant_id));
        html.raw(".</p></footer><script>").raw(SCRIPT);
        html.raw("</script></body></html>\n");
        html.into_text()
    }

    /// Nothing is loaded and nothing runs but what this program has written: by the digests of it.
    fn head(&self, html: &mut Html<'_>) {
        let hash = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
        html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
        html.raw("style-src 'sha256-").own(hash(STYLE));
        html.raw("'; script-src 'sha256-").own(hash(SCRIPT));
        html.raw("'; base-uri 'none'; form-action 'none'\">");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
        html.raw("<meta name=\"referrer\" content=\"no-referrer\">");
        html.raw("<meta name=\"robots\" content=\"noindex\"><title>Who sent what: ");
        html.told_plainly(&self.tenant())
            .raw(", ")
            .own(self.period());
        html.raw("</title><style>")
            .raw(STYLE)
            .raw("</style></head><body>");
    }

    fn tenant(&self) -> Told {
        let tenant = &self.fetched.tenant;
        Told::from(match tenant.display_name.as_str() {
            "" => &tenant.tenant_id,
            name => name,
        })
    }

    fn period(&self) -> String {
        let (axis, range) = (self.axis, self.axis.range);
        if axis.is_of_whole_days() {
            let (first, last) = (axis.first_day(range.start), axis.last_day(range.end));
            return match first == last {
                true => first,
                false => format!("{first} to {last}"),
            };
        }
        format!("{} to {}", axis.moment(range.start), axis.moment(range.end))
    }

    fn top(&self, html: &mut Html<'_>) {
        html.raw("<header><p class=\"tenant\">")
            .told(&self.tenant());
        html.raw("</p><h1>Who sent what from the shared mailboxes</h1><p class=\"period\">");
        html.own(self.period());
        if !self.mailbox.is_empty() {
            html.raw(", from ")
                .told(&Told::from(&self.mailbox))
                .raw(" only");
        }
        html.raw(" <span class=\"zone\">")
            .own(self.axis.zone.name());
        html.raw("</span></p><nav aria-label=\"Parts of the report\"><ul>");
        let parts: &[(&'static str, &'static str)] = &[
            ("#volume", "How much"),
            ("#agents", "Who"),
            ("#sure", "How sure"),
            ("#coverage", "What is here"),
            ("#findings", "What to repair"),
            ("#about", "About"),
        ];
        let is_empty = self.fetched.sums.total.messages == 0;
        let skipped = if is_empty { 3 } else { 0 };
        for (target, title) in &parts[skipped..] {
            html.raw("<li><a href=\"").raw(target).raw("\">").raw(title);
            html.raw("</a></li>");
        }
        html.raw("</ul></nav></header>");
    }

    fn answers(&self, html: &mut Html<'_>) {
        let (fetched, total) = (self.fetched, &self.fetched.sums.total);
        html.raw("<section id=\"answers\" aria-label=\"In short\"><p class=\"lead\">");
        html.own(headline(fetched)).raw("</p>");
        if let Some(text) = sureness(total) {
            html.raw("<p class=\"lead second\">").own(text).raw("</p>");
        }
        let complete = completeness(&fetched.coverage, self.axis);
        let class = match complete.class {
            "good" => "<div class=\"state good\">",
            _ => "<div class=\"state unsure\">",
        };
        html.raw(class)
            .raw("<p id=\"complete\"><strong>")
            .own(&complete.title);
        html.raw("</strong> ").own(&complete.text).raw("</p>");
        if let Some(text) = wrong(fetched) {
            html.raw("<p>").own(text);
            html.raw(" <a href=\"#findings\">What to repair</a></p>");
        }
        html.raw("</div>");
        if total.messages > 0 {
            let of = |part| percent(part, total.messages);
            let look = total.contradicted + total.conflict + total.unresolved;
            html.raw("<dl class=\"tiles\">");
            for (title, value) in [
                ("Messages", show::count(total.messages)),
                ("Agents", show::count(fetched.sums.agents.len() as u64)),
                ("Agent known surely", of(total.sure())),
                ("Both sides agree", of(total.both_sides)),
                ("Worth a look", show::count(look)),
            ] {
                html.raw("<div><dt>").raw(title).raw("</dt><dd>").own(value);
                html.raw("</dd></div>");
            }
            html.raw("</dl>");
        }
        html.raw("</section>");
    }

    fn about(&self, html: &mut Html<'_>) {
        html.raw(
            "<section id=\"about\" aria-labelledby=\"about-h\"><h2 id=\"about-h\">About this \
             report</h2><p>A message from a shared mailbox does not say who of the team wrote it. \
             The audit log of Microsoft 365 does, in up to two places: the log of the shared \
             mailbox and the log of the agent. What both say is put together here.</p>\
             <dl class=\"words\"><dt>Both sides agree</dt><dd>Both logs name the same person, and \
             nothing names another.</dd><dt>One side</dt><dd>One log names a person; the other \
             has no record of the message, or none yet.</dd><dt>Contradicted</dt><dd>A person is \
             named, and a weaker record names somebody else.</dd><dt>Conflict</dt><dd>The records \
             name two people. Nobody is guessed.</dd><dt>Unresolved</dt><dd>There is a record, and \
             nothing in it leads to a person.</dd><dt>Not a person</dt><dd>An application, the \
             service itself, or the shared account signed in as itself.</dd><dt>Erased</dt>\
             <dd>The person was erased on request; the message still counts.</dd></dl>\
             <p>No answer is final: records come hours or days late, and may confirm or change \
             it. A message that left no record cannot be counted; the part <a href=\"#coverage\">\
             What is here</a> tells where that may be so. Counts say how much was sent, not how \
             well anybody worked.</p>",
        );
        if self.names.are_pseudonyms() {
            html.raw(
                "<p id=\"pseudonyms\"><strong>People have pseudonyms in this report.</strong> \
                 The same one stands for the same person everywhere on this page, and on this \
                 page only. Mailboxes that the register calls shared keep their addresses; any \
                 other is <em>Mailbox 1</em> and so on. Put the real names into commands before \
                 you run them.</p>",
            );
        }
        html.raw("</section>");
    }
}

/// Who, with what the register calls him.
pub(super) fn who(html: &mut Html<'_>, names: &Names, address: &Told) {
    html.raw("<span class=\"who\">");
    match names.display(address) {
        Some(name) => html
            .told(name)
            .raw(" <small>")
            .told(address)
            .raw("</small>"),
        None => html.told(address),
    };
    html.raw("</span>");
}

/// A mailbox, or what stands where none is known.
pub(super) fn mailbox(html: &mut Html<'_>, names: &Names, address: &str) {
    if address.is_empty() {
        html.raw("<span class=\"who\">no mailbox told</span>");
    } else {
        who(html, names, &Told::from(address));
    }
}
