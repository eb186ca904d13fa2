//! What the operator decides.
//!
//! - Flags win over `CHOIR_INDEX_*` in the environment, those over the TOML file, that over the defaults.
//! - A key that nobody knows is an error that names it and its line: a misspelt limit must not pass for a set one.
//! - Defaults are safe for whom they reach: alone on this machine anyone may join, beyond it one needs an invite,
//!   and what leaves the machine is encrypted.

mod file;
mod flags;
mod limits;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use choir_shared::index_api;
use clap::ValueEnum;
use serde::Deserialize;

use crate::store::{InvalidPostgresUrl, Location};

pub use crate::origin::Proxies;
pub use flags::{Command, command};
pub use limits::LimitSettings;

/// The port of every index whose operator names none. Only a wish: if it is taken, a free one serves.
pub const DEFAULT_PORT: u16 = 8888;

/// What an index is called until its operator names it.
const DEFAULT_NAME: &str = "a Choir index";

/// Everything that [`crate::run()`] needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    /// Where members and libraries are kept.
    pub database: Location,
    pub listen: Vec<SocketAddr>,
    /// Who chose the ports decides what happens if one is taken.
    pub port_choice: PortChoice,
    /// `None`: the address of the first listener, and its port number if that is free.
    pub rendezvous: Option<SocketAddr>,
    /// How others reach this index, where its own addresses do not tell.
    pub public_urls: Vec<String>,
    /// How the other replicas of this index, and peers, reach this one. `None`: it is one program.
    pub replica_url: Option<String>,
    pub access: Access,
    pub encryption: Encryption,
    pub proxies: Proxies,
    /// Where metrics are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    pub log: LogSettings,
    pub description: Description,
    pub limits: LimitSettings,
}

/// Who may become a member. Of [`index_api::Access`] what an operator can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    Invite,
    Open,
    Closed,
}

impl From<Access> for index_api::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Invite => Self::Invite,
            Access::Open => Self::Open,
            Access::Closed => Self::Closed,
        }
    }
}

/// Whether a port is a wish or an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// Nobody named it: if it is taken, use a free one and say so.
    Default,
    /// The operator named it: if it is taken, that is an error.
    Operator,
}

/// How listeners beyond loopback are protected. Loopback is always plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// HTTPS with a certificate that the index signs with its own key, which members have pinned.
    OwnKey,
    /// HTTPS with a certificate of the operator's, for browsers and strict proxies.
    Files { certificate: PathBuf, key: PathBuf },
    /// None: a proxy in front does it.
    Proxy,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `None`: stderr.
    pub file: Option<PathBuf>,
    /// What the file and the one before it may have together.
    pub megabytes: NonZeroU32,
}

impl Default for LogSettings {
    /// Some weeks of a busy index at the usual level.
    fn default() -> Self {
        Self { file: None, megabytes: const { NonZeroU32::new(64).unwrap() } }
    }
}

/// What `/info` says in the operator's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub name: String,
    pub contact: Option<String>,
    pub rules: Option<String>,
    pub message_of_the_day: Option<String>,
}

