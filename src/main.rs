//! Parses the command line, calls, prints the error chain.

use std::process::ExitCode;

fn main() -> ExitCode {
    repro::cli::main()
}

/// Runs before the libraries load. In a folder that is gone LibTorch's do not load, and blame one of
/// their files.
// SAFETY: functions in this section are called with the arguments of C's `main`; this one takes none.
#[cfg(target_os = "linux")]
#[used]
#[allow(unsafe_code)]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_LIBRARIES: extern "C" fn() = begin;

#[cfg(target_os = "linux")]
extern "C" fn begin() {
    use std::io::Write;
    repro::cli::note_standard_output();
    if let Err(error) = std::env::current_dir() {
        let _ = writeln!(
            std::io::stderr(),
            "error: the current folder cannot be used (was it deleted?); change to another one: {error}"
        );
        std::process::exit(1);
    }
}
