//! Questions at the terminal.

use std::io;

use super::context::Context;
use super::songs;
use crate::api::types::FileRow;
use crate::api::{Answer, ErrorKind, ServiceError};

/// Which of `rows` to take, in the order of the answer.
pub(super) async fn among(context: &Context, rows: &[FileRow]) -> Answer<Vec<FileRow>> {
    context.out.table_of_choices(&songs::table(rows));
    loop {
        context.out.ask(format!("Which? (1-{}, also 1,3 or 2-4; empty: none) ", rows.len()));
        let answer = read_line().await?;
        if answer.is_empty() {
            return Err(ServiceError::new(ErrorKind::NotFound, "nothing was chosen"));
        }
        let chosen = numbers(&answer, rows.len());
        if let Some(chosen) = chosen {
            return Ok(chosen.into_iter().filter_map(|number| rows.get(number - 1).cloned()).collect());
        }
    }
}

/// A line of stdin, without its end. A thread waits for it, because a terminal cannot be waited for otherwise.
pub(super) async fn read_line() -> Answer<String> {
    let failed = |error: String| ServiceError::new(ErrorKind::Internal, format!("nothing can be read: {error}"));
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = read.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    Ok(line.trim().to_owned())
}

/// The numbers in `1,3 5-7`, each from 1 to `most` and once; `None` if there is anything else.
pub(super) fn numbers(text: &str, most: usize) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first == 0 || last > most || first > last {
            return None;
        }
        for number in first..=last {
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_numbers_and_ranges_within_the_rows() {
        let table: [(&str, Option<&[usize]>); 12] = [
            ("1", Some(&[1])),
            ("2,1", Some(&[2, 1])),
            ("1-3 2", Some(&[1, 2, 3])),
            (" 5 ", Some(&[5])),
            ("", None),
            ("0", None),
            ("6", None),
            ("3-1", None),
            ("1-99999999999999999999", None),
            ("-", None),
            ("all", None),
            ("1,x", None),
        ];
        for (text, expected) in table {
            assert_eq!(numbers(text, 5).as_deref(), expected, "{text}");
        }
    }
}
