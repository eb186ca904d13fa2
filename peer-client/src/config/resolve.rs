//! From four places to one value: flags, environment, settings file, default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::home::Home;
use super::settings::Settings;

/// A value and who chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// Nobody asked for it: a port that is taken may be another, one that was asked for may not.
    pub fn is_wish(&self) -> bool {
        self.origin == Origin::Default
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { line: usize },
    Environment,
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "settings file, line {line}"),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// One line of `config show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    pub key: &'static str,
    pub value: String,
    pub origin: Origin,
    pub help: String,
}

/// A flag of the command line that stands for a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    pub key: &'static str,
    pub value: String,
}

/// Where settings are read from.
pub struct Source<'a> {
    pub flags: &'a [Flag],
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Path and text, if there is a file.
    pub file: Option<(&'a Path, &'a str)>,
}

impl Settings {
    /// Reads the file of `home` and the real environment.
    pub fn load(home: &Home, flags: &[Flag]) -> Result<Self, Problems> {
        let path = home.settings();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Problems(vec![ConfigError::Unreadable { path, error: error.to_string() }])),
        };
        let environment = |name: &str| std::env::var(name).ok();
        let file = text.as_deref().map(|text| (path.as_path(), text));
        Self::resolve(home, &Source { flags, environment: &environment, file })
    }
}

/// All that is wrong, so that it can be put right in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<ConfigError>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{}, line {line}: there is no setting {key}{}", path.display(), hint(nearest))]
    UnknownKey { path: PathBuf, line: usize, key: String, nearest: Option<&'static str> },
    #[error("{place}: {key}: {why} (it says {value:?})")]
    BadValue { place: String, key: &'static str, value: String, why: String },
    #[error("{}, line {line}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, message: String },
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: String },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; is {name} meant?")).unwrap_or_default()
}

/// Takes the settings out of a source, one after the other.
pub(super) struct Resolver<'a> {
    source: &'a Source<'a>,
    /// Text and line of each key in the file.
    file: BTreeMap<String, (String, usize)>,
    pub(super) problems: Vec<ConfigError>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(source: &'a Source<'a>, keys: &'static [&'static str]) -> Self {
        let mut resolver = Self { source, file: BTreeMap::new(), problems: Vec::new() };
        if let Some((path, text)) = source.file {
            resolver.read_file(path, text, keys);
        }
        resolver
    }

    fn read_file(&mut self, path: &Path, text: &str, keys: &'static [&'static str]) {
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = line_of(text, error.span().map_or(0, |span| span.start));
                self.problems.push(ConfigError::Syntax {
                    path: path.to_owned(),
                    line,
                    message: error.message().to_owned(),
                });
                return;
            }
        };
        for (key, value) in &table {
            let (name, line) = (key.get_ref().to_string(), line_of(text, key.span().start));
            if keys.contains(&name.as_str()) {
                match text_of(value) {
                    Some(text) => {
                        self.file.insert(name, (text, line));
                    }
                    None => self.problems.push(ConfigError::Syntax {
                        path: path.to_owned(),
                        line,
                        message: format!("{name} takes no {}", value.get_ref().type_str()),
                    }),
                }
            } else {
                let nearest = nearest(&name, keys);
                self.problems.push(ConfigError::UnknownKey { path: path.to_owned(), line, key: name, nearest });
            }
        }
        // The table is sorted by name; people read from top to bottom.
        self.problems.sort_by_key(|problem| match problem {
            ConfigError::UnknownKey { line, .. } | ConfigError::Syntax { line, .. } => *line,
            ConfigError::BadValue { .. } | ConfigError::Unreadable { .. } => usize::MAX,
        });
    }

    /// The setting `key`; `None`, with a problem noted, if what was chosen is no such value.
    pub(super) fn take<T>(&mut self, key: &'static str, default: &str) -> Option<Setting<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let variable = format!("CHOIR_{}", key.to_ascii_uppercase());
        let (text, origin, place) = if let Some(flag) = self.source.flags.iter().rev().find(|flag| flag.key == key) {
            (flag.value.clone(), Origin::Flag, format!("--{}", key.replace('_', "-")))
        } else if let Some(text) = (self.source.environment)(&variable) {
            (text, Origin::Environment, variable)
        } else if let Some((text, line)) = self.file.remove(key) {
            let path = self.source.file.map(|(path, _)| path.display().to_string()).unwrap_or_default();
            (text, Origin::File { line }, format!("{path}, line {line}"))
        } else {
            (default.to_owned(), Origin::Default, "default".to_owned())
        };
        match text.parse() {
            Ok(value) => Some(Setting { value, origin }),
            Err(why) => {
                self.problems.push(ConfigError::BadValue { place, key, value: text, why: why.to_string() });
                None
            }
        }
    }
}

/// The text that means the same as a value of TOML; `None` for what no setting can be.
fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Boolean(true) => Some("yes".to_owned()),
        DeValue::Boolean(false) => Some("no".to_owned()),
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// Counted from one, as editors do.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The name that was probably meant: the one that takes the fewest edits, if that is at most a third of its letters.
fn nearest(name: &str, keys: &'static [&'static str]) -> Option<&'static str> {
    let (edits, key) = keys.iter().map(|key| (edits(name, key), *key)).min()?;
    (edits <= key.len() / 3).then_some(key)
}

/// Levenshtein's distance, by Wagner and Fischer's table of which only one row is kept.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = above;
        let mut before = above + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let here = (diagonal + usize::from(letter != *other)).min(before + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, here);
            before = here;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let table =
            [("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)];
        for (left, right, count) in table {
            assert_eq!(edits(left, right), count, "{left} {right}");
        }
    }

    #[test]
    fn a_far_name_is_no_hint() {
        assert_eq!(nearest("uploadslots", Settings::KEYS), Some("upload_slots"));
        assert_eq!(nearest("colour", Settings::KEYS), None);
    }
}
