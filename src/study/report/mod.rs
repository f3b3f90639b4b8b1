//! `results/README.md`: everything in the results folder on one page, made from the files alone,
//! so that the same files give the same page.

mod differences;
mod summary;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::eval::claims::{self, Claim};
use crate::experiment::{FORMAT, claims_yaml};

use super::claims::COLUMNS;
use crate::results::tables::{Rows, read};
use crate::results::{atomic, is_scratch, markdown};

/// The files of one figure that the page is made of.
struct Shown {
    name: String,
    experiment: Value,
    run: Value,
    claims: Rows,
    curves: Rows,
    /// Where the figure has networks that can exit early.
    summary: Option<Rows>,
}

/// Writes the page for all figures under `out` but quick ones and smoke. Returns its path.
///
/// # Errors
/// Names the file that is missing or broken.
pub fn write_report(out: &Path) -> Result<PathBuf> {
    let mut shown = Vec::new();
    for folder in figure_folders(out)? {
        shown.push(load(&folder).with_context(|| format!("in {}", folder.display()))?);
    }
    ensure!(
        !shown.is_empty(),
        "{}: no figure to report on (results of -quick experiments and of smoke stay out); \
         run an experiment first, such as `repro anytime anytime-cifar100-cpu`",
        out.display()
    );
    let exact = out.join("exact");
    atomic::create_folder(&exact)?;
    super::claims::table(&super::claims::exact_judgements()?).write(&exact.join("claims.csv"))?;
    let path = out.join("README.md");
    atomic::write(&path, page(&shown)?.as_bytes())?;
    Ok(path)
}

fn figure_folders(out: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", out.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(out).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        if path.join("run.json").is_file() && !is_scratch(&name) {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn load(folder: &Path) -> Result<Shown> {
    let text = |name: &str| -> Result<String> {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let summary = folder.join("summary.csv");
    let shown = Shown {
        name: folder.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned()),
        experiment: serde_yaml::from_str(&text("experiment.yaml")?).context("experiment.yaml")?,
        run: serde_json::from_str(&text("run.json")?).context("run.json")?,
        claims: read(&folder.join("claims.csv"))?,
        curves: read(&folder.join("figure.csv"))?,
        summary: summary.is_file().then(|| read(&summary)).transpose()?,
    };
    check(&shown)?;
    Ok(shown)
}

/// Refuses results of an earlier program, whose numbers and claims mean something else.
fn check(shown: &Shown) -> Result<()> {
    let figure = plain(&shown.experiment["figure"]);
    let again = format!("`repro {figure} {}` writes them anew", shown.name);
    let format = shown.run["format"].as_u64();
    ensure!(
        format == Some(u64::from(FORMAT)),
        "run.json: the results are of format {}, and this program's is {FORMAT}; {again}",
        format.map_or("unknown".to_string(), |format| format.to_string())
    );
    ensure!(
        shown.claims.names() == COLUMNS,
        "claims.csv: the columns are those of another version of this program; {again}"
    );
    Ok(())
}

fn page(shown: &[Shown]) -> Result<String> {
    let all = claims::parse(claims_yaml())?;
    let mut page = String::from(
        "# Results\n\nMade by `repro report` from the tables beside it; nothing here is typed by hand. A claim holds, \
         fails, has no effect as large as its margin, or takes more seeds to be decided; intervals are of 95 %.\n",
    );
    contents(&mut page, shown)?;
    for figure in shown {
        section(&mut page, figure, &all)?;
    }
    Ok(page)
}

fn contents(page: &mut String, shown: &[Shown]) -> Result<()> {
    let runs = seconds_of_runs(shown);
    writeln!(
        page,
        "\n| figure | data | seeds | hold | fail | no effect | too few seeds |\n| --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for s in shown {
        let count = |verdict: &str| s.claims.column("verdict").filter(|v| *v == verdict).count();
        let seeds = s.experiment["seeds"].as_array().map_or(0, Vec::len);
        writeln!(
            page,
            "| [{}](#{}) | {} | {seeds} | {} | {} | {} | {} |",
            cell(&s.name),
            markdown::anchor(&s.name),
            cell(&plain(&s.experiment["dataset"])),
            count("holds"),
            count("fails"),
            count("no-effect"),
            count("too-few-seeds")
        )?;
    }
    writeln!(
        page,
        "\nTraining took {:.1} hours of one process in all, {} runs, each counted once though several figures share it.",
        runs.values().sum::<f64>() / 3600.0,
        runs.len()
    )?;
    Ok(())
}

