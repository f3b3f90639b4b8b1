//! An experiment carried out: its plan, its trainings, its predictions, its figure. Every step's
//! result is a file, and a step whose file is there for the same inputs is skipped.

mod agreement;
mod anytime;
mod bench;
mod budgeted;
mod claims;
mod classify;
mod context;
mod costs;
mod crowd;
mod device;
mod diagram;
pub mod doctor;
mod examples;
mod execute;
mod explore;
mod figure;
mod import;
mod machine;
mod opened;
mod order;
mod outputs;
mod plan;
mod positional;
mod predictions;
mod progress;
mod provenance;
mod report;
mod sharing;
mod stop;
mod study;
mod sweep;
mod watch;
mod worker;
mod workers;

pub use agreement::examine_numbers;
pub use bench::{Bench, Clock, Measured, NETWORKS, Topic, measure, write_saving};
pub use classify::{Classified, Classifier, Leave};
pub use context::{Data, Places, Saving, Settings};
pub use costs::{CostRow, cost_rows, costs_csv};
pub use device::{crew, device_name, limit_decoders, parse_device, set_threads, training_threads};
pub use diagram::diagram;
pub use examples::{Aim, write_examples};
pub use execute::{Outcome, slim_run, train_run};
pub use explore::page;
pub use figure::{Ask, ClaimFailed, make_figure};
pub use import::{Import, export_run, import_run};
pub use opened::{Opened, folder_name, open_run};
pub use plan::{describe_plan, plan_json};
pub use predictions::{Split, predict_run, predictions_of};
pub use report::write_report;
pub use stop::{Interrupted, watch_signals};
pub use sweep::{
    Line, Slurm, State, Status, collect_figures, describe_status, lines_of_runs, manifest,
    manifest_text, read_manifest, run_sweep, status_of, submit,
};
pub use watch::{draw_training, with_ending, write_tensorboard};
pub use worker::serve;
