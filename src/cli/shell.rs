//! `repro config schema`, `repro completions SHELL`, `repro man`: what other programs need to know.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::output::{print, print_path};
use crate::experiment::Experiment;
use crate::results::atomic;

/// What an experiment file may hold.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// The JSON Schema of experiment files, with which an editor completes them
    Schema,
}

/// Completions for a shell.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Manual pages.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write a page for every command to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs `repro config`.
pub fn config(args: &ConfigArgs) -> Result<()> {
    match args.command {
        ConfigCommand::Schema => print(schema()?),
    }
    Ok(())
}

/// The schema as `experiments/schema.json` has it.
pub fn schema() -> Result<String> {
    let schema = schemars::schema_for!(Experiment);
    Ok(format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

/// Runs `repro completions`.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "repro", &mut text);
    print(text);
    Ok(())
}

/// Runs `repro man`.
pub fn man(args: &ManArgs) -> Result<()> {
    let mut command = super::Cli::command();
    match &args.out {
        None => {
            print(page(command)?);
            Ok(())
        }
        Some(folder) => {
            atomic::create_folder(folder)?;
            command.build();
            write_pages(&command, folder)
        }
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

/// A page for the command and each below it: `repro.1`, `repro-runs.1`, `repro-runs-list.1`.
fn write_pages(command: &clap::Command, folder: &Path) -> Result<()> {
    // A built command knows its full name.
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = folder.join(format!("{name}.1"));
    let text = page(command.clone()).with_context(|| path.display().to_string())?;
    atomic::write(&path, &text)?;
    print_path(&path);
    let below = command.get_subcommands();
    below
        .filter(|command| command.get_name() != "help" && !command.is_hide_set())
        .try_for_each(|command| write_pages(command, folder))
}
