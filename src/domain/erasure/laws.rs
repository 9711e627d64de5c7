//! Erasing and adding evidence can change places.

use super::{
    tests::{erased, sent_by, taught},
    *,
};
use crate::domain::{Evidence, attribute};
use proptest::prelude::*;

const PEOPLE: [&str; 4] = [
    "anna@contoso.com",
    "bob@contoso.com",
    "dev.x@contoso.com",
    "eva@c.de",
];

prop_compose! {
    /// Of people who share nothing, under their name or by an identifier alone.
    fn any_event()(record in 0..240_usize) -> SendEvent {
        // one content of each record: of two, what is beyond the bounds may differ
        let (by_sid, plain, shape) = (record % 2 == 0, record / 2 % 3 == 0, record / 8 % 3);
        let (person, record) = (PEOPLE[record / 60], record as u128);
        let mut event = sent_by(record, person, person);
        if by_sid {
            event.user_id = event.logon_user_sid.clone().unwrap_or_default();
        }
        if plain {
            event.operation = crate::domain::Operation::Send;
            event.sent_as = None;
        }
        match shape {
            0 => event.owner_is_actor = None,
            1 => event.mailbox_guid = Some(Uuid::from_u128(person.len() as u128)),
            _ => {}
        }
        event
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn erasing_first_or_last_is_the_same(
        events in prop::collection::vec(any_event(), 1..80),
        turn in any::<prop::sample::Index>(),
    ) {
        let directory = taught(&events, vec![]);
        let (mut tombstones, _) = erased(PEOPLE[0], &directory);
        for _ in 0..3 {
            for event in &events {
                tombstones.learn(event, &directory);
            }
        }
        let gone = |event: &SendEvent| tombstones.erase(event).unwrap_or_else(|| event.clone());
        let mut first = Evidence::default();
        first.add(events.iter().map(&gone));
        let mut last = Evidence::default();
        last.add(events.iter().cloned());
        let last = last.erased(&tombstones).map_or(last, |(erased, _)| erased);
        prop_assert_eq!(&first, &last);
        let (front, back) = events.split_at(turn.index(events.len()));
        let mut between = Evidence::default();
        between.add(front.iter().cloned());
        let mut between = between.erased(&tombstones).map_or(between, |(erased, _)| erased);
        between.add(back.iter().map(&gone));
        prop_assert_eq!(&first, &between);

        // nothing of her is left, and nothing is blamed on anybody who was not named before
        for event in first.events() {
            prop_assert_eq!(tombstones.erase(event), None);
            let text = format!("{event:?}");
            prop_assert!(!text.contains("anna"));
        }
        let mut all = Evidence::default();
        all.add(events.iter().cloned());
        let (before, after) = (attribute(&all, &directory), attribute(&first, &directory));
        if let Some(agent) = after.agent {
            prop_assert_eq!(before.agent, Some(agent));
        }
    }

    /// Whatever a text is, looking for names in it ends and does not break.
    #[test]
    fn any_text_is_survived(text in ".{0,200}", bytes: Vec<u8>) {
        let (tombstones, _) = erased(PEOPLE[0], &Directory::default());
        let _ = tombstones.named_in(&text);
        let _ = tombstones.without_names(&text);
        let _ = tombstones.may_be_named_in(&bytes);
    }
}
