//! The peer's settings file.

use std::path::Path;

use choir_peer::config::{ConfigError, Home, Problems, SettingRow, Settings, Source};

use super::utf8;

/// The text of a file: either settings that can be written down and mean the same, or problems that name their lines.
pub fn settings(toml: &[u8]) {
    let Some(file) = utf8(toml) else { return };
    match resolve(file) {
        Ok(settings) => {
            let rows = settings.rows();
            assert!(rows.iter().map(|row| row.key).eq(Settings::KEYS.iter().copied()));
            let again = resolve(&written(&rows)).expect("settings that were in force");
            assert!(rows.iter().map(|row| &row.value).eq(again.rows().iter().map(|row| &row.value)));
        }
        Err(Problems(problems)) => {
            assert!(!problems.is_empty());
            let lines = file.split('\n').count();
            for problem in problems {
                assert!(!problem.to_string().is_empty());
                if let ConfigError::UnknownKey { line, .. } | ConfigError::Syntax { line, .. } = problem {
                    assert!((1..=lines).contains(&line), "line {line} of {lines}");
                }
            }
        }
    }
}

fn resolve(file: &str) -> Result<Settings, Problems> {
    let home = Home::in_folder(Path::new("/home/anna/choir"), Path::new("/"));
    let path = home.settings();
    Settings::resolve(&home, &Source { flags: &[], environment: &|_| None, file: Some((&path, file)) })
}

fn written(rows: &[SettingRow]) -> String {
    rows.iter().map(|row| format!("{} = {}\n", row.key, toml::Value::from(row.value.as_str()))).collect()
}
