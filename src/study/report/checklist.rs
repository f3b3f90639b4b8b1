//! The page's end: the questions of the reproducibility checklist (Pineau et al., JMLR 22, 2021),
//! answered from the figures' files.

use anyhow::{Context, Result};

use super::claims::Judged;
use super::load::{Shown, training_images};
use super::{cell, differences, kept, plain, stages};
use crate::data::{plural, terms};
use crate::results::markdown;
use crate::results::tables::read;

/// The checklist; nothing where there is no figure.
pub(super) fn write(page: &mut String, figures: &[Shown], judged: &Judged) -> Result<()> {
    if figures.is_empty() {
        return Ok(());
    }
    page.push_str(
        "\n## Reproducibility checklist\n\nThe questions are those of the field's checklist (Pineau et al., JMLR 22, 2021); \
         the answers come from `run.json`, `experiment.yaml`, `claims.csv` and `learning.csv` of each figure, and from `runs/`.\n\n",
    );
    let rows = [
        ("Seeds: what is random, and how often was it repeated?", each(figures, seeds)?),
        ("Splits: what is trained on, chosen on and measured on?", each(figures, splits)?),
        (
            "Hyper-parameters: where are they, and which weights are taken?",
            each(figures, settings)?,
        ),
        ("Learning curves: are they published?", each(figures, curves)?),
        ("Weights: are the trained networks published?", each(figures, kept::told)?),
        ("Compute: which machine?", each(figures, |figure| Ok(stages::machine(figure)))?),
        ("Hours: how long did training take?", hours(figures)),
        ("Error bars: what do they cover?", error_bars(judged)),
        ("Code version: what made the numbers?", each(figures, code)?),
        ("Data: which, under which licence, and are they the same bytes?", each(figures, data)?),
        ("Deviations: what differs from the paper?", each(figures, deviations)?),
    ];
    let lines = |answer: &str| answer.split('\n').map(cell).collect::<Vec<_>>().join("<br>");
    let rows = rows.map(|(question, answer)| [question.to_string(), lines(&answer)]);
    page.push_str(&markdown::table("question | answer", rows));
    Ok(())
}

/// The answers of all figures, each once, with the names of its figures unless all share it.
fn each(figures: &[Shown], answer: impl Fn(&Shown) -> Result<String>) -> Result<String> {
    let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
    for figure in figures {
        let text = answer(figure).with_context(|| format!("in {}", figure.folder.display()))?;
        match answers.iter_mut().find(|(known, _)| *known == text) {
            Some((_, names)) => names.push(&figure.name),
            None => answers.push((text, vec![&figure.name])),
        }
    }
    if let [(text, _)] = &answers[..] {
        return Ok(text.clone());
    }
    let answers = answers.iter().map(|(text, names)| format!("{}: {text}", names.join(", ")));
    Ok(answers.collect::<Vec<_>>().join("\n"))
}

fn seeds(figure: &Shown) -> Result<String> {
    let seeds: Vec<String> = figure.experiment.seeds.iter().map(u64::to_string).collect();
    let runs = figure.listed("runs").len();
    let missing = match figure.lacking() {
        lacking if lacking.is_empty() => String::new(),
        lacking => format!(". {lacking}"),
    };
    Ok(format!(
        "A seed decides the initial weights, the order of the batches and the augmentation. Seeds {}: {}{missing}.",
        seeds.join(", "),
        plural(runs, "run")
    ))
}

fn splits(figure: &Shown) -> Result<String> {
    let images = training_images(&figure.experiment);
    let images = images.map_or("the".to_string(), |images| images.to_string());
    let held_out = match figure.experiment.validation.unwrap_or(0) {
        0 => "none are held out".to_string(),
        images => format!(
            "{images} others are held out, the same for every seed, and alone decide thresholds"
        ),
    };
    Ok(format!(
        "Trained on {images} training images; {held_out}; accuracy is measured on the test images."
    ))
}

fn settings(figure: &Shown) -> Result<String> {
    let training = &figure.experiment.training;
    Ok(format!(
        "All are in experiment.yaml: {}, batch {}, learning rate {}. The weights are those after the \
         last epoch; none are picked by a measurement.",
        plural(training.epochs as usize, "epoch"),
        training.batch_size,
        training.learning_rate
    ))
}

fn curves(figure: &Shown) -> Result<String> {
    let rows = read(&figure.folder.join("learning.csv"))?;
    let mut trainings: Vec<(&str, &str)> =
        rows.column("network").zip(rows.column("seed")).collect();
    trainings.sort_unstable();
    trainings.dedup();
    let epochs = rows.column("epoch").filter_map(|epoch| epoch.parse::<usize>().ok()).max();
    Ok(format!(
        "learning.csv has {} of {}.",
        plural(trainings.len(), "training"),
        plural(epochs.unwrap_or(0), "epoch")
    ))
}

fn hours(figures: &[Shown]) -> String {
    let trainings = stages::seconds_of_trainings(figures);
    format!(
        "{:.1} hours of one process for {}, each counted once.",
        trainings.iter().sum::<f64>() / 3600.0,
        plural(trainings.len(), "training")
    )
}

fn error_bars(judged: &Judged) -> String {
    let few = judged.effects().filter(|decided| decided.row.seeds < 3).count();
    format!(
        "{} In the figures they are Student's t over seeds. {few} of {} effects have fewer than three seeds and no verdict.",
        judged.intervals(),
        judged.effects().count()
    )
}

fn code(figure: &Shown) -> Result<String> {
    Ok(format!(
        "{}, commit {}, results of format {}, LibTorch {}.",
        plain(&figure.run["program"]),
        stages::commits(figure),
        plain(&figure.run["format"]),
        plain(&figure.run["libtorch"])
    ))
}

fn data(figure: &Shown) -> Result<String> {
    let name = figure.experiment.dataset.to_string();
    let licence = terms(&name).map_or("not known", |terms| terms.licence);
    let digest = |key: &str| plain(&figure.run[key]).chars().take(12).collect::<String>();
    Ok(format!(
        "{name}, licence: {licence}; SHA-256 of the training data {}..., of the test data {}....",
        digest("training_data"),
        digest("test_data")
    ))
}

fn deviations(figure: &Shown) -> Result<String> {
    let all = differences::from_paper(figure).context("experiment.yaml")?;
    let all: Vec<String> =
        all.iter().map(|d| format!("{} {} (the paper: {})", d.setting, d.here, d.paper)).collect();
    let paper = differences::paper_scale(&figure.experiment)?;
    Ok(match all.len() {
        0 if paper.is_some() => "None of the settings that are compared.".to_string(),
        0 => "No paper-scale experiment of this figure and data is shipped to compare with."
            .to_string(),
        _ => format!("{}.", all.join("; ")),
    })
}
