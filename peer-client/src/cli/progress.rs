//! Bars, where a terminal shows them.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use choir_shared::text::escape_controls;

use super::output::Output;
use super::width::fitted;

/// Cells for a name before its bar.
const NAME_CELLS: usize = 32;

/// The end of each template: what is done, how fast, how long still.
const SINGLE: &str = "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";
const NAMED: &str = "{prefix:32} {wide_bar} {bytes}/{total_bytes}  {msg}";

/// Bytes of something that is read or fetched.
#[derive(Clone, Debug)]
pub(super) struct ByteBar(ProgressBar);

impl ByteBar {
    pub(super) fn new(out: &Output, total: u64) -> Self {
        Self(styled(ProgressBar::with_draw_target(Some(total), target(out)), SINGLE))
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Several bars, one under the other.
#[derive(Clone, Debug)]
pub(super) struct Bars(MultiProgress);

impl Bars {
    pub(super) fn new(out: &Output) -> Self {
        Self(MultiProgress::with_draw_target(target(out)))
    }

    pub(super) fn add(&self, name: &str, total: u64) -> NamedBar {
        let bar = styled(self.0.add(ProgressBar::new(total)), NAMED);
        bar.set_prefix(fitted(&escape_controls(name), NAME_CELLS));
        NamedBar(bar)
    }

    pub(super) fn clear(&self) {
        let _ = self.0.clear();
    }
}

#[derive(Clone, Debug)]
pub(super) struct NamedBar(ProgressBar);

impl NamedBar {
    /// `note` may come from others.
    pub(super) fn set(&self, done: u64, total: u64, note: &str) {
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_message(escape_controls(note).into_owned());
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn target(out: &Output) -> ProgressDrawTarget {
    if out.shows_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_sound() {
        for template in [SINGLE, NAMED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
        assert!(NAMED.contains(&format!("{{prefix:{NAME_CELLS}}}")));
    }
}
