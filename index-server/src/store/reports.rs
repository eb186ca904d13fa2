//! What members complain of: a queue for the operator.
//!
//! A report that says again what another in the queue says is that one. Who was erased is no longer named as the one
//! who reported; whom a report is about stays named, or erasing oneself would be a way out of it.

use choir_shared::index_api::ReportRequest;
use choir_shared::{FileId, PeerId};
use serde::Serialize;

use super::Store;
use super::columns::{peer, time};
use super::error::StoreError;
use super::invites::note;
use super::sql::{Connection, Row, query};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub no: u64,
    pub time_unix_s: u64,
    /// `None`: erased since.
    pub reporter: Option<PeerId>,
    pub file: Option<FileId>,
    pub peer: Option<PeerId>,
    pub reason: String,
    pub details: String,
    /// What came of it; `None` while it is in the queue.
    pub outcome: Option<String>,
}

/// How many reports may wait.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    pub per_peer: u64,
    pub in_all: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("at most {0} reports of yours may wait for the operator")]
    TooManyOfOne(u64),
    #[error("at most {0} reports may wait for the operator")]
    TooMany(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Puts a report into the queue. Returns its number.
    pub async fn report(
        &self,
        reporter: &PeerId,
        request: ReportRequest,
        limits: QueueLimits,
        now_unix_s: u64,
    ) -> Result<u64, ReportError> {
        let reporter = *reporter;
        self.accounts
            .writer
            .run(move |db| Box::pin(async move { insert(db, &reporter, &request, limits, now_unix_s).await }))
            .await
    }

    /// The oldest that wait, or the newest of all.
    pub async fn reports(&self, which: Which, limit: u32) -> Result<Vec<Report>, StoreError> {
        let query = match which {
            Which::Waiting => query("SELECT * FROM reports WHERE closed_unix_s IS NULL ORDER BY no LIMIT $1"),
            Which::All => query("SELECT * FROM reports ORDER BY no DESC LIMIT $1"),
        };
        let rows = query.bind(limit).fetch_all(&self.accounts.readers).await?;
        rows.iter().map(read).collect()
    }

    pub(super) async fn reports_by(&self, reporter: &PeerId) -> Result<Vec<Report>, StoreError> {
        let rows = query("SELECT * FROM reports WHERE reporter = $1 ORDER BY no")
            .bind(reporter.as_bytes().to_vec())
            .fetch_all(&self.accounts.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    pub async fn waiting_reports(&self) -> Result<u64, StoreError> {
        let waiting = query("SELECT count(*) FROM reports WHERE closed_unix_s IS NULL");
        waiting.fetch_one(&self.accounts.readers).await
    }

    /// Takes a report off the queue. Whether it was in it.
    pub async fn close_report(&self, no: u64, outcome: &str, now_unix_s: u64) -> Result<bool, StoreError> {
        let outcome = outcome.to_owned();
        self.accounts.writer.run(move |db| Box::pin(async move { close(db, no, &outcome, now_unix_s).await })).await
    }
}

/// Which reports are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Waiting,
    All,
}

async fn insert(
    database: &mut Connection,
    reporter: &PeerId,
    request: &ReportRequest,
    limits: QueueLimits,
    now_unix_s: u64,
) -> Result<u64, ReportError> {
    let reporter = reporter.as_bytes().as_slice();
    let file = request.file.map(|file| file.to_string());
    let about = request.peer.map(|peer| peer.as_bytes().to_vec());
    let known: Option<u64> = query(
        "SELECT no FROM reports WHERE closed_unix_s IS NULL AND reporter = $1 AND file IS NOT DISTINCT FROM $2
         AND peer IS NOT DISTINCT FROM $3 AND reason = $4",
    )
    .bind(reporter)
    .bind(file.clone())
    .bind(about.clone())
    .bind(request.reason.as_str())
    .fetch_optional(&mut *database)
    .await?;
    if let Some(no) = known {
        return Ok(no);
    }
    let (waiting, own): (u64, u64) =
        query("SELECT count(*), count(*) FILTER (WHERE reporter = $1) FROM reports WHERE closed_unix_s IS NULL")
            .bind(reporter)
            .fetch_one(&mut *database)
            .await?;
    if own >= limits.per_peer {
        return Err(ReportError::TooManyOfOne(limits.per_peer));
    }
    if waiting >= limits.in_all {
        return Err(ReportError::TooMany(limits.in_all));
    }
    let no = query(
        "INSERT INTO reports (time_unix_s, reporter, file, peer, reason, details) VALUES ($1, $2, $3, $4, $5, $6) RETURNING no",
    )
    .bind(time(now_unix_s))
    .bind(reporter)
    .bind(file)
    .bind(about)
    .bind(request.reason.as_str())
    .bind(&request.details)
    .fetch_one(database)
    .await;
    Ok(no?)
}

async fn close(database: &mut Connection, no: u64, outcome: &str, now_unix_s: u64) -> Result<bool, StoreError> {
    let closed = query("UPDATE reports SET closed_unix_s = $2, outcome = $3 WHERE no = $1 AND closed_unix_s IS NULL")
        .bind(time(no))
        .bind(time(now_unix_s))
        .bind(outcome)
        .execute(&mut *database)
        .await?;
    if closed == 0 {
        return Ok(false);
    }
    note(database, now_unix_s, &format!("closed report {no}: {outcome}")).await?;
    Ok(true)
}

fn read(row: &Row) -> Result<Report, StoreError> {
    let (reporter, about): (Option<&[u8]>, Option<&[u8]>) = (row.get("reporter")?, row.get("peer")?);
    let file: Option<&str> = row.get("file")?;
    let file = file.map(|file| file.parse().map_err(|_| StoreError::Corrupt("a report of no file")));
    Ok(Report {
        no: row.get("no")?,
        time_unix_s: row.get("time_unix_s")?,
        reporter: reporter.map(peer).transpose()?,
        file: file.transpose()?,
        peer: about.map(peer).transpose()?,
        reason: row.get("reason")?,
        details: row.get("details")?,
        outcome: row.get("outcome")?,
    })
}

#[cfg(test)]
mod tests {
    use choir_shared::index_api::ReportReason;

    use super::*;
    use crate::store::testing::{NOW, World, file, on_both_databases};

    const LIMITS: QueueLimits = QueueLimits { per_peer: 2, in_all: 3 };

    fn of(seed: u64) -> ReportRequest {
        ReportRequest { file: Some(file(seed)), peer: None, reason: ReportReason::Fake, details: "noise".into() }
    }

    async fn a_report_waits_until_it_is_closed_and_is_not_filed_twice(world: World) {
        let anna = world.member(1).await;
        let no = world.store.report(&anna.peer(), of(1), LIMITS, NOW).await.unwrap();
        assert_eq!(world.store.report(&anna.peer(), of(1), LIMITS, NOW + 1).await.unwrap(), no);
        let [report] = world.store.reports(Which::Waiting, 9).await.unwrap().try_into().unwrap();
        assert_eq!((report.reporter, report.file, report.reason.as_str()), (Some(anna.peer()), Some(file(1)), "fake"));
        assert!(world.store.close_report(no, "blocked", NOW).await.unwrap());
        assert!(!world.store.close_report(no, "again", NOW).await.unwrap());
        assert!(world.store.reports(Which::Waiting, 9).await.unwrap().is_empty());
        assert_eq!(world.store.reports(Which::All, 9).await.unwrap()[0].outcome.as_deref(), Some("blocked"));
        assert_ne!(world.store.report(&anna.peer(), of(1), LIMITS, NOW).await.unwrap(), no);
    }

    async fn nobody_fills_the_queue_alone_and_it_has_an_end(world: World) {
        let (anna, bert) = (world.member(1).await, world.member(2).await);
        for seed in [1, 2] {
            world.store.report(&anna.peer(), of(seed), LIMITS, NOW).await.unwrap();
        }
        let refused = world.store.report(&anna.peer(), of(3), LIMITS, NOW).await;
        assert!(matches!(refused, Err(ReportError::TooManyOfOne(2))));
        world.store.report(&bert.peer(), of(3), LIMITS, NOW).await.unwrap();
        let refused = world.store.report(&bert.peer(), of(4), LIMITS, NOW).await;
        assert!(matches!(refused, Err(ReportError::TooMany(3))));
        assert_eq!(world.store.waiting_reports().await.unwrap(), 3);
    }

    async fn who_is_erased_is_not_named_as_the_one_who_reported(world: World) {
        let (anna, bert) = (world.member(1).await, world.member(2).await);
        let about = ReportRequest { peer: Some(anna.peer()), ..of(1) };
        world.store.report(&anna.peer(), of(1), LIMITS, NOW).await.unwrap();
        world.store.report(&bert.peer(), about, LIMITS, NOW).await.unwrap();
        world.store.erase(&anna.peer()).await.unwrap();
        let reports = world.store.reports(Which::Waiting, 9).await.unwrap();
        assert_eq!(reports.iter().map(|report| report.reporter).collect::<Vec<_>>(), [None, Some(bert.peer())]);
        assert_eq!(reports[1].peer, Some(anna.peer()), "no way out of a report");
    }

    on_both_databases! {
        a_report_waits_until_it_is_closed_and_is_not_filed_twice,
        nobody_fills_the_queue_alone_and_it_has_an_end,
        who_is_erased_is_not_named_as_the_one_who_reported,
    }
}
