//! One task that writes, for one database.
//!
//! A database has one writer at a time, and a commit costs far more than a change. So changes queue up here, and all
//! that are waiting are committed together (group commit):
//!
//! - On PostgreSQL other programs may write to the same database, each with a task like this; a group waits for its
//!   turn ([`Connection::begin_writing`]).
//! - Each change runs in a savepoint of its own. One that is refused is undone and spoils no other.
//! - Nobody is answered before the commit. If that fails, everyone of the group gets the failure, whatever came out
//!   before: even a refusal may rest on a change that was then lost.
//! - After any failure of the transaction itself the connection is thrown away: the database may already have rolled
//!   back by itself, and then connection and program disagree about where they are. The next group makes a new one.
//! - A change runs to its end even if whoever asked for it no longer waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::StoreError;
use super::sql::{Connect, Connection, query_either};

/// Changes that may wait. HTTP handlers fill it and then wait themselves, each with a body of up to a megabyte.
const QUEUED: usize = 64;

/// A group ends when it has taken this long, so that its first change is not answered much later than its last.
const MAX_GROUP_TIME: Duration = Duration::from_millis(50);

/// How long a failure is the last word. A disk does not empty itself at once, and who asks may ask every second.
const BELIEVED: Duration = Duration::from_secs(2);

/// Hands changes to the task. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    closing: CancellationToken,
    closed: CancellationToken,
    failure: Arc<Mutex<Option<Failure>>>,
}

/// The last group, if it was lost.
struct Failure {
    at: Instant,
    error: StoreError,
}

/// A change on its way: it runs, and what comes back waits for the commit.
type Job = Box<dyn for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Done> + Send>;

struct Done {
    outcome: Outcome,
    answer: Answer,
}

enum Outcome {
    Keep,
    Undo,
}

/// Tells whoever waits, once it is known whether the commit succeeded.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

impl Writer {
    /// The task runs on `tracker`, on the threads of `runtime`.
    pub(super) fn spawn(connect: Connect, connection: Connection, tracker: &TaskTracker, runtime: &Handle) -> Self {
        let (sender, jobs) = mpsc::channel(QUEUED);
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let failure = Arc::default();
        let task = Task {
            connect,
            connection: Some(connection),
            jobs,
            closing: closing.clone(),
            failure: Arc::clone(&failure),
        };
        let guard = closed.clone().drop_guard();
        let work = async move {
            let _closed = guard;
            task.run().await;
        };
        tracker.spawn_on(work, runtime);
        Self { jobs: sender, closing, closed, failure }
    }

    /// Why changes are lost now, if the last ones were. After a while nobody may have dared to try again; then this
    /// does.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let known = match &*lock(&self.failure) {
            None => return Ok(()),
            Some(failure) if failure.at.elapsed() < BELIEVED => Err(failure.error.clone()),
            Some(_) => Ok(()),
        };
        known?;
        // Rewrites a page, or a row, as it was.
        let rewrite = query_either("PRAGMA user_version = 0", "UPDATE turn SET one = one");
        self.run(|database| Box::pin(async move { rewrite.execute(database).await.map(drop) })).await
    }

    /// Runs `change` in the next group. If it returns an error, it has changed nothing.
    pub(super) async fn run<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            Box::pin(async move {
                let result = change(database).await;
                let outcome = if result.is_ok() { Outcome::Keep } else { Outcome::Undo };
                let answer = Box::new(move |committed: Result<(), StoreError>| {
                    // If nobody waits any more, nobody needs to know.
                    let _ = answer.send(committed.map_err(E::from).and(result));
                });
                Done { outcome, answer }
            })
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Unavailable)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable.into()))
    }

    /// Takes no more changes, and waits until those that are queued are committed.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.closed.cancelled().await;
    }
}

