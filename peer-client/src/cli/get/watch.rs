//! The downloads that a command waits for, as events tell of them.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::api::types::DownloadEvent;
use crate::cli::downloads::word;
use crate::cli::progress::{Bars, NamedBar};
use crate::download::status::{DownloadId, DownloadStatus, State};

/// Most bars at once: what a small terminal shows without scrolling.
const MAX_BARS: usize = 8;

/// What is known of the downloads, in the order in which they were asked for. Pure.
#[derive(Debug)]
pub(super) struct Watch {
    downloads: Vec<DownloadStatus>,
    /// Since when nothing has come, and the bytes that were here then.
    stuck: Option<(Instant, u64)>,
}

impl Watch {
    pub(super) const fn new(downloads: Vec<DownloadStatus>) -> Self {
        Self { downloads, stuck: None }
    }

    pub(super) fn apply(&mut self, event: DownloadEvent) {
        match event {
            DownloadEvent::Changed { download } => self.replace(*download),
            DownloadEvent::Removed { id } => self.remove(|known| known == id),
            DownloadEvent::Snapshot { downloads } => {
                self.remove(|known| downloads.iter().all(|download| download.id != known));
                downloads.into_iter().for_each(|download| self.replace(download));
            }
        }
    }

    fn replace(&mut self, download: DownloadStatus) {
        // One file asked for twice is one download.
        self.downloads.iter_mut().filter(|known| known.id == download.id).for_each(|known| *known = download.clone());
    }

    /// Somebody took it out of the list.
    fn remove(&mut self, gone: impl Fn(DownloadId) -> bool) {
        for known in self.downloads.iter_mut().filter(|known| gone(known.id) && !known.state.is_final()) {
            known.state = State::Cancelled;
            known.message = Some("it was taken out of the list".to_owned());
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.downloads.iter().all(|download| download.state.is_final() || download.state == State::Paused)
    }

    /// Since when nothing has come, if nothing is being tried now. Trying again is no progress.
    pub(super) fn stuck_since(&mut self, now: Instant) -> Option<Instant> {
        let here = self.downloads.iter().fold(0, |sum: u64, download| sum.saturating_add(download.bytes_done));
        self.stuck = self.stuck.filter(|(_, then)| *then == here);
        let waits = |download: &DownloadStatus| matches!(download.state, State::Waiting | State::Paused);
        if !self.downloads.iter().filter(|download| !download.state.is_final()).all(waits) {
            return None;
        }
        let (since, _) = *self.stuck.get_or_insert((now, here));
        Some(since)
    }

    pub(super) fn downloads(&self) -> &[DownloadStatus] {
        &self.downloads
    }

    pub(super) fn into_downloads(self) -> Vec<DownloadStatus> {
        self.downloads
    }
}

/// The downloads as bars: one for all if there are several, and one for each that moves.
pub(super) struct Drawing<'a> {
    bars: &'a Bars,
    total: Option<NamedBar>,
    each: BTreeMap<DownloadId, NamedBar>,
}

impl<'a> Drawing<'a> {
    pub(super) const fn new(bars: &'a Bars) -> Self {
        Self { bars, total: None, each: BTreeMap::new() }
    }

    pub(super) fn draw(&mut self, downloads: &[DownloadStatus]) {
        if downloads.len() > 1 {
            let sum = |count: fn(&DownloadStatus) -> u64| downloads.iter().map(count).fold(0, u64::saturating_add);
            let done = downloads.iter().filter(|download| download.state.is_final()).count();
            let total = self.total.get_or_insert_with(|| self.bars.add("all", 0));
            total.set(
                sum(|download| download.bytes_done),
                sum(|download| download.size),
                &format!("{done}/{} files", downloads.len()),
            );
        }
        for download in downloads {
            let shown = self.each.contains_key(&download.id);
            if download.state.is_final() {
                if let Some(bar) = self.each.remove(&download.id) {
                    bar.finish();
                }
            } else if shown || self.each.len() < MAX_BARS {
                let bar = self.each.entry(download.id).or_insert_with(|| self.bars.add(&download.name, download.size));
                bar.set(download.bytes_done, download.size, &note(download));
            }
        }
    }

    pub(super) fn finish(self) {
        self.each.into_values().chain(self.total).for_each(|bar| bar.finish());
    }
}

fn note(download: &DownloadStatus) -> String {
    match (download.state, &download.message) {
        (State::Downloading, _) => {
            let sources = download.sources.iter().filter(|source| source.bytes_per_second > 0).count();
            let rate = crate::cli::units::size(download.bytes_per_second);
            format!("{rate}/s from {}", crate::cli::units::count(sources as u64, "peer"))
        }
        (state, Some(message)) => format!("{}: {message}", word(state)),
        (state, None) => word(state).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::fake::{row, status};

    fn download(id: i64, state: State) -> DownloadStatus {
        status(id, row(id as u8, "a").file_id, "a", state)
    }

    fn changed(id: i64, state: State) -> DownloadEvent {
        DownloadEvent::Changed { download: Box::new(download(id, state)) }
    }

    #[test]
    fn a_watch_ends_when_all_have_ended_and_is_stuck_when_all_wait() {
        let mut watch = Watch::new(vec![download(1, State::Searching), download(2, State::Searching)]);
        watch.apply(changed(3, State::Failed));
        let now = Instant::now();
        assert!(!watch.has_ended() && watch.stuck_since(now).is_none());
        watch.apply(changed(1, State::Waiting));
        assert!(watch.stuck_since(now).is_none(), "the other one still tries");
        watch.apply(changed(2, State::Done));
        assert!(watch.stuck_since(now).is_some() && !watch.has_ended());
        watch.apply(changed(1, State::Downloading));
        assert!(watch.stuck_since(now).is_none());
        watch.apply(DownloadEvent::Removed { id: DownloadId(1) });
        assert!(watch.has_ended());
        assert_eq!(watch.downloads()[0].state, State::Cancelled);
        assert_eq!(watch.downloads()[1].state, State::Done);
    }

    #[test]
    fn trying_again_is_no_progress_but_a_byte_is() {
        let start = Instant::now();
        let mut watch = Watch::new(vec![download(1, State::Waiting)]);
        let mut after = |seconds, event| {
            watch.apply(event);
            watch.stuck_since(start + Duration::from_secs(seconds)).map(|since| (since - start).as_secs())
        };
        assert_eq!(after(0, changed(1, State::Waiting)), Some(0));
        assert_eq!(after(10, changed(1, State::Searching)), None);
        assert_eq!(after(11, changed(1, State::Waiting)), Some(0));
        let some = DownloadStatus { bytes_done: 1, ..download(1, State::Downloading) };
        assert_eq!(after(20, DownloadEvent::Changed { download: Box::new(some.clone()) }), None);
        let some = DownloadStatus { state: State::Waiting, ..some };
        assert_eq!(after(21, DownloadEvent::Changed { download: Box::new(some) }), Some(21));
    }

    #[test]
    fn a_new_snapshot_tells_what_was_missed() {
        let mut watch =
            Watch::new(vec![download(1, State::Searching), download(2, State::Searching), download(3, State::Done)]);
        watch.apply(DownloadEvent::Snapshot { downloads: vec![download(2, State::Done), download(9, State::Queued)] });
        let states: Vec<_> = watch.into_downloads().into_iter().map(|download| download.state).collect();
        assert_eq!(states, [State::Cancelled, State::Done, State::Done]);
    }
}
