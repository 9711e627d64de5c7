//! The words of the domain and its one rule. Pure: no I/O, no clock, no framework.
//!
//! | word | where |
//! |---|---|
//! | tenant, revision, generation | [`tenant`] |
//! | send event, side | [`send_event`] |
//! | evidence | [`evidence`] |
//! | directory, mailbox | [`directory`] |
//! | what identifies an account, what records teach about it | [`identity`], [`lesson`] |
//! | who an event's actor is | [`actor`] |
//! | who was erased, and what events become then | [`erasure`] |
//! | attribution, verdict, basis | [`attribution`] |
//! | the rule: `attribute(evidence, directory)` | [`attribute`](mod@attribute) |
//! | message | [`merge`] |
//! | change feed, its positions | [`feed`] |
//! | batch, receipt | [`audit_batch`] |
//! | quarantine | [`quarantine`] |
//! | bucket, summary | [`summary`] |
//! | window, what is covered, gap | [`coverage`], [`intervals`], [`lag`] |
//! | audit settings, how they are kept; what is wrong with them | [`settings`], [`setting`], [`finding`] |
//! | the rule: `findings(inputs)` | [`findings`](mod@findings) |
//! | what is wrong with our own set-up | [`check`] |

pub mod actor;
pub mod admin_change;
pub mod attribute;
pub mod attribution;
pub mod audit_batch;
pub mod check;
pub mod coverage;
pub mod directory;
pub mod erasure;
pub mod evidence;
pub mod explain;
pub mod feed;
pub mod finding;
pub mod findings;
pub mod identity;
pub mod intervals;
pub mod lag;
pub mod lesson;
pub mod merge;
pub mod message;
pub mod quarantine;
pub mod send_event;
pub mod setting;
pub mod settings;
pub mod summary;
pub mod tenant;
pub mod time;

pub use actor::{Actor, ActorKind};
pub use admin_change::AdminChange;
pub use attribute::attribute;
pub use attribution::{Answer, Attribution, Basis, Verdict};
pub use audit_batch::{AuditBatch, BatchId, Receipt, RecordProblem};
pub use check::{Check, Level};
pub use coverage::{Absence, Clock, Coverage, Gap, Window};
pub use directory::{Directory, Mailbox, MailboxKind};
pub use erasure::{Pseudonym, Tombstone, Tombstones};
pub use evidence::Evidence;
pub use feed::{Change, ChangeKind, Commit, FeedPosition};
pub use finding::{Cause, Clue, Finding, Severity};
pub use findings::findings;
pub use identity::Identity;
pub use intervals::Intervals;
pub use lag::Lag;
pub use lesson::Lesson;
pub use merge::{Gathering, Judgement, Message};
pub use message::{MessageId, MessageKey};
pub use quarantine::{QuarantineEntry, QuarantineReason, QuarantineUsage, QuarantinedRecord};
pub use send_event::{Operation, SendEvent, Side};
pub use setting::{Setting, SettingKey, SettingKind};
pub use settings::Settings;
pub use tenant::{Deletion, Generation, Readiness, Revision, Tenant, TenantId};
pub use time::{TimeRange, Timestamp};
