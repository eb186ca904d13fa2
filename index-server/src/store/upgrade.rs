//! Bringing a database up to date, with a copy of the accounts from before.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::database::{ACCOUNTS, ACCOUNTS_FILE, CATALOGUE, CATALOGUE_FILE, read_only};
use super::error::OpenError;
use super::location::Location;
use super::postgres::{self, Schema};
use super::snapshot;

/// How a database stands to this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The name of the file or of the schema.
    pub database: &'static str,
    /// What is still to be done, as `0002 operation`.
    pub pending: Vec<String>,
    /// Done by a later program, which this one cannot undo.
    pub unknown: Vec<i64>,
}

/// What opening the databases would change. A database that is not there yet needs nothing.
pub async fn upgrades(at: &Location) -> Result<Vec<Upgrade>, OpenError> {
    let mut upgrades = Vec::new();
    match at {
        Location::Folder(dir) => {
            for (database, migrations) in [(ACCOUNTS_FILE, &ACCOUNTS), (CATALOGUE_FILE, &CATALOGUE)] {
                let path = dir.join(database);
                if !path.exists() {
                    continue;
                }
                let failed = |error| OpenError::Database(path.clone(), error);
                let mut connection = read_only(&path).await?;
                let applied = applied(&mut connection).await.map_err(failed)?;
                connection.close().await.map_err(failed)?;
                upgrades.push(Upgrade::of(database, migrations, &applied));
            }
        }
        Location::Postgres(url) => {
            for schema in [Schema::Accounts, Schema::Catalogue] {
                let applied = postgres::applied(url, schema).await?;
                if !applied.is_empty() {
                    upgrades.push(Upgrade::of(schema.name(), schema.migrations(), &applied));
                }
            }
        }
    }
    Ok(upgrades)
}

impl Upgrade {
    fn of(database: &'static str, migrations: &Migrator, applied: &[i64]) -> Self {
        let known = |version: &i64| migrations.iter().any(|migration| migration.version == *version);
        Self {
            database,
            pending: pending(migrations, applied).map(|(version, name)| format!("{version:04} {name}")).collect(),
            unknown: applied.iter().copied().filter(|version| !known(version)).collect(),
        }
    }
}

/// Copies accounts that are about to be changed into `backups` beside them, named after the first change. A copy of
/// the same state is replaced. `None` if nothing is to be changed, or nothing is there yet.
pub(super) async fn keep_accounts(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<Option<PathBuf>, OpenError> {
    let applied = applied(connection).await.map_err(|error| OpenError::Database(path.to_owned(), error))?;
    let Some((version, _)) = pending(&ACCOUNTS, &applied).next().filter(|_| !applied.is_empty()) else {
        return Ok(None);
    };
    let folder = path.with_file_name("backups");
    fs::create_dir_all(&folder).map_err(|error| OpenError::Folder(folder.clone(), error))?;
    let to = folder.join(format!("accounts-before-{version:04}.db"));
    snapshot::copy(connection, path, &to).await?;
    tracing::info!(backup = %to.display(), "the accounts were copied before they are brought up to date");
    Ok(Some(to))
}

/// So many copies stay on a server. Nobody goes back further.
const COPIES: u8 = 3;

/// The same on a server, into a schema beside the accounts: the name of it. They stay as they are until the copy is
/// whole; the caller sees to it that no other program migrates meanwhile.
pub(super) async fn keep_accounts_on_server(connection: &mut PgConnection) -> sqlx::Result<Option<String>> {
    let applied = postgres::applied_on(connection).await?;
    let Some((version, _)) = pending(Schema::Accounts.migrations(), &applied).next().filter(|_| !applied.is_empty())
    else {
        return Ok(None);
    };
    let copy = format!("accounts_before_{version:04}");
    let mut transaction = connection.begin().await?;
    // Programs of the version before may be writing still.
    sqlx::query("SELECT one FROM turn FOR UPDATE").execute(&mut *transaction).await?;
    sqlx::query("SELECT set_config('choir.copy', $1, true), set_config('choir.copies', $2, true)")
        .bind(&copy)
        .bind(COPIES.to_string())
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(include_str!("upgrade/copy_accounts.sql")).execute(&mut *transaction).await?;
    transaction.commit().await?;
    tracing::info!(schema = copy, "the accounts were copied before they are brought up to date");
    Ok(Some(copy))
}

fn pending<'m>(migrations: &'m Migrator, applied: &[i64]) -> impl Iterator<Item = (i64, &'m str)> {
    let open = migrations.iter().filter(|migration| !applied.contains(&migration.version));
    open.map(|migration| (migration.version, migration.description.as_ref())).collect::<Vec<_>>().into_iter()
}

