//! `repro runs list | show RUN | export | slim | clean`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::output::{print, print_path};
use crate::data::plural;
use crate::look::summary::summary;
use crate::look::tracking::{csv, jsonl, rows};
use crate::results::{RunFolder, find_named_run, find_run, list_runs, shell};
use crate::runs::train::slim_run;
use crate::runs::{DataSets, Known, OTHER_OR_DAMAGED, Places, Settings, State, tell};

/// Trained and half-trained runs.
#[derive(Debug, clap::Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    command: Command,
    /// Folder for trained runs
    #[arg(long, default_value = "runs", value_name = "DIR", global = true)]
    runs: PathBuf,
    /// Folder with the data sets
    #[arg(long, default_value = "data", value_name = "DIR", global = true)]
    data: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every run, how far it has come and how much room it takes
    List {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// What one run is, how far it has come, its files
    Show {
        /// A run folder, or a beginning of its name
        run: String,
        /// JSON instead of YAML
        #[arg(long)]
        json: bool,
    },
    /// Settings and epochs of runs for a tracker, one line a run and epoch, on standard output
    Export {
        /// Run folders, or beginnings of their names; none = all
        named: Vec<String>,
        /// A table, or a JSON object a line
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
    },
    /// Leave in finished runs what predicting needs: half their size. Predictions made before are
    /// made again
    Slim {
        /// Run folders, or beginnings of their names; none = all
        named: Vec<String>,
    },
    /// Delete runs; a finished one only if it is named
    Clean {
        /// Names of runs, or beginnings of them
        named: Vec<String>,
        /// All runs that are not finished; one with a checkpoint that cannot be read stays
        #[arg(long)]
        unfinished: bool,
        /// All runs that are not finished and were not touched for so many days
        #[arg(long, value_name = "DAYS")]
        older: Option<u32>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

/// Runs the command.
pub fn run(args: &RunsArgs) -> Result<()> {
    let places = Places { out: PathBuf::new(), runs: args.runs.clone(), data: args.data.clone() };
    let settings = Settings::on_one_core(places);
    let data_sets = DataSets::new(&settings);
    match &args.command {
        Command::List { json } => list(&args.runs, *json, &data_sets),
        Command::Show { run, json } => show(run, *json, &data_sets),
        Command::Export { named, format } => export(named, *format, &args.runs),
        Command::Slim { named } => slim(named, &args.runs),
        Command::Clean { named, unfinished, older, yes } => {
            let chosen = chosen(named, *unfinished, *older, &args.runs)?;
            clean(&chosen, *yes, &data_sets)
        }
    }
}

fn list(runs: &Path, json: bool, data_sets: &DataSets) -> Result<()> {
    let folders = list_runs(runs)?.into_iter();
    let rows: Vec<Value> = folders.map(|folder| describe(&folder, data_sets)).collect();
    let text = if json { format!("{:#}\n", Value::Array(rows)) } else { table(&rows, runs) };
    print(text);
    Ok(())
}

fn describe(folder: &RunFolder, data_sets: &DataSets) -> Value {
    let known = Known::read(folder.clone());
    let known = known.as_ref();
    let state = known.map(|known| known.state(data_sets));
    let epochs = known.and_then(|known| Some(known.run.training.as_ref()?.epochs));
    let is_read = folder.progress().is_some();
    let kept = if is_read { None } else { folder.may_be_finished().unwrap_or_default() };
    let failed = || Some(format!("failed before it began: {}", folder.failure()?));
    let kept = kept.or_else(|| if known.is_none() { failed() } else { None });
    json!({
        "run": folder.name(),
        "dataset": known.map(|known| known.run.dataset.to_string()),
        "seed": known.map(|known| known.run.seed),
        "state": state.as_ref().map(State::name),
        "trained": known.is_some_and(Known::is_trained),
        "finished": state == Some(State::Done),
        "kept": kept,
        "epoch": state.map(|state| state.epoch(epochs.unwrap_or(0))),
        "epochs": epochs,
        "bytes": size_of(folder.path()),
    })
}

fn state(row: &Value) -> String {
    let number = |key: &str| row[key].as_u64();
    match (row["state"].as_str(), number("epoch"), number("epochs")) {
        (Some("done"), _, None) => "imported".to_string(),
        (Some("failed"), _, None) => "imported, damaged".to_string(),
        (Some("done"), _, Some(epochs)) => {
            format!("finished, {}", plural(epochs as usize, "epoch"))
        }
        (Some("waiting"), Some(0), _) if row["trained"] == true => OTHER_OR_DAMAGED.to_string(),
        (Some("waiting"), Some(0), _) | (None, ..) => {
            row["kept"].as_str().unwrap_or("not begun").to_string()
        }
        (Some("waiting"), epoch, epochs) => of(epoch, epochs),
        (Some(state), epoch, epochs) => format!("{state}, {}", of(epoch, epochs)),
    }
}

fn of(epoch: Option<u64>, epochs: Option<u64>) -> String {
    format!("at epoch {} of {}", epoch.unwrap_or(0), epochs.unwrap_or(0))
}

fn table(rows: &[Value], runs: &Path) -> String {
    if rows.is_empty() {
        return format!("no runs under {}\n", runs.display());
    }
    let name = |row: &Value| row["run"].as_str().unwrap_or_default().to_string();
    let width = rows.iter().map(|row| name(row).len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let size = row["bytes"].as_u64().unwrap_or(0) as f64 / 1e6;
        text.push_str(&format!("{:width$}  {size:>8.1} MB  {}\n", name(row), state(row)));
    }
    text
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let lengths = entries.filter_map(|entry| entry.metadata().ok().map(|m| m.len()));
    lengths.sum()
}

fn show(which: &str, json: bool, data_sets: &DataSets) -> Result<()> {
    let known = Known::named(which, &data_sets.settings.places.runs)?;
    let folder = &known.folder;
    let row = describe(folder, data_sets);
    let progress = folder.progress().map(|(progress, _)| progress);
    let last = progress.as_ref().and_then(|p| p.log.last());
    let value = json!({
        "folder": folder.path().display().to_string(),
        "state": state(&row),
        "bytes": row["bytes"],
        "files": files(folder.path())?,
        "last_epoch": last,
        "run": known.run,
        "summary": summary_of(&known),
        "source": progress.as_ref().and_then(|p| p.source.clone()),
    });
    let text = if json { format!("{value:#}\n") } else { serde_yaml::to_string(&value)? };
    print(text);
    Ok(())
}

/// The run's measures; what stands in their way where there is something.
fn summary_of(known: &Known) -> Value {
    let Some((progress, weights)) = known.folder.progress() else {
        return Value::Null;
    };
    let found = known.facts();
    let found = found.and_then(|facts| summary(&known.folder, &progress.run, &facts, &weights));
    found.unwrap_or_else(|error| Value::String(format!("{error:#}")))
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let context = || format!("cannot read {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        names.push(entry.with_context(context)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A run to delete.
#[derive(Debug, Clone, PartialEq)]
struct Chosen {
    folder: RunFolder,
    /// By its name: then even where it is finished.
    is_named: bool,
}

/// The runs to delete: those named, and the unfinished ones that an option covers.
fn chosen(
    named: &[String],
    unfinished: bool,
    older: Option<u32>,
    runs: &Path,
) -> Result<Vec<Chosen>> {
    ensure!(
        !named.is_empty() || unfinished || older.is_some(),
        "nothing to clean: name runs, or give --unfinished or --older DAYS"
    );
    let mut chosen: Vec<Chosen> = Vec::new();
    for name in named {
        let folder = named_run(name, runs)?;
        if !chosen.iter().any(|known| known.folder == folder) {
            chosen.push(Chosen { folder, is_named: true });
        }
    }
    if !unfinished && older.is_none() {
        return Ok(chosen);
    }
    let age = Duration::from_secs(u64::from(older.unwrap_or(0)) * 86_400);
    for folder in list_runs(runs)? {
        let is_old = older.is_none() || untouched(folder.path()).is_some_and(|time| time >= age);
        let is_new = !chosen.iter().any(|known| known.folder == folder);
        if !is_old || !is_new {
            continue;
        }
        match folder.may_be_finished()? {
            None => chosen.push(Chosen { folder, is_named: false }),
            Some(why) if !is_finished(&folder) => tell(staying(&folder, &why)),
            Some(_) => {}
        }
    }
    Ok(chosen)
}

/// What is said of a run that is not deleted unless it is named.
fn staying(folder: &RunFolder, why: &str) -> String {
    let (path, name) = (folder.path(), folder.name());
    let runs = shell::word(&path.parent().unwrap_or(Path::new("")).display().to_string());
    let name = shell::word(&name);
    format!(
        "{}: {why}; the run stays, and `repro runs clean {name} --runs {runs}` deletes it",
        path.display()
    )
}

/// Whether a training came to its end, on whatever data.
fn is_finished(folder: &RunFolder) -> bool {
    folder.progress().is_some_and(|(progress, _)| progress.is_finished())
}

/// Time since anything in a folder was written.
fn untouched(folder: &Path) -> Option<Duration> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    SystemTime::now().duration_since(times.max()?).ok()
}

/// The run under `runs` whose name is or begins with `name`. What is deleted is named by its name
/// alone: a path may mean more than a person sees in it, such as all that a variable holds.
fn named_run(name: &str, runs: &Path) -> Result<RunFolder> {
    ensure!(
        !name.trim().is_empty(),
        "an empty name names no run (is a variable unset?); `repro runs list` shows the names"
    );
    ensure!(
        Path::new(name) != runs,
        "{name} is the folder of the runs; name the runs in it, or give --unfinished or --older DAYS"
    );
    if name.contains('/') || name == "." || name == ".." {
        let path = std::fs::canonicalize(name).unwrap_or_default();
        let way_out = match (path.parent(), path.file_name()) {
            (Some(folder), Some(last)) if RunFolder::at(path.clone()).run_yaml().exists() => {
                let [name, runs] =
                    [Path::new(last), folder].map(|path| shell::word(&path.display().to_string()));
                format!("repro runs clean {name} --runs {runs}")
            }
            _ => "`repro runs list` shows them".to_string(),
        };
        bail!("{name} is a path, and runs are deleted by their names: {way_out}");
    }
    find_named_run(name, runs)
}

fn clean(chosen: &[Chosen], yes: bool, data_sets: &DataSets) -> Result<()> {
    if chosen.is_empty() {
        tell("nothing to clean");
        return Ok(());
    }
    for Chosen { folder, .. } in chosen {
        tell(format!("{}: {}", folder.path().display(), state(&describe(folder, data_sets))));
    }
    if !yes && !agreed(chosen.len())? {
        bail!("nothing was deleted");
    }
    let mut staying = Vec::new();
    for one in chosen {
        match delete(one) {
            Ok(()) => print_path(one.folder.path()),
            Err(error) => staying.push(format!("{error:#}")),
        }
    }
    ensure!(staying.is_empty(), "{}", staying.join("\n  "));
    Ok(())
}

/// All runs; those whose configuration cannot be read are named and left out.
fn all_known(runs: &Path) -> Result<Vec<Known>> {
    let mut all = Vec::new();
    for folder in list_runs(runs)? {
        let path = folder.path().display().to_string();
        match Known::read(folder) {
            Some(known) => all.push(known),
            None => tell(format!("warning: {path} is left out: what run it is cannot be read")),
        }
    }
    Ok(all)
}

fn export(named: &[String], format: Format, runs: &Path) -> Result<()> {
    let known = match named {
        [] => all_known(runs)?,
        named => named.iter().map(|which| Known::named(which, runs)).collect::<Result<_>>()?,
    };
    let rows = known.iter().map(rows).collect::<Result<Vec<_>>>()?.concat();
    match format {
        Format::Csv => print(csv(&rows)?),
        Format::Jsonl => print(jsonl(rows)),
    }
    Ok(())
}

fn slim(named: &[String], runs: &Path) -> Result<()> {
    let folders = match named {
        [] => list_runs(runs)?,
        named => named.iter().map(|which| find_run(which, runs)).collect::<Result<_>>()?,
    };
    let mut staying = Vec::new();
    for folder in folders {
        match slim_run(&folder) {
            Ok(true) => print_path(folder.path()),
            Ok(false) => {}
            Err(error) => staying.push(format!("{error:#}")),
        }
    }
    ensure!(staying.is_empty(), "{}", staying.join("\n  "));
    Ok(())
}

fn delete(chosen: &Chosen) -> Result<()> {
    let folder = &chosen.folder;
    // Held until the folder is gone, so that no training begins in it meanwhile.
    let lock = folder.try_lock()?;
    ensure!(lock.is_some(), "{} is being trained; it stays", folder.path().display());
    if !chosen.is_named
        && let Some(why) = folder.may_be_finished()?
    {
        bail!("{}", staying(folder, &why));
    }
    std::fs::remove_dir_all(folder.path())
        .with_context(|| format!("cannot delete {}", folder.path().display()))
}

fn agreed(count: usize) -> Result<bool> {
    ensure!(
        std::io::stdin().is_terminal(),
        "{} would be deleted; say so with --yes",
        plural(count, "run")
    );
    tell(format!("Delete {}? [y/N] ", plural(count, "run")));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(runs: &Path) -> Settings {
        let [out, data] = [PathBuf::new(), PathBuf::new()];
        Settings::on_one_core(Places { out, runs: runs.to_path_buf(), data })
    }

    fn folder(runs: &Path, name: &str) -> RunFolder {
        let folder = RunFolder::at(runs.join(name));
        std::fs::create_dir_all(folder.path()).unwrap();
        std::fs::write(folder.run_yaml(), "format: 1\n").unwrap();
        folder
    }

    #[test]
    fn cleaning_without_saying_what_is_an_error() {
        let error = chosen(&[], false, None, Path::new("nowhere")).unwrap_err();
        assert!(error.to_string().contains("--unfinished"));
    }

    #[test]
    fn only_a_name_names_what_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("runs");
        let run = folder(&runs, "msdnet-a");
        let named = |name: &str| chosen(&[name.to_string()], false, None, &runs);
        let run = Chosen { folder: run, is_named: true };
        assert_eq!(named("msdnet-a").unwrap(), std::slice::from_ref(&run));
        assert_eq!(named("msd").unwrap(), [run]);
        let path = |path: &str| runs.join(path).display().to_string();
        for (wrong, told) in [
            ("", "an empty name"),
            (" ", "an empty name"),
            (".", "is a path"),
            ("..", "is a path"),
            ("./", "is a path"),
            ("nothing", "no run under"),
            (&path(""), "is the folder of the runs"),
            (&path("."), "is the folder of the runs"),
            (&path("msdnet-a"), "repro runs clean msdnet-a --runs "),
            (&path("../runs"), "is a path"),
        ] {
            let error = format!("{:#}", named(wrong).unwrap_err());
            assert!(error.contains(told), "{wrong:?}: {error}");
        }
        let twice = ["msd".to_string(), "msdnet-a".to_string()];
        assert_eq!(chosen(&twice, false, None, &runs).unwrap().len(), 1);
    }

    #[test]
    fn a_run_that_was_touched_today_is_not_older_than_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let run = folder(dir.path(), "msdnet-a");
        let run = Chosen { folder: run, is_named: false };
        let chosen = |unfinished, older| chosen(&[], unfinished, older, dir.path()).unwrap();
        assert_eq!(chosen(true, None), std::slice::from_ref(&run));
        assert!(chosen(false, Some(1)).is_empty());
        assert_eq!(chosen(false, Some(0)), [run]);
    }

    #[test]
    fn a_run_that_failed_before_it_began_is_listed_and_can_be_cleaned() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::at(dir.path().join("resnet-a"));
        drop(run.try_lock().unwrap());
        assert!(list_runs(dir.path()).unwrap().is_empty());
        run.keep_failure("no data").unwrap();
        let settings = settings(dir.path());
        let row = describe(&run, &DataSets::new(&settings));
        assert_eq!(state(&row), "failed before it began: no data");
        let unfinished = chosen(&[], true, None, dir.path()).unwrap();
        assert_eq!(unfinished, [Chosen { folder: run, is_named: false }]);
    }

    #[test]
    fn a_run_that_is_being_trained_is_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let run = folder(dir.path(), "msdnet-a");
        let lock = run.try_lock().unwrap();
        let run = Chosen { folder: run, is_named: true };
        let settings = settings(dir.path());
        let data_sets = DataSets::new(&settings);
        assert!(clean(std::slice::from_ref(&run), true, &data_sets).is_err());
        assert!(run.folder.path().is_dir());
        drop(lock);
        clean(std::slice::from_ref(&run), true, &data_sets).unwrap();
        assert!(!run.folder.path().exists());
    }

    #[test]
    fn without_a_terminal_nothing_is_deleted_unless_yes_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let run = folder(dir.path(), "msdnet-a");
        if !std::io::stdin().is_terminal() {
            let settings = settings(dir.path());
            let chosen = [Chosen { folder: run.clone(), is_named: true }];
            let error = clean(&chosen, false, &DataSets::new(&settings));
            assert!(error.unwrap_err().to_string().contains("--yes"));
        }
        assert!(run.path().is_dir());
    }
}
