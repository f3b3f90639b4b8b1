//! `repro bench`

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use super::options::{Arithmetic, Gpu, combinations, policies, thread_count};
use super::output::{Unread, is_open, print};
use crate::bench::{Bench, Clock, Measured, NETWORKS, Topic, measure, write_saving};
use crate::eval::combine::Combine;
use crate::eval::policy::Policy;
use crate::experiment::{load_networks, networks_of};
use crate::nn::Precision;
use crate::runs::device::{device_name, parse_device};
use crate::runs::tell;

/// How fast this machine trains and infers.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Networks: files or built-in experiments, for CIFAR-100 [default: two of the paper's]. Their weights are fresh
    /// and the images synthetic, so only times mean something, not which image leaves at which exit
    networks: Vec<String>,
    /// What to measure: matmul, train, inference, early, sweep, data, memory; measure memory by
    /// itself [default: all but memory]
    #[arg(long, value_name = "TOPIC,..", value_delimiter = ',')]
    only: Vec<Topic>,
    /// Numbers of threads, each measured
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1], value_parser = thread_count)]
    threads: Vec<usize>,
    /// Batch sizes of the trainings
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [64])]
    batch: Vec<usize>,
    /// Arithmetic of matrix products, trainings and inference [default: fp32 and bf16; of inference
    /// auto, which is bf16 on AMD processors that have it, else fp32]
    #[arg(long, value_enum, value_name = "TYPE,..", value_delimiter = ',')]
    precision: Vec<Arithmetic>,
    /// cpu, cuda or cuda:N; on a GPU matmul, train, inference and early are measured
    #[arg(long, default_value = "cpu", value_parser = device_name)]
    device: String,
    #[command(flatten)]
    gpu: Gpu,
    /// Height and width of the images in pixels (1 to 1024) instead of CIFAR-100's, for matmul,
    /// inference and memory alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    side: Option<u32>,
    /// Least seconds of a timing
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Number of timings; their median is shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[arg(long, default_value_t = Policy::PAPER, help = format!("When images leave in `early`: {}", policies()))]
    policy: Policy,
    #[arg(long, default_value = "single", value_name = "RULE", help = format!("How exits are combined before they are asked in `early`: {}", combinations()))]
    combine: Combine,
    /// A JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// Folder for saving.csv, saving.svg and saving.png: what early exit saves in multiply-adds
    /// against what it saves in time
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    args.gpu.numerics().set();
    let bench = args.bench()?;
    let mut all = Vec::new();
    let mut keep = |measured: Measured| {
        let text = if args.json { serde_json::to_string(&measured)? } else { line(&measured) };
        print(format!("{text}\n"));
        all.push(measured);
        // Output is no longer read, and nothing else is made of it.
        if !is_open() && args.out.is_none() {
            bail!(Unread);
        }
        Ok(())
    };
    let ended = measure(&bench, &mut keep);
    match &ended {
        Err(error) if error.is::<Unread>() => return Ok(()),
        // What was measured before an error is written as well.
        Err(_) if all.iter().all(|measured| measured.early.is_none()) => return ended,
        _ => {}
    }
    if let Some(folder) = &args.out {
        for path in write_saving(&all, folder)? {
            // Standard output is for the numbers, which a script reads.
            tell(path.display().to_string());
        }
    }
    ended
}

impl BenchArgs {
    /// What is measured, and how.
    fn bench(&self) -> Result<Bench> {
        let topics = self.topics();
        self.check(&topics)?;
        Ok(Bench {
            networks: networks(&self.networks)?,
            topics,
            threads: self.threads.clone(),
            side: self.side.map(|side| side as usize),
            batches: self.batch.clone(),
            precisions: self.precision.iter().map(|p| p.chosen()).collect(),
            device: parse_device(&self.device)?,
            clock: Clock { seconds: self.seconds, rounds: self.rounds },
            policy: self.policy,
            combine: self.combine,
        })
    }

    /// Those asked for, or those that the other options are about.
    fn topics(&self) -> Vec<Topic> {
        match (self.only.is_empty(), &self.out) {
            (false, _) => self.only.clone(),
            (true, None) if self.side.is_some() => vec![Topic::Inference],
            (true, Some(_)) => vec![Topic::Early],
            (true, None) => Topic::ALL.into_iter().filter(|&t| t != Topic::Memory).collect(),
        }
    }

