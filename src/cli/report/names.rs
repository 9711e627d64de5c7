//! Who is called how on the page: by name, or by a pseudonym.

use crate::pb::{Mailbox, MailboxKind};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

/// What a record, the register or a caller says. It gets onto the page by
/// [`super::html::Html::told`] and by no other way: it cannot be displayed.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told(String);

impl<T: Into<String>> From<T> for Told {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Told {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A page of the web. Nothing that names somebody looks like it.
    pub fn as_link(&self) -> Option<&str> {
        let text = self.0.as_str();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:#".contains(c);
        (text.starts_with("https://") && text.chars().all(is_plain)).then_some(text)
    }
}

/// How what is told is shown.
#[derive(Default)]
pub(super) struct Names {
    /// Display names of the register, by address.
    display: HashMap<String, Told>,
    /// `None`: everybody by name.
    masks: Option<Masks>,
}

/// Pseudonyms, the same for the same person everywhere on one page.
#[derive(Default)]
struct Masks {
    /// By any name of somebody, folded.
    whole: HashMap<String, String>,
    /// All of these. What is one already stays, whoever else is called that.
    given: HashSet<String>,
    /// The same to be found inside texts, the longest first.
    inside: Vec<(Vec<char>, String)>,
    /// Addresses of shared mailboxes, folded, which stay.
    kept: BTreeSet<String>,
}

/// Who is to have a pseudonym.
pub(super) struct People<'a> {
    /// In the order of their numbers.
    pub agents: Vec<&'a str>,
    /// Of these the ones that the register does not call shared, in this order too.
    pub mailboxes: Vec<&'a str>,
    /// Whoever else is named, in this order too.
    pub others: Vec<&'a str>,
    /// The tenant's id, which stays.
    pub tenant: &'a str,
}

/// Shorter names are found in words that they are no part of.
const SHORTEST: usize = 3;
const SOMEBODY: &str = "(somebody)";
const AN_ID: &str = "(an id)";

impl Names {
    pub fn plain(register: &[Mailbox]) -> Self {
        let named = register.iter().filter(|one| !one.display_name.is_empty());
        let display = named.map(|one| (one.address.clone(), Told::from(&one.display_name)));
        Self {
            display: display.collect(),
            masks: None,
        }
    }

    /// Agents, and all that is not known to be a shared mailbox, by pseudonyms.
    pub fn with_pseudonyms(register: &[Mailbox], people: &People<'_>) -> Self {
        let mut masks = Masks::default();
        masks.kept.insert(fold(people.tenant));
        let agents: BTreeSet<String> = people.agents.iter().map(|one| fold(one)).collect();
        for one in register.iter().filter(|one| is_shared(one)) {
            let all = [&one.address].into_iter().chain(&one.aliases);
            let all = all.map(|address| fold(address));
            masks.kept.extend(all.filter(|one| !agents.contains(one)));
        }
        for (at, agent) in people.agents.iter().enumerate() {
            masks.call(agent, format!("Agent {}", at + 1));
        }
        let mut number = 0;
        for mailbox in &people.mailboxes {
            if masks.is_new(mailbox) {
                number += 1;
                masks.call(mailbox, format!("Mailbox {number}"));
            }
        }
        let known = |other: &str| {
            let known = register.iter().find(|one| one.address == other);
            known.filter(|one| !is_shared(one))
        };
        // those whose other names the register tells come first: these are nobody else then
        let others = people.others.iter().map(|other| (*other, known(other)));
        let (registered, strangers): (Vec<_>, Vec<_>) = others.partition(|one| one.1.is_some());
        let mut number = 0;
        for (other, known) in registered.into_iter().chain(strangers) {
            if masks.is_new(other) {
                // one person may be named in several ways before the register says that it is one
                let aliases = known.map_or(&[][..], |one| &one.aliases);
                let pseudonym = aliases.iter().find_map(|one| masks.called(one));
                let pseudonym = pseudonym.unwrap_or_else(|| {
                    number += 1;
                    format!("Person {number}")
                });
                masks.call(other, pseudonym);
            }
            if let Some(known) = known {
                masks.call_also(known);
            }
        }
        masks.inside = masks.needles();
        let shared = register.iter().filter(|one| is_shared(one));
        let shared: Vec<Mailbox> = shared.cloned().collect();
        Self {
            masks: Some(masks),
            ..Self::plain(&shared)
        }
    }

