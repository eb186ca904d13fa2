//! What `choir search` and `choir get` take.

use std::path::PathBuf;

use clap::Args;

use crate::cli::units::{self, Bytes, Length};
use crate::config::Template;
use crate::download::priority::Priority;

const SEARCH_EXAMPLES: &str = "\
Examples:
  choir search hyperballad
  choir search --artist björk --format flac
  choir get @2                    fetch the second row";

#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(after_help = SEARCH_EXAMPLES)]
pub struct Search {
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
    #[arg(long, value_name = "A")]
    pub artist: Option<String>,
    #[arg(long, value_name = "T")]
    pub title: Option<String>,
    #[arg(long, value_name = "L")]
    pub album: Option<String>,
    /// Formats with commas between: flac,mp3
    #[arg(long, value_name = "F")]
    pub format: Option<String>,
    /// Kilobits per second
    #[arg(long, value_name = "KBPS")]
    pub min_bitrate: Option<u32>,
    /// Kilobits per second
    #[arg(long, value_name = "KBPS")]
    pub max_bitrate: Option<u32>,
    /// Like 500K or 10M
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    pub min_size: Option<Bytes>,
    /// Like 500K or 10M
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    pub max_size: Option<Bytes>,
    /// Like 3:45, or seconds
    #[arg(long, value_name = "TIME", value_parser = units::parse_length)]
    pub min_length: Option<Length>,
    /// Like 3:45, or seconds
    #[arg(long, value_name = "TIME", value_parser = units::parse_length)]
    pub max_length: Option<Length>,
    /// Only what this peer shares, by name or key
    #[arg(long, value_name = "PEER")]
    pub peer: Option<String>,
    /// relevance, size, bitrate, duration, title, artist or sources
    #[arg(long, value_name = "ORDER")]
    pub sort: Option<String>,
    /// Also files that nobody online has
    #[arg(long)]
    pub offline: bool,
    /// How many rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Go on after an earlier page: its "next"
    #[arg(long, value_name = "NEXT")]
    pub cursor: Option<String>,
}

const GET_EXAMPLES: &str = "\
Examples:
  choir get @1                         a row of the last search; also @2 @5-7
  choir get 5d1e62ab                   a file id, or the first digits of one that was seen here
  choir get \"choir:file/…\"             a link
  choir get björk hyperballad          search; one match is fetched, among several you choose
  choir get --album post -o ~/Music    a whole album
  choir get --folder bob Björk/Post    a folder of a peer

Ctrl-C leaves the download to the daemon, or keeps it for later if none runs.";

#[derive(Clone, Debug, PartialEq, Args)]
#[command(after_help = GET_EXAMPLES, group = clap::ArgGroup::new("what").required(true))]
pub struct Get {
    /// @N of the last search, a file id or the beginning of one, a link, or words to search for
    #[arg(value_name = "TARGET", group = "what")]
    pub targets: Vec<String>,
    /// A whole album
    #[arg(long, value_name = "TEXT", group = "what")]
    pub album: Option<String>,
    /// A folder that a peer shares, with what is inside; the peer by name or key
    #[arg(long, value_names = ["PEER", "PATH"], num_args = 2, group = "what")]
    pub folder: Option<Vec<String>>,
    /// The folder to put the files in
    #[arg(short, long = "out", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where inside that folder, by what is said of each file: {albumartist}/{year} - {album}/{track} {title};
    /// also {artist} {disc} {genre} {ext}. For all downloads: the setting download_template
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<Template>,
    /// Among several matches take the best
    #[arg(long)]
    pub first: bool,
    /// Before other downloads, or after them: high, normal or low
    #[arg(long, value_name = "PRIORITY", default_value_t)]
    pub priority: Priority,
    /// How many seconds to wait while nobody online has it
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
}