/// The versions that were applied; none to a database that is empty.
async fn applied(connection: &mut SqliteConnection) -> sqlx::Result<Vec<i64>> {
    let tables: u32 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(connection)
        .await
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::store::testing::NOW;
    use crate::store::testing::postgres::Postgres;
    use crate::store::{Options, PostgresUrl, Store};

    /// Accounts as the first version left them, with one member.
    async fn first_version(dir: &Path) {
        let connect = SqliteConnectOptions::new().filename(dir.join("accounts.db")).create_if_missing(true);
        let mut first = connect.connect().await.unwrap();
        Migrator::with_migrations(ACCOUNTS.iter().take(1).cloned().collect()).run(&mut first).await.unwrap();
        let peer = choir_shared::identity::SecretKey::from_seed(&[1; 32]).peer_id();
        let member = sqlx::query("INSERT INTO members (peer, created_unix_s, last_seen_unix_s) VALUES (?1, ?2, ?2)");
        member.bind(peer.as_bytes().to_vec()).bind(NOW as i64).execute(&mut first).await.unwrap();
        first.close().await.unwrap();
    }

    #[tokio::test]
    async fn accounts_are_copied_before_they_are_changed_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        first_version(dir.path()).await;
        let before = upgrades(&dir.path().into()).await.unwrap();
        let pending = ["0002 operation", "0003 quotas"].map(str::to_owned);
        assert_eq!((before[0].pending.as_slice(), before[0].unknown.len()), (&pending[..], 0));

        let copy = dir.path().join("backups/accounts-before-0002.db");
        for _ in 0..2 {
            let tracker = TaskTracker::new();
            let store = Store::open(&dir.path().into(), Options::default(), &tracker).await.unwrap();
            assert_eq!(store.members().await.unwrap().len(), 1);
            store.close().await;
            drop(store);
            assert!(upgrades(&dir.path().into()).await.unwrap().iter().all(|upgrade| upgrade.pending.is_empty()));
            if copy.exists() {
                let mut old = read_only(&copy).await.unwrap();
                assert_eq!(applied(&mut old).await.unwrap(), [1]);
                let members: u32 =
                    sqlx::query_scalar("SELECT count(*) FROM members").fetch_one(&mut old).await.unwrap();
                assert_eq!(members, 1);
                old.close().await.unwrap();
                fs::remove_file(&copy).unwrap();
            } else {
                return;
            }
        }
        panic!("copied although nothing changed");
    }

    /// The names of the copies on a server.
    async fn copies(connection: &mut PgConnection) -> Vec<String> {
        let copies = "SELECT nspname::TEXT FROM pg_namespace WHERE nspname LIKE 'accounts\\_before\\_%' ORDER BY 1";
        sqlx::query_scalar(copies).fetch_all(connection).await.unwrap()
    }

    #[tokio::test]
    async fn on_a_server_accounts_are_copied_to_a_schema_that_can_take_their_place() {
        let (server, tracker) = (Postgres::start(), TaskTracker::new());
        let database = server.database();
        let url: PostgresUrl = database.url().parse().unwrap();
        let open = async || {
            let store = Store::open(&Location::Postgres(url.clone()), Options::default(), &tracker).await.unwrap();
            store.close().await;
        };
        let member = "INSERT INTO members (peer, created_unix_s, last_seen_unix_s) VALUES ($1, 1, 1) RETURNING no";
        let enrol = async |connection: &mut PgConnection, key: u8| -> i64 {
            sqlx::query_scalar(member).bind(vec![key; 32]).fetch_one(connection).await.unwrap()
        };
        let first = Migrator::with_migrations(Schema::Accounts.migrations().iter().take(1).cloned().collect());
        let mut old = postgres::connect(&url, Schema::Accounts).await.unwrap();
        sqlx::raw_sql("CREATE SCHEMA accounts; CREATE SCHEMA accounts_before_0000; CREATE SCHEMA accounts_before_0001; CREATE SCHEMA accounts_before_mine")
            .execute(&mut old)
            .await
            .unwrap();
        first.run(&mut old).await.unwrap();
        assert_eq!((enrol(&mut old, 1).await, enrol(&mut old, 2).await), (1, 2));
        sqlx::query("DELETE FROM members WHERE no = 2").execute(&mut old).await.unwrap();

        open().await;
        assert_eq!(
            copies(&mut old).await,
            ["0000", "0001", "0002", "mine"].map(|end| format!("accounts_before_{end}"))
        );
        sqlx::query("DROP SCHEMA accounts_before_0002 CASCADE").execute(&mut old).await.unwrap();
        open().await;
        assert_eq!(copies(&mut old).await.len(), 3, "nothing is copied if nothing changes");

        sqlx::raw_sql(
            "DELETE FROM _sqlx_migrations WHERE version = 3;
             DROP TABLE owner, replicas, online, versions; CREATE SCHEMA accounts_before_0002",
        )
        .execute(&mut old)
        .await
        .unwrap();
        open().await;
        assert_eq!(
            copies(&mut old).await,
            ["0001", "0002", "0003", "mine"].map(|end| format!("accounts_before_{end}"))
        );

        // Going back, as the guide for operators says.
        let back =
            "ALTER SCHEMA accounts RENAME TO accounts_left; ALTER SCHEMA accounts_before_0003 RENAME TO accounts";
        sqlx::raw_sql(back).execute(&mut old).await.unwrap();
        old.close().await.unwrap();
        let mut old = postgres::connect(&url, Schema::Accounts).await.unwrap();
        assert_eq!(postgres::applied_on(&mut old).await.unwrap(), [1, 2]);
        assert_eq!(enrol(&mut old, 3).await, 3, "no number is given twice");
        let again = sqlx::query(member).bind(vec![1; 32]).execute(&mut old).await;
        assert!(again.is_err(), "keys are unique still");
        let listed: Vec<i64> = sqlx::query_scalar("SELECT CAST(value AS BIGINT) FROM json_each('[4, 5]')")
            .fetch_all(&mut old)
            .await
            .unwrap();
        assert_eq!(listed, [4, 5]);
        old.close().await.unwrap();
        open().await;
    }

    #[tokio::test]
    async fn a_database_of_a_later_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        first_version(dir.path()).await;
        let connect = SqliteConnectOptions::new().filename(dir.path().join("accounts.db"));
        let mut later = connect.connect().await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET version = 99").execute(&mut later).await.unwrap();
        later.close().await.unwrap();
        assert_eq!(upgrades(&dir.path().into()).await.unwrap()[0].unknown, [99]);
    }
}
