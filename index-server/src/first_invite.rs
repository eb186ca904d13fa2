//! The invite in the link that is printed at every start.
//!
//! It is made on the first start of an index that asks for invites, and its code is kept beside the key: the store
//! knows only its hash. When no invite lets anybody in any more, the link goes without; a new one is for the operator
//! to make, with `choir-index link`.

use std::io;
use std::path::Path;

use crate::admin::{INVITE_DAYS, INVITE_USES};
use crate::clock::now_unix_s;
use crate::data_dir::write_secret;
use crate::settings::Access;
use crate::store::{Store, StoreError};

pub(crate) async fn first_invite(
    store: &Store,
    access: Access,
    file: &Path,
) -> Result<Option<String>, FirstInviteError> {
    if access != Access::Invite {
        return Ok(None);
    }
    let now = now_unix_s();
    match std::fs::read_to_string(file) {
        Ok(code) => {
            let alive = !store.live_invites(now).await?.is_empty();
            Ok(Some(code.trim_end().to_owned()).filter(|_| alive))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let expires = now + u64::from(INVITE_DAYS) * 24 * 60 * 60;
            let code = store.create_invite(INVITE_USES, expires, None, now).await?;
            write_secret(file, format!("{code}\n").as_bytes())?;
            Ok(Some(code))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FirstInviteError {
    #[error("cannot keep the first invite")]
    File(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}
