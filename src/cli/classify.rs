//! `repro classify`

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::options::{Arithmetic, Folders, combinations, number, policies, threads};
use super::output::{Unread, is_open, print};
use crate::data::folder::EXTENSIONS;
use crate::data::{picture, plural};
use crate::eval::combine::Combine;
use crate::eval::guarantee::{Risk, Tolerance};
use crate::eval::policy::Policy;
use crate::eval::probabilities::Certainty;
use crate::look::classify::{Classified, Classifier};
use crate::look::letting::{Leave, Letting};
use crate::runs::device::set_threads;
use crate::runs::{Settings, tell};

/// What a run says of your own images, and at which exit.
#[derive(Debug, clap::Args)]
pub struct ClassifyArgs {
    /// A run folder, or a beginning of its name
    run: String,
    /// Images (JPEG, PNG, WebP), or folders that hold some; photographs are turned as their cameras
    /// say
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Mean multiply-adds of an image, such as 20e6, as on the run's hold-out
    #[arg(long, value_name = "MULTIPLY_ADDS", group = "leave", value_parser = number)]
    budget: Option<f64>,
    /// Confidence above which an image leaves, from 0 to 1 (of policy entropy: negative entropy): one for
    /// all exits, or one for every exit but the last, with commas between them
    #[arg(long, value_name = "T,T..", value_delimiter = ',', group = "leave", value_parser = number, allow_hyphen_values = true)]
    threshold: Vec<f64>,
    /// The policy's setting, as in figure.csv: the ratio of the exits' shares, exits that agree
    /// (patience), a target (target-accuracy) or lambda. Without --budget, --threshold, --ratio
    /// and --guarantee every image goes to the last exit
    #[arg(long, group = "leave", value_parser = number)]
    ratio: Option<f64>,
    /// Largest loss by leaving early, such as 0.02, as the run's hold-out certifies it by the
    /// betting bound (see `repro guarantee`)
    #[arg(long, value_name = "RISK", group = "leave", value_parser = number)]
    guarantee: Option<f64>,
    /// Probability with which the guarantee holds: above 0, below 1
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.9, requires = "guarantee", value_parser = number)]
    confidence: f64,
    /// What the guarantee is of: gap (accuracy) or consistency (answers that change)
    #[arg(long, default_value = "gap", requires = "guarantee")]
    risk: Risk,
    #[arg(long, default_value_t = Policy::PAPER, help = format!("When an image leaves: {}", policies()))]
    policy: Policy,
    /// Policy target-accuracy: a lower bound on accuracy must reach the target. This is the bound's
    /// confidence, above 0 and below 1
    #[arg(long, value_name = "PROBABILITY", value_parser = number)]
    target_bound: Option<f64>,
    #[arg(long, default_value = "single", value_name = "RULE", help = format!("How exits are combined before they are asked: {}", combinations()))]
    combine: Combine,
    /// A JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: Folders,
    /// Leave out images of the hold-out that cannot be read, and say how many
    #[arg(long)]
    skip_broken: bool,
    /// Classify image after image on one thread, for the latency of each; else in batches
    #[arg(long)]
    one_by_one: bool,
    /// Arithmetic of the network; auto takes bf16 on AMD processors that have it, else fp32. A
    /// --guarantee is of fp32
    #[arg(long, value_enum, default_value_t = Arithmetic::Auto)]
    precision: Arithmetic,
    /// Threads; 0 = all cores
    #[arg(long, default_value_t = 0, value_parser = threads)]
    threads: usize,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
}

impl ClassifyArgs {
    /// The thresholds, in the range of what the policy asks.
    fn thresholds(&self) -> Result<Vec<f64>> {
        let (what, range) = match self.policy.certainty() {
            Some(Certainty::NegativeEntropy) => ("negative entropy", f64::MIN..=0.0),
            _ => ("confidence", 0.0..=1.0),
        };
        for threshold in &self.threshold {
            ensure!(
                range.contains(threshold),
                "--threshold: {threshold} is no {what}, which is {}; commas stand between thresholds, and decimals have a \
                 point, as in 0.5",
                if *range.end() > 0.0 { "from 0 to 1" } else { "at most 0" }
            );
        }
        Ok(self.threshold.clone())
    }

