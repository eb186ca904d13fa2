//! Whether the databases and the search index are sound and agree; and what can be done if not.
//!
//! - Accounts exist nowhere else: damage there is for a backup to mend.
//! - Counts of the catalogue are counted anew. If more than counts is wrong, the catalogue is moved aside, and peers
//!   publish again.
//! - On a server, damage is for the server's operator, and so is a catalogue that must begin anew.
//! - The search index is deleted if it does not belong to the catalogue, and built anew by the next start.

use std::fs;
use std::path::Path;

use tokio_util::task::TaskTracker;

use super::{ACCOUNTS, CATALOGUE, MaintenanceError, Outcome, Repair, folder, lines};
use crate::data_dir::DataDir;
use crate::indexer;
use crate::search::SearchEngine;
use crate::store::{self, Finding, Location, OpenError, Store};

pub(super) async fn check(data_dir: &Path, database: &Location, repair: Repair) -> Result<Outcome, MaintenanceError> {
    let lock = match (DataDir::open(data_dir), repair) {
        (Ok(lock), _) => Some(lock),
        (Err(error), Repair::Mend) => return Err(MaintenanceError::Running(error)),
        (Err(_), Repair::Look) => None,
    };
    let mut report = Report::default();
    if let Location::Folder(dir) = database
        && let Err(error) = store::verify(&dir.join(ACCOUNTS)).await
    {
        report.found(error.to_string());
        report.found(format!("backups from before changes of version are in {}", data_dir.join("backups").display()));
    }
    let begun_anew = check_catalogue(database, repair, &mut report).await?;
    // The running index has the search index to itself.
    if lock.is_some() && !begun_anew && report.is_sound() {
        check_search(data_dir, database, repair, &mut report).await?;
    }
    Ok(report.outcome())
}

/// Whether the catalogue was moved aside.
async fn check_catalogue(database: &Location, repair: Repair, report: &mut Report) -> Result<bool, MaintenanceError> {
    let sound = match database {
        Location::Folder(dir) if !dir.join(CATALOGUE).exists() => return Ok(false),
        Location::Folder(dir) => store::verify(&dir.join(CATALOGUE)).await,
        Location::Postgres(_) => Ok(()),
    };
    let sound = match sound {
        Ok(()) => store::check_catalogue(database).await,
        Err(error) => Err(error),
    };
    let findings = match sound {
        Ok(findings) => findings,
        Err(error @ (OpenError::Damaged { .. } | OpenError::Store(_))) => {
            return begin_anew(database, repair, report, &[error.to_string()]);
        }
        Err(error) => return Err(error.into()),
    };
    if findings.is_empty() {
        return Ok(false);
    }
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if !findings.iter().all(Finding::is_a_count) {
        return begin_anew(database, repair, report, &told);
    }
    match repair {
        Repair::Look => told.into_iter().for_each(|finding| report.found(finding)),
        Repair::Mend => {
            store::recount(database).await?;
            told.into_iter().for_each(|finding| report.mended(format!("{finding}: counted anew")));
        }
    }
    Ok(false)
}

fn begin_anew(
    database: &Location,
    repair: Repair,
    report: &mut Report,
    findings: &[String],
) -> Result<bool, MaintenanceError> {
    if repair == Repair::Look {
        findings.iter().for_each(|finding| report.found(finding.clone()));
        return Ok(false);
    }
    let Location::Folder(dir) = database else {
        findings.iter().for_each(|finding| report.found(finding.clone()));
        report.found("the catalogue must begin anew: DROP SCHEMA catalogue CASCADE; peers publish again".to_owned());
        return Ok(false);
    };
    let aside = store::begin_anew(dir)?;
    findings.iter().for_each(|finding| report.mended(finding.clone()));
    report.mended(format!("the catalogue is in {} and begins anew; peers publish again", aside.display()));
    Ok(true)
}

/// Whether the search index was made from this catalogue and is not ahead of it. It may be behind.
async fn check_search(
    data_dir: &Path,
    database: &Location,
    repair: Repair,
    report: &mut Report,
) -> Result<(), MaintenanceError> {
    let search = data_dir.join("search");
    if !search.exists() || !store::upgrades(database).await?.iter().all(|upgrade| upgrade.pending.is_empty()) {
        return Ok(());
    }
    let tracker = TaskTracker::new();
    let store = Store::open(database, store::Options::default(), &tracker).await?;
    let known = async { Ok::<_, store::StoreError>((store.catalogue_identity().await?, store.revision().await?)) };
    let known = known.await;
    store.close().await;
    tracker.close();
    tracker.wait().await;
    let (identity, revision) = known.map_err(OpenError::Store)?;
    let opened = search.clone();
    let agrees = tokio::task::spawn_blocking(move || {
        indexer::is_of(&opened, &identity)
            && SearchEngine::open(&opened).is_ok_and(|(indexer, _)| indexer.last_revision() <= revision)
    });
    if agrees.await.unwrap_or(false) {
        return Ok(());
    }
    match repair {
        Repair::Look => report.found("the search index does not belong to the catalogue".to_owned()),
        Repair::Mend => {
            fs::remove_dir_all(&search).map_err(folder(&search))?;
            report.mended("the search index did not belong to the catalogue and will be built anew".to_owned());
        }
    }
    Ok(())
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    open: usize,
}

impl Report {
    fn found(&mut self, what: String) {
        self.open += 1;
        self.lines.push(what);
    }

    fn mended(&mut self, what: String) {
        self.lines.push(what);
    }

    const fn is_sound(&self) -> bool {
        self.open == 0
    }

    fn outcome(self) -> Outcome {
        match (self.is_sound(), self.lines.is_empty()) {
            (true, true) => Outcome::sound("all is well"),
            (true, false) => Outcome::sound(lines(&self.lines)),
            (false, _) => Outcome::needs_attention(lines(&self.lines)),
        }
    }
}
