//! In which order workers take runs.

use std::cmp::Reverse;

use super::data::input_of;
use super::protocol::Task;
use crate::cost::feature_elements;

/// Seed by seed, so that the first seed's figure is whole first; of a seed the longest run first, so
/// that no worker is left with a long one while the others have nothing to do.
pub(super) fn longest_first(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by_cached_key(|task| (task.run.seed, Reverse(weight(task))));
    tasks
}

/// What a run's time grows with; 0 where its network cannot be, which its training will say.
pub(super) fn weight(task: &Task) -> u64 {
    let run = &task.run;
    let epochs = run.training.as_ref().map_or(0, |t| u64::from(t.epochs));
    let network = input_of(&run.dataset).and_then(|input| run.network.build(input));
    network.map_or(0, |network| feature_elements(&network) * epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            task("late", &resnet(9), 1),
            task("short", &resnet(1), 0),
            task("long", &resnet(3), 0),
        ];
        let names: Vec<String> = longest_first(tasks).into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["long", "short", "late"]);
    }
}
