//! Says what a start of this version would change in the databases, or changes it.

use std::path::Path;

use tokio_util::task::TaskTracker;

use super::{MaintenanceError, Migrate, Outcome, lines};
use crate::data_dir::DataDir;
use crate::store::{self, Location, Store, Upgrade};

pub(super) async fn migrate(data_dir: &Path, database: &Location, mode: Migrate) -> Result<Outcome, MaintenanceError> {
    let upgrades = store::upgrades(database).await?;
    if let Some(later) = upgrades.iter().find(|upgrade| !upgrade.unknown.is_empty()) {
        return Err(MaintenanceError::TooNew(match database {
            Location::Folder(dir) => dir.join(later.database),
            Location::Postgres(_) => later.database.into(),
        }));
    }
    let open: Vec<String> = upgrades.iter().filter(|upgrade| !upgrade.pending.is_empty()).map(describe).collect();
    if open.is_empty() {
        return Ok(Outcome::sound("the databases are up to date"));
    }
    if mode == Migrate::Look {
        return Ok(Outcome::needs_attention(lines(&open)));
    }
    let _locked = DataDir::open(data_dir).map_err(MaintenanceError::Running)?;
    let tracker = TaskTracker::new();
    let store = Store::open(database, store::Options::default(), &tracker).await?;
    store.close().await;
    tracker.close();
    tracker.wait().await;
    Ok(Outcome::sound(format!("done:\n{}", lines(&open))))
}

fn describe(upgrade: &Upgrade) -> String {
    format!("{}: {}", upgrade.database, upgrade.pending.join(", "))
}
