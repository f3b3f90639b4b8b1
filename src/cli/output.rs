//! Standard output. A reader that has had enough, or a full disk, stops no work that is under way:
//! the first failure is kept, nothing more is printed, and [`finish`] tells of it.

use std::io::{Error, ErrorKind, Result as IoResult, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

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
            state.failure = is_closed().then(|| Error::other("it is closed"));
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

/// Prints a path and a new line.
pub fn print_path(path: &Path) {
    print(format!("{}\n", path.display()));
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

/// Whether the program was started without a standard output (`>&-`): Rust then opens /dev/null in
/// its place, for reading and writing, which `>/dev/null` does not.
fn is_closed() -> bool {
    let is_null =
        std::fs::read_link("/proc/self/fd/1").is_ok_and(|to| to == Path::new("/dev/null"));
    let flags = std::fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
    is_null && flags.is_some_and(|flags| flags.trim().ends_with('2'))
}
