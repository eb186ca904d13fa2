//! `choir config`

use serde_json::{Value, json};

use super::args::Config;
use super::context::Context;
use super::output::{Output, Paint};
use crate::api::{Answer, Exit};
use crate::config::SettingRow;

pub(super) fn run(context: &Context, action: &Config) -> Answer<Exit> {
    let out = &context.out;
    let path = context.home.settings();
    match action {
        Config::Show => {
            let rows = context.settings(&[])?.rows();
            let settings: Vec<_> = rows.iter().map(shape).collect();
            out.result(&json!({ "path": path, "settings": settings }), |out: &Output| {
                // What is printed can be written into the settings file.
                for row in &rows {
                    let note = out.painted(Paint::Faint, &format!("# {} ({})", row.help, row.origin));
                    out.line(format!("{note}\n{} = {:?}\n", row.key, row.value));
                }
            });
        }
        Config::Path => out.result(&json!({ "path": path }), |out| out.line(path.display().to_string())),
        Config::Check => {
            context.settings(&[])?;
            out.result(&json!({ "path": path, "ok": true }), |out| out.line("the settings are good"));
        }
    }
    Ok(Exit::Done)
}

fn shape(row: &SettingRow) -> Value {
    json!({ "key": row.key, "value": row.value, "origin": row.origin.to_string(), "help": row.help })
}
