//! `cargo bench-index`: the search engine and the whole index under load, on this machine alone.
//!
//! Index and load generator share the processors, in every row. Candidates alternate and medians are compared,
//! because machines are shared and noisy. Nothing leaves the loopback. With `--write` the tables replace those of the
//! last run in docs/PERFORMANCE.md.

mod crowd;
mod engine;
mod flood;
mod fts;
mod http;
mod liars;
mod measure;
mod memory;
mod presence;
mod searching;
mod server;

use clap::{Parser, Subcommand, ValueEnum};
use harness::record;

#[derive(Parser)]
struct Options {
    /// One part only.
    #[arg(long)]
    part: Option<Part>,
    /// Distinct songs [default: 1,000,000; 200,000 for the flood]
    #[arg(long)]
    songs: Option<u32>,
    /// Control connections that stay open; the greatest number goes through a restart of the index
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 6_000, 18_000])]
    connections: Vec<u32>,
    /// How often each candidate runs
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long what goes on is looked at each time
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Put the tables into docs/PERFORMANCE.md
    #[arg(long)]
    write: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Engine,
    Http,
    Presence,
    Memory,
    Flood,
    Liars,
}

/// What this program does when it runs several times: files cannot be open in greater number.
#[derive(Subcommand)]
enum Role {
    /// Stay online with many peers, and say how many are
    #[command(hide = true)]
    Hold(presence::Hold),
}

const SONGS: u32 = 1_000_000;

const FLOODED_SONGS: u32 = 200_000;

fn main() -> anyhow::Result<()> {
    choir_peer::index_client::install_crypto();
    let options = Options::parse();
    if let Some(Role::Hold(hold)) = options.role {
        return presence::hold(&hold);
    }
    let songs = options.songs.unwrap_or(SONGS);
    for part in Part::value_variants() {
        if options.part.is_some_and(|only| only != *part) {
            continue;
        }
        let tables = match part {
            Part::Engine => engine::measure(songs, options.rounds)?,
            Part::Http => http::measure(songs, options.rounds, options.seconds)?,
            Part::Presence => presence::measure(&options.connections, options.seconds)?,
            Part::Memory => memory::measure(songs)?,
            Part::Flood => flood::measure(options.songs.unwrap_or(FLOODED_SONGS), options.rounds, options.seconds)?,
            Part::Liars => liars::measure()?,
        };
        println!("\n{tables}");
        if options.write {
            let name = part.to_possible_value().map(|name| name.get_name().to_owned()).unwrap_or_default();
            record::write("bench-index", &name, &tables)?;
        }
    }
    Ok(())
}
