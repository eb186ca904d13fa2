//! Statements, for whichever database the store is on.
//!
//! - **One text serves both** where it can: parameters are `$1`, `$2` and so on, joins whose order matters are written
//!   as `CROSS JOIN` with `WHERE`, and PostgreSQL has functions like SQLite's for lists (`migrations/README.md`). Where
//!   it cannot, [`query_either`] takes two.
//! - **One parameter for many rows**: a list as JSON, read by `json_each`. Its numbers need a `CAST`, because
//!   PostgreSQL knows them as JSON.
//! - **No statement waits for ever.** SQLite is on our own disk; a database on another machine may fall silent.

mod connection;
mod row;
mod value;

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{Executor, Postgres, Sqlite};

use super::error::StoreError;

pub(super) use connection::{Connect, Connection, Readers, STATEMENT_TIME, ToSqlite, in_time};
pub(super) use row::{FromRow, Row};
pub(super) use value::Value;

/// A statement with its parameters.
#[must_use = "a query does nothing until it is executed"]
pub(super) struct Query {
    sqlite: &'static str,
    postgres: &'static str,
    values: Vec<Value>,
    time: Duration,
}

/// Where a statement runs.
pub(super) enum On<'a> {
    Readers(&'a Readers),
    Connection(&'a mut Connection),
}

/// A statement that both databases understand.
pub(super) const fn query(text: &'static str) -> Query {
    query_either(text, text)
}

/// A statement that the databases have different words for.
pub(super) const fn query_either(sqlite: &'static str, postgres: &'static str) -> Query {
    Query { sqlite, postgres, values: Vec::new(), time: STATEMENT_TIME }
}

impl Query {
    /// The next parameter.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// For a statement that reads everything, and may take its time.
    pub(super) const fn at_length(mut self) -> Self {
        self.time = Duration::MAX;
        self
    }

    /// How many rows were changed.
    pub(super) async fn execute(self, on: impl Into<On<'_>>) -> Result<u64, StoreError> {
        match on.into() {
            On::Readers(Readers::Sqlite(pool)) => self.execute_sqlite(pool).await,
            On::Connection(Connection::Sqlite(connection)) => self.execute_sqlite(&mut **connection).await,
            On::Readers(Readers::Postgres(pool)) => self.execute_postgres(pool).await,
            On::Connection(Connection::Postgres(connection)) => self.execute_postgres(&mut **connection).await,
        }
    }

    pub(super) async fn fetch_all<T: FromRow>(self, on: impl Into<On<'_>>) -> Result<Vec<T>, StoreError> {
        match on.into() {
            On::Readers(Readers::Sqlite(pool)) => self.rows_of_sqlite(pool).await,
            On::Connection(Connection::Sqlite(connection)) => self.rows_of_sqlite(&mut **connection).await,
            On::Readers(Readers::Postgres(pool)) => self.rows_of_postgres(pool).await,
            On::Connection(Connection::Postgres(connection)) => self.rows_of_postgres(&mut **connection).await,
        }
    }

    /// The first row, if there is one. For statements that give no more than a few.
    pub(super) async fn fetch_optional<T: FromRow>(self, on: impl Into<On<'_>>) -> Result<Option<T>, StoreError> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// The only row.
    pub(super) async fn fetch_one<T: FromRow>(self, on: impl Into<On<'_>>) -> Result<T, StoreError> {
        self.fetch_optional(on).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Row by row, for more of them than fit into memory; and however long it takes.
    pub(super) async fn for_each<T: FromRow>(
        self,
        connection: &mut Connection,
        mut visit: impl FnMut(T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match connection {
            Connection::Sqlite(connection) => {
                let mut rows = self.for_sqlite().fetch(&mut **connection);
                while let Some(row) = rows.try_next().await? {
                    visit(T::from_row(Row::Sqlite(row))?)?;
                }
            }
            Connection::Postgres(connection) => {
                let mut rows = self.for_postgres().fetch(&mut **connection);
                while let Some(row) = rows.try_next().await? {
                    visit(T::from_row(Row::Postgres(row))?)?;
                }
            }
        }
        Ok(())
    }

    fn for_sqlite<'q>(self) -> sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.sqlite), Value::bind)
    }

    fn for_postgres<'q>(self) -> sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.postgres), Value::bind)
    }

    async fn execute_sqlite<'e>(self, on: impl Executor<'e, Database = Sqlite>) -> Result<u64, StoreError> {
        Ok(self.for_sqlite().execute(on).await?.rows_affected())
    }

    fn execute_postgres<'e>(
        self,
        on: impl Executor<'e, Database = Postgres> + 'e,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        in_time(self.time, async { Ok(self.for_postgres().execute(on).await?.rows_affected()) })
    }

    async fn rows_of_sqlite<'e, T: FromRow>(
        self,
        on: impl Executor<'e, Database = Sqlite>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.for_sqlite().fetch_all(on).await?;
        rows.into_iter().map(|row| T::from_row(Row::Sqlite(row))).collect()
    }

    async fn rows_of_postgres<'e, T: FromRow>(
        self,
        on: impl Executor<'e, Database = Postgres> + 'e,
    ) -> Result<Vec<T>, StoreError> {
        let rows = in_time(self.time, async { Ok(self.for_postgres().fetch_all(on).await?) }).await?;
        rows.into_iter().map(|row| T::from_row(Row::Postgres(row))).collect()
    }
}

impl<'a> From<&'a Readers> for On<'a> {
    fn from(readers: &'a Readers) -> Self {
        Self::Readers(readers)
    }
}

impl<'a> From<&'a mut Connection> for On<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        Self::Connection(connection)
    }
}
