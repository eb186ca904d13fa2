//! `choir id`

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use super::args::Id;
use super::context::Context;
use super::passphrase;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};
use crate::identity::{BackupError, Identity, IdentityError};

/// A backup is four lines.
const MAX_BACKUP_BYTES: u64 = 64 * 1024;

pub(super) async fn run(context: &Context, action: Option<Id>) -> Answer<Exit> {
    match action {
        None => {
            let id = load(context)?.peer_id();
            context.out.result(&json!({ "peer_id": id }), |out| out.line(id.to_string()));
        }
        Some(Id::Export { file }) => export(context, &file).await?,
        Some(Id::Import { file }) => import(context, &file).await?,
    }
    Ok(Exit::Done)
}

async fn export(context: &Context, path: &Path) -> Answer<()> {
    let identity = load(context)?;
    let phrase = passphrase::choose(context).await?;
    let text = identity.export(&phrase).map_err(of_backup)?;
    let failed = |error: std::io::Error| ServiceError::new(ErrorKind::Internal, format!("{}: {error}", path.display()));
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".choir-id-").tempfile_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist_noclobber(path).map_err(|refused| failed(refused.error))?;
    let id = identity.peer_id();
    context.out.result(&json!({ "peer_id": id, "path": path }), |out| {
        out.message(format!("{} is in {}; whoever has it and the passphrase is this peer", id.short(), path.display()));
    });
    Ok(())
}

async fn import(context: &Context, path: &Path) -> Answer<()> {
    if context.attach().await.is_some() {
        let error = ServiceError::new(ErrorKind::Conflict, "a running daemon cannot become another peer");
        return Err(error.hint("`choir stop` first"));
    }
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            ServiceError::new(ErrorKind::NotFound, format!("{}: there is no such file", path.display()))
        }
        _ => ServiceError::new(ErrorKind::Internal, format!("{}: {error}", path.display())),
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_BACKUP_BYTES {
        return Err(of_backup(BackupError::NotABackup));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let identity = Identity::import(&text, &passphrase::ask(context).await?).map_err(of_backup)?;
    let kept = identity.replace(&context.home.identity()).map_err(of_identity)?;
    let id = identity.peer_id();
    context.out.result(&json!({ "peer_id": id, "kept": kept }), |out| {
        out.line(id.to_string());
        if let Some(kept) = &kept {
            out.message(format!("the key that was here before is kept in {}", kept.display()));
        }
    });
    Ok(())
}

fn load(context: &Context) -> Answer<Identity> {
    Identity::load_or_create(&context.home.identity()).map(|(identity, _)| identity).map_err(of_identity)
}

fn of_identity(error: IdentityError) -> ServiceError {
    ServiceError::new(ErrorKind::Internal, error.to_string())
}

fn of_backup(error: BackupError) -> ServiceError {
    let code = match error {
        BackupError::ShortPassphrase | BackupError::NotABackup => ErrorKind::Usage,
        BackupError::WrongPassphrase => ErrorKind::Refused,
        BackupError::Damaged => ErrorKind::Integrity,
        BackupError::NoRandomness => ErrorKind::Internal,
    };
    ServiceError::new(code, error.to_string())
}
