//! How long peers have waited for an upload slot, over a restart.
//!
//! What is written down lags behind by [`NOTE_EVERY`] at most, and is believed for as long as an age is kept anyway.

use std::time::Duration;

use choir_shared::PeerId;
use sqlx::SqlitePool;
use tokio_util::sync::CancellationToken;

use super::wall_clock::since_epoch;
use crate::upload::Uploads;
use crate::upload::queue::{AGE_KEPT, KeptAge};

/// A crash may cost a waiting peer so much of its age.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// The ages of the last run.
pub(super) async fn load(database: &SqlitePool) -> Result<Vec<KeptAge>, sqlx::Error> {
    load_at(database, since_epoch()).await
}

/// Notes the ages now and then, and at the end.
pub(super) async fn keep(database: SqlitePool, uploads: Uploads, cancel: CancellationToken) {
    let mut were_any = false;
    loop {
        let goes_on = cancel.run_until_cancelled(tokio::time::sleep(NOTE_EVERY)).await.is_some();
        let ages = uploads.ages();
        if (were_any || !ages.is_empty())
            && let Err(error) = note_at(&database, &ages, since_epoch()).await
        {
            tracing::warn!(%error, "who waits for an upload could not be noted");
        }
        were_any = !ages.is_empty();
        if !goes_on {
            return;
        }
    }
}

async fn load_at(database: &SqlitePool, now: Duration) -> Result<Vec<KeptAge>, sqlx::Error> {
    let select = "SELECT peer, since_unix_s, rounds FROM upload_ages WHERE noted_unix_s >= ?1 ORDER BY position";
    let now_unix_s = now.as_secs() as i64;
    let rows: Vec<(Vec<u8>, i64, i64)> =
        sqlx::query_as(select).bind(now_unix_s - AGE_KEPT.as_secs() as i64).fetch_all(database).await?;
    let ages = rows.into_iter().filter_map(|(peer, since, rounds)| {
        let peer = PeerId::new(peer.try_into().ok()?).ok()?;
        // A clock that was put back makes nobody younger than new.
        let waited = Duration::from_secs(u64::try_from(now_unix_s - since).unwrap_or(0));
        Some(KeptAge { peer, waited, rounds: u64::try_from(rounds).unwrap_or(0) })
    });
    Ok(ages.collect())
}

async fn note_at(database: &SqlitePool, ages: &[KeptAge], now: Duration) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("DELETE FROM upload_ages").execute(&mut *transaction).await?;
    for age in ages {
        let insert = "INSERT INTO upload_ages (peer, since_unix_s, rounds, noted_unix_s) VALUES (?1, ?2, ?3, ?4)";
        sqlx::query(insert)
            .bind(age.peer.as_bytes().as_slice())
            .bind(now.saturating_sub(age.waited).as_secs() as i64)
            .bind(i64::try_from(age.rounds).unwrap_or(i64::MAX))
            .bind(now.as_secs() as i64)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn ages_outlive_the_program_in_their_order_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(&folder.path().join("peer.db")).await.unwrap();
        let pool = database.pool();
        let seconds = Duration::from_secs;
        let age = |seed, waited, rounds| {
            let peer = SecretKey::from_seed(&[seed; 32]).peer_id();
            KeptAge { peer, waited: seconds(waited), rounds }
        };
        let now = seconds(1_800_000_000);
        note_at(pool, &[age(9, 1, 1)], now).await.unwrap();
        note_at(pool, &[age(3, 60, 0), age(1, 90, 2), age(2, 5, 2)], now).await.unwrap();
        let later = load_at(pool, now + seconds(30)).await.unwrap();
        assert_eq!(later, [age(3, 90, 0), age(1, 120, 2), age(2, 35, 2)]);
        assert_eq!(load_at(pool, now - seconds(60)).await.unwrap()[2], age(2, 0, 2), "the clock was put back");
        assert_eq!(load_at(pool, now + AGE_KEPT + seconds(1)).await.unwrap(), []);
        database.close().await;
    }
}
