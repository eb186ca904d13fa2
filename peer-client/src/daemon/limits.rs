//! Which limits are in force: those of the schedule, else those that were set by command, else those of the settings.
//!
//! What is set by command holds at once and over restarts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::SqlitePool;
use tokio_util::sync::CancellationToken;

use super::wall_clock;
use crate::config::{Rate, Schedule, Scheduled, Settings, UploadRate, WeekMinute};
use crate::download::Throttle;
use crate::upload::Uploads;

/// Keys of what is remembered.
const UPLOAD: &str = "upload_limit";
const DOWNLOAD: &str = "download_limit";

pub(super) struct Limits {
    database: SqlitePool,
    schedule: Schedule,
    chosen: Mutex<Chosen>,
}

/// What holds where the schedule says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    up: UploadRate,
    down: Rate,
}

/// What holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) up: UploadRate,
    pub(super) down: Rate,
    /// What the schedule has a hand in.
    pub(super) scheduled: Scheduled,
}

impl Chosen {
    fn with(self, scheduled: Scheduled) -> InForce {
        InForce { up: scheduled.up.unwrap_or(self.up), down: scheduled.down.unwrap_or(self.down), scheduled }
    }
}

impl InForce {
    pub(super) fn apply(self, uploads: &Uploads, downloads: &Throttle) {
        uploads.set_limit(self.up);
        downloads.set_limit(self.down.bytes_per_second());
    }
}

impl Limits {
    pub(super) async fn load(database: SqlitePool, settings: &Settings) -> Result<Self, sqlx::Error> {
        let up = remembered(&database, UPLOAD).await?.unwrap_or(settings.upload_limit.value);
        let down = remembered(&database, DOWNLOAD).await?.unwrap_or(settings.download_limit.value);
        let schedule = settings.limit_schedule.value.clone();
        Ok(Self { database, schedule, chosen: Mutex::new(Chosen { up, down }) })
    }

    pub(super) async fn choose_upload(&self, up: UploadRate) -> Result<(), sqlx::Error> {
        self.remember(UPLOAD, &up.to_string()).await?;
        self.chosen().up = up;
        Ok(())
    }

    pub(super) async fn choose_download(&self, down: Rate) -> Result<(), sqlx::Error> {
        self.remember(DOWNLOAD, &down.to_string()).await?;
        self.chosen().down = down;
        Ok(())
    }

    pub(super) async fn now(&self) -> InForce {
        self.at(wall_clock::now(&self.database).await)
    }

    /// Without a time, the schedule says nothing.
    fn at(&self, time: Option<WeekMinute>) -> InForce {
        self.chosen().with(time.map(|time| self.schedule.at(time)).unwrap_or_default())
    }

    async fn remember(&self, key: &str, value: &str) -> Result<(), sqlx::Error> {
        let remember = "INSERT INTO remembered (key, value) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = ?2";
        sqlx::query(remember).bind(key).bind(value).execute(&self.database).await?;
        Ok(())
    }

