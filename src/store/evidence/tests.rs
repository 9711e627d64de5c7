use super::{compact::MARK, protobuf::tests::encode as encode_older, *};
use crate::domain::attribute::tests::{at, event};
use proptest::{collection::btree_set, option, prelude::*};

/// What the same person's record of the other log adds.
fn both_sides() -> [SendEvent; 2] {
    let mailbox_side = SendEvent {
        side: Side::Mailbox,
        user_key: Some("100322b0050c9927".into()),
        logon_user_sid: Some("s-1-5-21-2374950695-2245541639-2848557692-1023190".into()),
        object_id: Some(Uuid::max()),
        owner: Some("support@contoso.com".into()),
        mailbox_guid: Some(Uuid::from_u128(7)),
        sent_as: Some("support@contoso.com".into()),
        sent_as_guid: Some(Uuid::from_u128(7)),
        ..event(1)
    };
    let agent_side = SendEvent {
        time: at(3),
        record_id: Uuid::from_u128(2),
        side: Side::Agent,
        owner: Some(mailbox_side.user_id.clone()),
        mailbox_guid: Some(Uuid::from_u128(8)),
        ..mailbox_side.clone()
    };
    [mailbox_side, agent_side]
}

#[test]
fn a_second_side_costs_little() {
    let [first, second] = both_sides();
    let one = encode(&Evidence::restore([first.clone()], false)).len();
    let two = encode(&Evidence::restore([first, second], false)).len();
    assert!(one < 140, "{one}");
    assert!(two - one < 50, "{two}"); // 18 of it are a GUID that is new
}

/// Stored rows depend on it: these bytes must never mean anything else.
#[test]
fn the_format_stays() {
    let [event, _] = both_sides();
    let evidence = Evidence::restore([event], true);
    let hex: String = encode(&evidence)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        hex,
        "000201a080a09a0d6001000000000000000000000000000000010140616e6e6140636f6e746f736f2e636f6d\
         0122100322b0050c992701510515a7bebbec0887fee0ae08fc94a6ce0ad6b93e0143ffffffffffffffffffff\
         ffffffffffff014c737570706f727440636f6e746f736f2e636f6d0143000000000000000000000000000000\
         070607"
    );
    assert_eq!(decode(&encode(&evidence)).expect("evidence"), evidence);
}

/// Equal to what the same record gives today, so that it is no second evidence.
#[test]
fn what_an_older_program_wrote_is_read() {
    let send = |owner_is_actor, admin| SendEvent {
        operation: Operation::Send,
        owner_is_actor,
        admin,
        ..event(1)
    };
    for (event, doubtful) in [
        (send(Some(false), false), true),
        (send(Some(false), true), false),
        (send(Some(true), false), false),
        (send(None, false), false),
        (event(2), false),
    ] {
        let now = Evidence::restore([event.clone()], false);
        assert_eq!(decode(&encode_older(&now, 1)).expect("evidence"), now);
        let evidence = decode(&encode_older(&now, 0)).expect("evidence");
        let read = evidence.events().next().expect("an event");
        assert_eq!(read.sid_is_doubtful, doubtful, "{event:?}");
    }
    let both = Evidence::restore(both_sides(), true);
    assert_eq!(decode(&encode_older(&both, 1)).expect("evidence"), both);
}

/// A record that came with a fraction of a second stays one event.
#[test]
fn fractions_that_an_older_program_kept_are_cut() {
    let with = |micros| {
        both_sides().map(|event| SendEvent {
            time: event.time.plus(micros),
            ..event
        })
    };
    let kept = Evidence::restore(with(999_999), false);
    let mut whole = Evidence::restore(with(0), false);
    for bytes in [encode(&kept), encode_older(&kept, 1)] {
        let read = decode(&bytes).expect("evidence");
        assert_eq!(read, whole);
        assert_eq!(whole.add(read.events().cloned()).new, 0);
    }
}

/// It must not take evidence of this version for none.
#[test]
fn an_older_program_refuses_what_this_one_writes() {
    let bytes = encode(&Evidence::restore(both_sides(), false));
    protobuf::decode(&bytes).expect_err("refused");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,3}@x|",
        "[0-9a-f]{0,20}",
        "[0-9a-fA-F]{16}",
        "s-1(-[0-9]{1,3}){0,5}",
        "s-1-5-(0|00|01|\\+1|18446744073709551615|18446744073709551616|-|4294967296)(-5)?",
        ".{0,40}",
    ]
}

prop_compose! {
    fn any_event()(
        (time, record, bits) in (0..4_000_000_000_i64, 0..3_u128, 0..1024_u32),
        micros in prop_oneof![Just(0_i64), 0..1_000_000_i64],
        user_id in text(),
        texts in [option::of(text()), option::of(text()), option::of(text()), option::of(text())],
        guids in [option::of(0..4_u128), option::of(0..4_u128), option::of(0..4_u128)],
    ) -> SendEvent {
        let [user_key, logon_user_sid, owner, sent_as] = texts;
        let [object_id, mailbox_guid, sent_as_guid] = guids.map(|guid| guid.map(Uuid::from_u128));
        let flags = ((bits & 0xff) % 3) | (bits & 0xfc); // operations 0 to 2
        let flags = if flags & flags::BOTH_SIDS == 0 { flags & !flags::OWNER_IS_ACTOR } else { flags };
        SendEvent {
            time: Timestamp::from_micros(time * 1_000_000 + micros),
            record_id: Uuid::from_u128(record),
            user_id, user_key, logon_user_sid, owner, sent_as,
            object_id, mailbox_guid, sent_as_guid,
            ..facts(flags, Some(bits >> 8).filter(|n| *n > 0)).expect("known")
        }
    }
}

proptest! {
    #[test]
    fn any_evidence_comes_back(events in btree_set(any_event(), 0..40), truncated: bool) {
        let evidence = Evidence::restore(events.clone(), truncated);
        let whole = |event: SendEvent| SendEvent { time: event.time.whole_seconds(), ..event };
        let read = Evidence::restore(events.into_iter().map(whole), truncated);
        prop_assert_eq!(decode(&encode(&evidence)).expect("evidence"), read);
    }

    /// Bytes that went wrong are an error, never a panic.
    #[test]
    fn any_bytes_are_survived(
        mut bytes: Vec<u8>,
        events in btree_set(any_event(), 0..3),
        at: prop::sample::Index,
        byte: u8,
    ) {
        bytes.splice(0..0, MARK);
        let _ = decode(&bytes);
        let mut bytes = encode(&Evidence::restore(events, false));
        for end in 0..bytes.len() {
            let _ = decode(&bytes[..end]);
        }
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes);
    }
}