    pub fn are_pseudonyms(&self) -> bool {
        self.masks.is_some()
    }

    /// The name beside an address, where there is one that says more.
    pub fn display(&self, address: &Told) -> Option<&Told> {
        self.display.get(&address.0)
    }

    pub fn shown<'a>(&self, text: &'a Told) -> Cow<'a, str> {
        match &self.masks {
            None => Cow::Borrowed(&text.0),
            Some(masks) => Cow::Owned(masks.mask(&text.0)),
        }
    }
}

/// Not one person's own.
fn is_shared(one: &Mailbox) -> bool {
    matches!(
        one.kind(),
        MailboxKind::Shared | MailboxKind::Group | MailboxKind::Resource
    )
}

impl Masks {
    fn is_new(&self, name: &str) -> bool {
        let name = fold(name);
        !name.is_empty() && !self.kept.contains(&name) && !self.whole.contains_key(&name)
    }

    fn called(&self, name: &str) -> Option<String> {
        self.whole.get(&fold(name)).cloned()
    }

    fn call(&mut self, name: &str, pseudonym: String) {
        self.given.insert(pseudonym.clone());
        self.whole.entry(fold(name)).or_insert(pseudonym);
    }

    /// All that the register knows somebody by.
    fn call_also(&mut self, person: &Mailbox) {
        let Some(pseudonym) = self.called(&person.address) else {
            return;
        };
        let more = [
            &person.display_name,
            &person.object_id,
            &person.mailbox_guid,
        ];
        for name in person.aliases.iter().chain(more) {
            if name.chars().count() >= SHORTEST && !self.kept.contains(&fold(name)) {
                self.call(name, pseudonym.clone());
            }
        }
    }

    fn needles(&self) -> Vec<(Vec<char>, String)> {
        let mut needles: BTreeMap<String, &String> = BTreeMap::new();
        for (name, pseudonym) in &self.whole {
            needles.insert(name.clone(), pseudonym);
            // as PowerShell has it between quotes
            needles.insert(name.replace('\'', "''"), pseudonym);
        }
        let mut needles: Vec<(Vec<char>, String)> = needles
            .into_iter()
            .map(|(name, pseudonym)| (name.chars().collect(), pseudonym.clone()))
            .collect();
        needles.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        needles
    }

    fn mask(&self, text: &str) -> String {
        if self.given.contains(text) {
            return text.to_owned();
        }
        let whole = fold(text);
        if let Some(pseudonym) = self.whole.get(&whole) {
            return pseudonym.clone();
        }
        if self.kept.contains(&whole) {
            return text.to_owned();
        }
        let (chars, folded): (Vec<char>, Vec<char>) =
            (text.chars().collect(), whole.chars().collect());
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while at < chars.len() {
            let begins = at == 0 || !is_of_word(chars[at - 1]);
            let known = self.inside.iter().find(|(name, _)| {
                let ends = at + name.len();
                let is_here = folded[at..].starts_with(name);
                is_here && (begins || !is_of_word(name[0])) && is_end(&chars, ends)
            });
            if let Some((name, pseudonym)) = known {
                out.push_str(pseudonym);
                at += name.len();
                continue;
            }
            let unknown = begins.then(|| stranger(&folded[at..])).flatten();
            match unknown {
                Some((length, stand_in)) => {
                    let word: String = folded[at..at + length].iter().collect();
                    if self.kept.contains(&word) {
                        out.extend(&chars[at..at + length]);
                    } else {
                        out.push_str(stand_in);
                    }
                    at += length;
                }
                None => {
                    out.push(chars[at]);
                    at += 1;
                }
            }
        }
        out
    }
}

