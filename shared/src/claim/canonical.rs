//! One text for one JSON value.

use serde_json::Value;

/// `value` without white space, the members of every object sorted by the bytes of their names.
///
/// Sorting is done here and not left to `serde_json`, whose order depends on a feature that any other crate of a
/// build may turn on.
pub fn canonical_json(value: &Value) -> String {
    let mut json = String::new();
    write(value, &mut json);
    json
}

fn write(value: &Value, json: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_bytes());
            json.push('{');
            for (position, (name, value)) in members.into_iter().enumerate() {
                if position > 0 {
                    json.push(',');
                }
                write(&Value::from(name.as_str()), json);
                json.push(':');
                write(value, json);
            }
            json.push('}');
        }
        Value::Array(items) => {
            json.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    json.push(',');
                }
                write(item, json);
            }
            json.push(']');
        }
        // `Display` of a value is its compact JSON: only `"`, `\` and controls of a text are escaped.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json.push_str(&value.to_string()),
    }
}
