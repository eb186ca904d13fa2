//! The time, for everything that waits for packets.
//!
//! Whatever decides takes `now`; the shells around it ask here, and nowhere else. So a test that pauses tokio's clock
//! holds timers, timeouts and measured rates all at once.

use std::time::Instant;

/// The time by tokio's clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
