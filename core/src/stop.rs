//! Being asked to stop. What takes long looks here between its pieces.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};

/// The error of a command that was interrupted and can be called again to go on.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(
            "interrupted; what was finished is kept, run the same command again to go on from here",
        )
    }
}

impl std::error::Error for Interrupted {}

/// The process's flag: set once it is asked to stop.
pub fn flag() -> &'static Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(Arc::default)
}

/// Goes on unless the process is asked to stop.
///
/// # Errors
/// [`Interrupted`].
pub fn check() -> Result<()> {
    if flag().load(Ordering::Relaxed) {
        bail!(Interrupted);
    }
    Ok(())
}
