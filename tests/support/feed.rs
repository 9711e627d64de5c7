//! A feed with everything in it: both sides, one side, conflicts, odd senders, repeats,
//! noise, broken and foreign records. Made from a seed.

use super::OTHER_TENANT;
use super::records::{Record, SUPPORT};
pub use sentby::simulate::Random;

const AGENTS: [&str; 6] = [
    "anna@contoso.com",
    "bob@contoso.com",
    "carla@contoso.com",
    "dev@contoso.com",
    "eva.long-name@contoso.com",
    "guest_partner.com#EXT#@contoso.onmicrosoft.com",
];

/// The records of so many messages, in the order of the stories, each as JSON.
pub fn records(seed: u64, messages: usize) -> Vec<String> {
    let mut random = Random(seed);
    (0..messages).flat_map(|n| story(&mut random, n)).collect()
}

fn story(random: &mut Random, n: usize) -> Vec<String> {
    let minute = n % 60;
    let hour = n / 60 % 24;
    let time = format!("2026-03-{:02}T{hour:02}:{minute:02}:07", 1 + n / 1440 % 28);
    let later = format!("2026-03-{:02}T{hour:02}:{minute:02}:09", 1 + n / 1440 % 28);
    let message_id = format!(
        "<MSG{n:06}{:04X}@AM0PR04.prod.outlook.com>",
        random.below(0xffff)
    );
    let (agent, other) = (*random.pick(&AGENTS[..3]), *random.pick(&AGENTS[3..]));
    let mut id = || random.id();
    let a = Record::mailbox_side(id(), agent, &message_id, &time);
    let b = Record::agent_side(id(), &agent.to_uppercase(), &message_id, &later);
    let c = Record::plain(id(), agent, &message_id, &later);
    let records: Vec<Record> = match n % 20 {
        0..=6 => vec![a, b],
        7 | 8 => vec![a],
        9 => vec![b],
        10 => vec![a, c],
        11 => vec![c],
        12 => vec![a, Record::agent_side(id(), other, &message_id, &later)],
        13 => vec![a, Record::plain(id(), other, &message_id, &later)],
        14 => vec![
            Record::plain(id(), SUPPORT, &message_id, &time).set("UserType", 5),
            a,
        ],
        15 => vec![
            Record::mailbox_side(id(), "S-1-5-18", &message_id, &time).set("UserType", 2),
            Record::mailbox_side(id(), "NT AUTHORITY\\SYSTEM (w3wp)", &message_id, &later),
        ],
        16 => vec![
            a.set("Item", serde_json::json!({"Id": "Unknown"})),
            b.set("ResultStatus", "Failed"),
        ],
        17 => vec![
            a.set("Operation", "SendOnBehalf")
                .set("SendOnBehalfOfUserSmtp", SUPPORT),
            b.set("Operation", "SendOnBehalf")
                .set("SendOnBehalfOfUserSmtp", SUPPORT),
        ],
        18 => {
            // one actor by his SID alone on one side, one record id with two contents
            let by_sid = a.clone().set("UserId", super::records::sid(agent));
            vec![by_sid, b.clone(), b.set("UserId", other)]
        }
        _ => {
            // more than is kept of one message
            let many = |k: u128| {
                Record::mailbox_side(u128::from(n as u64) << 32 | k, agent, &message_id, &time)
            };
            (0..12).map(many).collect()
        }
    };
    let mut feed: Vec<String> = records.iter().map(Record::json).collect();
    let noise: [&str; 4] = [
        "MailItemsAccessed",
        "Create",
        "UserLoggedIn",
        "FileAccessed",
    ];
    feed.push(Record::noise(noise[random.below(4) as usize], random.id(), &time).json());
    match n % 50 {
        7 => feed.push(r#"{"Id":"1","Operation":"SendAs""#.into()),
        17 => feed.push(
            Record::noise("SendAs", random.id(), &time)
                .set("OrganizationId", OTHER_TENANT.to_string())
                .json(),
        ),
        27 => feed.push(
            Record::admin(
                "Set-Mailbox",
                random.id(),
                &[("Identity", SUPPORT), ("AuditDelegate", "Update")],
            )
            .json(),
        ),
        37 => feed.push(Record::noise("SendAs", 0, "not a time").json()),
        _ => {}
    }
    feed
}

/// Cuts records into batches of random sizes, as JSON lines (a broken one stays alone).
pub fn batches(random: &mut Random, records: &[String], most: u64) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let size = (1 + random.below(most) as usize).min(rest.len());
        let (batch, after) = rest.split_at(size);
        batches.push(batch.join("\n").into_bytes());
        rest = after;
    }
    batches
}
