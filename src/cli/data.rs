//! `repro data list | verify [NAME] | fetch NAME`

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::output::Out;
use crate::data::catalog::{Dataset, class_names, holds_files};
use crate::data::fetch::{Fetched, Mirror, fetch};
use crate::data::verify::{Report, SplitReport, verify};

/// List, check or download data sets.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: Command,
    /// Folder that holds the data sets
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the data sets and whether they are here
    List {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Count records, check sizes and labels, print class balance, mean and standard deviation; read every file of
    /// an image folder and name those that are not whole images
    Verify {
        /// A data set, or folder:PATH; all that are here, image folders apart, if left out
        name: Option<Dataset>,
    },
    /// Download a data set from its official address
    Fetch {
        /// A data set
        name: Dataset,
        /// Another address: of the file, or (ending in /) of the folder that holds it
        #[arg(long)]
        url: Option<String>,
        /// Checksums to expect instead of the published ones, one a file, separated by commas
        #[arg(long, value_name = "HEX", value_delimiter = ',')]
        md5: Vec<String>,
    },
}

/// Runs the command; results on standard output, progress on standard error.
pub fn run(args: &DataArgs) -> Result<()> {
    let mut out = Out;
    match &args.command {
        Command::List { json: true } => list_json(&args.data, &mut out),
        Command::List { json: false } => list(&args.data, &mut out),
        Command::Verify { name } => verify_all(name.as_ref(), &args.data, &mut out),
        Command::Fetch { name, url, md5 } => {
            let mirror = Mirror { url: url.clone(), md5: md5.clone() };
            fetch_one(name, &args.data, &mirror, &mut out)
        }
    }
}

fn list(data_dir: &Path, out: &mut impl Write) -> Result<()> {
    for dataset in Dataset::named() {
        let state = match dataset.place(data_dir) {
            None => "built in".to_string(),
            Some(place) if holds_files(&place) => format!("in {}", place.display()),
            Some(_) => "not here".to_string(),
        };
        writeln!(out, "{:<19} {:<58} {state}", dataset.to_string(), dataset.describe())?;
    }
    Ok(())
}

fn list_json(data_dir: &Path, out: &mut impl Write) -> Result<()> {
    let named = Dataset::named();
    let entry = |dataset: &Dataset| {
        serde_json::json!({
            "name": dataset.to_string(),
            "about": dataset.describe(),
            "place": dataset.place(data_dir).map(|place| place.display().to_string()),
            "is_here": is_here(dataset, data_dir),
        })
    };
    let rows: Vec<_> = named.iter().map(entry).collect();
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?)
}

fn is_here(dataset: &Dataset, data_dir: &Path) -> bool {
    dataset.place(data_dir).is_none_or(|place| holds_files(&place))
}

