//! Texts that the operator changes while the index runs.

use super::Store;
use super::error::StoreError;
use super::invites::note;
use super::replicas::{Kept, count};
use super::sql::{Connection, query};

const MESSAGE_OF_THE_DAY: &str = "message_of_the_day";

impl Store {
    /// What the operator said last; empty if that was to say nothing, `None` if there never was a word.
    pub async fn message_of_the_day(&self) -> Result<Option<String>, StoreError> {
        let text = query("SELECT text FROM texts WHERE name = $1").bind(MESSAGE_OF_THE_DAY);
        text.fetch_optional(&self.accounts.readers).await
    }

    pub async fn set_message_of_the_day(&self, text: &str, now_unix_s: u64) -> Result<(), StoreError> {
        let text = text.to_owned();
        self.accounts.writer.run(move |db| Box::pin(async move { set(db, &text, now_unix_s).await })).await
    }

    /// Puts a line into the record of what operators did.
    pub async fn note(&self, what: String, now_unix_s: u64) -> Result<(), StoreError> {
        self.accounts.writer.run(move |db| Box::pin(async move { note(db, now_unix_s, &what).await })).await
    }
}

async fn set(database: &mut Connection, text: &str, now_unix_s: u64) -> Result<(), StoreError> {
    query("INSERT INTO texts (name, text) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET text = excluded.text")
        .bind(MESSAGE_OF_THE_DAY)
        .bind(text)
        .execute(&mut *database)
        .await?;
    count(database, Kept::Texts).await?;
    note(database, now_unix_s, &format!("message of the day: {text}")).await
}
