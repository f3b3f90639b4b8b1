//! `repro experiments list | show NAME`

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::output::print;
use crate::experiment::{BUILT_IN, nearest};

/// The experiments that are built in.
#[derive(Debug, clap::Args)]
pub struct ExperimentsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Name, figure and purpose of each
    List {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// The file of one, to be read or copied and changed
    Show {
        /// Its name
        name: String,
    },
}

/// Runs the command.
///
/// # Errors
/// When no experiment has the name.
pub fn run(args: &ExperimentsArgs) -> Result<()> {
    print(match &args.command {
        Command::List { json: true } => format!("{:#}\n", Value::Array(listed())),
        Command::List { json: false } => table(&listed()),
        Command::Show { name } => text_of(name)?.to_string(),
    });
    Ok(())
}

fn text_of(name: &str) -> Result<&'static str> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok(text);
    }
    let near = nearest(name, BUILT_IN.iter().map(|(known, _)| *known));
    let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    bail!("no built-in experiment is called \"{name}\"{hint} (`repro experiments list` shows all)")
}

fn listed() -> Vec<Value> {
    let entry = |(name, text): &(&str, &str)| json!({ "name": name, "figure": figure_of(text), "about": first_comment(text) });
    BUILT_IN.iter().map(entry).collect()
}

fn figure_of(text: &str) -> &str {
    let value = text.lines().find_map(|line| line.strip_prefix("figure:"));
    let value = value.unwrap_or_default();
    value.split('#').next().unwrap_or_default().trim()
}

/// The first comment that people wrote; one for an editor does not count.
fn first_comment(text: &str) -> &str {
    let comments = text.lines().filter_map(|line| line.strip_prefix('#'));
    let mut comments = comments.map(str::trim);
    comments.find(|comment| !comment.starts_with("yaml-language-server")).unwrap_or_default()
}

fn table(rows: &[Value]) -> String {
    let width = |key: &str| {
        let lengths = rows.iter().map(|row| row[key].as_str().map_or(0, str::len));
        lengths.max().unwrap_or(0)
    };
    let (names, figures) = (width("name"), width("figure"));
    let mut text = String::new();
    for row in rows {
        let cell = |key: &str| row[key].as_str().unwrap_or_default();
        let (name, figure, about) = (cell("name"), cell("figure"), cell("about"));
        text.push_str(&format!("{name:names$}  {figure:figures$}  {about}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_experiment_is_listed_with_its_figure_and_purpose() {
        let rows = listed();
        assert_eq!(rows.len(), BUILT_IN.len());
        for row in rows {
            assert!(!row["figure"].as_str().unwrap().is_empty(), "{row}");
            assert!(!row["about"].as_str().unwrap().is_empty(), "{row}");
        }
    }

    #[test]
    fn a_comment_for_editors_is_not_what_an_experiment_is_about() {
        let text =
            "# yaml-language-server: $schema=schema.json\n# Figure: x.\nfigure: anytime # y\n";
        assert_eq!((first_comment(text), figure_of(text)), ("Figure: x.", "anytime"));
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let error = text_of("anytime-quik").unwrap_err().to_string();
        assert!(error.contains("did you mean anytime-quick?"), "{error}");
    }
}
