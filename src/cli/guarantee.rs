//! `repro guarantee`

use std::path::PathBuf;

use anyhow::Result;

use super::options::{RunArgs, number};
use super::output::print;
use crate::eval::guarantee::{Risk, Tolerance};
use crate::look::guarantee::guarantee;
use crate::look::opened::open_run;
use crate::runs::tell;

/// Below the options in the help.
const METHODS: &str = "\
The cheapest common threshold is certified on the run's hold-out by three methods. crc (conformal \
risk control) keeps the risk within RISK in expectation; its proof asks for a risk that never falls \
while the threshold falls, which these risks do only nearly, so it stops at the first threshold \
that fails. betting (the bound of Waudby-Smith and Ramdas) and ltt (Learn-then-Test with \
Hoeffding-Bentkus) keep the risk within RISK with the given PROBABILITY; \
betting takes the images in a random order, always the same, and may let the hold-out's own risk be \
a little above RISK (then marked). All three hold only for \
images from the hold-out's distribution.";

/// How much leaving early may cost, and how sure that is.
#[derive(Debug, clap::Args)]
#[command(after_help = METHODS)]
pub struct GuaranteeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// gap: accuracy below the last exit's; consistency: share of answers that differ from the
    /// last exit's, which needs no labels
    #[arg(long, default_value = "gap")]
    risk: Risk,
    /// Largest risk: above 0, to 1
    #[arg(long, default_value_t = 0.02, value_name = "RISK", value_parser = number)]
    at_most: f64,
    /// Probability with which betting and ltt keep to it: above 0, below 1
    #[arg(long, default_value_t = 0.9, value_name = "PROBABILITY", value_parser = number)]
    confidence: f64,
    /// Folder for guarantee/RUN/guarantee.csv, .svg and .png
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &GuaranteeArgs) -> Result<()> {
    let tolerance = Tolerance::new(args.at_most, args.confidence)?;
    let settings = args.run.settings()?;
    let opened = open_run(&args.run.run, &settings)?;
    let found = guarantee(&opened, args.risk, tolerance, &args.out)?;
    print(found.text);
    for file in found.files {
        // Standard output is for the table.
        tell(file.display().to_string());
    }
    Ok(())
}