    fn chosen(&self) -> MutexGuard<'_, Chosen> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what is in force whenever a minute begins. The clock may be set, and a machine may sleep, so each minute is
/// looked at by itself. `next_minute` waits for it, and says which it is.
pub(super) async fn keep<M>(
    limits: &Limits,
    next_minute: impl Fn() -> M,
    apply: impl Fn(InForce),
    cancel: CancellationToken,
) where
    M: Future<Output = Option<WeekMinute>>,
{
    if limits.schedule == Schedule::default() {
        return;
    }
    while let Some(time) = cancel.run_until_cancelled(next_minute()).await {
        apply(limits.at(time));
    }
}

async fn remembered<T: std::str::FromStr>(database: &SqlitePool, key: &str) -> Result<Option<T>, sqlx::Error> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM remembered WHERE key = ?1").bind(key).fetch_optional(database).await?;
    Ok(value.and_then(|value| value.parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use choir_shared::leaf::FileLength;
    use choir_shared::{Digest, FileId};
    use tokio::time::Instant;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::database::Database;
    use crate::download::BoxFuture;
    use crate::upload::Options;
    use crate::upload::shelf::{Shelf, ShelvedFile};

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    async fn limits(database: &Database) -> Limits {
        let up = remembered(database.pool(), UPLOAD).await.unwrap().unwrap_or(UploadRate::Auto);
        let down = remembered(database.pool(), DOWNLOAD).await.unwrap().unwrap_or(Rate::Unlimited);
        let schedule = "mon 08:00-18:00 up 1M; mon 12:00-20:00 up 2M down 5M".parse().unwrap();
        Limits { database: database.pool().clone(), schedule, chosen: Mutex::new(Chosen { up, down }) }
    }

    #[tokio::test]
    async fn the_schedule_goes_before_what_is_chosen_and_that_outlives_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(&folder.path().join("peer.db")).await.unwrap();
        let fixed = |text| UploadRate::Fixed(rate(text));
        let before = limits(&database).await;
        before.choose_upload(fixed("3M")).await.unwrap();
        before.choose_download(rate("4M")).await.unwrap();
        for limits in [before, limits(&database).await] {
            let at = |hour| {
                let InForce { up, down, .. } = limits.at(WeekMinute::new(0, hour, 0));
                (up, down)
            };
            assert_eq!(at(7), (fixed("3M"), rate("4M")));
            assert_eq!(at(8), (fixed("1M"), rate("4M")));
            assert_eq!(at(12), (fixed("1M"), rate("5M")));
            assert_eq!(at(19), (fixed("2M"), rate("5M")));
            assert_eq!(limits.at(None).up, fixed("3M"));
        }
        database.close().await;
    }

    /// Nothing to be had.
    struct Empty;

    impl Shelf for Empty {
        fn find(&self, _: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
            Box::pin(std::future::ready(None))
        }

        fn leaves(&self, _: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
            Box::pin(std::future::ready(None))
        }

        fn recheck(&self, _: FileId) {}
    }

    /// How long a megabyte takes.
    async fn time_of_a_megabyte(throttle: &Throttle) -> Duration {
        let (file, start) = (FileId::new(Digest::of(b"song"), FileLength::new(1).unwrap()), Instant::now());
        let mut left = 1_000_000;
        while left > 0 {
            left -= throttle.take(file, (), left).await;
        }
        start.elapsed()
    }

    #[tokio::test]
    async fn the_pace_changes_when_a_window_begins_and_when_it_ends() {
        const MINUTE: Duration = Duration::from_secs(60);
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(&folder.path().join("peer.db")).await.unwrap();
        let limits = limits(&database).await;
        let limits = Limits { schedule: "mon 08:00-08:10 up 1M down 100K".parse().unwrap(), ..limits };
        let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
        let uploads = Uploads::new(Arc::new(Empty), Options::default(), cancel.clone(), &tasks);
        let throttle = Arc::new(Throttle::new(None));
        limits.at(WeekMinute::new(0, 7, 55)).apply(&uploads, &throttle);

        tokio::time::pause();
        let started = Instant::now();
        tasks.spawn({
            let (uploads, throttle, cancel) = (uploads.clone(), Arc::clone(&throttle), cancel.clone());
            let next_minute = move || async move {
                tokio::time::sleep(MINUTE).await;
                let minute = 7 * 60 + 55 + started.elapsed().as_secs() / 60;
                WeekMinute::new(0, (minute / 60) as u16, (minute % 60) as u16)
            };
            async move { keep(&limits, next_minute, |in_force| in_force.apply(&uploads, &throttle), cancel).await }
        });
        let mut seen = Vec::new();
        for minute in [4, 6, 14, 16] {
            tokio::time::sleep_until(started + minute * MINUTE).await;
            seen.push((uploads.limit(), time_of_a_megabyte(&throttle).await > Duration::from_secs(5)));
        }
        let (free, held_back) = ((UploadRate::Auto, false), (UploadRate::Fixed(rate("1M")), true));
        assert_eq!(seen, [free, held_back, held_back, free]);

        cancel.cancel();
        tasks.close();
        tasks.wait().await;
        tokio::time::resume();
        database.close().await;
    }
}
