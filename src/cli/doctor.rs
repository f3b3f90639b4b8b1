//! `repro doctor`

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::options::{Folders, Gpu};
use super::output::{has_colours, print};
use crate::look::agreement::examine_numbers;
use crate::look::doctor::{Check, State, examine};
use crate::runs::device::{device_name, parse_device, set_threads};

/// Check whether this machine can run the experiments, and say how to mend what is wrong.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Folder for figures and tables
    #[arg(long, default_value = "results", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    folders: Folders,
    /// Compare the numbers of --device instead: with the golden networks of a folder, and with the
    /// processor's over 20 steps of each family
    #[arg(long, value_name = "DIR")]
    golden: Option<PathBuf>,
    /// With --golden: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_parser = device_name, requires = "golden")]
    device: String,
    #[command(flatten)]
    gpu: Gpu,
    /// JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When something stands in the way of the main job; the report says what and how to mend it.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let checks = match &args.golden {
        Some(golden) => {
            let numerics = args.gpu.numerics();
            numerics.set();
            set_threads(0)?;
            examine_numbers(parse_device(&args.device)?, numerics, golden)?
        }
        None => examine(&args.folders.places(&args.out)),
    };
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&checks)?)
    } else {
        checks.iter().map(|check| line(check, has_colours())).collect()
    };
    print(text);
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| check.state == State::Fail)
        .map(|check| check.name.as_str())
        .collect();
    if !failed.is_empty() {
        match args.golden {
            Some(_) => bail!("other numbers: {}", failed.join(", ")),
            None => bail!("the experiments cannot run: {}", failed.join(", ")),
        }
    }
    Ok(())
}

fn line(check: &Check, is_coloured: bool) -> String {
    let (word, colour) = match check.state {
        State::Ok => ("ok", "32"),
        State::Absent => ("-", "2"),
        State::Warn => ("warn", "33"),
        State::Fail => ("FAIL", "31"),
    };
    let word = format!("{word:<5}");
    let word = if is_coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word };
    let mend = check.mend.as_ref();
    let how = if check.state == State::Absent { "to get it" } else { "to mend" };
    let mend = mend.map_or(String::new(), |mend| format!("      {:<25} {how}: {mend}\n", ""));
    format!("{word} {:<25} {}\n{mend}", check.name, check.found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_wrong_and_how_to_mend_it_and_is_plain_where_it_must_be() {
        let check = Check {
            name: "disk".to_string(),
            state: State::Fail,
            found: "0.0 GB free".to_string(),
            mend: Some("remove something".to_string()),
        };
        let text = line(&check, false);
        assert!(text.starts_with("FAIL  disk") && text.contains("to mend: remove something"));
        assert!(!text.contains('\x1b') && line(&check, true).contains('\x1b'));
    }
}
