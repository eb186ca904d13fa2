//! Opening the two schemas of a PostgreSQL database.
//!
//! - **The schema is the search path** of its connections, so that statements name tables as they do on SQLite.
//! - **Nobody waits long.** A connection that cannot be had, or a turn to write that does not come, is an error that
//!   says so; and whoever falls silent in the middle of a transaction loses it, and with it the turn to write.
//! - **Accounts are copied before they are changed**, into a schema beside them (`upgrade`).
//! - **What is damaged is for the server's operator**: nothing is moved aside here, and a catalogue that this version
//!   cannot bring up to date is not begun anew.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::Options;
use super::database::Database;
use super::error::OpenError;
use super::location::PostgresUrl;
use super::sql::{Connect, Readers, STATEMENT_TIME};
use super::upgrade;
use super::writer::Writer;
use crate::giving_way;

static ACCOUNTS: Migrator = sqlx::migrate!("../migrations/postgres/accounts");
static CATALOGUE: Migrator = sqlx::migrate!("../migrations/postgres/catalogue");

/// What a request waits for a connection that reads, be it that all are busy or that the database is gone.
const ACQUIRE_TIME: Duration = Duration::from_secs(3);

/// As the server understands them. Another program's group takes some ten milliseconds, so a turn that does not come
/// for so long was lost with a program that died.
const SETTINGS: [(&str, &str); 3] =
    [("lock_timeout", "8s"), ("idle_in_transaction_session_timeout", "8s"), ("timezone", "UTC")];

/// A database of ours within one of PostgreSQL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    Accounts,
    Catalogue,
}

impl Schema {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Catalogue => "catalogue",
        }
    }

    pub(super) fn migrations(self) -> &'static Migrator {
        match self {
            Self::Accounts => &ACCOUNTS,
            Self::Catalogue => &CATALOGUE,
        }
    }

    const fn creation(self) -> &'static str {
        match self {
            Self::Accounts => "CREATE SCHEMA accounts",
            Self::Catalogue => "CREATE SCHEMA catalogue",
        }
    }
}

pub(super) async fn open(
    url: &PostgresUrl,
    schema: Schema,
    options: Options,
    tracker: &TaskTracker,
) -> Result<Database, OpenError> {
    let mut connection = connect(url, schema).await?;
    prepare(url, schema, &mut connection).await?;
    let connect = connect_options(url, schema);
    let read = connect.clone().options([("default_transaction_read_only", "on")]);
    let readers = PgPoolOptions::new()
        .max_connections(options.readers.max(1))
        .acquire_timeout(ACQUIRE_TIME)
        .connect_lazy_with(read);
    let runtime = match schema {
        Schema::Accounts => Handle::current(),
        // Who publishes has time.
        Schema::Catalogue => giving_way::tasks(),
    };
    Ok(Database {
        writer: Writer::spawn(Connect::Postgres(Box::new(connect)), connection.into(), tracker, &runtime),
        readers: Readers::Postgres(readers),
    })
}

/// A connection to a schema that need not be there yet.
pub(super) async fn connect(url: &PostgresUrl, schema: Schema) -> Result<PgConnection, OpenError> {
    let options = connect_options(url, schema);
    match tokio::time::timeout(STATEMENT_TIME, options.connect()).await {
        Ok(connected) => connected.map_err(|error| OpenError::Server(url.clone(), error)),
        Err(_) => Err(OpenError::Server(url.clone(), sqlx::Error::PoolTimedOut)),
    }
}

/// The migrations that were applied; none to a schema that is not there.
pub(super) async fn applied(url: &PostgresUrl, schema: Schema) -> Result<Vec<i64>, OpenError> {
    let mut connection = connect(url, schema).await?;
    let applied = applied_on(&mut connection).await;
    let _ = connection.close().await;
    applied.map_err(|error| OpenError::Server(url.clone(), error))
}

pub(super) async fn applied_on(connection: &mut PgConnection) -> sqlx::Result<Vec<i64>> {
    let table: Option<String> =
        sqlx::query_scalar("SELECT CAST(to_regclass('_sqlx_migrations') AS TEXT)").fetch_one(&mut *connection).await?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(connection)
        .await
}

fn connect_options(url: &PostgresUrl, schema: Schema) -> PgConnectOptions {
    let options = url.options();
    let name = options.get_application_name().unwrap_or("choir-index").to_owned();
    options
        .application_name(&name)
        .options([("search_path", schema.name())])
        .options(SETTINGS)
        .disable_statement_logging()
}

/// Makes the schema if need be, and brings it up to date. Several programs may do so at once.
async fn prepare(url: &PostgresUrl, schema: Schema, connection: &mut PgConnection) -> Result<(), OpenError> {
    let failed = |error| OpenError::Server(url.clone(), error);
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *connection).await.map_err(failed)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(url.clone(), encoding));
    }
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(schema.name())
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if !there {
        match sqlx::query(schema.creation()).execute(&mut *connection).await {
            Err(error) if !is_there_already(&error) => return Err(failed(error)),
            _ => {}
        }
    }
    let migration_failed = |error| OpenError::ServerMigration(url.clone(), error);
    // The migrator's own, which it takes once more. After a failure it ends with the connection.
    connection.lock().await.map_err(migration_failed)?;
    if schema == Schema::Accounts {
        upgrade::keep_accounts_on_server(connection).await.map_err(failed)?;
    }
    schema.migrations().run(&mut *connection).await.map_err(migration_failed)?;
    connection.unlock().await.map_err(migration_failed)
}

/// Another program was faster, by much or by little.
fn is_there_already(error: &sqlx::Error) -> bool {
    const DUPLICATE_SCHEMA: &str = "42P06";
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() || error.code().is_some_and(|code| code == DUPLICATE_SCHEMA))
}