impl Settings {
    /// The defaults for an index in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            database: Location::Folder(data_dir.clone()),
            data_dir,
            listen: vec![SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT))],
            port_choice: PortChoice::Default,
            rendezvous: None,
            public_urls: Vec::new(),
            replica_url: None,
            access: Access::Open,
            encryption: Encryption::OwnKey,
            proxies: Proxies::default(),
            metrics: None,
            log: LogSettings::default(),
            description: Description {
                name: DEFAULT_NAME.to_owned(),
                contact: None,
                rules: None,
                message_of_the_day: None,
            },
            limits: LimitSettings::default(),
        }
    }

    /// Puts flags (which include the environment) over the file over the defaults.
    fn resolve(flags: flags::RunFlags, file: file::FileSettings, data_dir: PathBuf) -> Result<Self, SettingsError> {
        let defaults = Self::new(data_dir);
        let database = database(flags.database.or(file.database).as_deref(), &defaults.data_dir)?;
        let replica_url = replica_url(flags.replica_url.or(file.replica_url), &database)?;
        let listen = first_given(flags.listen, file.listen.unwrap_or_default());
        let (listen, port_choice) = match listen {
            addresses if addresses.is_empty() => (defaults.listen, PortChoice::Default),
            addresses => (addresses, PortChoice::Operator),
        };
        let beyond_loopback = listen.iter().any(|address| !address.ip().to_canonical().is_loopback());
        let access = flags.access.or(file.access);
        let certificate = flags.tls_certificate.or(file.tls_certificate);
        let encryption = match (certificate, flags.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Encryption::Files { certificate, key },
            (None, None) if flags.plain_http || file.plain_http.unwrap_or(false) => Encryption::Proxy,
            (None, None) => Encryption::OwnKey,
            _ => return Err(SettingsError::HalfACertificate),
        };
        Ok(Self {
            access: access.unwrap_or(if beyond_loopback { Access::Invite } else { Access::Open }),
            listen,
            port_choice,
            rendezvous: flags.rendezvous.or(file.rendezvous),
            public_urls: first_given(flags.public_url, file.public_url.unwrap_or_default()),
            replica_url,
            encryption,
            proxies: Proxies::new(first_given(flags.trusted_proxy, file.trusted_proxies.unwrap_or_default())),
            metrics: flags.metrics.or(file.metrics),
            log: LogSettings {
                file: flags.log_file.or(file.log_file),
                megabytes: file.log_megabytes.unwrap_or(defaults.log.megabytes),
            },
            description: Description {
                name: flags.name.or(file.name).unwrap_or(defaults.description.name),
                contact: file.contact,
                rules: file.rules,
                message_of_the_day: file.message_of_the_day,
            },
            limits: file.limits,
            database,
            data_dir: defaults.data_dir,
        })
    }
}

fn first_given<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
    if flags.is_empty() { file } else { flags }
}

/// SQLite files are in the data folder, and nowhere else.
fn database(url: Option<&str>, data_dir: &Path) -> Result<Location, SettingsError> {
    let Some(url) = url else { return Ok(Location::Folder(data_dir.to_owned())) };
    match url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        Some(folder) if folder.is_empty() || Path::new(folder) == data_dir => Ok(Location::Folder(data_dir.to_owned())),
        Some(_) => Err(SettingsError::DatabaseElsewhere),
        None => Ok(Location::Postgres(url.parse()?)),
    }
}

/// A scheme, a host and perhaps a port: paths are appended to it.
fn replica_url(url: Option<String>, database: &Location) -> Result<Option<String>, SettingsError> {
    let Some(url) = url else { return Ok(None) };
    if matches!(database, Location::Folder(_)) {
        return Err(SettingsError::ReplicaOfFiles);
    }
    let trimmed = url.trim_end_matches('/');
    match crate::join_link::authority(trimmed) {
        Some(_) => Ok(Some(trimmed.to_owned())),
        None => Err(SettingsError::ReplicaUrl(url)),
    }
}

/// Whether packets to `ip` can come from another machine.
pub(crate) fn is_beyond_loopback(ip: IpAddr) -> bool {
    !ip.to_canonical().is_loopback()
}

/// Why settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the settings file {path} is wrong\n{message}")]
    Malformed { path: PathBuf, message: String },
    #[error("a certificate needs both tls-certificate and tls-key")]
    HalfACertificate,
    #[error("SQLite files are kept in the data folder, so give --data-dir instead of --database")]
    DatabaseElsewhere,
    #[error("the database is not a URL as postgres://user:password@host/database: {0}")]
    Database(#[from] InvalidPostgresUrl),
    #[error("the replica URL {0} is none: it is http:// or https://, a host, and a port if it is another than usual")]
    ReplicaUrl(String),
    #[error("replicas share a database on a server: with --replica-url goes --database postgres://…")]
    ReplicaOfFiles,
    #[error("neither HOME nor XDG_DATA_HOME is set, so give --data-dir")]
    NoHome,
}

#[cfg(test)]
mod tests;
