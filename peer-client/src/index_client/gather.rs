//! One question to several indexes.

use std::sync::Arc;
use std::time::Duration;

use choir_shared::identity::IndexKey;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::error::IndexError;
use super::http::IndexHttp;

/// When the first index has answered, the others get so much longer. People wait for a page, not for the slowest of
/// their indexes.
const GRACE: Duration = Duration::from_millis(1500);

/// What has come back, in the order of asking.
pub(super) struct Answers<T> {
    pub(super) answers: Vec<(IndexKey, T)>,
    pub(super) errors: Vec<(IndexKey, IndexError)>,
}

/// Asks all at once. Who is too late counts as unreachable.
pub(super) async fn gather<T>(
    questions: Vec<(Arc<IndexHttp>, impl Future<Output = Result<T, IndexError>>)>,
) -> Answers<T> {
    let (asked, questions): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
    let numbered = questions.into_iter().enumerate();
    let mut open: FuturesUnordered<_> = numbered.map(async |(number, question)| (number, question.await)).collect();
    let mut results: Vec<Option<Result<T, IndexError>>> = asked.iter().map(|_| None).collect();
    let mut deadline: Option<Instant> = None;
    loop {
        let next = match deadline {
            None => open.next().await,
            Some(deadline) => tokio::time::timeout_at(deadline, open.next()).await.unwrap_or_default(),
        };
        let Some((number, result)) = next else { break };
        if result.is_ok() && deadline.is_none() {
            deadline = Some(Instant::now() + GRACE);
        }
        if let Some(place) = results.get_mut(number) {
            *place = Some(result);
        }
    }
    let mut gathered = Answers { answers: Vec::new(), errors: Vec::new() };
    for (index, result) in asked.iter().zip(results) {
        let late =
            || IndexError::Unreachable { url: index.url().clone(), reason: "it is slower than the others".into() };
        match result.unwrap_or_else(|| Err(late())) {
            Ok(answer) => gathered.answers.push((index.key(), answer)),
            Err(error) => gathered.errors.push((index.key(), error)),
        }
    }
    gathered
}
