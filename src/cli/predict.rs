//! `repro predict`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::pipeline::{Places, Saving, Settings, Split, parse_device, predict_run, set_threads};
use crate::results::{answers, find_run};

/// Options of `repro predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// A run: its folder, or the beginning of its name
    run: String,
    /// Which images
    #[arg(long, value_enum)]
    split: Which,
    /// File for image, exit, label, predicted, confidence: .csv or .parquet [default: CSV on
    /// standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write all logits, [exits, images, classes]
    #[arg(long, value_name = "FILE.safetensors")]
    logits: Option<PathBuf>,
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Leave out image files that cannot be read, and say how many
    #[arg(long)]
    skip_broken: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads; 0 = all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    Test,
    Validation,
}

/// Predicts a split and writes what was asked for.
///
/// # Errors
/// What went wrong and where.
pub fn run(args: &PredictArgs) -> Result<()> {
    let settings = Settings {
        places: Places {
            out: PathBuf::new(),
            runs: args.runs.clone(),
            data: args.data.clone(),
        },
        device: parse_device(&args.device)?,
        threads: set_threads(args.threads),
        workers: 1,
        quiet: args.quiet,
        verbose: false,
        skip_broken: args.skip_broken,
        saving: Saving::default(),
    };
    let split = match args.split {
        Which::Test => Split::Test,
        Which::Validation => Split::Validation,
    };
    let folder = find_run(&args.run, &args.runs)?;
    let predictions = predict_run(&folder, split, &settings)?;
    if let Some(path) = &args.logits {
        answers::save_logits(path, &predictions)?;
    }
    match &args.out {
        Some(path) => answers::save(path, &predictions),
        None => std::io::stdout()
            .write_all(&answers::csv(&predictions)?)
            .context("writing to standard output"),
    }
}
