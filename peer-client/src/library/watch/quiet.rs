//! Waiting until a burst of changes is over before looking at it.
//!
//! Copying an album makes a hundred events in a second, and looking after each would find half-written files. So
//! directories are looked at once nothing has happened for a while, but not put off for ever by a file that is always
//! written to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::walk::Extent;

/// A burst is put off for this many times the quiet that it is to end with.
const MAX_WAITS: u32 = 10;

/// With more directories than this, looking through everything is as quick.
const MAX_DIRECTORIES: usize = 256;

#[derive(Debug)]
pub(crate) struct Quiet {
    wait: Duration,
    waiting: BTreeMap<PathBuf, Extent>,
    /// When the burst began, and its last event.
    burst: Option<(Instant, Instant)>,
}

impl Quiet {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, waiting: BTreeMap::new(), burst: None }
    }

    pub(crate) fn note(&mut self, now: Instant, directory: PathBuf, extent: Extent) {
        self.burst = Some((self.burst.map_or(now, |(began, _)| began), now));
        if self.waiting.len() >= MAX_DIRECTORIES {
            self.waiting = BTreeMap::from([(PathBuf::new(), Extent::Below)]);
        }
        let known = self.waiting.entry(directory).or_insert(extent);
        *known = extent.max(*known);
    }

    /// When it will be time to look.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.burst.map(|(began, last)| (last + self.wait).min(began + MAX_WAITS * self.wait))
    }

    /// What is to be looked at, if it is time: none lies below another that is looked at with all below.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<(PathBuf, Extent)> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.burst = None;
        let waiting = std::mem::take(&mut self.waiting);
        let is_covered = |path: &Path| path.ancestors().skip(1).any(|above| waiting.get(above) == Some(&Extent::Below));
        waiting.iter().filter(|(path, _)| !is_covered(path)).map(|(path, &extent)| (path.clone(), extent)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(500);

    fn noted(paths: &[(&str, Extent)], start: Instant) -> Quiet {
        let mut quiet = Quiet::new(WAIT);
        paths.iter().for_each(|&(path, extent)| quiet.note(start, path.into(), extent));
        quiet
    }

    #[test]
    fn a_burst_is_looked_at_once_it_is_over() {
        let start = Instant::now();
        let mut quiet = noted(&[("a", Extent::Here)], start);
        quiet.note(start + WAIT / 2, "a".into(), Extent::Here);
        assert_eq!(quiet.take(start + WAIT), []);
        assert_eq!(quiet.take(start + WAIT / 2 + WAIT), [("a".into(), Extent::Here)]);
        assert_eq!((quiet.due(), quiet.take(start + 9 * WAIT)), (None, vec![]));
    }

    #[test]
    fn a_file_that_is_always_written_to_does_not_put_it_off_for_ever() {
        let start = Instant::now();
        let mut quiet = noted(&[], start);
        (0..100).for_each(|n| quiet.note(start + n * WAIT / 2, "a".into(), Extent::Here));
        assert_eq!(quiet.due(), Some(start + MAX_WAITS * WAIT));
    }

    #[test]
    fn nothing_is_looked_at_twice() {
        let start = Instant::now();
        let mut quiet =
            noted(&[("a/b", Extent::Here), ("a", Extent::Below), ("a", Extent::Here), ("ab", Extent::Here)], start);
        assert_eq!(quiet.take(start + WAIT), [("a".into(), Extent::Below), ("ab".into(), Extent::Here)]);

        let paths: Vec<String> = (0..=MAX_DIRECTORIES).map(|n| n.to_string()).collect();
        let many: Vec<_> = paths.iter().map(|path| (path.as_str(), Extent::Here)).collect();
        assert_eq!(noted(&many, start).take(start + WAIT), [("".into(), Extent::Below)]);
    }
}
