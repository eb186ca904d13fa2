//! `cargo demo`: the main job as a short story on the terminal.
//!
//! An index and three peers on loopback, each a real process with a home of its own; music that was made a moment
//! ago, or your own with `--music DIR`. Everything lives in one temporary folder and ends with the program.

mod music;
mod story;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Shows Choir's main job: share, search, download from several peers at once.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Share the music in this folder instead of the tunes that the demo makes.
    #[arg(long, value_name = "DIR")]
    music: Option<PathBuf>,
    /// Keep the network running afterwards, and say what to try next.
    #[arg(long)]
    stay: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::Builder::new().prefix("choir-demo-").tempdir().context("a temporary folder")?;
    // Homes and libraries of everyone land below this one folder, which goes when the program does.
    tempfile::env::override_temp_dir(folder.path()).ok().context("the temporary folder is set once")?;

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stay = arguments.stay;
    let told = tokio::task::spawn_blocking(move || story::tell(&arguments));
    let code = tokio::select! {
        network = told => {
            let network = network?;
            if stay && network.is_ok() {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            match network {
                Ok(_network) => 0,
                Err(error) => {
                    eprintln!("\nthe demo failed: {error:#}");
                    1
                }
            }
        }
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    // The story may be in the middle of a step: end what it started and go, without waiting for its next sentence.
    harness::process::stop_all();
    folder.close().context("the temporary folder could not be removed")?;
    std::process::exit(code);
}
