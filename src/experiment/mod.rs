//! The experiment files: what people write, checked, and expanded into a plan of runs.

mod builtin;
mod combines;
mod entry;
mod explain;
mod file;
pub mod labels;
mod load;
mod plan;
mod progress;
mod published;
mod repeats;
mod schedule;
mod training;
mod tree;
mod validate;

pub use crate::data::did_you_mean;
pub use builtin::{BUILT_IN, claims_yaml, paper_curves_csv};
pub use combines::Combines;
pub use entry::{Entry, Member, Named};
pub use explain::{explain, key_path};
pub use file::{Budgeted, Experiment, Figure};
pub use load::{
    NamedNetworks, file_of, gives, load, load_networks, network_text, networks_of, read_text,
};
pub use plan::{FORMAT, Plan, Position, Run, Trained};
pub use progress::{LogRow, Progress};
pub use published::{Published, published};
pub use schedule::RateSchedule;
pub use training::Training;
