//! Being asked to stop: the step under way is finished, the state saved, and the program ends with
//! the code that means "go on later".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

pub use crate::stop::Interrupted;
use crate::stop::flag;

/// Whether a signal has asked to stop.
#[derive(Debug, Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether to stop now.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks to stop, as a signal does.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Watches SIGTERM, SIGINT and SIGUSR1 from now on; a second SIGINT ends the program at once.
pub fn watch_signals() -> Result<Stop> {
    static STOP: std::sync::OnceLock<Stop> = std::sync::OnceLock::new();
    if let Some(stop) = STOP.get() {
        return Ok(stop.clone());
    }
    let stop = Stop(flag().clone());
    let at_once = 128 + SIGINT;
    signal_hook::flag::register_conditional_shutdown(SIGINT, at_once, stop.0.clone())
        .context("watching SIGINT")?;
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        signal_hook::flag::register(signal, stop.0.clone())
            .with_context(|| format!("watching signal {signal}"))?;
    }
    Ok(STOP.get_or_init(|| stop).clone())
}
