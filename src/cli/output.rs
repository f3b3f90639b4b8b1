//! Standard output. A reader that has had enough, or a full disk, stops no work that is under way:
//! the first failure is kept, nothing more is printed, and [`finish`] tells of it.

use std::io::{Error, ErrorKind, IsTerminal, Result as IoResult, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::results::atomic;

/// Writing to it never fails; [`finish`] does.
pub struct Out;

/// What went wrong first, and whether anything was printed yet.
struct State {
    failure: Option<Error>,
    begun: bool,
}

static STATE: Mutex<State> = Mutex::new(State { failure: None, begun: false });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let mut state = state();
        if !state.begun {
            state.begun = true;
            state.failure = IS_CLOSED.load(Ordering::Relaxed).then(|| Error::other("it is closed"));
        }
        if state.failure.is_none() {
            state.failure = std::io::stdout().write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> IoResult<()> {
        let mut state = state();
        if state.failure.is_none() {
            state.failure = std::io::stdout().flush().err();
        }
        Ok(())
    }
}

/// Ends work whose only result is output that is no longer read.
#[derive(Debug)]
pub struct Unread;

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("standard output is no longer read")
    }
}

impl std::error::Error for Unread {}

/// Prints text as it is, at once.
pub fn print(text: impl AsRef<[u8]>) {
    // Never fails.
    let _ = Out.write_all(text.as_ref()).and_then(|()| Out.flush());
}

/// Prints a path and a new line, unless what was written there is standard output itself.
pub fn print_path(path: &Path) {
    if !atomic::is_standard_output(path) {
        print([path.as_os_str().as_encoded_bytes(), b"\n"].concat());
    }
}

/// Whether it is a terminal that shows colours; `NO_COLOR` (no-color.org) and a `TERM` of `dumb` ask for none.
pub fn has_colours() -> bool {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    std::io::stdout().is_terminal() && !is_plain
}

/// Whether what is printed still arrives: for commands that do nothing but print.
pub fn is_open() -> bool {
    state().failure.is_none()
}

/// Whether all that was printed has arrived, as far as anybody read it.
///
/// # Errors
/// When standard output is full, closed or broken.
pub fn finish() -> Result<()> {
    let _ = Out.flush();
    match state().failure.take() {
        // The reader has had enough (`repro ... | head`).
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(error).context("cannot write to standard output"),
        None => Ok(()),
    }
}

/// Whether the program was started without a standard output (`>&-`).
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks whether there is a standard output. To be called before Rust's runtime begins, which opens
/// /dev/null where there is none.
pub fn note_standard_output() {
    let fds = Path::new("/proc/self/fd");
    let is_closed = fds.is_dir() && std::fs::symlink_metadata(fds.join("1")).is_err();
    IS_CLOSED.store(is_closed, Ordering::Relaxed);
}
