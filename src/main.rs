//! Parses the command line, calls, prints the error chain.

use std::process::ExitCode;

fn main() -> ExitCode {
    repro::cli::main()
}
