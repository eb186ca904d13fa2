//! Peers on the [simulated internet](crate::internet), made of the real parts: endpoint, session, uploads, downloads.
//!
//! There is no database, no HTTP, no thread that watches files and no index: what a download asks an index for comes
//! from the story. Songs lie in temporary files, which are read and written by tokio's blocking threads; while any of
//! these is at work, a paused clock stands still.

mod fetching;
mod holding;
mod peer;
mod song;

pub use fetching::{Fetched, Fetching};
pub use peer::{Peer, options};
pub use song::Song;
