//! The way out of a mistyped command line, where clap knows none.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::experiment::key_path;

/// Words for what every figure's command does.
const TRAINING: [&str; 6] = ["train", "run", "fit", "eval", "evaluate", "test"];

/// The error with a better tip, if there is one.
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    if let Some(tip) = tip(&error) {
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

fn tip(error: &clap::Error) -> Option<String> {
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let argument = told(ContextKind::InvalidArg)?;
            let usage = error.get(ContextKind::Usage)?.to_string();
            match argument.strip_prefix("--") {
                Some(option) if usage.contains("EXPERIMENT") => {
                    let path = key_path(&option.replace('-', "_"))?;
                    Some(format!("a key of the experiment is changed by '--set {path}=VALUE'"))
                }
                None if usage.contains("--manifest") => {
                    Some(format!("a manifest is named by '--manifest {argument}'"))
                }
                _ => None,
            }
        }
        ErrorKind::InvalidSubcommand => {
            let word = told(ContextKind::InvalidSubcommand)?;
            let is_training = TRAINING.contains(&word);
            is_training.then(|| "a figure's command trains what it needs: 'repro anytime'".into())
        }
        _ => None,
    }
}
