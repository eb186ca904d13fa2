//! Whether the databases and the search index are sound and agree; and what can be done if not.
//!
//! - Who only looks changes nothing, also nothing that a start would change.
//! - Accounts exist nowhere else: damage there is for a backup to mend.
//! - Counts of the catalogue are counted anew. If more than counts is wrong, the catalogue is moved aside, and peers
//!   publish again.
//! - On a server, damage is for the server's operator, and so is a catalogue that must begin anew.
//! - The search index is deleted if it cannot be read or does not belong to the catalogue, and built anew by the next
//!   start. A running index writes to it, so then nobody else looks at it.

use std::fs;
use std::path::Path;

use super::{ACCOUNTS, CATALOGUE, MaintenanceError, Outcome, Repair, folder, lines};
use crate::data_dir::DataDir;
use crate::indexer::{self, Unfit};
use crate::store::{self, Finding, Location, OpenError};

pub(super) async fn check(data_dir: &Path, database: &Location, repair: Repair) -> Result<Outcome, MaintenanceError> {
    let mut report = Report::default();
    let lock = match (DataDir::open(data_dir), repair) {
        (Ok(lock), _) => Some(lock),
        (Err(error), Repair::Mend) => return Err(MaintenanceError::Running(error)),
        (Err(_), Repair::Look) => None,
    };
    if let Location::Folder(dir) = database
        && let Err(error) = store::verify(&dir.join(ACCOUNTS)).await
    {
        report.found(error.to_string());
        report.found(format!("backups from before changes of version are in {}", data_dir.join("backups").display()));
    }
    let begun_anew = check_catalogue(database, repair, &mut report).await?;
    let search = data_dir.join("search");
    if search.exists() && !begun_anew {
        match lock {
            None => report.noted("the search index was not looked at: stop the index to have it checked".to_owned()),
            Some(_) if !report.is_sound() => {
                report.noted("the search index was not looked at: the databases come first".to_owned());
            }
            Some(_) => check_search(&search, database, repair, &mut report).await?,
        }
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

/// Whether the search index can be read and is of use to this catalogue. It may be behind.
async fn check_search(
    search: &Path,
    database: &Location,
    repair: Repair,
    report: &mut Report,
) -> Result<(), MaintenanceError> {
    if !store::upgrades(database).await?.iter().all(|upgrade| upgrade.pending.is_empty()) {
        report.noted("the search index was not looked at: the databases are of an earlier version".to_owned());
        return Ok(());
    }
    let unfit = match database {
        Location::Folder(dir) if !dir.join(CATALOGUE).exists() => Some(Unfit::OfAnother),
        _ => indexer::inspect(search, store::catalogue_mark(database).await?).await?,
    };
    match (unfit, repair) {
        (None, _) => {}
        (Some(unfit), Repair::Look) => report.found(format!("{unfit}; the next start builds it anew")),
        (Some(unfit), Repair::Mend) => {
            fs::remove_dir_all(search).map_err(folder(search))?;
            report.mended(format!("{unfit}: deleted, and built anew by the next start"));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    open: usize,
    notes: Vec<String>,
}

impl Report {
    fn found(&mut self, what: String) {
        self.open += 1;
        self.lines.push(what);
    }

    fn mended(&mut self, what: String) {
        self.lines.push(what);
    }

    /// What is no fault.
    fn noted(&mut self, what: String) {
        self.notes.push(what);
    }

    const fn is_sound(&self) -> bool {
        self.open == 0
    }

    fn outcome(mut self) -> Outcome {
        let sound = self.is_sound();
        if self.lines.is_empty() {
            let well = if self.notes.is_empty() { "all is well" } else { "the databases are well" };
            self.lines.push(well.to_owned());
        }
        self.lines.append(&mut self.notes);
        if sound { Outcome::sound(lines(&self.lines)) } else { Outcome::needs_attention(lines(&self.lines)) }
    }
}
