//! Whether this machine can do the main job, and how to mend what stands in the way.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tch::{Cuda, Device, Kind, Tensor};

use crate::cuda::{Gpu, plain};
use crate::data::catalog::holds_files;
use crate::data::verify::verify;
use crate::data::{Dataset, plural};
use crate::runs::device::cores;
use crate::runs::provenance::libtorch_version;
use crate::runs::{Known, Places};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not here, and nothing here needs it.
    Absent,
    /// The main job can run, but something is missing or slow.
    Warn,
    /// The main job cannot run.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// How to mend it; none where nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Free space that an experiment of the paper's size takes.
const ROOM: u64 = 2 << 30;
/// Below this not even a small one can be written.
const LEAST_ROOM: u64 = 64 << 20;

/// All checks, in the order in which they are worth mending.
pub fn examine(places: &Places) -> Vec<Check> {
    let mut checks = vec![libtorch(), processor(), cuda(), threads()];
    checks.push(writable("runs", &places.runs));
    checks.push(writable("results", &places.out));
    checks.push(disk(&places.runs));
    let runs = Known::all(&places.runs).unwrap_or_default();
    let is_needed = |dataset: &Dataset| runs.iter().any(|known| known.run.dataset == *dataset);
    let data = |dataset: &Dataset| data(dataset, &places.data, is_needed(dataset));
    checks.extend(Dataset::named().iter().map(data));
    checks
}

fn check(name: &str, state: State, found: impl Into<String>, mend: &str) -> Check {
    Check {
        name: name.to_string(),
        state,
        found: found.into(),
        mend: (!mend.is_empty()).then(|| mend.to_string()),
    }
}

fn libtorch() -> Check {
    match tiny_step(Device::Cpu) {
        Ok(()) => {
            let found = format!("{}, a convolution and its gradient are right", libtorch_version());
            check("LibTorch", State::Ok, found, "")
        }
        Err(error) => check(
            "LibTorch",
            State::Fail,
            format!("{}: {error:#}", libtorch_version()),
            "run `make setup`, which fetches the right LibTorch, and build again",
        ),
    }
}

/// A convolution of ones and its gradient, against numbers worked by hand.
fn tiny_step(device: Device) -> Result<()> {
    let (image, kernel) = (
        Tensor::f_ones([1, 1, 4, 4], (Kind::Float, device))?,
        Tensor::f_ones([1, 1, 3, 3], (Kind::Float, device))?,
    );
    let kernel = kernel.f_set_requires_grad(true)?;
    let none: Option<Tensor> = None;
    let out = image.f_conv2d(&kernel, none, [1, 1], [0, 0], [1, 1], 1)?;
    let sum = out.f_sum(Kind::Float)?;
    sum.f_backward()?;
    let (sum, gradient) =
        (f64::try_from(&sum)?, f64::try_from(&kernel.f_grad()?.f_mean(Kind::Float)?)?);
    ensure!(
        sum == 36.0 && gradient == 4.0,
        "a convolution gave {sum} with gradient {gradient}, not 36 with 4"
    );
    Ok(())
}

