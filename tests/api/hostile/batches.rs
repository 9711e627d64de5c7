//! Batches of hostile records in every envelope, with good ones among them.

use super::spoil::Spoiler;
use crate::support::records::Record;
use sentby::{
    domain::TenantId,
    simulate::{Delivered, Envelope, Kind, Plan, Random},
};

/// A record that must be found again.
#[derive(Clone, Debug)]
pub struct Good {
    pub message_id: String,
    pub agent: String,
}

pub struct Batch {
    pub content: Vec<u8>,
    /// As they were put in, good ones too.
    pub records: u64,
    /// Without the good ones.
    pub spoilt: u64,
    pub good: Vec<Good>,
    /// Every record was put in whole, so that as many must be received.
    pub is_whole: bool,
    pub envelope: Envelope,
}

/// Records of one tenant's simulated log to spoil.
pub struct Maker {
    pub tenant: TenantId,
    pool: Vec<Delivered>,
    worker: u64,
    made: u64,
}

impl Maker {
    pub fn new(seed: u64, tenants: usize, which: usize, worker: u64) -> Self {
        let plan = Plan {
            seed,
            tenants,
            messages: 600 * tenants as u64,
            noise: 1.0,
            ..Plan::default()
        };
        let feed = plan.feeds().nth(which).expect("a tenant");
        let tenant = TenantId(feed.tenant());
        let whole = feed.filter(|record| record.kind != Kind::Foreign);
        let pool = whole
            .map(|mut record| {
                record.cut = None;
                record
            })
            .collect();
        Self {
            tenant,
            pool,
            worker,
            made: 0,
        }
    }

    fn good(&mut self) -> (Good, Delivered) {
        self.made += 1;
        let (worker, made) = (self.worker, self.made);
        let good = Good {
            message_id: format!("good-{worker}-{made}@hostile.example"),
            agent: format!("good{}@contoso.com", made % 200),
        };
        let id = 0xd00d_u128 << 96 | u128::from(worker) << 64 | u128::from(made);
        let record = Record::mailbox_side(id, &good.agent, &good.message_id, "2026-03-03T09:00:00");
        let record = record.set("OrganizationId", self.tenant.to_string());
        let json = record.json();
        (good, saying(&self.pool[0], json))
    }

    /// Spoilt ones between two good ones. Where only fields are spoilt both must be found, and where the
    /// bytes are the first; in lines also the last, for a line ends whatever is in it.
    pub fn batch(&mut self, spoiler: &mut Spoiler) -> Batch {
        let envelope = *spoiler.random.pick(Envelope::ALL);
        let of_bytes = spoiler.random.chance(40);
        let ((first, before), (last, after)) = (self.good(), self.good());
        let form = Form::of(envelope, &before);
        let mut rows = vec![form.row(&before)];
        for _ in 0..1 + spoiler.random.below(60) {
            let whole = spoiler.random.pick(&self.pool).clone();
            rows.push(if of_bytes {
                let row = spoiler.bytes(form.row(&whole));
                row.into_iter()
                    .filter(|byte| !form.is_in_lines || !b"\r\n".contains(byte))
                    .collect()
            } else {
                let json = spoiler.record(&whole.json);
                form.row(&saying(&whole, json))
            });
        }
        rows.push(form.row(&after));
        let is_last_kept = !of_bytes || form.is_in_lines;
        Batch {
            records: rows.len() as u64,
            spoilt: rows.len() as u64 - 2,
            content: form.joined(&rows),
            good: if is_last_kept {
                vec![first, last]
            } else {
                vec![first]
            },
            is_whole: !of_bytes,
            envelope,
        }
    }
}

/// As it arrived, with other words.
fn saying(record: &Delivered, json: String) -> Delivered {
    let mut record = record.clone();
    record.json = json;
    record
}

/// What stands around and between the elements of a file.
struct Form {
    envelope: Envelope,
    open: Vec<u8>,
    between: &'static [u8],
    close: &'static [u8],
    is_in_lines: bool,
}

impl Form {
    fn of(envelope: Envelope, example: &Delivered) -> Self {
        let (open, between, close, is_in_lines): (Vec<u8>, &[u8], &[u8], bool) = match envelope {
            Envelope::Blob | Envelope::Search | Envelope::SearchObjects => {
                (b"[".to_vec(), b",", b"]", false)
            }
            Envelope::Graph => (
                b"{\"@odata.context\":\"x\",\"value\":[".to_vec(),
                b",",
                b"]}",
                false,
            ),
            Envelope::PortalOld | Envelope::PortalNew | Envelope::ExportCsv => {
                let file = envelope.wrap(std::slice::from_ref(example), &mut Random(1));
                let end = file
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .expect("a header");
                (file[..=end].to_vec(), b"\r\n", b"\r\n", false)
            }
            _ => (Vec::new(), b"\n", b"\n", true),
        };
        Self {
            envelope,
            open,
            between,
            close,
            is_in_lines,
        }
    }

    /// One element, row or line. What is no JSON cannot be put into an envelope by a program that reads it: it
    /// comes as it is.
    fn row(&self, record: &Delivered) -> Vec<u8> {
        if serde_json::from_str::<serde_json::Value>(&record.json).is_err() {
            return self.raw(&record.json);
        }
        let file = self
            .envelope
            .wrap(std::slice::from_ref(record), &mut Random(1));
        let inner = match self.envelope {
            Envelope::Blob | Envelope::Search | Envelope::SearchObjects => &file[1..file.len()],
            Envelope::Graph => {
                let value = b"\"value\":[";
                let at = file.windows(value.len()).position(|part| part == value);
                &file[at.expect("a page") + value.len()..file.len() - 1]
            }
            Envelope::PortalOld | Envelope::PortalNew | Envelope::ExportCsv => {
                &file[self.open.len()..]
            }
            _ => &file[..],
        };
        let inner = inner.trim_ascii();
        let is_listed = matches!(
            self.envelope,
            Envelope::Blob | Envelope::Search | Envelope::SearchObjects | Envelope::Graph
        );
        let inner = if is_listed {
            &inner[..inner.len() - 1]
        } else {
            inner
        };
        inner.trim_ascii().to_vec()
    }

    fn raw(&self, json: &str) -> Vec<u8> {
        match self.envelope {
            Envelope::PortalOld | Envelope::PortalNew | Envelope::ExportCsv => {
                let columns = self.open.iter().filter(|byte| **byte == b',').count();
                let cell = format!("\"{}\"", json.replace('"', "\"\""));
                // the record is in the last column, or it is no cell and is counted all the same
                let empty = "x,".repeat(columns);
                format!("{empty}{cell}").into_bytes()
            }
            _ => json.as_bytes().to_vec(),
        }
    }

    fn joined(&self, rows: &[Vec<u8>]) -> Vec<u8> {
        [&self.open[..], &rows.join(self.between), self.close].concat()
    }
}
