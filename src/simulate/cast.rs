//! Who plays in a tenant: its people, its shared mailboxes, and what becomes of them.

use super::{Moment, Plan, Random};
use uuid::Uuid;

/// An account with its mailbox: a person's, or the one behind a shared mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `UserId`, as Microsoft writes it.
    pub upn: String,
    /// The primary SMTP address of the mailbox.
    pub address: String,
    pub name: String,
    pub sid: String,
    pub puid: String,
    pub object_id: Uuid,
    /// `ExchangeGuid`.
    pub mailbox: Uuid,
}

/// What changes its name in the middle of the story.
#[derive(Clone, Debug)]
pub(super) struct Renamed {
    pub before: Account,
    pub after: Account,
    pub at: Moment,
}

impl Renamed {
    /// As it is called at this time.
    pub fn at(&self, at: Moment) -> &Account {
        if at < self.at {
            &self.before
        } else {
            &self.after
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub tenant: Uuid,
    pub organization: String,
    pub agents: Vec<Account>,
    pub administrator: Account,
    pub guest: Account,
    /// Records have his identifiers only, until the directory knows his name.
    pub newcomer: Account,
    pub known_from: Moment,
    pub renamed_agent: Renamed,
    pub shared: Vec<Account>,
    pub group: Account,
    /// It has a second address.
    pub aliased: Account,
    pub alias: String,
    pub renamed_mailbox: Renamed,
}

const DOMAINS: [&str; 8] = [
    "contoso",
    "fabrikam",
    "northwindtraders",
    "adatum",
    "litwareinc",
    "tailspintoys",
    "wingtiptoys",
    "proseware",
];
const SHARED: [&str; 8] = [
    "support", "sales", "billing", "returns", "info", "orders", "careers", "service",
];
const FIRST: [&str; 24] = [
    "Anna", "Ben", "Carla", "Dev", "Eva", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kofi",
    "Lena", "Mateo", "Nadia", "Omar", "Priya", "Quentin", "Rosa", "Sven", "Tara", "Umut", "Vera",
    "Wei", "Zoe",
];
const LAST: [&str; 19] = [
    "Keller",
    "Okafor",
    "Moreau",
    "Singh",
    "Novak",
    "Haddad",
    "Lindqvist",
    "Tanaka",
    "Silva",
    "Brandt",
    "Mensah",
    "Weber",
    "Garcia",
    "Petrova",
    "Farouk",
    "Rao",
    "Dubois",
    "Costa",
    "Olsen",
];

/// Makes accounts whose identifiers are those of one tenant.
struct Directory {
    random: Random,
    sid_prefix: String,
    next_sid: u64,
}

impl Directory {
    fn account(&mut self, name: &str, address: &str) -> Account {
        self.next_sid += 1 + self.random.below(9_000);
        Account {
            upn: address.to_owned(),
            address: address.to_lowercase(),
            name: name.to_owned(),
            sid: format!("{}-{}", self.sid_prefix, self.next_sid),
            puid: puid(&mut self.random),
            object_id: guid(&mut self.random),
            mailbox: guid(&mut self.random),
        }
    }
}

/// A PUID that nobody else has.
pub(super) fn puid(random: &mut Random) -> String {
    format!("10032{:011X}", random.below(1 << 44))
}

/// A random GUID, version 4.
pub(super) fn guid(random: &mut Random) -> Uuid {
    uuid::Builder::from_random_bytes(random.id().to_be_bytes()).into_uuid()
}

impl Cast {
    pub fn of(plan: &Plan, number: usize) -> Self {
        let seed = plan.seed.wrapping_mul(0x0100_0000_01b3) ^ (number as u64 + 1);
        let mut random = Random(seed);
        let label = match number / DOMAINS.len() {
            0 => DOMAINS[number].to_owned(),
            more => format!("{}{more}", DOMAINS[number % DOMAINS.len()]),
        };
        let domain = format!("{label}.com");
        let organization = format!("{label}.onmicrosoft.com");
        let mut sid = || random.between(1_000_000_000, 4_000_000_000);
        let sid_prefix = format!("S-1-5-21-{}-{}-{}", sid(), sid(), sid());
        let tenant = guid(&mut random);
        let mut directory = Directory {
            random,
            sid_prefix,
            next_sid: 1_000_000,
        };
        // some stories are of two people, some of a mailbox with a special account
        let agents = (0..plan.agents.max(2)).map(|n| person(&mut directory, n, &domain));
        let mut agents: Vec<Account> = agents.collect();
        // the name of the account is not always the address
        if let Some(second) = agents.get_mut(1) {
            second.upn = second.upn.replace(&domain, &organization);
        }
        let mut newest = |n: usize| person(&mut directory, plan.agents.max(2) + n, &domain);
        let (newcomer, before) = (newest(0), newest(1));
        let shared =
            (0..plan.shared.max(2)).map(|n| shared(&mut directory, n, &domain, &organization));
        let shared = shared.collect();
        let mut mailbox = |local: &str| {
            let address = format!("{local}@{domain}");
            directory.account(local, &address)
        };
        let (group, aliased, old) = (mailbox("crew"), mailbox("care"), mailbox("claims"));
        let span = plan.span_ms();
        Self {
            tenant,
            agents,
            administrator: mailbox("Admin.Adele"),
            guest: mailbox("guest"),
            newcomer,
            known_from: plan.start.plus_ms(span / 3 * 2),
            renamed_agent: Renamed {
                after: married(&before, &domain),
                before,
                at: plan.start.plus_ms(span / 2),
            },
            shared,
            group,
            aliased,
            alias: format!("customercare@{domain}"),
            renamed_mailbox: Renamed {
                after: moved(&old, &format!("warranty@{domain}")),
                before: old,
                at: plan.start.plus_ms(span / 5 * 2),
            },
            organization: organization.clone(),
        }
        .with_guest(&organization)
    }

    fn with_guest(mut self, organization: &str) -> Self {
        self.guest.upn = format!("pat.jones_partner.example#EXT#@{organization}");
        self.guest.address = "pat.jones@partner.example".into();
        self
    }

    /// What the onboarding service registers: every shared mailbox by its address of today.
    pub fn register(&self) -> Vec<String> {
        let odd = [&self.aliased, &self.renamed_mailbox.after];
        let all = self.shared.iter().chain(odd);
        all.map(|one| one.address.clone()).collect()
    }
}

fn person(directory: &mut Directory, n: usize, domain: &str) -> Account {
    let (first, last) = (FIRST[n % FIRST.len()], LAST[n % LAST.len()]);
    let round = n / (FIRST.len() * LAST.len());
    let number = if round == 0 {
        String::new()
    } else {
        round.to_string()
    };
    let name = format!("{first} {last}");
    directory.account(&name, &format!("{first}.{last}{number}@{domain}"))
}

fn shared(directory: &mut Directory, n: usize, domain: &str, organization: &str) -> Account {
    let local = match n / SHARED.len() {
        0 => SHARED[n].to_owned(),
        more => format!("{}{more}", SHARED[n % SHARED.len()]),
    };
    let mut account = directory.account(&local, &format!("{local}@{domain}"));
    // the first one's account is named by the tenant's first domain
    if n == 0 {
        account.upn = format!("{local}@{organization}");
    }
    account
}

fn married(person: &Account, domain: &str) -> Account {
    let first = person.name.split(' ').next().unwrap_or_default();
    Account {
        name: format!("{first} Newman"),
        ..moved(person, &format!("{first}.Newman@{domain}"))
    }
}

fn moved(account: &Account, address: &str) -> Account {
    Account {
        upn: address.to_owned(),
        address: address.to_lowercase(),
        ..account.clone()
    }
}
