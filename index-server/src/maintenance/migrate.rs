//! Says what a start of this version would change in the databases, or changes it.

use std::path::Path;

use tokio_util::task::TaskTracker;

use super::{MaintenanceError, Migrate, Outcome, lines};
use crate::data_dir::DataDir;
use crate::store::{self, Store, Upgrade};

pub(super) async fn migrate(data_dir: &Path, mode: Migrate) -> Result<Outcome, MaintenanceError> {
    let upgrades = store::upgrades(data_dir).await?;
    if let Some(later) = upgrades.iter().find(|upgrade| !upgrade.unknown.is_empty()) {
        return Err(MaintenanceError::TooNew(data_dir.join(later.database)));
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
    let store = Store::open(data_dir, store::Options::default(), &tracker).await?;
    store.close().await;
    tracker.close();
    tracker.wait().await;
    Ok(Outcome::sound(format!("done:\n{}", lines(&open))))
}

fn describe(upgrade: &Upgrade) -> String {
    format!("{}: {}", upgrade.database, upgrade.pending.join(", "))
}