/// One spelling of what is compared: in lower case, as many characters as before.
fn fold(text: &str) -> String {
    let one = |c: char| match c.to_lowercase().next() {
        Some('ς') => 'σ', // a capital one does not tell whether the word ends
        lower => lower.unwrap_or(c),
    };
    text.chars().map(one).collect()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "._-+@".contains(c)
}

/// A name ends here, or the sentence that it stands in.
fn is_end(chars: &[char], at: usize) -> bool {
    let follows = |at: usize| chars.get(at).is_some_and(|c| is_of_word(*c));
    !follows(at) || (chars[at] == '.' && !follows(at + 1))
}

/// Whether a name begins here that nobody has told of: its length, and what stands for it.
fn stranger(text: &[char]) -> Option<(usize, &'static str)> {
    let word = text.iter().take_while(|c| is_of_address(**c)).count();
    // a quote is of the name where letters are around it
    let mut end = word;
    while text.get(end) == Some(&'\'') {
        let quotes = text[end..].iter().take_while(|c| **c == '\'').count();
        let more = text[end + quotes..].iter();
        let more = more.take_while(|c| is_of_address(**c)).count();
        if end == 0 || more == 0 {
            break;
        }
        end += quotes + more;
    }
    let of_address = &text[..end];
    if let Some(at) = of_address.iter().position(|c| *c == '@') {
        let is_address = at > 0 && of_address.get(at + 1).is_some_and(|c| c.is_alphanumeric());
        let dots = of_address.iter().rev().take_while(|c| **c == '.').count();
        return is_address.then_some((end - dots, SOMEBODY));
    }
    let starts = |head: &str| text.iter().copied().take(head.len()).eq(head.chars());
    if starts("s-1-5-21-") {
        return Some((word, AN_ID));
    }
    if starts("cn=") || starts("/o=") {
        let end = text.iter().take_while(|c| !"'\";".contains(**c)).count();
        return Some((end, SOMEBODY));
    }
    let word = &text[..word];
    let is_hex = word.iter().all(|c| c.is_ascii_hexdigit() || *c == '-');
    let dashes = word.iter().filter(|c| **c == '-').count();
    let is_id = is_hex && matches!((word.len(), dashes), (36, 4) | (16 | 32, 0));
    is_id.then_some((word.len(), AN_ID))
}

