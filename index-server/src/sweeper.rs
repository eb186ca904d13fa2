//! Has the catalogue swept now and then, slowly: it is nobody's hurry, and must not be felt. Before that, those who have
//! stayed away for long have their libraries forgotten; where there are replicas, the first of them does both.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::clock::now_unix_s;
use crate::index::Index;
use crate::store::{Forgotten, StoreError, Swept};

/// When an index starts everybody comes back, and that comes first.
const AFTER_START: Duration = Duration::from_secs(600);

/// A sweep reads all that is shared; what it finds has time.
const EVERY: Duration = Duration::from_secs(6 * 3600);

/// Between two steps, each of which takes some ten milliseconds: the disk and the writer are for others.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs until the index stops.
pub(crate) async fn run(index: Index) {
    let mut wait = AFTER_START;
    while index.stopping.run_until_cancelled(sleep(wait)).await.is_some() {
        wait = EVERY;
        if index.replicas.as_ref().is_some_and(|replicas| !replicas.is_first()) {
            continue;
        }
        match index.stopping.run_until_cancelled(forget_absent(&index, now_unix_s())).await {
            Some(Ok(0)) => {}
            Some(Ok(libraries)) => tracing::info!(libraries, "libraries of members who stay away were forgotten"),
            Some(Err(error)) => tracing::warn!(%error, "not all libraries of absent members could be forgotten"),
            None => return,
        }
        let begun = Instant::now();
        match index.stopping.run_until_cancelled(sweep(&index)).await {
            Some(Ok(Swept { files, claims })) => {
                tracing::info!(files, claims, "the catalogue was swept");
                metrics::counter!("choir_index_swept_files_total").increment(files);
                metrics::counter!("choir_index_swept_claims_total").increment(claims);
                metrics::histogram!("choir_index_sweep_seconds").record(begun.elapsed().as_secs_f64());
            }
            Some(Err(error)) => tracing::warn!(%error, "a sweep broke off; the next one begins anew"),
            None => return,
        }
    }
}

/// How many libraries were forgotten.
pub(crate) async fn forget_absent(index: &Index, now_unix_s: u64) -> Result<u64, StoreError> {
    let mut libraries = 0;
    for (member, peer) in index.store.absent_owners(index.absent_since(now_unix_s)).await? {
        loop {
            match index.forget_some(&peer, member, now_unix_s).await? {
                Forgotten::Something => sleep(PAUSE).await,
                Forgotten::Everything => {
                    metrics::counter!("choir_index_libraries_forgotten_total").increment(1);
                    libraries += 1;
                    break;
                }
                Forgotten::Nothing => break,
            }
        }
    }
    Ok(libraries)
}

async fn sweep(index: &Index) -> Result<Swept, StoreError> {
    let indexed = *index.indexed_revision.borrow();
    let mut sweep = index.store.sweep(now_unix_s(), indexed).await?;
    loop {
        if let ControlFlow::Break(swept) = sweep.step().await? {
            return Ok(swept);
        }
        sleep(PAUSE).await;
    }
}