    fn check(&self, topics: &[Topic]) -> Result<()> {
        ensure!(self.seconds > 0.0 && self.seconds <= 60.0, "--seconds: from above 0 to 60");
        ensure!((1..=1000).contains(&self.rounds), "--rounds: from 1 to 1000");
        once("networks", &self.networks)?;
        ensure!(self.batch.iter().all(|n| (2..=65_536).contains(n)), "--batch: from 2 to 65536");
        ensure!(
            self.out.is_none() || topics.contains(&Topic::Early),
            "--out draws what `early` measures, which --only leaves out"
        );
        let sided = [Topic::Matmul, Topic::Inference, Topic::Memory];
        ensure!(
            self.side.is_none() || topics.iter().all(|topic| sided.contains(topic)),
            "--side goes with matmul, inference and memory; the other topics have CIFAR-100's images"
        );
        once("--threads", &self.threads)?;
        once("--batch", &self.batch)?;
        once("--precision", &self.precision)?;
        ensure!(
            self.precision.len() < 2 || self.precision.iter().all(|one| one.chosen().is_some()),
            "--precision: auto is fp32 or bf16, so it stands alone"
        );
        Ok(())
    }
}

/// Refuses a value that is given twice: its measurements could not be told apart.
fn once<T: PartialEq>(option: &str, given: &[T]) -> Result<()> {
    let is_new = |(place, value): (usize, &T)| !given[..place].contains(value);
    ensure!(given.iter().enumerate().all(is_new), "{option}: a value is given twice");
    Ok(())
}

fn networks(given: &[String]) -> Result<Vec<(String, crate::models::NetworkConfig)>> {
    let mut networks = Vec::new();
    if given.is_empty() {
        for (name, text) in NETWORKS {
            let (found, _) = networks_of(text)?;
            networks.extend(found.into_iter().map(|(_, config)| (name.to_string(), config)));
        }
    }
    for file in given {
        let (mut found, _) = load_networks(file)?;
        // A network alone that is not named is called as its file is.
        let stem = PathBuf::from(file).file_stem().map(|s| s.display().to_string());
        if let ([(name, config)], Some(stem)) = (found.as_mut_slice(), stem)
            && *name == config.short_name()
        {
            *name = stem;
        }
        for (name, config) in found {
            // Networks of one name are told apart by their files.
            let is_taken = networks.iter().any(|(other, _)| *other == name);
            networks.push((if is_taken { format!("{file}: {name}") } else { name }, config));
        }
    }
    ensure!(!networks.is_empty(), "no network is named");
    Ok(networks)
}

fn line(measured: &Measured) -> String {
    let value = match measured.unit {
        "images/s" => format!("{:10.1}", measured.value),
        "multiply-adds/s" => format!("{:9.1}G", measured.value / 1e9),
        "s" => format!("{:10.4}", measured.value),
        _ => format!("{:10.0}", measured.value),
    };
    let rate = match measured.multiply_adds_per_s {
        Some(rate) if measured.unit != "multiply-adds/s" => {
            format!("  {:6.1} G multiply-adds/s", rate / 1e9)
        }
        _ => String::new(),
    };
    let early = measured.early.map_or(String::new(), |early| {
        format!(
            "  counted {:5.1} %, measured {:5.1} %",
            100.0 * early.counted,
            100.0 * early.measured
        )
    });
    let precision = measured.precision.map_or("", Precision::name);
    format!(
        "{:20} {:22} {precision:4} {} threads {value} {}{rate}{early}",
        measured.network, measured.what, measured.threads, measured.unit
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_one_name_are_told_apart() {
        let given = ["anytime-quick", "budgeted-batch-quick"].map(String::from);
        let names: Vec<String> = networks(&given).unwrap().into_iter().map(|n| n.0).collect();
        let is_unique = |(place, name): (usize, &String)| !names[..place].contains(name);
        assert!(names.iter().enumerate().all(is_unique), "{names:?}");
        assert!(names.contains(&"MSDNet".to_string()), "{names:?}");
        assert!(names.contains(&"budgeted-batch-quick: MSDNet".to_string()), "{names:?}");
    }

    #[test]
    fn without_a_name_the_papers_two_networks_are_measured() {
        let names: Vec<String> = networks(&[]).unwrap().into_iter().map(|n| n.0).collect();
        assert_eq!(names, ["cifar100_budget_b5", "cifar100_anytime_b7"]);
    }
}