fn is_of_address(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"'\"<>()[]{},;:|`=".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(address: &str, kind: MailboxKind, name: &str) -> Mailbox {
        Mailbox {
            address: address.into(),
            kind: kind.into(),
            display_name: name.into(),
            ..Default::default()
        }
    }

    fn names() -> Names {
        let mut anna = mailbox("anna@contoso.com", MailboxKind::User, "Anna Keller");
        anna.aliases = vec!["ak@contoso.com".into()];
        anna.object_id = "0e1a2b3c-1634-4b76-9753-08d5649b7d68".into();
        let register = [
            mailbox("support@contoso.com", MailboxKind::Shared, "Support"),
            anna,
            mailbox("idle@contoso.com", MailboxKind::User, "Idle Ida"),
        ];
        let people = People {
            agents: vec!["o'brien@contoso.com", "anna@contoso.com"],
            mailboxes: vec!["support@contoso.com", "boss@contoso.com"],
            others: vec![
                "anna keller",
                "idle@contoso.com",
                "anna@contoso.com",
                "Crew Crewson",
                "root@contoso.com",
            ],
            tenant: "c0117050-0000-4000-8000-000000000001",
        };
        Names::with_pseudonyms(&register, &people)
    }

    #[test]
    fn a_person_has_one_pseudonym_by_whatever_name() {
        let names = names();
        for (text, expected) in [
            ("anna@contoso.com", "Agent 2"),
            ("ANNA@Contoso.com", "Agent 2"),
            ("ak@contoso.com", "Agent 2"),
            ("anna keller", "Agent 2"),
            ("o'brien@contoso.com", "Agent 1"),
            ("support@contoso.com", "support@contoso.com"),
            ("boss@contoso.com", "Mailbox 1"),
            ("idle@contoso.com", "Person 1"),
            ("Crew Crewson", "Person 2"),
            ("root@contoso.com", "Person 3"),
            (
                "C0117050-0000-4000-8000-000000000001",
                "C0117050-0000-4000-8000-000000000001",
            ),
        ] {
            assert_eq!(names.shown(&Told::from(text)), expected, "{text}");
        }
        assert!(names.display(&Told::from("anna@contoso.com")).is_none());
        assert!(names.display(&Told::from("support@contoso.com")).is_some());
    }

    #[test]
    fn who_is_called_like_a_pseudonym_is_still_somebody_else() {
        let register = [
            mailbox("anna@contoso.com", MailboxKind::User, "Agent 2"),
            mailbox("ben@contoso.com", MailboxKind::User, "agent 1"),
        ];
        let people = People {
            agents: vec!["anna@contoso.com", "ben@contoso.com"],
            mailboxes: Vec::new(),
            others: vec!["anna@contoso.com", "ben@contoso.com"],
            tenant: "c0117050-0000-4000-8000-000000000001",
        };
        let names = Names::with_pseudonyms(&register, &people);
        for (address, expected) in [
            ("anna@contoso.com", "Agent 1"),
            ("ben@contoso.com", "Agent 2"),
        ] {
            let once = names.shown(&Told::from(address)).into_owned();
            assert_eq!(once, expected);
            assert_eq!(names.shown(&Told::from(once)), expected, "masked again");
        }
    }

    #[test]
    fn letters_are_one_in_any_case() {
        let register = [
            mailbox("ivan@contoso.com", MailboxKind::User, "İvan Kaya"),
            mailbox("maria@contoso.com", MailboxKind::User, "ΜΑΡΙΑ ΠΑΠΠΑΣ"),
        ];
        let people = People {
            agents: vec!["ivan@contoso.com", "maria@contoso.com"],
            mailboxes: Vec::new(),
            others: vec!["ivan@contoso.com", "maria@contoso.com"],
            tenant: "c0117050-0000-4000-8000-000000000001",
        };
        let names = Names::with_pseudonyms(&register, &people);
        for (text, expected) in [
            ("İvan Kaya", "Agent 1"),
            ("it is İVAN KAYA.", "it is Agent 1."),
            ("it is ivan kaya.", "it is Agent 1."),
            ("it is Μαρια Παππας.", "it is Agent 2."),
            ("it is ΜΑΡΙΑ ΠΑΠΠΑΣ.", "it is Agent 2."),
        ] {
            assert_eq!(names.shown(&Told::from(text)), expected, "{text}");
        }
    }

    #[test]
    fn nobody_is_left_inside_a_text() {
        let names = names();
        for (text, expected) in [
            (
                "Set-Mailbox -Identity 'o''brien@contoso.com' -AuditOwner @{Add=\"Send\"}",
                "Set-Mailbox -Identity 'Agent 1' -AuditOwner @{Add=\"Send\"}",
            ),
            (
                "Set-Mailbox -Identity 'o''malley@contoso.com' -AuditEnabled $true",
                "Set-Mailbox -Identity '(somebody)' -AuditEnabled $true",
            ),
            (
                "GrantSendOnBehalfTo is Anna Keller, zoë@contoso.com.",
                "GrantSendOnBehalfTo is Agent 2, (somebody).",
            ),
            (
                "by S-1-5-21-1-2-3 for 0E1A2B3C-1634-4B76-9753-08D5649B7D68 in support@contoso.com",
                "by (an id) for Agent 2 in support@contoso.com",
            ),
            (
                "Trustee CN=Anna K,OU=x; record a0d17000-0000-4000-8000-000000000001",
                "Trustee (somebody); record (an id)",
            ),
            (
                "pat_partner.example#EXT#@contoso.onmicrosoft.com",
                "(somebody)",
            ),
            (
                "Savannah 2026-03-01T09:00:00Z",
                "Savannah 2026-03-01T09:00:00Z",
            ),
        ] {
            assert_eq!(names.shown(&Told::from(text)), expected, "{text}");
        }
    }
}
