//! Where and on how many threads to compute.

use std::sync::Mutex;
use std::thread::Builder;

use anyhow::{Context, Result, ensure};
use tch::{Cuda, Device};

use crate::cuda::refused;

/// `auto`, `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// When CUDA is asked for and not there: never a silent fall back.
pub fn parse_device(name: &str) -> Result<Device> {
    device_name(name).with_context(|| format!("--device {name}"))?;
    let device = match name.strip_prefix("cuda:") {
        Some(number) => Device::Cuda(number.parse()?),
        None if name == "cuda" || (name == "auto" && Cuda::is_available()) => Device::Cuda(0),
        None => Device::Cpu,
    };
    if let Device::Cuda(index) = device {
        ensure!(
            Cuda::is_available(),
            "--device {name}: this LibTorch sees no CUDA device (`repro doctor` tells more); use --device cpu"
        );
        let count = Cuda::device_count();
        ensure!(
            (index as i64) < count,
            "--device {name}: there are {count} CUDA devices, counted from 0"
        );
    }
    Ok(device)
}

/// A device's name as it may be written; whether it is there, [`parse_device`] tells.
pub fn device_name(name: &str) -> Result<String> {
    let number = name.strip_prefix("cuda:").map(str::parse::<usize>);
    ensure!(
        matches!(name, "auto" | "cpu" | "cuda") || matches!(number, Some(Ok(_))),
        "expected auto, cpu, cuda or cuda:N"
    );
    Ok(name.to_string())
}

/// Sets LibTorch's threads: `threads`, or all cores for 0. Returns what was set.
///
/// # Errors
/// When the system refuses so many: LibTorch would then hang or end the process.
pub fn set_threads(threads: usize) -> Result<usize> {
    let threads = if threads == 0 { cores() } else { threads };
    // LibTorch has two pools, and the decoders have one. A command has a thread or two of its own.
    let count = 3 * (threads - 1) + 1;
    try_threads(count).map_err(|error| refused(&format!("{count} more threads ({error})")))?;
    tch::set_num_threads(threads as i32);
    Ok(threads)
}

/// Has `count` threads at once, for an instant.
fn try_threads(count: usize) -> std::io::Result<()> {
    let gate = Mutex::new(());
    let shut = gate.lock();
    std::thread::scope(|scope| {
        let begun = (0..count).try_for_each(|_| {
            let builder = Builder::new().stack_size(64 << 10);
            builder.spawn_scoped(scope, || drop(gate.lock())).map(drop)
        });
        drop(shut);
        begun
    })
}

/// Decodes images on `threads` threads; otherwise on all cores.
pub fn limit_decoders(threads: usize) {
    // An error means that the pool is there already.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

/// The processor's cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Threads of a process that trains: one, unless others were asked for (0 = all cores, shared among
/// `workers`). They never depend on how many runs are left, for the last digits depend on them.
pub fn training_threads(asked: Option<usize>, workers: usize) -> usize {
    match asked {
        None => 1,
        Some(0) => (cores() / workers).max(1),
        Some(threads) => threads,
    }
}

/// Number of processes that train side by side: the number asked for; else one a GPU (which the memory of each may
/// raise later), one alone where threads were asked for, or one a core.
pub fn worker_count(workers: Option<usize>, threads_asked: bool, device: Device) -> usize {
    let gpus = || usize::try_from(Cuda::device_count()).unwrap_or(1).max(1);
    match (workers, device) {
        (Some(workers), _) => workers.max(1),
        (None, Device::Cuda(_)) => gpus(),
        (None, _) if threads_asked => 1,
        (None, _) => cores(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_has_one_thread_unless_asked() {
        assert_eq!(training_threads(None, 1), 1);
        assert_eq!(training_threads(Some(3), 2), 3);
        assert_eq!(training_threads(Some(0), 1), cores());
        assert_eq!(training_threads(Some(0), 10_000), 1);
    }
}