/// Seconds of every run's training.
fn seconds_of_runs(shown: &[Shown]) -> BTreeMap<&str, f64> {
    let mut seconds = BTreeMap::new();
    for s in shown {
        let list = |key: &str| s.run[key].as_array().map_or(&[][..], Vec::as_slice);
        for (name, time) in list("runs").iter().zip(list("seconds_of_runs")) {
            if let (Some(name), Some(time)) = (name.as_str(), time.as_f64()) {
                seconds.insert(name, time);
            }
        }
    }
    seconds
}

fn section(page: &mut String, s: &Shown, all: &[Claim]) -> Result<()> {
    let picture = markdown::target(&format!("{}/figure.png", s.name));
    writeln!(page, "\n## {}\n\n![{0}]({picture})\n", cell(&s.name))?;
    let (training, run) = (&s.experiment["training"], &s.run);
    let images = match s.experiment["training_images"].as_u64() {
        Some(n) => format!("{n} training images"),
        None => "all training images".to_string(),
    };
    writeln!(
        page,
        "{} on {}: {images}, {} held out, {} epochs, batch {}, seeds {}.\n",
        plain(&s.experiment["figure"]),
        cell(&plain(&s.experiment["dataset"])),
        s.experiment["validation"],
        training["epochs"],
        training["batch_size"],
        plain(&s.experiment["seeds"])
    )?;
    writeln!(
        page,
        "Made by {} with LibTorch {} on {} ({} cores, {}), {}; trainings {:.1} h, {} threads each.\n",
        plain(&run["program"]),
        plain(&run["libtorch"]),
        plain(&run["processor"]),
        run["cores"],
        plain(&run["device"]),
        plain(&run["ended"]),
        run["training_seconds"].as_f64().unwrap_or(0.0) / 3600.0,
        plain(&run["threads"])
    )?;
    difference_table(page, s)?;
    curve_table(page, s)?;
    if let Some(rows) = &s.summary {
        summary::table(page, rows, cell)?;
    }
    claim_table(page, s, all)
}

/// What must be borne in mind when numbers are compared with the paper's.
fn difference_table(page: &mut String, s: &Shown) -> Result<()> {
    let all = differences::from_paper(&s.experiment).context("experiment.yaml")?;
    if all.is_empty() {
        return Ok(());
    }
    writeln!(page, "| what differs | the paper | here |\n| --- | --- | --- |")?;
    for d in all {
        writeln!(page, "| {} | {} | {} |", d.setting, cell(&d.paper), cell(&d.here))?;
    }
    writeln!(page)?;
    Ok(())
}

/// Best accuracy of every curve, mean over seeds.
fn curve_table(page: &mut String, s: &Shown) -> Result<()> {
    writeln!(page, "| curve | best accuracy, mean over seeds | seeds |\n| --- | --- | --- |")?;
    let mut labels: Vec<&str> = Vec::new();
    for label in s.curves.column("curve") {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    for label in labels {
        let mut best: Vec<(&str, f64)> = Vec::new();
        for ((curve, seed), accuracy) in
            s.curves.column("curve").zip(s.curves.column("seed")).zip(s.curves.column("accuracy"))
        {
            let accuracy: f64 =
                accuracy.parse().with_context(|| format!("figure.csv: accuracy {accuracy}"))?;
            match best.iter_mut().find(|(s, _)| *s == seed) {
                _ if curve != label => {}
                Some((_, found)) => *found = found.max(accuracy),
                None => best.push((seed, accuracy)),
            }
        }
        let mean = best.iter().map(|(_, a)| a).sum::<f64>() / best.len() as f64;
        writeln!(page, "| {} | {:.1} % | {} |", cell(label), 100.0 * mean, best.len())?;
    }
    writeln!(page)?;
    Ok(())
}

fn claim_table(page: &mut String, s: &Shown, all: &[Claim]) -> Result<()> {
    writeln!(page, "| the paper says | paper | here | verdict | seeds | needed | note |")?;
    writeln!(page, "| --- | --- | --- | --- | --- | --- | --- |")?;
    let cells = |name: &str| -> Vec<&str> { s.claims.column(name).collect() };
    let [value, low, high] = ["value", "low", "high"].map(cells);
    let columns = ["claim", "paper", "verdict", "seeds", "needed", "note"].map(cells);
    for row in 0..columns[0].len() {
        let [id, paper, verdict, seeds, needed, note] = columns.each_ref().map(|c| c[row]);
        let claim = all.iter().find(|claim| claim.id == id);
        let text = claim.map_or(id, |claim| claim.text.as_str());
        writeln!(
            page,
            "| {} | {paper} | {} [{}, {}] | {verdict} | {seeds} | {needed} | {} |",
            cell(text),
            value[row],
            low[row],
            high[row],
            cell(note)
        )?;
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_string(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.contains_key("name") => plain(&fields["name"]),
        other => other.to_string().replace(',', ", "),
    }
}

fn cell(text: &str) -> String {
    markdown::text(text)
}
