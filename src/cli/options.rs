//! Options that several commands share.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::cuda::Numerics;
use crate::data::Dataset;
use crate::eval::combine::Combine;
use crate::eval::policy::{Decide, Policy};
use crate::experiment::{NamedNetworks, load_networks};
use crate::models::Input;
use crate::nn::Precision;
use crate::runs::data::input_from;
use crate::runs::device::{
    cores, device_name, limit_decoders, parse_device, set_threads, training_threads, worker_count,
};
use crate::runs::{Places, Saving, Settings};

/// Where runs and data sets are.
#[derive(Debug, clap::Args)]
pub struct Folders {
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data: PathBuf,
}

impl Folders {
    /// These, and the folder for figures and tables.
    pub fn places(&self, out: impl Into<PathBuf>) -> Places {
        Places { out: out.into(), runs: self.runs.clone(), data: self.data.clone() }
    }
}

/// With what to compute.
#[derive(Debug, clap::Args)]
pub struct Compute {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = device_name)]
    device: String,
    /// Threads of one process; 0 = all cores, shared among the workers. The last digits depend on it, so
    /// predictions that are kept with a run are made with as many as its training had [default: 1 for training, else all
    /// cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    #[command(flatten)]
    gpu: Gpu,
    /// Leave out image files that cannot be read, and count them. A run that is trained so keeps to it,
    /// and commands that look at it decode every image to find them; other runs need the option each time
    #[arg(long)]
    skip_broken: bool,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
}

/// How a GPU computes.
#[derive(Debug, clap::Args)]
pub struct Gpu {
    /// On a GPU, whether convolutions of 32-bit numbers round their factors to TF32 (10 bits of
    /// mantissa), which is several times faster: on or off
    #[arg(long, default_value = "on", value_name = "on|off", value_parser = switch)]
    tf32: Switch,
    /// On a GPU, the same bits every time, which is slower
    #[arg(long)]
    deterministic: bool,
    /// On a GPU, try cuDNN's algorithms out for every size: takes seconds at the start of each
    /// process, which a long training of a wide network repays
    #[arg(long, conflicts_with = "deterministic")]
    cudnn_benchmark: bool,
}

impl Gpu {
    /// The same for the library.
    pub fn numerics(&self) -> Numerics {
        Numerics {
            tf32: self.tf32.0,
            deterministic: self.deterministic,
            benchmark: self.cudnn_benchmark,
        }
    }
}

impl Compute {
    /// Settings of a command that trains with `workers` processes, by default as many as [`worker_count`]
    /// says.
    pub fn settings(&self, places: Places, workers: Option<usize>) -> Result<Settings> {
        let device = parse_device(&self.device)?;
        let numerics = self.gpu.numerics();
        numerics.set();
        let asked = workers.is_some();
        let workers = worker_count(workers, self.threads.is_some(), device);
        let threads = training_threads(self.threads, workers);
        if self.threads.is_some() {
            limit_decoders(threads);
        }
        Ok(Settings {
            places,
            device,
            threads: set_threads(threads)?,
            threads_asked: self.threads.is_some(),
            workers,
            workers_asked: asked,
            quiet: self.quiet,
            skip_broken: self.skip_broken,
            saving: Saving::default(),
            numerics,
            only_train: false,
        })
    }

    /// Settings of a command that looks at what is trained.
    pub fn looking(&self, places: Places) -> Result<Settings> {
        let settings = self.settings(places, Some(1))?;
        Ok(Settings { threads: set_threads(self.threads.unwrap_or(0))?, ..settings })
    }
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Switch(bool);

fn switch(text: &str) -> Result<Switch> {
    match text {
        "on" => Ok(Switch(true)),
        "off" => Ok(Switch(false)),
        _ => bail!("expected on or off"),
    }
}

/// Arithmetic of inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arithmetic {
    Auto,
    Bf16,
    Fp32,
}

impl Arithmetic {
    /// None for `auto`.
    pub fn chosen(self) -> Option<Precision> {
        match self {
            Arithmetic::Auto => None,
            Arithmetic::Bf16 => Some(Precision::Bf16),
            Arithmetic::Fp32 => Some(Precision::Fp32),
        }
    }
}

/// The policies by which an image can leave, for help.
pub fn policies() -> String {
    let all = Policy::ALL.iter().filter(|policy| matches!(policy.form().decide, Decide::Gate(_)));
    all.map(|policy| policy.name()).collect::<Vec<_>>().join(", ")
}