    fn settings(&self) -> Result<Settings> {
        ensure!(
            !self.one_by_one || self.threads <= 1,
            "--one-by-one has one thread; leave --threads out"
        );
        Ok(Settings {
            threads: set_threads(self.threads)?,
            quiet: self.quiet,
            skip_broken: self.skip_broken,
            ..Settings::on_one_core(self.folders.places(PathBuf::new()))
        })
    }

    fn letting(&self) -> Result<Letting> {
        let leave = match (self.ratio, self.budget, self.guarantee) {
            (Some(ratio), ..) => Leave::Knob(ratio),
            (_, Some(budget), _) => Leave::Budget(budget),
            (_, _, Some(at_most)) => {
                let tolerance = Tolerance::new(at_most, self.confidence);
                Leave::Guarantee(self.risk, tolerance.context("--guarantee")?)
            }
            _ if self.threshold.is_empty() => Leave::Last,
            _ => Leave::Thresholds(self.thresholds()?),
        };
        let Self { policy, combine, target_bound, .. } = *self;
        ensure!(
            leave != Leave::Last || policy == Policy::PAPER,
            "--policy {policy}: give --ratio or --budget (or --threshold); without one every image goes to the last exit"
        );
        Ok(Letting { leave, policy, combine, target_bound })
    }
}

/// The images to classify. The files of a folder that are no images are told, as training tells them.
fn images(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let (images, left_out) = picture::find(named)?;
    if let Some(told) = left_out.describe() {
        tell(format!("warning: {told}"));
    }
    let named: Vec<String> = named.iter().map(|path| path.display().to_string()).collect();
    ensure!(
        !images.is_empty(),
        "no image (.{}) is in {}",
        EXTENSIONS.join(", ."),
        named.join(", ")
    );
    Ok(images)
}

/// Classifies images. Those that cannot be read are told and passed over; where a person has named
/// one of them, that is an error once the others are classified.
pub fn run(args: &ClassifyArgs) -> Result<()> {
    let letting = args.letting()?;
    let settings = args.settings()?;
    let images = images(&args.images)?;
    let precision = args.precision.chosen();
    let classifier = Classifier::open(&args.run, &letting, precision, &settings)?;
    let width = images.iter().map(|path| path.display().to_string().chars().count()).max();
    let width = width.unwrap_or(0).max("image".len());
    if !args.json {
        print(format!("{}\n", header(width)));
    }
    let (mut read, mut unread) = (0, 0);
    // They are shown in this order.
    let mut paths = images.iter();
    let mut show = |found: Result<Classified>| {
        let path = paths.next();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tell(format!("passed over: {error:#}"));
                unread += usize::from(path.is_some_and(|path| args.images.contains(path)));
                return Ok(());
            }
        };
        if found.turned {
            settings.say(format!("{}: turned as its camera says", found.image));
        }
        let text = if args.json { serde_json::to_string(&found)? } else { line(&found, width) };
        print(format!("{text}\n"));
        read += 1;
        ensure!(is_open(), Unread);
        Ok(())
    };
    let shown = if args.one_by_one {
        images.iter().try_for_each(|path| show(classifier.classify(path)))
    } else {
        classifier.classify_all(&images, settings.threads, &mut show)
    };
    match shown {
        Err(error) if error.is::<Unread>() => return Ok(()),
        shown => shown?,
    }
    ensure!(read > 0, "none of {} images could be read", images.len());
    ensure!(unread == 0, "{} named on the command line could not be read", plural(unread, "file"));
    Ok(())
}

fn header(width: usize) -> String {
    format!(
        "{:width$}  {:>10}  {:>4}  {:>13}  {:>7}  class",
        "image", "confidence", "exit", "multiply-adds", "ms"
    )
}

fn line(found: &Classified, width: usize) -> String {
    format!(
        "{:width$}  {:>8.1} %  {:>4}  {:>13}  {:>7.2}  {}",
        found.image,
        100.0 * found.confidence,
        found.exit,
        found.multiply_adds,
        found.milliseconds,
        found.class
    )
}
