//! What made each figure: hours, machine, and the commit that began its runs.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::super::standing;
use super::load::Shown;
use super::plain;
use crate::data::plural;
use crate::eval::claims::{self, Claim};
use crate::eval::named::unique;
use crate::experiment::claims_yaml;
use crate::results::markdown;

/// The table of stages.
pub(super) fn write(page: &mut String, out: &Path, figures: &[Shown]) -> Result<()> {
    let now = claims::parse(claims_yaml())?;
    writeln!(
        page,
        "\n## What made them\n\nClaims, margins and the model are committed before the runs that they judge. A claim that \
         did not stand there yet when a figure's runs began is exploratory for it. So is one that was made when runs of one side \
         had been seen, even if it stood there. `yes` is said of rule, margin and the \
         paper's number; the words may have changed since. The verdicts are those of the program that drew the figure last. \
         A run is listed with the device on which it began, even if it was finished on another. \
         Hours count wherever a run went on; of an interrupted epoch only the last part. \
         Where several devices trained, device, seed and network change together, so their effects cannot be told apart.\n"
    )?;
    let head = "figure | runs began at commit | did its claims stand there | hours of one process | machine";
    let row = |figure: &Shown| {
        let (stood, hours) = (stood(out, figure, &now), format!("{:.1}", figure.hours()));
        [markdown::heading_link(&figure.name), commits(figure), stood, hours, machine(figure)]
    };
    page.push_str(&markdown::table(head, figures.iter().map(row)));
    let trainings = seconds_of_trainings(figures);
    writeln!(
        page,
        "\nTraining took {:.1} hours of one process, {}, each counted once though several figures share it. Trainings \
         whose results are not shown any more are not counted.",
        trainings.iter().sum::<f64>() / 3600.0,
        plural(trainings.len(), "training")
    )?;
    Ok(())
}

pub(super) fn commits(figure: &Shown) -> String {
    let short = |commit: String| commit.chars().take(10).collect::<String>();
    let all: Vec<String> = figure.listed("commit").into_iter().map(|c| short(plain(c))).collect();
    let dirty = match figure.run["dirty"].as_bool() {
        Some(true) => " with uncommitted changes",
        _ => "",
    };
    if all.is_empty() { "unknown".to_string() } else { format!("{}{dirty}", all.join(", ")) }
}

/// Which runs began on which device, threads, precision.
pub(super) fn machine(figure: &Shown) -> String {
    let of_device = |entry: &Value| {
        let seeds: Vec<String> =
            entry["seeds"].as_array().into_iter().flatten().map(plain).collect();
        // Results of older programs do not have it.
        let seconds = entry["training_seconds"].as_f64();
        let hours = seconds.map_or_else(String::new, |s| format!(" ({:.1} h)", s / 3600.0));
        format!(
            "{} begun on {} with {}{hours}, seeds {}",
            plural(entry["runs"].as_u64().unwrap_or(0) as usize, "run"),
            plain(&entry["device"]),
            plain(&entry["processor"]),
            seeds.join(", ")
        )
    };
    let devices: Vec<String> = figure.listed("runs_by_device").into_iter().map(of_device).collect();
    let devices = if devices.is_empty() { old_devices(figure) } else { devices };
    let threads: Vec<String> = figure.listed("threads").into_iter().map(plain).collect();
    let precision = serde_json::to_value(figure.experiment.training.precision).map(|p| plain(&p));
    let ending = if threads == ["1"] { "" } else { "s" };
    let threads = format!("{} thread{ending} a training", threads.join(", "));
    let parts = devices.into_iter().chain([threads, precision.unwrap_or_default()]);
    parts.collect::<Vec<_>>().join("; ")
}

/// Devices and processors of results from before runs were counted by device.
fn old_devices(figure: &Shown) -> Vec<String> {
    let name = |value: &Value| value["name"].as_str().map_or_else(|| plain(value), String::from);
    let devices = figure.listed("device").into_iter().map(plain);
    devices.chain(figure.listed("processor").into_iter().map(name)).collect()
}

/// Whether the claims that a figure measures stood, judged as today, in the commits that began its runs.
fn stood(out: &Path, figure: &Shown, now: &[Claim]) -> String {
    let commits: Vec<String> = figure.listed("commit").into_iter().map(plain).collect();
    let judged =
        |claim: &&Claim| figure.claims.iter().any(|row| row.claim == claim.id && row.is_measured());
    let own: Vec<&Claim> = now.iter().filter(judged).collect();
    match standing::exploratory(out, &commits, &own) {
        _ if own.is_empty() => "none measured".to_string(),
        None => "unknown".to_string(),
        Some(others) if others.is_empty() => "yes".to_string(),
        Some(others) if others.len() == own.len() => "no: exploratory".to_string(),
        Some(others) => format!("all but {}: exploratory", others.join(", ")),
    }
}

/// Seconds of every training. A run that was trained again elsewhere is two of one name.
pub(super) fn seconds_of_trainings(figures: &[Shown]) -> Vec<f64> {
    let mut trainings = Vec::new();
    for figure in figures {
        let list = |key: &str| figure.run[key].as_array().map_or(&[][..], Vec::as_slice);
        for (name, time) in list("runs").iter().zip(list("seconds_of_runs")) {
            if let (Some(name), Some(time)) = (name.as_str(), time.as_f64()) {
                trainings.push((name, time));
            }
        }
    }
    unique(trainings).into_iter().map(|(_, time)| time).collect()
}
