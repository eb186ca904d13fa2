//! The command line of `choir-index`, and the environment that stands in for it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use super::file::FileSettings;
use super::{Access, Settings, SettingsError};
use crate::admin::Request;
use crate::maintenance::{Extent, Migrate, Repair, Task};
use crate::store::{BanTarget, Location};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    Run(Box<Settings>),
    /// A question to the index that runs in this folder.
    Ask {
        data_dir: PathBuf,
        question: Request,
    },
    /// Something to be done to this folder.
    Maintain {
        data_dir: PathBuf,
        database: Location,
        task: Task,
    },
}

/// Reads a command line. Ends the program after `--help`, `--version` and usage errors, as clap does.
pub fn command<I: IntoIterator<Item = OsString>>(arguments: I) -> Result<Command, SettingsError> {
    Cli::parse_from(arguments).resolve()
}

/// The index of a Choir network: it knows who holds which songs, and who is online.
#[derive(Debug, Parser)]
#[command(name = "choir-index", version)]
pub(super) struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    run: RunFlags,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Args)]
struct Place {
    /// Where the index keeps its key and its databases
    #[arg(long, env = "CHOIR_INDEX_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// The settings file [default: choir-index/config.toml in the XDG configuration folder, if there]
    #[arg(long, env = "CHOIR_INDEX_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// Global, so that `choir-index --listen A` and `choir-index run --listen A` are the same.
#[derive(Debug, Default, Args)]
pub(super) struct RunFlags {
    /// Where to serve HTTP; may be repeated; port 0 picks a free one [default: 127.0.0.1:8888]
    #[arg(long, global = true, env = "CHOIR_INDEX_LISTEN", value_name = "ADDR", value_delimiter = ',')]
    pub(super) listen: Vec<SocketAddr>,
    /// The UDP address where peers learn their own [default: as the first listener]
    #[arg(long, global = true, env = "CHOIR_INDEX_RENDEZVOUS", value_name = "ADDR")]
    pub(super) rendezvous: Option<SocketAddr>,
    /// How others reach this index; may be repeated, and the first stands in join links
    #[arg(long, global = true, env = "CHOIR_INDEX_PUBLIC_URL", value_name = "URL", value_delimiter = ',')]
    pub(super) public_url: Vec<String>,
    /// How the other replicas of this index, and peers, reach this one; makes it a replica, with --database postgres://…
    #[arg(long, global = true, env = "CHOIR_INDEX_REPLICA_URL", value_name = "URL")]
    pub(super) replica_url: Option<String>,
    /// Who may become a member [default: open on loopback, invite beyond it]
    #[arg(long, global = true, env = "CHOIR_INDEX_ACCESS", value_enum)]
    pub(super) access: Option<Access>,
    /// What the index is called
    #[arg(long, global = true, env = "CHOIR_INDEX_NAME")]
    pub(super) name: Option<String>,
    /// Keep members and libraries in PostgreSQL, postgres://… [default: SQLite files in the data folder]
    #[arg(long, global = true, env = "CHOIR_INDEX_DATABASE", hide_env_values = true, value_name = "URL")]
    pub(super) database: Option<String>,
    /// Serve metrics for Prometheus here [default: nowhere]
    #[arg(long, global = true, env = "CHOIR_INDEX_METRICS", value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
    /// Log into this file, and one older beside it, instead of stderr
    #[arg(long, global = true, env = "CHOIR_INDEX_LOG_FILE", value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,
    /// A certificate chain in PEM, instead of one signed by the index's own key
    #[arg(long, global = true, env = "CHOIR_INDEX_TLS_CERTIFICATE", value_name = "FILE")]
    pub(super) tls_certificate: Option<PathBuf>,
    /// The certificate's key in PEM
    #[arg(long, global = true, env = "CHOIR_INDEX_TLS_KEY", value_name = "FILE")]
    pub(super) tls_key: Option<PathBuf>,
    /// Serve plain HTTP also beyond loopback: for a proxy that encrypts
    #[arg(long, global = true, env = "CHOIR_INDEX_PLAIN_HTTP", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) plain_http: bool,
    /// A proxy whose X-Forwarded-For is believed; may be repeated
    #[arg(long, global = true, env = "CHOIR_INDEX_TRUSTED_PROXY", value_name = "IP", value_delimiter = ',')]
    pub(super) trusted_proxy: Vec<IpAddr>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the index (also without a command)
    Run,
    /// Print a new join link of the running index
    Link,
    /// Print an invite and its join link
    Invite {
        /// How many may join with it
        #[arg(long, default_value_t = crate::admin::INVITE_USES, value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
        /// For how many days
        #[arg(long, default_value_t = crate::admin::INVITE_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// The member who answers for those who come with it (key or name) [default: the operator]
        #[arg(long, value_name = "PEER")]
        by: Option<String>,
    },
    /// List the invites that still let somebody in
    Invites,
    /// Revoke an invite, named by what `invites` prints
    Revoke { invite: String },
    /// List the members, and who invited whom
    Members,
    /// Shut out a peer (its key, 52 letters) or a network (address/bits)
    Ban {
        target: String,
        /// Told to whoever is banned
        #[arg(long, default_value = "")]
        reason: String,
        /// For how many days [default: for good]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        days: Option<u32>,
        /// A member, by key or name, and everybody who came through it
        #[arg(long)]
        branch: bool,
    },
    /// Lift a ban
    Unban { target: BanTarget },
    /// List the bans
    Bans,
    /// Let nobody find a file, an audio, an album or a phrase; holders are told
    Block {
        #[arg(value_parser = BLOCK_KINDS)]
        kind: String,
        /// A file id; for an audio its root or a file that has it; for an album its key or a file of it; words
        value: String,
        /// Told to those who hold what is blocked
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lift a block
    Unblock {
        #[arg(value_parser = BLOCK_KINDS)]
        kind: String,
        value: String,
    },
    /// List the blocks
    Blocks,
    /// List the reports that wait, or close one
    Report {
        /// Take this report off the queue
        #[arg(long, value_name = "NUMBER")]
        close: Option<u64>,
        /// What came of it
        #[arg(long, default_value = "", requires = "close")]
        outcome: String,
        /// Also those that are closed, newest first
        #[arg(long, conflicts_with = "close")]
        all: bool,
    },
    /// Say who a member is (key or name), or change its name
    Name {
        peer: String,
        new_name: Option<String>,
        /// Take its name away
        #[arg(long, conflicts_with = "new_name")]
        free: bool,
    },
    /// Print what a member (key or name) may do, or change it; it wins over the settings, at once
    Quota {
        peer: String,
        /// How many files it may list
        #[arg(long, value_name = "N")]
        files: Option<u64>,
        /// How many change sets it may send; its network is not counted then
        #[arg(long, value_name = "N")]
        changes_per_minute: Option<NonZeroU32>,
        /// Let it do what everybody may
        #[arg(long, conflicts_with_all = ["files", "changes_per_minute"])]
        reset: bool,
    },
    /// Print the message of the day, or change it; it wins over the settings
    Motd {
        text: Option<String>,
        /// Say nothing
        #[arg(long, conflicts_with = "text")]
        clear: bool,
    },
    /// Print all that is kept of a peer (key or name), as JSON
    Export { peer: String },
    /// Erase a member (key or name), its name and its libraries
    Erase { peer: String },
    /// List what operators did, the latest first
    Audit {
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Verify the databases and the search index; exits with 1 if something is wrong
    Check {
        /// Mend what can be mended; the index must be stopped
        #[arg(long)]
        repair: bool,
    },
    /// Copy accounts and key into a new folder, also while the index runs
    Backup {
        to: PathBuf,
        /// Also the catalogue, which peers would otherwise publish again
        #[arg(long)]
        all: bool,
    },
    /// Put a backup in the place of what is there, which is kept; the index must be stopped
    Restore { from: PathBuf },
    /// Bring the databases up to date, as the next start would; the index must be stopped
    Migrate {
        /// Only say what would change; exits with 1 if something would
        #[arg(long)]
        check: bool,
    },
}

const BLOCK_KINDS: [&str; 4] = ["file", "audio", "album", "phrase"];

enum Order {
    Question(Request),
    Task(Task),
}

impl Action {
    /// What is asked of the running index, or done to its folder; `None` to run one.
    fn order(self) -> Option<Order> {
        let question = match self {
            Self::Run => return None,
            Self::Check { repair } => {
                return Some(Order::Task(Task::Check { repair: if repair { Repair::Mend } else { Repair::Look } }));
            }
            Self::Backup { to, all } => {
                let extent = if all { Extent::Everything } else { Extent::Accounts };
                return Some(Order::Task(Task::Backup { to, extent }));
            }
            Self::Restore { from } => return Some(Order::Task(Task::Restore { from })),
            Self::Migrate { check } => {
                return Some(Order::Task(Task::Migrate { mode: if check { Migrate::Look } else { Migrate::Do } }));
            }
            Self::Link => Request::Link,
            Self::Invite { uses, days, by } => Request::Invite { uses, days, by },
            Self::Invites => Request::Invites,
            Self::Revoke { invite } => Request::Revoke { invite },
            Self::Members => Request::Members,
            Self::Ban { target, reason, days, branch: true } => Request::BanBranch { peer: target, reason, days },
            Self::Ban { target, reason, days, branch: false } => Request::Ban { target, reason, days },
            Self::Unban { target } => Request::Unban { target: target.to_string() },
            Self::Bans => Request::Bans,
            Self::Block { kind, value, reason } => Request::Block { kind, value, reason },
            Self::Unblock { kind, value } => Request::Unblock { kind, value },
            Self::Blocks => Request::Blocks,
            Self::Report { close: Some(no), outcome, .. } => Request::CloseReport { no, outcome },
            Self::Report { all, .. } => Request::Reports { all },
            Self::Name { peer, free: true, .. } => Request::FreeName { peer },
            Self::Name { peer, new_name: Some(name), .. } => Request::Rename { peer, name },
            Self::Name { peer, .. } => Request::Name { peer },
            Self::Quota { peer, reset: true, .. } => Request::ResetQuota { peer },
            Self::Quota { peer, files: None, changes_per_minute: None, .. } => Request::Quota { peer },
            Self::Quota { peer, files, changes_per_minute, .. } => {
                Request::SetQuota { peer, files, changes_per_minute }
            }
            Self::Motd { clear: true, .. } => Request::MessageOfTheDay { text: Some(String::new()) },
            Self::Motd { text, .. } => Request::MessageOfTheDay { text },
            Self::Export { peer } => Request::Export { peer },
            Self::Erase { peer } => Request::Erase { peer },
            Self::Audit { limit } => Request::Audit { limit },
        };
        Some(Order::Question(question))
    }
}

impl Cli {
    pub(super) fn resolve(self) -> Result<Command, SettingsError> {
        let (file, file_dir) = match self.place.config.or_else(existing_default_file) {
            Some(path) => (FileSettings::read(&path)?, path.parent().map(Path::to_owned)),
            None => (FileSettings::default(), None),
        };
        // Paths in a file are meant as seen from the file.
        let from_file = file.data_dir.as_ref().map(|dir| file_dir.unwrap_or_default().join(dir));
        let data_dir = self.place.data_dir.or(from_file).or_else(default_data_dir).ok_or(SettingsError::NoHome)?;
        match self.action.and_then(Action::order) {
            Some(Order::Question(question)) => Ok(Command::Ask { data_dir, question }),
            Some(Order::Task(task)) => {
                let database = super::database(self.run.database.or(file.database).as_deref(), &data_dir)?;
                Ok(Command::Maintain { data_dir, database, task })
            }
            None => Settings::resolve(self.run, file, data_dir).map(Box::new).map(Command::Run),
        }
    }
}

fn existing_default_file() -> Option<PathBuf> {
    let folder = xdg_folder("XDG_CONFIG_HOME", ".config")?;
    Some(folder.join("choir-index").join("config.toml")).filter(|path| path.exists())
}

fn default_data_dir() -> Option<PathBuf> {
    xdg_folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("choir-index"))
}

/// The XDG base directory specification: relative paths in these variables are to be ignored.
fn xdg_folder(variable: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(under_home)))
}