fn processor() -> Check {
    let features = cpu_features();
    let found = if features.is_empty() {
        format!("{}, no vector features known", std::env::consts::ARCH)
    } else {
        format!("{}, {}", std::env::consts::ARCH, features.join(" "))
    };
    if cfg!(target_arch = "x86_64") && !features.contains(&"avx2") {
        let mend = "training works but is several times slower; use a processor with AVX2";
        return check("processor", State::Warn, found, mend);
    }
    check("processor", State::Ok, found, "")
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let known = [
        ("sse4.2", std::is_x86_feature_detected!("sse4.2")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512vl", std::is_x86_feature_detected!("avx512vl")),
        ("avx512dq", std::is_x86_feature_detected!("avx512dq")),
        ("avx512bf16", std::is_x86_feature_detected!("avx512bf16")),
    ];
    known.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// The GPU that `--device auto` takes, tried out.
fn cuda() -> Check {
    let (device, count) = (Device::Cuda(0), Cuda::device_count());
    let found = Gpu::of(device).map_or("a GPU without a driver".to_string(), |gpu| {
        let ((major, minor), driver) = (gpu.capability, gpu.driver);
        format!(
            "{}, compute capability {major}.{minor}, driver for CUDA {}.{}",
            gpu.name, driver.0, driver.1
        )
    });
    if !Cuda::is_available() {
        let none = Gpu::of(device).is_none();
        let found = match none {
            true => "none; everything runs on the processor".to_string(),
            false => format!("{found}, which this LibTorch cannot use"),
        };
        return check("CUDA", State::Warn, found, CUDA_WANTED);
    }
    match tiny_step(device) {
        Ok(()) => {
            let found = format!("{count} x {found}; a convolution and its gradient are right");
            check("CUDA", State::Ok, found, "")
        }
        Err(error) => check(
            "CUDA",
            State::Fail,
            format!("{found}: {}", plain(&format!("{error:#}"))),
            &format!("use --device cpu, or mend the GPU: {CUDA_WANTED}"),
        ),
    }
}

const CUDA_WANTED: &str = "the paper's sizes need a GPU. The LibTorch of `make setup` is built for CUDA 13.0: it wants \
                           driver 580 or newer and compute capability 7.5 or newer (`nvidia-smi` shows both)";

fn threads() -> Check {
    let cores = cores();
    let set = std::env::var("OMP_NUM_THREADS").ok().and_then(|n| n.parse::<usize>().ok());
    match set {
        Some(n) if n > cores => check(
            "threads",
            State::Warn,
            format!("OMP_NUM_THREADS={n} on {}", plural(cores, "core")),
            "unset OMP_NUM_THREADS; more threads than cores slow each other down",
        ),
        _ => check("threads", State::Ok, plural(cores, "core"), ""),
    }
}

fn writable(name: &str, folder: &Path) -> Check {
    let title = format!("folder for {name}");
    let probe = existing(folder).and_then(|place| {
        let file = place.join(format!(".repro-doctor.{}", std::process::id()));
        std::fs::write(&file, b"x")?;
        std::fs::remove_file(&file)?;
        Ok(())
    });
    let shown = folder.display().to_string();
    match probe {
        Ok(()) => check(&title, State::Ok, format!("{shown} can be written"), ""),
        Err(error) => {
            let option = if name == "runs" { "--runs" } else { "--out" };
            let mend = format!("make it writable, or give another folder with {option} DIR");
            check(&title, State::Fail, format!("{shown}: {error:#}"), &mend)
        }
    }
}

/// The folder, or the nearest one above it that is there.
fn existing(folder: &Path) -> Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory is gone")?;
    let absolute = here.join(folder);
    let mut above = absolute.ancestors();
    let found = above.find(|place| place.exists()).context("no folder above it exists")?;
    ensure!(found.is_dir(), "{} is a file", found.display());
    Ok(found.to_path_buf())
}

fn disk(runs: &Path) -> Check {
    let mend = "remove what is not needed (`repro runs clean` finds unfinished runs), or give \
                another disk with --runs DIR";
    match existing(runs).ok().and_then(|place| free_bytes(&place)) {
        None => check("disk", State::Warn, "free space is unknown", "look with `df -h`"),
        Some(free) => {
            let found = format!("{:.1} GB free for runs", free as f64 / 1e9);
            match free {
                0..LEAST_ROOM => check("disk", State::Fail, found, mend),
                LEAST_ROOM..ROOM => check("disk", State::Warn, found, mend),
                _ => check("disk", State::Ok, found, ""),
            }
        }
    }
}

/// As POSIX `df` says; the standard library has no call for it.
fn free_bytes(place: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(place).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    parse_df(&text)
}

fn parse_df(text: &str) -> Option<u64> {
    let fields: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    let kilobytes: u64 = fields.get(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// `is_needed`: a run is of it.
fn data(dataset: &Dataset, data_dir: &Path, is_needed: bool) -> Check {
    let name = format!("data: {dataset}");
    let fetch = match dataset {
        Dataset::Imagenet => {
            "put the images under the data folder as imagenet/train and imagenet/val, one folder \
             a class"
                .to_string()
        }
        _ => format!("`repro data fetch {dataset}`, or --data DIR if it is elsewhere"),
    };
    let place = dataset.place(data_dir);
    if place.as_ref().is_some_and(|place| !holds_files(place)) {
        let state = if is_needed { State::Warn } else { State::Absent };
        return check(&name, state, "not here", &fetch);
    }
    // Its images are too many to be looked at here.
    if *dataset == Dataset::Imagenet {
        return check(
            &name,
            State::Ok,
            "here, not verified",
            "`repro data verify imagenet` reads every image",
        );
    }
    let built_in = place.is_none();
    match verify(dataset, data_dir, &|_, _, _| ()) {
        Ok(report) if report.problems.is_empty() => {
            let found = if built_in { "built in, verified" } else { "here, verified" };
            check(&name, State::Ok, found, "")
        }
        Ok(report) => damaged(&name, built_in, report.problems.join("; "), &fetch),
        Err(error) => damaged(&name, built_in, format!("{error:#}"), &fetch),
    }
}

/// Damage to what is built in means a damaged program.
fn damaged(name: &str, built_in: bool, found: String, fetch: &str) -> Check {
    if built_in {
        return check(name, State::Fail, found, "the program is damaged; build it again");
    }
    let mend = format!("remove it and fetch it again: {fetch}");
    check(name, State::Warn, found, &mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_the_fourth_field() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                    /dev/sda1 1000 400 600 40% /\n";
        assert_eq!(parse_df(text), Some(600 * 1024));
        assert_eq!(parse_df("df: no such file\n"), None);
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_written_and_is_mended_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let check = writable("runs", &file.join("runs"));
        assert_eq!(check.state, State::Fail);
        assert!(check.mend.unwrap().contains("--runs"));
        assert_eq!(writable("runs", &folder.path().join("new/runs")).state, State::Ok);
    }

    #[test]
    fn a_data_set_that_is_not_here_is_a_warning_only_where_a_run_is_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let check = |is_needed| data(&Dataset::Cifar100, folder.path(), is_needed);
        assert_eq!(check(true).state, State::Warn);
        let check = check(false);
        assert_eq!(check.state, State::Absent);
        assert!(check.mend.unwrap().contains("repro data fetch cifar100"));
    }

    #[test]
    fn libtorch_convolves_rightly() {
        tch::set_num_threads(1);
        tiny_step(Device::Cpu).unwrap();
    }
}
