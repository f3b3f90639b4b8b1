//! From an experiment to its figure.

use std::time::SystemTime;

use anyhow::Result;

use super::anytime;
use super::context::Settings;
use super::outputs::{self, Outputs};
use super::plan::{describe_plan, plan_json};
use super::study::Study;
use crate::experiment::{Experiment, Figure};

/// What a figure command was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ask {
    /// Only tell what would be done.
    pub plan: bool,
    /// Print JSON on standard output.
    pub json: bool,
    /// A claim that fails is an error.
    pub require_claims: bool,
}

/// Carries out an experiment: trains what is missing, predicts, writes the figure's files. Returns
/// what is to be printed on standard output.
///
/// # Errors
/// [`super::Interrupted`] after a signal; else what went wrong and where.
pub fn make_figure(
    name: &str,
    experiment: &Experiment,
    settings: &Settings,
    ask: Ask,
) -> Result<String> {
    let began = SystemTime::now();
    let study = Study::new(name, experiment, settings)?;
    if ask.plan {
        let plan = plan_json(&study)?;
        return Ok(if ask.json {
            format!("{plan:#}\n")
        } else {
            describe_plan(&plan)
        });
    }
    let outputs = Outputs::new(&settings.places.out, name)?;
    study.train_all()?;
    outputs::write_common(&study, &outputs)?;
    draw(&study, &outputs)?;
    outputs::write_provenance(&study, &outputs, began)?;
    let picture = outputs.file("figure.png");
    Ok(format!("{}\n", picture.display()))
}

fn draw(study: &Study, outputs: &Outputs) -> Result<()> {
    let csv = outputs.file("figure.csv");
    match study.plan.figure {
        Figure::Anytime | Figure::Ablation => {
            let rows = anytime::rows(study)?;
            anytime::table(&rows).write(&csv)?;
        }
        _ => anyhow::bail!("to come"),
    }
    Ok(())
}
