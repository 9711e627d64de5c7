//! A copy of a tenant's listed messages that is kept by the change feed alone, and that sees for
//! itself whether anything is missing.

use sentby::pb::{Attribution, ChangeKind, WatchAttributionsResponse};
use std::collections::{BTreeMap, HashSet};

#[derive(Clone, Debug, Default)]
pub struct Copy {
    pub rows: BTreeMap<String, Attribution>,
    /// How far it is. `None`: nothing was told yet.
    pub revision: Option<u64>,
    pub token: String,
    /// Changes that were told, and those that were told a second time.
    pub changes: usize,
    pub repeats: usize,
    seen: HashSet<(u64, String)>,
}

impl Copy {
    /// Nothing, and the first response has to begin with the first revision.
    pub fn of_nothing() -> Self {
        Self {
            revision: Some(0),
            ..Self::default()
        }
    }

    /// What a walk over the whole range has listed, and its `watch_token`.
    pub fn of_walk(rows: Vec<Attribution>, token: String) -> Self {
        let rows = rows.into_iter().map(|row| (row.message_key.clone(), row));
        Self {
            rows: rows.collect(),
            token,
            ..Self::default()
        }
    }

    /// What a reader makes of a response; fails where a change is missing or out of order.
    #[track_caller]
    pub fn take(&mut self, response: WatchAttributionsResponse) {
        if let Some(revision) = self.revision {
            assert_eq!(response.after_revision, revision, "no revision is left out");
        }
        assert!(response.revision >= response.after_revision);
        assert!(response.newest_revision >= response.revision);
        assert_eq!(
            response.caught_up,
            response.revision == response.newest_revision
        );
        let mut last = response.after_revision;
        for change in response.changes {
            assert!(change.revision >= last, "in the order of revisions");
            assert!(
                // of a revision that is told in part it is the next one
                change.revision > response.after_revision
                    && change.revision <= response.revision + 1,
                "{change:?}"
            );
            last = change.revision;
            self.changes += 1;
            let name = (change.revision, change.message_key.clone());
            self.repeats += usize::from(!self.seen.insert(name));
            match change.attribution {
                Some(attribution) => {
                    assert_ne!(change.kind, i32::from(ChangeKind::Erased));
                    assert_eq!(attribution.message_key, change.message_key);
                    assert!(attribution.revision >= change.revision, "{attribution:?}");
                    self.rows.insert(change.message_key, attribution);
                }
                None => {
                    assert_eq!(change.kind, i32::from(ChangeKind::Erased));
                    self.rows.remove(&change.message_key);
                }
            }
        }
        assert!(!response.resume_token.is_empty());
        self.revision = Some(response.revision);
        self.token = response.resume_token;
    }

    /// The same messages, with all that is told of them.
    #[track_caller]
    pub fn assert_is(&self, listed: Vec<Attribution>) {
        let count = listed.len();
        for attribution in listed {
            let key = attribution.message_key.clone();
            assert_eq!(self.rows.get(&key), Some(&attribution), "{key}");
        }
        assert_eq!(self.rows.len(), count);
    }
}
