//! The rule: a pure function of sets. Order, repeats and the split into parts do not matter.

use super::story::Bytes;
use sentby::{
    domain::{
        Attribution, Directory, Evidence, Gathering, Lesson, MessageId, MessageKey, Revision,
        SendEvent, Verdict, attribute,
    },
    store::evidence::encode,
};
use uuid::Uuid;

pub fn holds(data: &[u8]) {
    let mut bytes = Bytes(data);
    let cut = usize::from(bytes.byte());
    let events = bytes.events();
    let whole = evidence(events.iter());
    let cut = cut % (events.len() + 1);
    let (front, back) = events.split_at(cut);
    let mut parts = evidence(back.iter());
    parts.add(front.iter().rev().cloned());
    parts.add(events.iter().step_by(2).cloned());
    assert_eq!(parts, whole, "order and repeats");
    assert_eq!(encode(&parts), encode(&whole));
    // each event by itself, from the last to the first
    let mut single = Evidence::default();
    for event in events.iter().rev() {
        single.add([event.clone()]);
    }
    assert_eq!(single, whole, "one at a time");

    let lessons = lessons(&events);
    let directory = Directory::new(Vec::new(), lessons.iter().cloned());
    let learned = Directory::default();
    let (some, rest) = lessons.split_at(cut.min(lessons.len()));
    let learned = learned.learn(rest).directory.learn(some).directory;
    let answer = attribute(&whole, &directory);
    assert_eq!(
        attribute(&parts, &learned),
        answer,
        "what was learned, in any order"
    );
    is_consistent(&answer, whole.is_empty());
    gathered(&events, cut, &directory, &answer);
}

fn evidence<'a>(events: impl Iterator<Item = &'a SendEvent>) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.add(events.cloned());
    evidence
}

fn lessons(events: &[SendEvent]) -> Vec<Lesson> {
    let mut lessons = Vec::new();
    for event in events {
        Directory::default().untaught(event, &mut lessons);
    }
    lessons
}

/// The way of a batch: to the same answer.
fn gathered(events: &[SendEvent], cut: usize, directory: &Directory, answer: &Attribution) {
    if events.is_empty() {
        return;
    }
    let id = MessageId::parse("a@x").expect("an id");
    let key = MessageKey(Uuid::from_u128(7));
    let mut gathering = Gathering::new(key, Some(id));
    let (front, back) = events.split_at(cut);
    gathering.add(back.iter().cloned());
    gathering.add(front.iter().cloned());
    let judged = gathering.judge(directory, Revision(1));
    assert_eq!(&judged.message.attribution, answer);
}

fn is_consistent(answer: &Attribution, is_empty: bool) {
    match answer.verdict {
        Verdict::Attributed => {
            assert!(answer.agent.as_ref().is_some_and(|agent| !agent.is_empty()));
            assert!(answer.basis.is_some() && answer.candidates.is_empty());
        }
        Verdict::Conflict => {
            assert!(answer.agent.is_none() && !answer.confirmed, "no guess");
            assert!(answer.candidates.len() > 1);
        }
        Verdict::Pending => assert!(answer.agent.is_none() && answer.basis.is_none()),
        Verdict::NotAPerson | Verdict::Unresolved | Verdict::Erased => {}
    }
    if is_empty {
        assert_eq!(answer.verdict, Verdict::Pending);
    }
}
