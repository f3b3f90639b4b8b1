//! Experiments and reference data that travel inside the program.

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Names and texts of the experiments in `experiments/`.
        pub const BUILT_IN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../experiments/", $name, ".yaml")))),*];
    };
}

built_in![
    "ablation-cifar100-cpu",
    "ablation-cifar100-paper",
    "ablation-quick",
    "anytime-cifar10-paper",
    "anytime-cifar100-cpu",
    "anytime-cifar100-growth16-paper",
    "anytime-cifar100-long-cpu",
    "anytime-cifar100-paper",
    "anytime-cifar100-public-cpu",
    "anytime-imagenet-paper",
    "anytime-quick",
    "budgeted-batch-cifar10-paper",
    "budgeted-batch-cifar100-cpu",
    "budgeted-batch-cifar100-paper",
    "budgeted-batch-imagenet-paper",
    "budgeted-batch-quick",
    "densenet-star-cifar100-paper",
    "fig-final-degradation-cifar10-paper",
    "fig-final-degradation-cifar100-convolutional-cpu",
    "fig-final-degradation-cifar100-convolutional-paper",
    "fig-final-degradation-cifar100-cpu",
    "fig-final-degradation-cifar100-long-cpu",
    "fig-final-degradation-cifar100-paper",
    "fig-final-degradation-cifar100-short-cpu",
    "fig-final-degradation-quick",
    "fig-intermediate-cifar10-paper",
    "fig-intermediate-cifar100-convolutional-cpu",
    "fig-intermediate-cifar100-convolutional-paper",
    "fig-intermediate-cifar100-cpu",
    "fig-intermediate-cifar100-long-cpu",
    "fig-intermediate-cifar100-paper",
    "fig-intermediate-cifar100-short-cpu",
    "fig-intermediate-quick",
    "smoke",
];

/// The paper's claims, as data.
pub fn claims_yaml() -> &'static str {
    include_str!("../../experiments/claims.yaml")
}

/// The paper's curves, digitised.
pub fn paper_curves_csv() -> &'static str {
    include_str!("../../experiments/paper-curves.csv")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::experiment::load;

    #[test]
    fn every_experiment_file_is_built_in_and_is_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_string))
            .filter(|name| name != "claims" && name != "published")
            .collect();
        let built_in: BTreeSet<String> =
            BUILT_IN.iter().map(|(name, _)| (*name).to_string()).collect();
        assert_eq!(files, built_in);
        for name in &built_in {
            load(name, &[]).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
