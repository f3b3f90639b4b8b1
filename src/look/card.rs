//! A run as model hubs take it: its weights, its configuration, and a card that people and machines
//! read.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cost;
use crate::data::{Dataset, plural, terms};
use crate::eval::exits::{ExitScore, score};
use crate::experiment::Run;
use crate::results::markdown::text;
use crate::results::{answers, atomic, runfiles};
use crate::runs::import::{RunConfig, export_run};
use crate::runs::{DataSets, Known, Split};

/// What a card's folder holds.
const FILES: [&str; 4] = ["config.json", "model.safetensors", "README.md", "predictions.parquet"];

/// Writes `model.safetensors`, `config.json`, `README.md` and, where they are asked for, the
/// predictions on the test images. The first two alone are what an import reads.
///
/// # Errors
/// When the run is not finished, its test images cannot be read, or the folder holds files of these
/// names that are not a run's.
pub fn export_card(
    known: &Known,
    folder: &Path,
    license: &str,
    with_predictions: bool,
    data_sets: &DataSets,
) -> Result<()> {
    let [config, model, card, answers] = FILES.map(|file| folder.join(file));
    if let Some(file) = FILES.iter().find(|file| folder.join(file).exists()) {
        ensure!(
            std::fs::read(&config)
                .is_ok_and(|text| serde_json::from_slice::<RunConfig>(&text).is_ok()),
            "{} holds a {file}, and no config.json of a run; name a new folder",
            folder.display()
        );
    }
    known.ensure_done(data_sets)?;
    // A damaged checkpoint is found before an earlier card is touched.
    known.network(data_sets)?;
    let classes = known.classes(&data_sets.settings.places.data);
    let classes = matches!(known.run.dataset, Dataset::Folder(_)).then_some(classes);
    let test = known.predictions(Split::Test, data_sets)?;
    let costs = cost::table(&known.run.network.build(known.data(data_sets)?.input)?);
    let exits: Vec<Exit> = costs.into_iter().map(|c| c.multiply_adds).zip(score(&test)?).collect();
    let (progress, _) = known.folder.progress().context("the run has no whole checkpoint")?;
    let began = runfiles::read_began(&known.folder.run_yaml());
    let page = readme(&known.folder.name(), &known.run, &exits, license)?;
    let run = serde_json::to_vec_pretty(&RunConfig { progress, classes, began })?;
    atomic::create_folder(folder)?;
    // Another run's must not stay beside this one's config.json, however this command ends.
    [&model, &card, &answers].into_iter().try_for_each(|file| atomic::remove(file))?;
    atomic::write(&config, &run)?;
    export_run(&known.folder, Some(&model))?;
    atomic::write(&card, page.as_bytes())?;
    if with_predictions {
        // Names of files may tell more than is to be published.
        answers::save(&answers, &test, None)?;
    }
    Ok(())
}

/// Multiply-adds of exits 1 to k, and how exit k does on the test images.
type Exit = (u64, ExitScore);

/// The block that hubs read; accuracies are fractions, 0 to 1.
fn metadata(name: &str, run: &Run, exits: &[Exit], license: &str) -> Value {
    let dataset = run.dataset.to_string();
    let hub = terms(&dataset).map(|terms| terms.hub);
    let metrics = exits.iter().map(|(multiply_adds, score)| {
        let name = format!("Accuracy at exit {} ({multiply_adds} multiply-adds)", score.exit);
        json!({ "type": "accuracy", "name": name, "value": score.top1 })
    });
    let result = json!({
        "task": { "type": "image-classification", "name": "Image classification" },
        "dataset": { "type": hub.unwrap_or(&dataset), "name": dataset, "split": "test" },
        "metrics": metrics.collect::<Vec<_>>(),
    });
    let mut metadata = json!({
        "license": license,
        "library_name": "repro",
        "pipeline_tag": "image-classification",
        "tags": ["arxiv:1703.09844", "early-exit", run.network.family().to_lowercase()],
        "metrics": ["accuracy"],
        "model-index": [{ "name": name, "results": [result] }],
    });
    if let Some(hub) = hub {
        metadata["datasets"] = json!([hub]);
    }
    metadata
}

fn readme(name: &str, run: &Run, exits: &[Exit], license: &str) -> Result<String> {
    let (family, dataset) = (run.network.family(), text(&run.dataset.to_string()));
    let mut card = format!(
        "---\n{}---\n\n# {}\n\n{} {family} with {}, trained on {dataset}. With several exits an easy image leaves at an \
         early one, a hard image at a late one. It was made by `repro`, which reproduces *Multi-Scale Dense Networks for Resource Efficient \
         Image Classification* (Huang et al., ICLR 2018, [arXiv:1703.09844](https://arxiv.org/abs/1703.09844)).\n\n",
        serde_yaml::to_string(&metadata(name, run, exits, license))?,
        text(name),
        if family == "MSDNet" { "An" } else { "A" },
        plural(exits.len(), "exit"),
    );
    card.push_str(
        "## Accuracy on the test images\n\n| exit | multiply-adds | top-1 | top-5 | negative log-likelihood | calibration error |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for (multiply_adds, s) in exits {
        let (top1, top5) = (100.0 * s.top1, 100.0 * s.top5);
        writeln!(
            card,
            "| {} | {multiply_adds} | {top1:.2} % | {top5:.2} % | {:.4} | {:.4} |",
            s.exit, s.nll, s.ece
        )?;
    }
    let training = match &run.training {
        Some(training) => {
            let yaml = serde_yaml::to_string(&serde_json::to_value(training)?)?;
            let only = run
                .training_images
                .map_or(String::new(), |images| format!("It was trained on {images} images. "));
            format!(
                "One run on one seed. {only}{} training images were held out. Seed {}. `config.json` holds the log and the \
                 machine.\n\n```yaml\n{yaml}```",
                run.validation, run.seed
            )
        }
        None => "The weights were imported.".to_string(),
    };
    let licence = terms(&run.dataset.to_string()).map_or("not known", |terms| terms.licence);
    write!(
        card,
        "\n{} test images. `config.json` holds the network.\n\n\
         ## Use\n\n```sh\nrepro import FOLDER        # this folder: a finished run\nrepro classify {name} PHOTOS\n```\n\n\
         ## Training\n\n{training}\n\n## Limits\n\nThe network knows the classes of {dataset} and no others. Licence of \
         the data: {licence}.\n",
        exits.first().map_or(0, |(_, score)| score.images)
    )?;
    Ok(card)
}