/// The ways to combine exits, for help.
pub fn combinations() -> String {
    Combine::ALL.map(Combine::name).join(", ")
}

/// Networks, and the images that they are for.
#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    /// A network or an experiment: a file, the name of a built-in experiment, or - for standard
    /// input
    #[arg(value_name = "NETWORK")]
    pub file: String,
    /// Data set that gives image size and classes; default: the experiment's, else cifar100
    #[arg(long)]
    dataset: Option<Dataset>,
    /// Height and width of the images in pixels (1 to 4096) instead of the data set's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    side: Option<u32>,
    /// Not needed: no image is read. Scripts give it to every command.
    #[arg(long, hide = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl NetworkArgs {
    /// The networks by name, and the size and classes of their images.
    pub fn read(&self) -> Result<(NamedNetworks, Input)> {
        let (networks, of_experiment) = load_networks(&self.file)?;
        let dataset = self.dataset.clone().or(of_experiment).unwrap_or(Dataset::Cifar100);
        let mut input = input_from(&dataset.facts()?);
        if let Some(side) = self.side {
            input.side = side as usize;
        }
        Ok((networks, input))
    }
}

/// How many processes train.
#[derive(Debug, clap::Args)]
pub struct Workers {
    /// Processes that train side by side; several may share a GPU, and the first GPU is the one that
    /// --device names [default: on the CPU one a core, or 1 with --threads; on a GPU as many as its memory holds, up to 4]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub workers: Option<usize>,
}

/// How often a training is saved.
#[derive(Debug, clap::Args)]
pub struct SavingArgs {
    /// Save a training every N epochs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_epochs: u32,
    /// Save a training at least every M minutes, also within an epoch
    #[arg(long, value_name = "M", default_value_t = 10.0, value_parser = minutes)]
    checkpoint_minutes: f64,
}

impl SavingArgs {
    /// The same for the library.
    pub fn saving(&self) -> Saving {
        Saving::every(self.checkpoint_epochs, self.checkpoint_minutes)
    }
}

/// One trained run to look at, where it is, and how to predict what was not predicted yet.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A run folder, or a beginning of its name
    pub run: String,
    #[command(flatten)]
    pub folders: Folders,
    #[command(flatten)]
    pub compute: Compute,
}

impl RunArgs {
    /// How to compute.
    pub fn settings(&self) -> Result<Settings> {
        self.compute.looking(self.folders.places("results"))
    }
}

fn at_least_one(text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.context("expected a whole number from 1")
}

/// A number of threads that this machine has cores for; 0 = all.
pub fn threads(text: &str) -> Result<usize> {
    let threads: usize = text.parse().ok().context("expected a whole number from 0")?;
    let cores = cores();
    ensure!(threads <= cores, "there are {cores} cores here; 0 = all of them");
    Ok(threads)
}

/// A number of threads, of which 0 does not stand for all.
pub fn thread_count(text: &str) -> Result<usize> {
    let cores = cores();
    let count = text.parse().ok().filter(|count| (1..=cores).contains(count));
    count.with_context(|| format!("from 1 to {cores}, the cores that are here"))
}

/// A number with a point for its decimals.
pub fn number(text: &str) -> Result<f64> {
    let number: Option<f64> = text.trim().parse().ok();
    match number.filter(|number| number.is_finite()) {
        Some(number) => Ok(number),
        None if text.contains(',') => {
            bail!("a decimal number has a point, such as 0.1, not a comma")
        }
        None => bail!("expected a number, such as 0.5"),
    }
}

fn minutes(text: &str) -> Result<f64> {
    let minutes = number(text)?;
    ensure!(minutes >= 0.0, "expected a number from 0");
    Ok(minutes)
}

/// A change to an experiment, `key=value`.
pub fn change(text: &str) -> Result<String> {
    ensure!(
        text.find('=').is_some_and(|at| at > 0),
        "expected key=value, such as training.epochs=3"
    );
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_at_most_the_cores_that_there_are() {
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!((threads("0").unwrap(), threads(&cores.to_string()).unwrap()), (0, cores));
        let error = threads(&(cores + 1).to_string()).unwrap_err().to_string();
        assert!(error.contains(&format!("there are {cores} cores")), "{error}");
    }

    #[test]
    fn a_decimal_comma_is_told() {
        assert_eq!(number("0.5").unwrap(), 0.5);
        assert!(number("0,5").unwrap_err().to_string().contains("not a comma"));
        for wrong in ["NaN", "inf", "", "a"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
