//! A run's folder: what is in it, who may write to it, and how a person names it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use tch::Tensor;

use super::atomic;
use super::checkpoint;
use crate::experiment::{Progress, Run, did_you_mean};

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Held while a run is trained; another process sees it, and it ends with this one.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl RunFolder {
    /// The folder that `run` has under `runs`; it need not be there yet.
    pub fn of(runs: &Path, run: &Run) -> RunFolder {
        RunFolder { path: runs.join(run.folder_name()) }
    }

    /// The folder that stands for `run`: an imported run's where there is one, damaged or not, else
    /// its own.
    pub fn standing_for(runs: &Path, run: &Run) -> RunFolder {
        let imported = RunFolder::of(runs, &run.imported());
        let is_there = imported.checkpoint().is_file() || imported.run_yaml().is_file();
        if is_there { imported } else { RunFolder::of(runs, run) }
    }

    /// An existing folder by path.
    pub fn at(path: impl Into<PathBuf>) -> RunFolder {
        RunFolder { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        let last = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        // `.` and `..` have no last part.
        let real = || last(&fs::canonicalize(&self.path).ok()?);
        last(&self.path).or_else(real).unwrap_or_default()
    }

    /// The configuration as people read it.
    pub fn run_yaml(&self) -> PathBuf {
        self.path.join("run.yaml")
    }

    /// The latest checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The checkpoint before the latest.
    pub fn previous_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint-previous.safetensors")
    }

    /// One row an epoch; the same bytes whenever the run is the same.
    pub fn train_csv(&self) -> PathBuf {
        self.path.join("train.csv")
    }

    /// What the clock said, one row an epoch.
    pub fn timing_csv(&self) -> PathBuf {
        self.path.join("timing.csv")
    }

    /// The images held out.
    pub fn holdout_csv(&self) -> PathBuf {
        self.path.join("holdout.csv")
    }

    /// Predictions on a split.
    pub fn predictions(&self, split: &str) -> PathBuf {
        self.path.join(format!("predictions-{split}.parquet"))
    }

    /// Why the last training failed; not there after one that ended well or was interrupted.
    pub fn failed_txt(&self) -> PathBuf {
        self.path.join("failed.txt")
    }

    /// Whether a run is here: it has begun, is finished, or failed before it began.
    fn is_run(&self) -> bool {
        let has_failed = || self.failed_txt().is_file() && self.path.join("lock").is_file();
        self.run_yaml().is_file() || self.checkpoint().is_file() || has_failed()
    }

    /// Keeps why a training failed, for `sweep status`.
    ///
    /// # Errors
    /// Names the file.
    pub fn keep_failure(&self, reason: &str) -> Result<()> {
        atomic::create_folder(&self.path)?;
        atomic::write(&self.failed_txt(), format!("{reason}\n").as_bytes())
    }

    /// Why the last training failed; none where it did not.
    pub fn failure(&self) -> Option<String> {
        Some(fs::read_to_string(self.failed_txt()).ok()?.trim_end().to_string())
    }

    /// Forgets a failure that a later training has made good.
    pub fn forget_failure(&self) {
        // Most often there is none; one that cannot be removed is only shown too long.
        let _ = fs::remove_file(self.failed_txt());
    }

    /// Whether a process is training it now. A process that asks for the lock in the same instant
    /// is turned away, and asks again.
    pub fn is_locked(&self) -> bool {
        let Ok(file) = File::open(self.path.join("lock")) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
    }

    /// Takes the right to write, or none where another process has it.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        atomic::create_folder(&self.path)?;
        let path = self.path.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| {
                format!(
                    "cannot lock {}, so two processes could write one run; give --runs a folder on a file system with locks",
                    path.display()
                )
            }),
        }
    }

    /// Saves a checkpoint and keeps the one before it.
    ///
    /// # Errors
    /// Names the file that could not be written; at least one checkpoint stays whole.
    pub fn save(&self, progress: &Progress, tensors: &[(String, Tensor)]) -> Result<()> {
        let bytes = checkpoint::to_bytes(progress, tensors)?;
        atomic::write_keeping(&self.checkpoint(), &self.previous_checkpoint(), &bytes)
    }

    /// The latest whole checkpoint, and what is to be said of one that is not. Nothing is changed.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(&self) -> Result<(Option<Loaded>, Vec<String>)> {
        self.latest(|_, error| Ok(format!("{error:#}")))
    }

    /// [`RunFolder::load`] for a training that goes on: a damaged file is set aside.
    ///
    /// # Errors
    /// When a file cannot be read, or a damaged one cannot be set aside.
    pub fn load_to_go_on(&self) -> Result<(Option<Loaded>, Vec<String>)> {
        self.latest(|path, error| match set_aside(path, "damaged") {
            Ok(aside) => Ok(format!("{error:#}; it is set aside as {}", aside.display())),
            Err(refused) if atomic::is_read_only(&refused) => {
                Ok(format!("{error:#}; it stays, since {refused:#}"))
            }
            Err(refused) => Err(refused),
        })
    }

    /// `complain` says what is wrong with a damaged file.
    fn latest(
        &self,
        complain: impl Fn(&Path, Error) -> Result<String>,
    ) -> Result<(Option<Loaded>, Vec<String>)> {
        let mut complaints = Vec::new();
        for path in [self.checkpoint(), self.previous_checkpoint()] {
            if !path.exists() {
                continue;
            }
            match checkpoint::load(&path) {
                Ok((progress, tensors)) => {
                    return Ok((Some(Loaded { progress, tensors }), complaints));
                }
                // What is in it is not known.
                Err(error) if error.root_cause().is::<std::io::Error>() => return Err(error),
                Err(error) => complaints.push(complain(&path, error)?),
            }
        }
        Ok((None, complaints))
    }

    /// Renames all checkpoints, so that a training starts again and nothing is lost.
    ///
    /// # Errors
    /// Names the file that cannot be renamed.
    pub fn set_checkpoints_aside(&self, why: &str) -> Result<()> {
        for path in [self.checkpoint(), self.previous_checkpoint()] {
            if path.exists() {
                set_aside(&path, why)?;
            }
        }
        Ok(())
    }

    /// How far the run has come and the checksum of its weights, as the latest checkpoint says; its
    /// tensors are not read.
    pub fn progress(&self) -> Option<(Progress, String)> {
        let paths = [self.checkpoint(), self.previous_checkpoint()];
        paths.iter().find_map(|path| checkpoint::load_progress(path).ok())
    }

    /// Why a training that came to its end may be lost with the folder: one of its checkpoints, or of
    /// those set aside, is of the end or cannot be read. None where all are of unfinished trainings.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn may_be_finished(&self) -> Result<Option<String>> {
        let context = || format!("cannot read {}", self.path.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).with_context(context)? {
            names.push(entry.with_context(context)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let why = |name: &String| match checkpoint::load_progress(&self.path.join(name)) {
            Ok((progress, _)) => {
                progress.is_finished().then(|| format!("{name} is of a finished training"))
            }
            Err(error) => Some(format!("{name} cannot be read: {}", why_unread(&error))),
        };
        Ok(names.iter().filter(|name| is_checkpoint(name)).find_map(why))
    }
}

