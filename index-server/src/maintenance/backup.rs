//! A copy of what cannot be had again: the accounts and the key; on request also the catalogue.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::{ACCOUNTS, CATALOGUE, FIRST_INVITE, KEY, MaintenanceError, Outcome, folder};
use crate::data_dir::write_secret;
use crate::store;

/// How much a backup has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Small; peers publish again what they share.
    Accounts,
    /// Also what is shared, so that nobody has to.
    Everything,
}

/// The folder appears whole or not at all.
pub(super) async fn backup(data_dir: &Path, to: &Path, extent: Extent) -> Result<Outcome, MaintenanceError> {
    if to.exists() {
        return Err(MaintenanceError::Exists(to.to_owned()));
    }
    let failed = folder(to);
    let unfinished = to.with_added_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(&failed)?;
    }
    DirBuilder::new().mode(0o700).create(&unfinished).map_err(&failed)?;
    store::snapshot(&data_dir.join(ACCOUNTS), &unfinished.join(ACCOUNTS)).await?;
    if extent == Extent::Everything {
        store::snapshot(&data_dir.join(CATALOGUE), &unfinished.join(CATALOGUE)).await?;
    }
    for name in [KEY, FIRST_INVITE] {
        let from = data_dir.join(name);
        if from.exists() {
            let contents = fs::read(&from).map_err(folder(&from))?;
            write_secret(&unfinished.join(name), &contents).map_err(&failed)?;
        }
    }
    fs::rename(&unfinished, to).map_err(&failed)?;
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(&failed)?;
    }
    let what = if extent == Extent::Everything { "accounts, key and catalogue" } else { "accounts and key" };
    Ok(Outcome::sound(format!("{what} are in {}; keep it secret, the key is the index", to.display())))
}
