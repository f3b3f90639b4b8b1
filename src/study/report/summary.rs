//! Early exit of each network in one row, from a figure's `summary.csv`.

use anyhow::Result;

use super::cell;
use crate::eval::named::unique;
use crate::results::markdown;
use crate::results::tables::Rows;

/// Measures of the row, and what the page calls them.
const COLUMNS: [(&str, &str); 7] = [
    ("accuracy_at_25_percent", "accuracy at 25 %"),
    ("accuracy_at_50_percent", "50 %"),
    ("accuracy_at_75_percent", "75 %"),
    ("accuracy_at_100_percent", "100 % of the full cost"),
    ("multiply_adds_at_equal_accuracy", "cost at equal accuracy"),
    ("multiply_adds_at_one_point_less", "at one point less"),
    ("area_under_curve", "mean accuracy over costs"),
];

/// Adds a table with a row for each network, means over its seeds.
pub(super) fn table(page: &mut String, rows: &Rows) -> Result<()> {
    let mut lines = Vec::new();
    for network in unique(rows.column("network")) {
        let mut line = vec![cell(network)];
        for (measure, _) in COLUMNS {
            line.push(shown(measure, mean(rows, network, measure)?));
        }
        lines.push(line);
    }
    let head = format!("network | {}", COLUMNS.map(|(_, name)| name).join(" | "));
    page.push_str("Early exit by the paper's rule, means over seeds:\n\n");
    page.push_str(&markdown::table(&head, lines));
    page.push_str(
        "\n'Equal accuracy' means that of the last exit. These costs are means over the test images, read off the curve of the same \
         images, so they are somewhat low. `summary.csv` has more measures; the page of `eval::summary` that `make doc` writes \
         defines them.\n\n",
    );
    Ok(())
}

/// Mean over the seeds at which the measure is defined; none where it is at no seed.
fn mean(rows: &Rows, network: &str, measure: &str) -> Result<Option<f64>> {
    let keys = rows.column("network").zip(rows.column("measure"));
    let own = keys.zip(rows.optional_numbers("value")?);
    let own = own.filter(|(key, _)| *key == (network, measure));
    let values: Vec<f64> = own.filter_map(|(_, value)| value).collect();
    let sum: f64 = values.iter().sum();
    Ok((!values.is_empty()).then(|| sum / values.len() as f64))
}

fn shown(measure: &str, value: Option<f64>) -> String {
    match value {
        None => "-".to_string(),
        Some(value) if measure.starts_with("multiply_adds") => format!("{:.2} M", value / 1e6),
        Some(value) => format!("{:.1} %", 100.0 * value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tables::read;

    #[test]
    fn a_row_has_means_over_seeds_and_a_dash_for_what_is_not_defined() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("summary.csv");
        let text = "network,seed,measure,exit,value\n\
            m,0,accuracy_at_50_percent,,0.5\nm,1,accuracy_at_50_percent,,0.6\n\
            m,0,multiply_adds_at_equal_accuracy,,2000000\nm,0,accuracy_at_25_percent,,\n\
            m,0,auroc,1,0.9\n";
        std::fs::write(&csv, text).unwrap();
        let mut page = String::new();
        table(&mut page, &read(&csv).unwrap()).unwrap();
        let row = page.lines().find(|line| line.starts_with("| m")).unwrap();
        assert_eq!(row, "| m | - | 55.0 % | - | - | 2.00 M | - | - |", "{page}");
    }
}