/// Why a checkpoint cannot be read: what the system says, or that it is no whole one.
fn why_unread(error: &Error) -> String {
    match error.root_cause().downcast_ref::<std::io::Error>() {
        Some(cause) if cause.kind() != ErrorKind::UnexpectedEof => cause.to_string(),
        _ => "it is cut or damaged".to_string(),
    }
}

/// Whether a file is a checkpoint, one set aside too, by its name; one that is being written is none.
fn is_checkpoint(name: &str) -> bool {
    name.starts_with("checkpoint") && !name.ends_with(".part")
}

/// Renames `path` to a name with the extension `why`, and a number where there is one already.
fn set_aside(path: &Path, why: &str) -> Result<PathBuf> {
    let mut aside = path.with_extension(why);
    let mut number = 1;
    while aside.exists() {
        number += 1;
        aside = path.with_extension(format!("{why}-{number}"));
    }
    fs::rename(path, &aside).with_context(|| format!("cannot rename {}", path.display()))?;
    Ok(aside)
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Loaded {
    /// How far it has come.
    pub progress: Progress,
    /// Its tensors by name.
    pub tensors: Vec<(String, Tensor)>,
}

/// All run folders under `runs`, by name.
///
/// # Errors
/// When the folder is there but cannot be read.
pub fn list_runs(runs: &Path) -> Result<Vec<RunFolder>> {
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let context = || format!("cannot read {}", runs.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(runs).with_context(context)? {
        let folder = RunFolder::at(entry.with_context(context)?.path());
        if folder.is_run() {
            folders.push(folder);
        }
    }
    folders.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(folders)
}

/// The run that a person means: a run folder, a folder that holds exactly one, or an unambiguous
/// beginning of a run's name under `runs`.
///
/// # Errors
/// When there is none or more than one; lists the candidates.
pub fn find_run(whole: &str, runs: &Path) -> Result<RunFolder> {
    let direct = RunFolder::at(whole);
    if direct.is_run() {
        return Ok(direct);
    }
    if direct.path.is_dir()
        && let [only] = &list_runs(&direct.path)?[..]
    {
        return Ok(only.clone());
    }
    // `runs/msdnet` is a beginning too.
    let which = Path::new(whole).strip_prefix(runs).ok();
    find_named_run(which.and_then(Path::to_str).unwrap_or(whole), runs)
}

/// The run under `runs` whose name is `which`, or alone begins so.
///
/// # Errors
/// When there is none or more than one; lists the candidates.
pub fn find_named_run(which: &str, runs: &Path) -> Result<RunFolder> {
    let name_of = RunFolder::name;
    let all = list_runs(runs)?;
    if let Some(own) = all.iter().find(|folder| folder.name() == which) {
        return Ok(own.clone());
    }
    let begins = |f: &&RunFolder| !which.is_empty() && name_of(f).starts_with(which);
    let found: Vec<&RunFolder> = all.iter().filter(begins).collect();
    match found[..] {
        [only] => Ok(only.clone()),
        [] => {
            let shown: Vec<String> = all.iter().take(8).map(name_of).collect();
            let known =
                if shown.is_empty() { "there are none".to_string() } else { shown.join(", ") };
            let names: Vec<String> = all.iter().map(name_of).collect();
            let hint = did_you_mean(which, names.iter().map(String::as_str));
            bail!(
                "no run under {} begins with \"{which}\"{hint} ({known}); `repro runs list` shows all",
                runs.display()
            )
        }
        _ => {
            let names: Vec<String> = found.iter().map(|f| f.name()).collect();
            bail!("\"{which}\" is the beginning of {} runs: {}", found.len(), names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_never_replaces_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        for text in ["one", "two"] {
            fs::write(&path, text).unwrap();
            set_aside(&path, "damaged").unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("checkpoint.damaged"), "one");
        assert_eq!(read("checkpoint.damaged-2"), "two");
    }
}
