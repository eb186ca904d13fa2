//! Whether indexes are to tell of new sources of a file. Pure.
//!
//! They are, from when its download first waits for whatever others could mend until something of it comes. While it
//! is tried again in vain nothing changes: an index answers what is new on the list with the sources there are, and if
//! one of them is out of reach, that would have it tried again at once, for ever.

use crate::download::status::{DownloadStatus, State, Why};

/// What was here of the file when its download began to wait.
#[derive(Debug, Default)]
pub(super) struct Watched(Option<u64>);

impl Watched {
    pub(super) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes note of how the download stands. Returns whether that makes a difference.
    pub(super) fn judge(&mut self, status: &DownloadStatus) -> bool {
        let before = self.is_on();
        let waits = matches!(status.state, State::Waiting | State::Queued) && status.reason != Some(Why::DiskFull);
        let is_halted = status.state.is_final() || status.state == State::Paused;
        self.0 = match self.0 {
            _ if is_halted => None,
            Some(bytes) if !waits && status.bytes_done > bytes => None,
            None if waits => Some(status.bytes_done),
            watched => watched,
        };
        self.is_on() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::fixture::Song;

    #[test]
    fn a_file_is_watched_from_its_first_wait_until_something_comes() {
        let mut watched = Watched::default();
        let status = DownloadStatus::of(&Song::new(1, 1).request("/music".as_ref()));
        let mut after = |state, reason, bytes_done| {
            watched.judge(&DownloadStatus { state, reason, bytes_done, ..status.clone() });
            watched.is_on()
        };
        assert!(!after(State::Searching, None, 5));
        assert!(!after(State::Waiting, Some(Why::DiskFull), 5));
        for why in [Why::PeersUnreachable, Why::Refused, Why::Integrity, Why::NoSources] {
            assert!(after(State::Waiting, Some(why), 5));
            assert!(after(State::Verifying, None, 5) && after(State::Connecting, None, 5), "while it is tried again");
            assert!(after(State::Downloading, None, 5), "nothing has come yet");
        }
        assert!(!after(State::Downloading, None, 6));
        assert!(after(State::Queued, Some(Why::QueuedAtSources), 6));
        assert!(!after(State::Paused, Some(Why::ByUser), 6));
    }
}