fn verify_all(name: Option<&Dataset>, data_dir: &Path, out: &mut impl Write) -> Result<()> {
    let datasets = match name {
        Some(dataset) => vec![dataset.clone()],
        None => {
            let is_file = |d: &Dataset| d.image_folder(data_dir).is_none();
            Dataset::named().into_iter().filter(|d| is_here(d, data_dir) && is_file(d)).collect()
        }
    };
    let mut wrong = Vec::new();
    for dataset in datasets {
        let bar = bar(FILES);
        let report = verify(&dataset, data_dir, &|split, done, of| {
            if done == 1 {
                bar.reset();
                bar.set_message(split.name());
            }
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        match report {
            Ok(report) => {
                print_report(&dataset, &report, &class_names(&dataset, data_dir), out)?;
                wrong.extend(report.problems.iter().map(|problem| format!("{dataset}: {problem}")));
                if report.broken > 0 {
                    wrong.push(format!("{dataset}: --skip-broken leaves broken images out"));
                }
            }
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!("{}", wrong.join("\n")),
    }
}

fn print_report(
    dataset: &Dataset,
    report: &Report,
    names: &[String],
    out: &mut impl Write,
) -> Result<()> {
    let state = if report.problems.is_empty() { "ok" } else { "wrong" };
    writeln!(out, "{dataset}: {state}")?;
    for part in &report.parts {
        print_part(part, names, out)?;
    }
    Ok(())
}

fn print_part(part: &SplitReport, names: &[String], out: &mut impl Write) -> Result<()> {
    let shape = part.pixels.as_ref().map(|pixels| {
        let [channels, height, width] = pixels.shape;
        format!(" of {channels}x{height}x{width}")
    });
    let images: usize = part.balance.iter().sum();
    writeln!(
        out,
        "  {}: {images} images{}, {} classes",
        part.split.name(),
        shape.unwrap_or_default(),
        part.balance.len()
    )?;
    writeln!(out, "    images of a class: {}", balance(&part.balance, names))?;
    if let Some(pixels) = &part.pixels {
        let [mean, std] = [&pixels.mean, &pixels.std].map(|values| decimals(values));
        writeln!(out, "    mean {mean}, standard deviation {std}")?;
    }
    if let Some(left_out) = &part.left_out {
        writeln!(out, "    {left_out}")?;
    }
    writeln!(out, "    sha256 {}", part.digest)?;
    Ok(())
}

/// One number if all classes have as many, each class's if there are few, and the extremes otherwise.
fn balance(counts: &[usize], names: &[String]) -> String {
    let (least, most) = (counts.iter().min(), counts.iter().max());
    match (least, most) {
        (Some(least), Some(most)) if least == most => format!("{least} each"),
        (Some(least), Some(most)) if counts.len() > 20 => format!("{least} to {most}"),
        _ => {
            let each = counts.iter().zip(names);
            let each: Vec<String> = each.map(|(count, name)| format!("{name} {count}")).collect();
            each.join(", ")
        }
    }
}

fn decimals(values: &[f64]) -> String {
    let texts: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
    texts.join(" ")
}

fn fetch_one(
    dataset: &Dataset,
    data_dir: &Path,
    mirror: &Mirror,
    out: &mut impl Write,
) -> Result<()> {
    let bar = bar(BYTES);
    let fetched = fetch(dataset, data_dir, mirror, &mut |name, done, total| {
        bar.set_message(name.to_string());
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match fetched? {
        Fetched::BuiltIn => writeln!(out, "{dataset} is built in: there is nothing to fetch")?,
        Fetched::AlreadyThere(place) => {
            writeln!(out, "{dataset} is in {} already", place.display())?
        }
        Fetched::New(place) => writeln!(out, "{dataset} is in {}", place.display())?,
    }
    Ok(())
}

const BYTES: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const FILES: &str = "{msg} {wide_bar} {pos}/{len} images, {eta} left";

fn bar(template: &str) -> ProgressBar {
    match std::io::stderr().is_terminal() {
        true => {
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::no_length().with_style(style)
        }
        false => ProgressBar::hidden(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: DataArgs,
    }

    fn text(run: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
        let mut out = Vec::new();
        run(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_command_line_reads_as_the_readme_says() {
        let cli = Cli::try_parse_from([
            "data",
            "fetch",
            "cifar10",
            "--url",
            "http://x/",
            "--md5",
            "a,b",
            "--data",
            "d",
        ]);
        let args = cli.unwrap().args;
        assert_eq!(args.data, PathBuf::from("d"));
        assert!(
            matches!(args.command, Command::Fetch { name: Dataset::Cifar10, ref md5, .. } if md5.len() == 2)
        );
        let error = Cli::try_parse_from(["data", "verify", "cifar-10"]).err().unwrap().to_string();
        assert!(error.contains("did you mean 'cifar10'?"), "{error}");
    }

    #[test]
    fn a_list_says_what_is_here() {
        let dir = tempfile::tempdir().unwrap();
        for place in ["cifar-10-batches-bin", "cifar-100-binary"] {
            std::fs::create_dir(dir.path().join(place)).unwrap();
        }
        std::fs::write(dir.path().join("cifar-10-batches-bin/test_batch.bin"), "").unwrap();
        let list = text(|out| list(dir.path(), out));
        let line =
            |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap().to_string();
        assert!(line("cifar10 ").ends_with("cifar-10-batches-bin"));
        assert!(line("cifar100 ").ends_with("not here"));
        assert!(line("synthetic ").ends_with("built in"));
    }

    #[test]
    fn verifying_all_tells_balance_mean_and_deviation_and_skips_what_is_not_here() {
        let dir = tempfile::tempdir().unwrap();
        let report = text(|out| verify_all(None, dir.path(), out));
        assert!(report.contains("synthetic: ok") && !report.contains("cifar"), "{report}");
        assert!(report.contains("T-shirt/top 942, Trouser 1027"), "{report}");
        assert!(report.contains("mean 0.2192, standard deviation 0.3327"), "{report}");
    }
}
