//! How workers share the work: in which order they take runs, and how many of them share a GPU when
//! nobody says.

use std::cmp::Reverse;
use std::collections::HashMap;

use tch::{Cuda, Device};

use super::data::input_of;
use super::protocol::Task;
use crate::cost::feature_elements;
use crate::cuda::free_memory;

/// Most processes on one GPU: they take turns on it and fill each other's gaps. Four of them train 2.2 to 3.6 times
/// as many images as one, batch 64 on an H200, and keep it busy (results/speed/gpu.csv).
const MOST: usize = 4;
/// What a process takes on a GPU at least: its context, LibTorch's kernels, the images of a data set. Trainings of
/// small networks on CIFAR-100 took 1.3 to 1.4 GB there.
const START: u64 = 3 << 29;
/// A value and its gradient, 4 bytes each.
const BYTES: u64 = 8;

/// Processes that may train `tasks` on `device` and the GPUs after it.
pub(super) fn workers_for(tasks: &[Task], device: Device) -> usize {
    let largest = tasks.iter().map(need).max().unwrap_or(START);
    let gpus = gpus_from(device);
    let each = gpus.clone().map(|gpu| each_gpu(free_memory(Device::Cuda(gpu)), largest)).min();
    gpus.len() * each.unwrap_or(1)
}

/// Indices of the first GPU and those after it.
pub(super) fn gpus_from(device: Device) -> std::ops::Range<usize> {
    let first = if let Device::Cuda(first) = device { first } else { 0 };
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    first..count.max(first + 1)
}

/// Processes on one GPU with `free` bytes, each of which takes `need`; one where nothing is known.
fn each_gpu(free: Option<u64>, need: u64) -> usize {
    let fitting = free.map_or(1, |free| free / 10 * 9 / need.max(1));
    usize::try_from(fitting).unwrap_or(MOST).clamp(1, MOST)
}

/// Bytes that the training of a task takes on a GPU: a rough estimate, rather too large.
fn need(task: &Task) -> u64 {
    let batch = task.run.training.as_ref().map_or(0, |training| training.batch_size as u64);
    START + BYTES * batch * elements(task)
}

/// The first seed of every network, then the second, so that the first seed's figure is whole first; of
/// those the longest run first, so that no worker is left with a long one while the others have nothing to
/// do. An ensemble's copies of a network have seeds of their own, so a seed is told by its place.
pub(super) fn longest_first(tasks: Vec<Task>) -> Vec<Task> {
    let mut seeds: HashMap<String, usize> = HashMap::new();
    let mut placed: Vec<(usize, Task)> = Vec::with_capacity(tasks.len());
    for task in tasks {
        let seed = seeds.entry(task.name.clone()).or_default();
        placed.push((*seed, task));
        *seed += 1;
    }
    placed.sort_by_cached_key(|(seed, task)| (*seed, Reverse(weight(task))));
    placed.into_iter().map(|(_, task)| task).collect()
}

/// What a run's time grows with.
pub(super) fn weight(task: &Task) -> u64 {
    elements(task) * task.run.training.as_ref().map_or(0, |t| u64::from(t.epochs))
}

/// Values of all features of one image; 0 for an invalid network, which its training reports.
fn elements(task: &Task) -> u64 {
    let run = &task.run;
    let network = input_of(&run.dataset).and_then(|input| run.network.build(input));
    network.map_or(0, |network| feature_elements(&network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_share_a_gpu_as_its_memory_holds_up_to_the_most() {
        let gib = |n: u64| n << 30;
        assert_eq!(each_gpu(Some(gib(80)), gib(2)), MOST);
        assert_eq!(each_gpu(Some(gib(8)), gib(3)), 2);
        assert_eq!(each_gpu(Some(gib(8)), gib(30)), 1);
        assert_eq!(each_gpu(None, gib(2)), 1);
    }

    fn task(name: &str, network: &str, seed: u64) -> Task {
        let run = format!(
            r#"{{"network":{network},"dataset":"synthetic","validation":0,"training":{{"epochs":1}},"seed":{seed}}}"#
        );
        Task { name: name.to_string(), run: serde_json::from_str(&run).unwrap() }
    }

    #[test]
    fn the_first_seed_comes_first_and_of_a_seed_the_longest_run() {
        let resnet =
            |blocks| format!(r#"{{"resnet":{{"blocks_per_stage":{blocks},"channels":8}}}}"#);
        let tasks = vec![
            task("short", &resnet(1), 0),
            task("short", &resnet(9), 1),
            task("copy", &resnet(2), 100),
            task("long", &resnet(3), 0),
        ];
        let named = |t: Task| format!("{} {}", t.name, t.run.seed);
        let order: Vec<String> = longest_first(tasks).into_iter().map(named).collect();
        assert_eq!(order, ["long 0", "copy 100", "short 0", "short 1"]);
    }
}
