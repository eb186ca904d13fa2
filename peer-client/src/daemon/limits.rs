//! The upload limit that was set by command: it holds at once and over restarts, and goes before the settings.

use sqlx::SqlitePool;

use crate::config::UploadRate;

#[derive(Clone)]
pub(super) struct Limits(SqlitePool);

impl Limits {
    pub(super) const fn new(database: SqlitePool) -> Self {
        Self(database)
    }

    pub(super) async fn remember(&self, upload: UploadRate) -> Result<(), sqlx::Error> {
        let remember = "INSERT INTO remembered (key, value) VALUES ('upload_limit', ?1)
            ON CONFLICT (key) DO UPDATE SET value = ?1";
        sqlx::query(remember).bind(upload.to_string()).execute(&self.0).await?;
        Ok(())
    }

    pub(super) async fn upload(&self) -> Result<Option<UploadRate>, sqlx::Error> {
        let value: Option<String> = sqlx::query_scalar("SELECT value FROM remembered WHERE key = 'upload_limit'")
            .fetch_optional(&self.0)
            .await?;
        Ok(value.and_then(|value| value.parse().ok()))
    }
}
