//! The clock on the wall: local time, with everything that countries decide about it.
//!
//! SQLite asks the C library for it, safely and on every system; the standard library cannot, and a crate that can
//! would come with a second copy of all time zones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::SqlitePool;

use crate::config::WeekMinute;

const MINUTE: Duration = Duration::from_secs(60);

/// `None` if it cannot be found out.
pub(super) async fn now(database: &SqlitePool) -> Option<WeekMinute> {
    let found = at(database, since_epoch().as_secs() as i64).await;
    found.inspect_err(|error| tracing::warn!(%error, "the local time is not known, so no schedule holds")).ok()?
}

/// From 1970 until now; a clock that shows earlier shows nothing.
pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Waits until a minute begins, and says which, if that can be found out.
pub(super) async fn next_minute(database: &SqlitePool) -> Option<WeekMinute> {
    tokio::time::sleep(until_next_minute()).await;
    now(database).await
}

fn until_next_minute() -> Duration {
    let into = Duration::from_nanos((since_epoch().as_nanos() % MINUTE.as_nanos()) as u64);
    MINUTE - into
}

async fn at(database: &SqlitePool, unix_s: i64) -> Result<Option<WeekMinute>, sqlx::Error> {
    // The week of strftime begins on Sunday, as 0.
    let local = "SELECT CAST(strftime('%w', t.s, 'unixepoch', 'localtime') AS INTEGER),
                        CAST(strftime('%H', t.s, 'unixepoch', 'localtime') AS INTEGER),
                        CAST(strftime('%M', t.s, 'unixepoch', 'localtime') AS INTEGER)
                 FROM (SELECT ?1 AS s) AS t";
    let (day, hour, minute): (i64, i64, i64) = sqlx::query_as(local).bind(unix_s).fetch_one(database).await?;
    Ok(WeekMinute::new(((day + 6) % 7) as u8, hour as u16, minute as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn days_hours_and_minutes_go_round_as_they_do_on_the_wall() {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(&folder.path().join("peer.db")).await.unwrap();
        let pool = database.pool();
        // Noon of a Monday at Greenwich. Wherever this runs, it is some minute of that day or of its neighbours.
        let noon = 1_767_614_400;
        let here = at(pool, noon).await.unwrap().unwrap();
        let zone = (-14 * 60..=14 * 60).step_by(15).find(|minutes: &i64| {
            let local = noon / 60 + minutes;
            // The first day of 1970 was a Thursday.
            let day = (local / 1440 + 3) % 7;
            WeekMinute::new(day as u8, (local / 60 % 24) as u16, (local % 60) as u16) == Some(here)
        });
        assert!(zone.is_some(), "{here:?}");
        assert_eq!(at(pool, noon + 7 * 86_400).await.unwrap(), Some(here), "a week later");
        assert_ne!(at(pool, noon + 60).await.unwrap(), Some(here), "a minute later");
        assert!(until_next_minute() <= MINUTE);
        database.close().await;
    }
}
