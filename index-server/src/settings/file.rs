//! The settings file: TOML with the names of the flags, underscores for hyphens, and a table `[limits]`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Access, LimitSettings, SettingsError};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileSettings {
    pub(super) listen: Option<Vec<SocketAddr>>,
    pub(super) rendezvous: Option<SocketAddr>,
    pub(super) public_url: Option<Vec<String>>,
    pub(super) replica_url: Option<String>,
    pub(super) access: Option<Access>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) database: Option<String>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) log_file: Option<PathBuf>,
    pub(super) log_megabytes: Option<NonZeroU32>,
    pub(super) tls_certificate: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) plain_http: Option<bool>,
    pub(super) trusted_proxies: Option<Vec<IpAddr>>,
    pub(super) name: Option<String>,
    pub(super) contact: Option<String>,
    pub(super) rules: Option<String>,
    pub(super) message_of_the_day: Option<String>,
    pub(super) limits: LimitSettings,
}

impl FileSettings {
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        toml::from_str(text).map_err(|error| SettingsError::Malformed {
            path: path.to_owned(),
            message: without_passwords(&error.to_string()),
        })
    }
}

/// A message may show the line that is wrong, and that may be the one with the database's URL.
fn without_passwords(message: &str) -> String {
    let lines = message.lines().map(|line| match line.split_once("://") {
        Some((before, _)) => format!("{before}://…"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
