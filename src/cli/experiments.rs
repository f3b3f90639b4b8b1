//! `repro experiments list | show NAME`

use anyhow::{Result, bail};
use serde_json::{Value, json};
use terminal_size::{Width, terminal_size_of};

use super::output::print;
use crate::experiment::{BUILT_IN, did_you_mean};
use crate::runs::{Places, Settings};
use crate::sweep::manifest;

/// The experiments that are built in.
#[derive(Debug, clap::Args)]
pub struct ExperimentsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Each one's name, runs, largest network in multiply-adds, hours of training on one core, and
    /// purpose. Hours are at the speed of its own epochs in `runs`, else at 5e9 multiply-adds a second
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
pub fn run(args: &ExperimentsArgs) -> Result<()> {
    print(match &args.command {
        Command::List { json: true } => format!("{:#}\n", Value::Array(listed()?)),
        Command::List { json: false } => {
            let width = terminal_size_of(std::io::stdout());
            table(&listed()?, width.map(|(Width(width), _)| usize::from(width)))
        }
        Command::Show { name } => text_of(name)?.to_string(),
    });
    Ok(())
}

fn text_of(name: &str) -> Result<&'static str> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok(text);
    }
    let hint = did_you_mean(name, BUILT_IN.iter().map(|(known, _)| *known));
    bail!("no built-in experiment is called \"{name}\"{hint} (`repro experiments list` shows all)")
}

fn listed() -> Result<Vec<Value>> {
    let [out, runs, data] = ["results", "runs", "data"].map(Into::into);
    let settings = Settings::on_one_core(Places { out, runs, data });
    let entry = |(name, text): &(&str, &str)| {
        let lines = manifest(&[(*name).to_string()], &[], &settings)?;
        let seconds: f64 = lines.iter().map(|line| line.seconds).sum();
        Ok(json!({
            "name": name,
            "figure": figure_of(text),
            "about": first_sentence(text),
            "runs": lines.len(),
            "multiply_adds": lines.iter().map(|line| line.multiply_adds).max(),
            "hours": (seconds / 36.0).round() / 100.0,
        }))
    };
    BUILT_IN.iter().map(entry).collect()
}

fn figure_of(text: &str) -> &str {
    let value = text.lines().find_map(|line| line.strip_prefix("figure:"));
    let value = value.unwrap_or_default();
    value.split('#').next().unwrap_or_default().trim()
}

/// The first sentence of the comment that people wrote; one for an editor does not count.
fn first_sentence(text: &str) -> String {
    let comment = text.lines().filter_map(|line| line.strip_prefix("# "));
    let comment: Vec<&str> = comment.filter(|c| !c.starts_with("yaml-language-server")).collect();
    let comment = comment.join(" ");
    let ends = |&(at, _): &(usize, &str)| {
        let next = comment[at + 2..].trim_start_matches('(');
        next.starts_with(char::is_uppercase)
    };
    let end = comment.match_indices(". ").find(ends);
    end.map_or(&comment[..], |(at, _)| &comment[..=at]).to_string()
}

/// A line an experiment; on a terminal of `width` columns its name and size, and below them the
/// sentence.
fn table(rows: &[Value], width: Option<usize>) -> String {
    let cell = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_string();
    let names = rows.iter().map(|row| cell(row, "name").len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let hours = row["hours"].as_f64().unwrap_or(0.0);
        let digits = usize::from(hours < 10.0) + usize::from(hours < 1.0);
        let (name, about) = (cell(row, "name"), cell(row, "about"));
        let millions = row["multiply_adds"].as_u64().unwrap_or(0) as f64 / 1e6;
        let runs = row["runs"].to_string();
        let size = format!("{runs:>3} runs of up to {millions:>6.1} M, {hours:>8.digits$} h");
        match width {
            Some(width) => {
                text.push_str(&format!("{name:names$}  {size}\n{}", wrapped(&about, width)));
            }
            None => text.push_str(&format!("{name:names$}  {size}  {about}\n")),
        }
    }
    text
}

/// Lines of at most `width` columns where the words allow it, two of them indentation.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].len() > 1 && lines[last].chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else {
            lines[last].push_str(&format!(" {word}"));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_experiment_is_listed_with_a_whole_sentence_its_runs_and_hours() {
        let rows = listed().unwrap();
        assert_eq!(rows.len(), BUILT_IN.len());
        for row in &rows {
            let about = row["about"].as_str().unwrap();
            assert!(about.starts_with("Figure: ") && about.ends_with('.'), "{row}");
            assert!(row["runs"].as_u64().unwrap() > 0 && row["hours"].as_f64().unwrap() >= 0.0);
        }
        let narrow = table(&rows, Some(60));
        let long = |line: &&str| line.starts_with("  ") && line.chars().count() > 60;
        assert_eq!(narrow.lines().find(long), None);
        assert_eq!(table(&rows, None).lines().count(), rows.len());
    }

    #[test]
    fn a_sentence_goes_on_over_lines_and_past_abbreviations() {
        let text = "# yaml-language-server: $schema=schema.json\n# Figure: x (Fig. 5), after 1,\n# 2, ..., 9. (The\n# rest.)\nfigure: anytime # y\n";
        assert_eq!(first_sentence(text), "Figure: x (Fig. 5), after 1, 2, ..., 9.");
        assert_eq!(figure_of(text), "anytime");
        assert_eq!(wrapped("a bb ccc", 6), "  a bb\n  ccc\n");
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let error = text_of("anytime-quik").unwrap_err().to_string();
        assert!(error.contains("did you mean anytime-quick?"), "{error}");
    }
}
