//! Connections to either database, and transactions on them.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool};
use sqlx::{ConnectOptions as _, Connection as _};

use tokio::runtime::Handle;

use crate::giving_way::giving_way;
use crate::store::error::StoreError;

/// How long a database on another machine may take for one statement, or to be connected to. Whatever a request asks
/// takes a small part of it; what is longer is a machine that is gone without a word.
pub(in crate::store) const STATEMENT_TIME: Duration = Duration::from_secs(20);

/// How to reach a database for writing.
#[derive(Clone)]
pub(in crate::store) enum Connect {
    Sqlite(Box<ToSqlite>),
    Postgres(Box<PgConnectOptions>),
}

#[derive(Clone)]
pub(in crate::store) struct ToSqlite {
    pub(in crate::store) options: SqliteConnectOptions,
    /// Whether its statements give way to what others wait for.
    pub(in crate::store) gives_way: bool,
}

/// One connection.
pub(in crate::store) enum Connection {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

/// Connections that only read.
#[derive(Clone)]
pub(in crate::store) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Connect {
    pub(in crate::store) async fn connect(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(database) => Ok(database.connect().await?.into()),
            Self::Postgres(options) => in_time(STATEMENT_TIME, async { Ok(options.connect().await?.into()) }).await,
        }
    }
}

impl ToSqlite {
    pub(in crate::store) async fn connect(&self) -> sqlx::Result<SqliteConnection> {
        if !self.gives_way {
            return self.options.connect().await;
        }
        // The thread that works for a connection is started by whichever asks for the connection.
        let (options, runtime) = (self.options.clone(), Handle::current());
        giving_way(move || runtime.block_on(options.connect())).await.map_err(sqlx::Error::Io)?
    }
}

impl Connection {
    /// Begins a transaction that writes. There is one at a time, for each database: the next waits here. So numbers
    /// and revisions appear in the order in which they are given, whoever reads.
    pub(in crate::store) async fn begin_writing(&mut self) -> Result<(), StoreError> {
        self.command("BEGIN IMMEDIATE", "BEGIN; SELECT one FROM turn FOR UPDATE").await
    }

    /// Begins to read what is there at this moment, whatever is written meanwhile.
    pub(in crate::store) async fn begin_reading(&mut self) -> Result<(), StoreError> {
        self.command("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    pub(in crate::store) async fn commit(&mut self) -> Result<(), StoreError> {
        self.command("COMMIT", "COMMIT").await
    }

    pub(in crate::store) async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.command("ROLLBACK", "ROLLBACK").await
    }

    /// Begins a change inside a transaction.
    pub(in crate::store) async fn begin_change(&mut self) -> Result<(), StoreError> {
        self.command("SAVEPOINT change", "SAVEPOINT change").await
    }

    pub(in crate::store) async fn keep_change(&mut self) -> Result<(), StoreError> {
        self.command("RELEASE change", "RELEASE SAVEPOINT change").await
    }

    /// Also after a statement that failed, without which PostgreSQL takes no other.
    pub(in crate::store) async fn undo_change(&mut self) -> Result<(), StoreError> {
        let undo = "ROLLBACK TO change";
        self.command(undo, "ROLLBACK TO SAVEPOINT change; RELEASE SAVEPOINT change").await?;
        match self {
            Self::Sqlite(_) => self.keep_change().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    pub(in crate::store) async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.close().await?),
            Self::Postgres(connection) => in_time(STATEMENT_TIME, async { Ok(connection.close().await?) }).await,
        }
    }

    async fn command(&mut self, sqlite: &'static str, postgres: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => sqlx::query(sqlite).execute(&mut **connection).await.map(drop)?,
            Self::Postgres(connection) => {
                in_time(STATEMENT_TIME, async { Ok(sqlx::raw_sql(postgres).execute(&mut **connection).await?) })
                    .await
                    .map(drop)?;
            }
        }
        Ok(())
    }
}

impl Readers {
    pub(in crate::store) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            // A connection that has fallen silent does not say goodbye.
            Self::Postgres(pool) => drop(tokio::time::timeout(STATEMENT_TIME, pool.close()).await),
        }
    }
}

impl From<SqliteConnection> for Connection {
    fn from(connection: SqliteConnection) -> Self {
        Self::Sqlite(Box::new(connection))
    }
}

impl From<PgConnection> for Connection {
    fn from(connection: PgConnection) -> Self {
        Self::Postgres(Box::new(connection))
    }
}

/// What a database on another machine answers, if it does.
pub(in crate::store) async fn in_time<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silent = |_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into()).into());
    tokio::time::timeout(time, answer).await.unwrap_or_else(silent)
}
