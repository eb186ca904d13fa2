//! The command line of `choir-index`, and the environment that stands in for it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use super::file::FileSettings;
use super::{Access, Settings, SettingsError};
use crate::store::BanTarget;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    Run(Box<Settings>),
    /// A question to the index that runs in this folder.
    Ask {
        data_dir: PathBuf,
        question: crate::admin::Request,
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
    /// Who may become a member [default: open on loopback, invite beyond it]
    #[arg(long, global = true, env = "CHOIR_INDEX_ACCESS", value_enum)]
    pub(super) access: Option<Access>,
    /// What the index is called
    #[arg(long, global = true, env = "CHOIR_INDEX_NAME")]
    pub(super) name: Option<String>,
    /// Where the truth is kept [default: SQLite files in the data folder]
    #[arg(long, global = true, env = "CHOIR_INDEX_DATABASE", value_name = "URL")]
    pub(super) database: Option<String>,
    /// Serve metrics for Prometheus here [default: nowhere]
    #[arg(long, global = true, env = "CHOIR_INDEX_METRICS", value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
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
        #[arg(long, default_value_t = crate::admin::INVITE_USES)]
        uses: u32,
        /// For how many days
        #[arg(long, default_value_t = crate::admin::INVITE_DAYS)]
        days: u32,
    },
    /// Shut out a peer (its key, 52 letters) or a network (address/bits)
    Ban {
        target: BanTarget,
        /// For the index's own records
        #[arg(long, default_value = "")]
        reason: String,
        /// For how many days [default: for good]
        #[arg(long)]
        days: Option<u32>,
    },
    /// Lift a ban
    Unban { target: BanTarget },
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
        let question = match self.action {
            None | Some(Action::Run) => {
                return Settings::resolve(self.run, file, data_dir).map(Box::new).map(Command::Run);
            }
            Some(Action::Link) => crate::admin::Request::Link,
            Some(Action::Invite { uses, days }) => crate::admin::Request::Invite { uses, days },
            Some(Action::Ban { target, reason, days }) => {
                crate::admin::Request::Ban { target: target.to_string(), reason, days }
            }
            Some(Action::Unban { target }) => crate::admin::Request::Unban { target: target.to_string() },
        };
        Ok(Command::Ask { data_dir, question })
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
