//! `repro predict`.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Result, ensure};

use super::options::{Arithmetic, Compute, Folders};
use super::output::print;
use crate::engine::Isa;
use crate::nn::Precision;
use crate::results::answers;
use crate::results::atomic::create_folder_of;
use crate::runs::Split;
use crate::runs::{DataSets, Known};

/// Options of `repro predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// A run: its folder, or the beginning of its name
    run: String,
    /// Images that no training has seen, or those held out of the training set
    #[arg(long, value_enum)]
    split: Which,
    /// File for image, exit, label, predicted, confidence: .csv or .parquet [default: CSV on
    /// standard output]. Images are counted from 0 in the order of the data set; an image folder's are in the order of
    /// their classes' names, then of the files', without those that are left out as broken; its
    /// table has one column more, file: the path below the folder
    #[arg(long, value_name = "FILE", value_parser = table)]
    out: Option<PathBuf>,
    /// Also write all logits, [exits, images, classes]
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensors)]
    logits: Option<PathBuf>,
    /// Arithmetic. bf16 runs in the CPU engine, and its predictions are not kept with the run; auto
    /// takes bf16 on AMD processors that have it, else fp32
    #[arg(long, value_enum, default_value_t = Arithmetic::Fp32)]
    precision: Arithmetic,
    #[command(flatten)]
    folders: Folders,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    Test,
    Validation,
}

/// Predicts a split and writes what was asked for.
pub fn run(args: &PredictArgs) -> Result<()> {
    let places = args.folders.places(PathBuf::new());
    let settings = args.compute.looking(places)?;
    let split = match args.split {
        Which::Test => Split::Test,
        Which::Validation => Split::Validation,
    };
    let known = Known::named(&args.run, &args.folders.runs)?;
    [&args.logits, &args.out].into_iter().flatten().try_for_each(|file| create_folder_of(file))?;
    let data_sets = DataSets::new(&settings);
    let precision = args.precision.chosen();
    let predictions =
        if precision == Some(Precision::Fp32) || (precision.is_none() && !Isa::gains_by_bf16()) {
            known.predictions(split, &data_sets)?
        } else {
            Rc::new(known.predict_with_engine(split, precision, &data_sets)?)
        };
    if let Some(path) = &args.logits {
        answers::save_logits(path, &predictions)?;
    }
    let files = known.image_files(split, &predictions.images, &data_sets)?;
    match &args.out {
        Some(path) => answers::save(path, &predictions, files.as_deref()),
        None => {
            print(answers::csv(&predictions, files.as_deref())?);
            Ok(())
        }
    }
}

/// A file that logits can be written to, by its ending.
fn tensors(text: &str) -> Result<PathBuf> {
    ensure!(
        text.to_lowercase().ends_with(".safetensors"),
        "expected a name that ends in .safetensors"
    );
    Ok(text.into())
}

/// A file that a table can be written to, by its ending: told before anything is predicted.
fn table(text: &str) -> Result<PathBuf> {
    let ending = text.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_lowercase());
    ensure!(
        ["csv", "parquet"].contains(&ending.as_str()),
        "expected a name that ends in .csv or .parquet"
    );
    Ok(text.into())
}
