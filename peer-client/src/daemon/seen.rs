//! The files that searches here have shown lately, so that the first digits of an id are enough to name one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::api::types::FileRow;

/// A few evenings of searching.
const REMEMBERED: usize = 5_000;

#[derive(Default)]
pub(super) struct Seen(Mutex<VecDeque<FileRow>>);

impl Seen {
    pub(super) fn remember(&self, rows: &[FileRow]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            seen.retain(|known| known.file_id != row.file_id);
            seen.push_back(row.clone());
        }
        let surplus = seen.len().saturating_sub(REMEMBERED);
        seen.drain(..surplus);
    }

    pub(super) fn starting_with(&self, digits: &str) -> Vec<FileRow> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|row| row.file_id.to_string().starts_with(digits)).cloned().collect()
    }
}
