//! Where a store keeps what it remembers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

/// What a URL may ask for beside host, user and database. The driver would write any other into the log, with its
/// value, and go on without it.
const PARAMETERS: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Where the two databases are.
#[derive(Clone, Debug)]
pub enum Location {
    /// SQLite files in a folder.
    Folder(PathBuf),
    /// Two schemas of one database.
    Postgres(PostgresUrl),
}

/// How to reach a database of PostgreSQL. It may have a password, and never shows it.
#[derive(Clone)]
pub struct PostgresUrl(Arc<PgConnectOptions>);

/// The text is no such URL. It is not repeated, because it may have a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPostgresUrl(String);

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl PostgresUrl {
    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::clone(&self.0)
    }
}

impl FromStr for PostgresUrl {
    type Err = InvalidPostgresUrl;

    fn from_str(url: &str) -> Result<Self, InvalidPostgresUrl> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(InvalidPostgresUrl("it does not begin with postgres://".to_owned()));
        }
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        let names = parameters.split('&').filter(|parameter| !parameter.is_empty());
        let mut names = names.map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name));
        if let Some(unknown) = names.find(|name| !PARAMETERS.contains(name)) {
            // A password with a question mark in it must not be taken for the name of a parameter.
            let is_a_name = unknown.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-'));
            let which = if is_a_name { unknown } else { "with another name" };
            return Err(InvalidPostgresUrl(format!("there is no parameter {which}; it may have {PARAMETERS:?}")));
        }
        match url.parse() {
            Ok(options) => Ok(Self(Arc::new(options))),
            Err(sqlx::Error::Configuration(error)) => Err(InvalidPostgresUrl(error.to_string())),
            Err(_) => Err(InvalidPostgresUrl("it cannot be read".to_owned())),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (port, database) = (self.0.get_port(), self.0.get_database().unwrap_or_default());
        match self.0.get_socket() {
            Some(socket) => write!(f, "postgres:///{database}?host={}&port={port}", socket.display()),
            None => write!(f, "postgres://{}:{port}/{database}", self.0.get_host()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_user_and_password() {
        let table = [
            ("postgres://anna:s3cret@db.example:6000/choir", "postgres://db.example:6000/choir"),
            ("postgresql://db/choir?password=s3cret&user=anna", "postgres://db:5432/choir"),
            ("postgres://anna:s3cret@localhost/choir?host=/run/pg", "postgres:///choir?host=/run/pg&port=5432"),
        ];
        for (url, shown) in table {
            let url: PostgresUrl = url.parse().unwrap();
            assert_eq!((url.to_string().as_str(), format!("{url:?}").as_str()), (shown, shown));
            let location = format!("{:?}", Location::Postgres(url));
            assert!(!location.contains("s3cret") && !location.contains("anna"), "{location}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        let table = [
            ("mysql://anna:s3cret@db/choir", "postgres://"),
            ("postgres://anna:s3cret@db/choir?pasword=s3cret", "no parameter pasword"),
            ("postgres://anna:s3?cret@db/choir", "no parameter with another name"),
            ("postgres://anna:s3cret@db:port/choir", "port"),
            ("postgres://anna:s3cret@db/choir?sslmode=s3", "ssl"),
        ];
        for (url, why) in table {
            let error = url.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("cret"), "{url}: {error}");
        }
    }
}
