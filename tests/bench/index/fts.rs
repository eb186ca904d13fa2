//! The same songs in SQLite FTS5, through sqlx: a contentless table, ranked by BM25 and holders, joined with who is
//! online. Words are cut as the engine cuts them, and no typing errors are looked for, which both favour it.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use choir_shared::query::Document;
use harness::load::corpus::Corpus;
use harness::load::queries::Search;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Runtime;

use crate::engine::{file, is_online};
use crate::measure::Latencies;

pub(crate) struct Fts {
    runtime: Runtime,
    connect: SqliteConnectOptions,
}

const TABLES: [&str; 3] = [
    "PRAGMA synchronous = OFF",
    "CREATE VIRTUAL TABLE words USING fts5 \
     (title, artist, rest, content = '', detail = column, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2')",
    "CREATE TABLE files (no INTEGER PRIMARY KEY, popularity REAL NOT NULL, online INTEGER NOT NULL)",
];

const SEARCH: &str = "SELECT files.no FROM words JOIN files ON files.no = words.rowid \
                      WHERE words MATCH ? AND files.online ORDER BY bm25(words) - 0.5 * files.popularity LIMIT 50";

impl Fts {
    pub(crate) fn fill(corpus: &Corpus, path: &Path, permille: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let connect = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        runtime.block_on(async {
            let mut connection = connect.connect().await?;
            for statement in TABLES {
                sqlx::query(statement).execute(&mut connection).await?;
            }
            for first in (0..corpus.songs()).step_by(50_000) {
                let mut transaction = connection.begin().await?;
                for place in first..corpus.songs().min(first + 50_000) {
                    insert(&mut transaction, corpus, place, permille).await?;
                }
                transaction.commit().await?;
            }
            sqlx::query("INSERT INTO words (words) VALUES ('optimize')").execute(&mut connection).await?;
            anyhow::Ok(connection.close().await?)
        })?;
        Ok(Self { runtime, connect })
    }

    pub(crate) fn time(&self, searches: &[Search]) -> anyhow::Result<Latencies> {
        self.runtime.block_on(async {
            let mut connection = self.connect.connect().await?;
            let mut latencies = Latencies::default();
            for search in searches {
                let begun = Instant::now();
                let expression = expression(search).context("every search has words")?;
                let rows: Vec<i64> = sqlx::query_scalar(SEARCH).bind(expression).fetch_all(&mut connection).await?;
                latencies.add(begun.elapsed().as_secs_f64() * 1e3);
                drop(rows);
            }
            connection.close().await?;
            Ok(latencies)
        })
    }
}

async fn insert(connection: &mut SqliteConnection, corpus: &Corpus, place: u32, permille: u64) -> sqlx::Result<()> {
    let file = file(corpus, place);
    let tokens = Document { claim: &file.claim, file: file.id }.tokens();
    let named = |token: &&String| !tokens.title.contains(token) && !tokens.artist.contains(token);
    let rest: Vec<&str> = tokens.all.iter().filter(named).map(String::as_str).collect();
    sqlx::query("INSERT INTO words (rowid, title, artist, rest) VALUES (?, ?, ?, ?)")
        .bind(file.no.0)
        .bind(tokens.title.join(" "))
        .bind(tokens.artist.join(" "))
        .bind(rest.join(" "))
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO files VALUES (?, ?, ?)")
        .bind(file.no.0)
        .bind((f64::from(file.holders) + 1.0).log2())
        .bind(is_online(file.no.0, permille))
        .execute(connection)
        .await?;
    Ok(())
}

/// The search in FTS5's language: every word quoted.
fn expression(search: &Search) -> Option<String> {
    let terms = search.query.terms();
    let quoted = |term: &String| format!("\"{}\"", term.replace('"', "\"\""));
    let all = terms.all.iter().map(quoted);
    let artist = terms.artist.iter().map(|term| format!("artist : {}", quoted(term)));
    let prefix = terms.prefix.iter().map(|term| format!("{} *", quoted(term)));
    let parts: Vec<String> = all.chain(artist).chain(prefix).collect();
    Some(parts.join(" AND ")).filter(|parts| !parts.is_empty())
}
