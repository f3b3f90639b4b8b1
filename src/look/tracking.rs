//! Runs as flat rows, one a run and epoch, for experiment trackers and data frames.

use serde_json::{Map, Value, json};

use crate::eval::named::unique;
use crate::results::runfiles;
use crate::results::tables::Table;
use crate::runs::Known;

/// A row: the run's name, its whole configuration and what began it under dotted keys
/// (`training.batch_size`, `began.commit`), then the epoch: learning rate, loss, accuracy of each
/// exit on the hold-out, seconds. A run without epochs has one row without them.
pub type Row = Map<String, Value>;

/// The rows of a run, epoch by epoch.
pub fn rows(known: &Known) -> anyhow::Result<Vec<Row>> {
    let mut settings = Row::new();
    settings.insert("run".to_string(), json!(known.folder.name()));
    flatten("", &serde_json::to_value(&known.run)?, &mut settings);
    let began = runfiles::read_began(&known.folder.run_yaml());
    flatten("began", &serde_json::to_value(began)?, &mut settings);
    let log = known.folder.progress().map_or(Vec::new(), |(progress, _)| progress.log);
    let clock = runfiles::timings(&known.folder.timing_csv());
    if log.is_empty() {
        return Ok(vec![settings]);
    }
    let of_epoch = |row: &crate::experiment::LogRow| {
        let mut all = settings.clone();
        let mut put = |key: &str, value: Value| drop(all.insert(key.to_string(), value));
        put("epoch", json!(row.epoch));
        put("learning_rate", json!(row.learning_rate));
        put("loss", json!(row.loss));
        for (exit, accuracy) in (1..).zip(&row.accuracy) {
            put(&format!("accuracy_exit_{exit}"), json!(accuracy));
        }
        if let Some(time) = clock.iter().rfind(|time| time.epoch == row.epoch) {
            put("seconds", json!(time.seconds));
            put("images_per_second", json!(time.images_per_second));
        }
        all
    };
    Ok(log.iter().map(of_epoch).collect())
}

/// Puts `value` under `key`; a mapping's entries under `key.entry`. Lists stay JSON.
fn flatten(key: &str, value: &Value, row: &mut Row) {
    match value {
        Value::Object(entries) => {
            for (name, entry) in entries {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{dot}{name}"), entry, row);
            }
        }
        Value::Null => {}
        other => drop(row.insert(key.to_string(), other.clone())),
    }
}

/// One JSON object a line.
pub fn jsonl(rows: Vec<Row>) -> String {
    rows.into_iter().map(|row| format!("{}\n", Value::Object(row))).collect()
}

/// One table; a key that a run has not got is an empty cell.
pub fn csv(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let keys = unique(rows.iter().flat_map(Row::keys));
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let add = |table: Table, key: &String| {
        table.text(key, rows.iter().map(|row| text(row.get(key))).collect::<Vec<_>>())
    };
    keys.into_iter().fold(Table::default(), add).to_csv()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_different_runs_make_one_table_with_empty_cells() {
        let row = |value: Value| {
            let mut row = Row::new();
            flatten("", &value, &mut row);
            row
        };
        let rows = [
            row(json!({ "run": "a, b", "training": { "epochs": 2, "at": [0.5, 0.75] } })),
            row(json!({ "run": "c", "training": null, "loss": 0.1 })),
        ];
        assert_eq!(
            String::from_utf8(csv(&rows).unwrap()).unwrap(),
            "run,training.epochs,training.at,loss\n\"a, b\",2,\"[0.5,0.75]\",\nc,,,0.1\n"
        );
        assert_eq!(jsonl(rows[1..].to_vec()), "{\"run\":\"c\",\"loss\":0.1}\n");
    }
}