fn lock(failure: &Mutex<Option<Failure>>) -> MutexGuard<'_, Option<Failure>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    connect: Connect,
    /// Gone after a failure, until the next group.
    connection: Option<Connection>,
    jobs: mpsc::Receiver<Job>,
    closing: CancellationToken,
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Task {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let mut answers = Vec::new();
            let committed = self.group(first, &mut answers).await;
            *lock(&self.failure) =
                committed.as_ref().err().map(|error| Failure { at: Instant::now(), error: error.clone() });
            if let Err(error) = &committed {
                tracing::error!(%error, changes = answers.len(), "a group of changes was lost");
                self.connection = None;
            }
            answers.into_iter().for_each(|answer: Answer| answer(committed.clone()));
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "a database did not close cleanly");
        }
    }

    async fn next(&mut self) -> Option<Job> {
        tokio::select! {
            job = self.jobs.recv() => job,
            () = self.closing.cancelled() => {
                self.jobs.close();
                self.jobs.recv().await
            }
        }
    }

    async fn group(&mut self, first: Job, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.connect.connect().await?),
        };
        let started = Instant::now();
        connection.begin_writing().await?;
        let mut next = Some(first);
        while let Some(job) = next {
            connection.begin_change().await?;
            let Done { outcome, answer } = job(connection).await;
            answers.push(answer);
            match outcome {
                Outcome::Keep => connection.keep_change().await?,
                Outcome::Undo => connection.undo_change().await?,
            }
            next = if started.elapsed() < MAX_GROUP_TIME { self.jobs.try_recv().ok() } else { None };
        }
        connection.commit().await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::store::sql::{ToSqlite, query};

    /// A table whose rows must point at each other by the time of the commit.
    async fn writer(dir: &std::path::Path) -> (Writer, SqliteConnectOptions) {
        let connect = SqliteConnectOptions::new().filename(dir.join("test.db")).create_if_missing(true);
        let mut connection = connect.connect().await.unwrap();
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, next INTEGER REFERENCES t DEFERRABLE INITIALLY DEFERRED)";
        sqlx::query(table).execute(&mut connection).await.unwrap();
        let to = ToSqlite { options: connect.clone(), gives_way: false };
        (
            Writer::spawn(Connect::Sqlite(Box::new(to)), connection.into(), &TaskTracker::new(), &Handle::current()),
            connect,
        )
    }

    enum Then {
        Succeed,
        Fail,
    }

    async fn insert(writer: &Writer, id: u32, next: Option<u32>, then: Then) -> Result<(), StoreError> {
        let change = query("INSERT INTO t VALUES ($1, $2)").bind(id).bind(next);
        let run = writer.run(move |database| {
            Box::pin(async move {
                change.execute(database).await?;
                match then {
                    Then::Succeed => Ok(()),
                    Then::Fail => Err(StoreError::Corrupt("nothing: this is a test")),
                }
            })
        });
        run.await
    }

    /// Holds the group open until the other changes have queued up.
    async fn wait(writer: &Writer, gate: oneshot::Receiver<()>) -> Result<(), StoreError> {
        writer.run(move |_| Box::pin(async move { gate.await.map_err(|_| StoreError::Unavailable) })).await
    }

    async fn ids(connect: &SqliteConnectOptions) -> Vec<u32> {
        let mut connection = connect.connect().await.unwrap();
        sqlx::query_scalar("SELECT id FROM t ORDER BY id").fetch_all(&mut connection).await.unwrap()
    }

    #[tokio::test]
    async fn a_change_that_fails_is_undone_and_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, connect) = writer(dir.path()).await;
        let (open, gate) = oneshot::channel();
        let (waited, first, second, third, ()) = tokio::join!(
            biased;
            wait(&writer, gate),
            insert(&writer, 1, None, Then::Succeed),
            insert(&writer, 2, None, Then::Fail),
            insert(&writer, 3, None, Then::Succeed),
            async { open.send(()).unwrap() },
        );
        assert!(waited.is_ok() && first.is_ok() && second.is_err() && third.is_ok());
        writer.close().await;
        assert_eq!(ids(&connect).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_everybodys_failure_and_not_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, connect) = writer(dir.path()).await;
        let (open, gate) = oneshot::channel();
        let (waited, sound, dangling, ()) = tokio::join!(
            biased;
            wait(&writer, gate),
            insert(&writer, 1, None, Then::Succeed),
            insert(&writer, 2, Some(99), Then::Succeed),
            async { open.send(()).unwrap() },
        );
        assert!([waited, sound, dangling].iter().all(|result| matches!(result, Err(StoreError::Database(_)))));
        insert(&writer, 3, None, Then::Succeed).await.unwrap();
        writer.close().await;
        assert_eq!(ids(&connect).await, [3]);
        assert!(matches!(insert(&writer, 4, None, Then::Succeed).await, Err(StoreError::Unavailable)));
    }
}
