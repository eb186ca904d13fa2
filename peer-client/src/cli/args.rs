//! The command line: what can be said, and how it is explained.

mod fetch;

use std::net::SocketAddr;
use std::path::PathBuf;

use choir_shared::FileId;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use self::fetch::{Get, Search};
use super::units;
use crate::config::{Rate, UploadRate};
use crate::download::priority::Priority;

const EXAMPLES: &str = "\
Examples:
  choir join choir:join/music.example:8888?key=…   become a member of an index
  choir share add ~/Music                          let others fetch your songs
  choir daemon                                     stay online
  choir search --artist björk hyperballad          numbered rows
  choir get @1                                     fetch the first of them

Exit codes:
  0 ok · 1 failed · 2 usage · 3 nothing found · 4 refused · 5 index or peers unreachable
  6 integrity failure · 7 incomplete (some of several) · 130 interrupted";

/// Search the music of others and fetch it directly from them.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "choir", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Keep everything of this peer in one folder [env: CHOIR_HOME]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Ask this index only; may be repeated
    #[arg(
        long = "index",
        global = true,
        value_name = "NAME|URL",
        env = "CHOIR_INDEX",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub indexes: Vec<String>,
    /// Print one JSON object, errors included
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less: no progress, no advice
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; -vv and -vvv say everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Become a member of an index
    Join(Join),
    /// Leave an index, and be forgotten there
    Leave {
        #[arg(value_name = "INDEX")]
        index: String,
    },
    /// The indexes that were joined
    #[command(subcommand)]
    Index(Index),
    /// Show or change the name that others see
    Name {
        #[arg(value_name = "NEW")]
        new: Option<String>,
    },
    /// Show who this peer is, or carry it to another machine
    Id {
        #[command(subcommand)]
        action: Option<Id>,
    },
    /// Run this peer: stay online, share, go on with downloads
    Daemon(Daemon),
    /// Stop the daemon
    Stop,
    /// Open the web page of the daemon
    Open {
        /// Print the address instead; it holds the secret that opens the page
        #[arg(long)]
        print: bool,
    },
    /// How this peer is doing
    Status,
    /// Find out what does not work, and what would help
    Doctor {
        /// Look at the way to this peer: its name, or its key
        #[arg(value_name = "PEER")]
        peer: Option<String>,
    },
    /// What others may fetch from here
    #[command(subcommand)]
    Share(Share),
    /// Search what others share
    Search(Search),
    /// Fetch files
    Get(Get),
    /// Downloads: list, show, take, pause, resume, cancel, retry, priority, limit
    Downloads {
        #[command(subcommand)]
        action: Option<Downloads>,
    },
    /// Uploads: list, limit
    Uploads {
        #[command(subcommand)]
        action: Option<Uploads>,
    },
    /// Look through what one peer shares
    Browse {
        /// Its name, or its key
        #[arg(value_name = "PEER")]
        peer: String,
        #[arg(value_name = "PATH", default_value = "", hide_default_value = true)]
        path: String,
    },
    /// What is known of a peer
    Whois {
        /// Its name, or its key
        #[arg(value_name = "PEER")]
        peer: String,
    },
    /// Neither serve a peer nor fetch from it
    Ban {
        /// Its name, or its key; the ban is on the key
        #[arg(value_name = "PEER")]
        peer: String,
    },
    /// Undo a ban
    Unban {
        /// Its name, or its key
        #[arg(value_name = "PEER")]
        peer: String,
    },
    /// Print the file ids of files, without any network
    Hash {
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Check that a file is the one with this id
    Verify {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[arg(value_name = "FILE_ID")]
        file_id: FileId,
    },
    /// The settings
    #[command(subcommand)]
    Config(Config),
    /// Print the completions of a shell
    Completions {
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the version
    Version,
}

#[derive(Clone, Debug, PartialEq, Args)]
pub struct Join {
    /// A choir:join/… link, or the URL of an index
    #[arg(value_name = "LINK")]
    pub link: String,
    /// The name that others shall see
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Index {
    /// List them
    Ls,
    /// Leave one
    Rm {
        #[arg(value_name = "INDEX")]
        index: String,
    },
    /// Prefer one
    Default {
        #[arg(value_name = "INDEX")]
        index: String,
    },
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Id {
    /// Write the secret key, sealed with a passphrase, to a file
    Export {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Become the peer of such a file
    Import {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Clone, Debug, PartialEq, Args)]
pub struct Daemon {
    /// Where other peers reach this one (UDP); by default port 6699 of every address
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where the web page and the local API are [default: 127.0.0.1:6688]
    #[arg(long, value_name = "ADDR")]
    pub api: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Share {
    /// Share folders
    Add {
        #[arg(value_name = "DIR", required = true)]
        folders: Vec<PathBuf>,
        /// The collection they belong to [default: everyone]
        #[arg(long, value_name = "COLLECTION")]
        to: Option<String>,
        /// What others see instead of the folder's name
        #[arg(long = "as", value_name = "ALIAS")]
        alias: Option<String>,
        /// Return only when everything is hashed and published
        #[arg(long)]
        wait: bool,
    },
    /// Stop sharing a folder; its files stay
    Rm {
        #[arg(value_name = "DIR|ALIAS")]
        folder: PathBuf,
    },
    /// List the shared folders
    Ls,
    /// Look for changes now
    Rescan {
        /// Return only when everything is hashed and published
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Downloads {
    /// List them
    Ls,
    /// All about one, and what could be had in place of it
    Show {
        #[arg(value_name = "ID")]
        id: i64,
    },
    /// Fetch another file in place of one; `show` lists what is offered
    Take {
        #[arg(value_name = "ID")]
        id: i64,
        /// The id of a file that is offered, or its first digits
        #[arg(value_name = "FILE_ID")]
        file: String,
    },
    Pause(Which),
    Resume(Which),
    /// End a download and remove what was fetched
    Cancel(Which),
    /// Start a failed or cancelled one again; of a group, what is missing
    Retry(Which),
    /// Let downloads come before others, or after them
    Priority {
        #[arg(value_name = "ID", required = true)]
        ids: Vec<i64>,
        /// high, normal or low
        #[arg(value_name = "PRIORITY")]
        priority: Priority,
    },
    /// How fast to fetch, all downloads together
    Limit {
        /// Bytes per second like 500K or 2M, or off; without it the limit is shown
        #[arg(value_name = "RATE", value_parser = units::parse_download_rate)]
        rate: Option<Rate>,
    },
}

/// Some downloads, or those of a group that are not done.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Which {
    #[arg(value_name = "ID", required_unless_present = "group")]
    pub ids: Vec<i64>,
    /// Those of this album or folder that are not done
    #[arg(long, value_name = "GROUP", conflicts_with = "ids")]
    pub group: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Uploads {
    /// List them
    Ls,
    /// How fast others may fetch, all together
    Limit {
        /// Bytes per second like 500K or 2M; off, or auto
        #[arg(value_name = "RATE", value_parser = units::parse_rate)]
        rate: UploadRate,
    },
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Config {
    /// Every setting, and where it comes from
    Show,
    /// Where the settings file is
    Path,
    /// What is wrong with the settings
    Check,
}

#[cfg(test)]
mod tests;
