//! Choir networks for the scenarios, the benches and the demo: of real processes, and simulated ones.
//!
//! - [`mod@programs`] builds the two programs once and says where they are.
//! - [`index`] runs `choir-index`, [`peer`] runs `choir` with a home of its own.
//! - [`member`] talks to an index as no peer program would.
//! - [`mischief`] has peers that break the rules, made from the real parts.
//! - [`spoiler`] is a proxy that spoils what an index answers.
//! - [`namespace`] gives a program a small disk of its own.
//! - [`process`] starts programs, waits for their first lines, and stops exactly what it started.
//! - [`fixtures`] has small music to share.
//! - [`fuzz`] has the fuzz targets, which need no network.
//! - [`load`] has a crowd of peers that are no more than a key and a connection.
//! - [`record`] keeps the figures of the benches.
//! - [`internet`] is one in memory, on a paused clock, and [`simulated`] has peers on it.
//!
//! Every process listens on loopback, lives in temporary folders, and ends with the value that owns it.

pub mod fixtures;
pub mod fuzz;
pub mod index;
pub mod internet;
pub mod load;
pub mod member;
pub mod mischief;
pub mod namespace;
pub mod peer;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod record;
pub mod simulated;
pub mod spoiler;

pub use index::TestIndex;
pub use peer::{Answer, Daemon, TestPeer};
pub use programs::programs;

use std::time::{Duration, Instant};

/// Nothing in a test takes this long unless it hangs; five times the slowest step seen on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is there. For what only shows by asking; everything else is waited for by its event.
///
/// # Panics
/// If it does not come within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "this did not happen within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
