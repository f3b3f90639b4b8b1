//! Experiments and reference data that travel inside the program.

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Names and texts of the experiments in `experiments/`.
        pub const BUILT_IN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../experiments/", $name, ".yaml")))),*];
    };
}

built_in![
    "smoke",
    "anytime-quick",
    "anytime-cifar100-cpu",
    "anytime-cifar100-paper",
];

/// The paper's claims, as data.
pub fn claims_yaml() -> &'static str {
    include_str!("../../experiments/claims.yaml")
}

/// The paper's curves, digitised.
pub fn paper_curves_csv() -> &'static str {
    include_str!("../../experiments/paper-curves.csv")
}
