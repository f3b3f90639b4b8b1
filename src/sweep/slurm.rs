//! A manifest as a Slurm job array, with the figures drawn by a job that depends on it.
//!
//! The scheduling is Slurm's: a task that nears its time limit gets USR1, saves, and puts
//! itself back in the queue; a preempted one is put back by Slurm. Either way it goes on where it
//! was saved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::manifest::Line;
use crate::results::atomic;
use crate::runs::Places;

/// Seconds before the time limit at which a task is asked to save.
const NOTICE: u32 = 120;

/// What is asked of Slurm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slurm {
    /// Partition; none = the cluster's default.
    pub partition: Option<String>,
    /// Generic resources of a task, such as `gpu:1`.
    pub gres: Option<String>,
    /// Time limit of a task; it is requeued until it is done.
    pub time: Option<String>,
    /// Processors of a task, which is also its threads.
    pub cpus: usize,
    /// Tasks at a time; none = as many as the cluster gives.
    pub parallel: Option<usize>,
    /// Device of a task.
    pub device: String,
}

impl Slurm {
    /// Refuses counts of 0, empty values, and values that would add lines to the script.
    fn check(&self) -> Result<()> {
        ensure!(self.cpus > 0, "--cpus: a task needs at least 1 processor");
        ensure!(self.parallel != Some(0), "--parallel: at least 1 task at a time");
        let Slurm { partition, gres, time, .. } = self;
        for (name, value) in [("partition", partition), ("gres", gres), ("time", time)] {
            let is_fine =
                |text: &String| !text.trim().is_empty() && !text.contains(char::is_control);
            ensure!(
                value.as_ref().is_none_or(is_fine),
                "--{name} is empty or has a line break or another control character"
            );
        }
        if let Some(time) = time {
            let minutes = minutes(time).with_context(|| {
                format!(
                    "--time: {time} is no time as Slurm writes it: minutes, hours:minutes:seconds or days-hours, such as \
                     90, 1:30:00 or 2-12"
                )
            })?;
            ensure!(
                minutes >= SHORTEST,
                "--time: {time} is shorter than {SHORTEST} minutes, and a task is asked to save 2 to 3 minutes before its \
                 limit"
            );
        }
        Ok(())
    }
}

/// Minutes of a task, at least.
const SHORTEST: f64 = 5.0;

/// A time as Slurm reads it, in minutes: days before a dash, then up to three numbers with colons between
/// them, which are hours first after days and where there are three, else minutes first.
fn minutes(text: &str) -> Option<f64> {
    if ["infinite", "unlimited"].iter().any(|none| text.eq_ignore_ascii_case(none)) {
        return Some(f64::INFINITY);
    }
    let number = |part: &str| -> Option<f64> {
        let is_number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let parts: Vec<f64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let first = if days.is_some() || parts.len() == 3 { 60.0 } else { 1.0 };
    let weights = [first, first / 60.0, first / 3600.0];
    let sum: f64 = parts.iter().zip(weights).map(|(part, weight)| part * weight).sum();
    (parts.len() <= 3).then_some(days.unwrap_or(0.0) * 1440.0 + sum)
}

/// Refuses an index that Slurm does not take before anything is submitted, where Slurm can be asked.
fn check_indices(runs: usize, indices: &[usize]) -> Result<()> {
    let output = Command::new("scontrol").args(["show", "config"]).output();
    let text = output.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned());
    let last = indices.last().copied().unwrap_or(0);
    if let Some(size) = text.lines().find_map(max_array_size) {
        ensure!(
            last < size,
            "Slurm's MaxArraySize is {size} here, so indices end at {}, and the manifest's {runs} runs go up to \
             {last}; plan at most {size} runs at a time (`repro sweep plan` with fewer --seeds or experiments)",
            size.saturating_sub(1)
        );
    }
    Ok(())
}

/// The number in a line of `scontrol show config`.
fn max_array_size(line: &str) -> Option<usize> {
    let (key, value) = line.split_once('=')?;
    (key.trim() == "MaxArraySize").then(|| value.trim().parse().ok())?
}

/// The jobs of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    /// The arrays' numbers, separated by commas.
    array: String,
    collect: String,
}

/// The folder beside a manifest that holds its scripts, logs and job numbers.
fn folder_of(manifest: &Path) -> PathBuf {
    let name = manifest.file_name().unwrap_or_default();
    manifest.with_file_name(atomic::with_ending(name, ".slurm"))
}

fn jobs_json(manifest: &Path) -> PathBuf {
    folder_of(manifest).join("jobs.json")
}

/// Writes the scripts and, unless it is a `dry_run`, submits them. `indices` are those of the runs
/// that are neither done nor under way. Returns what is to be printed.
///
/// # Errors
/// When nothing is left to do, or a file cannot be written; what sbatch says when it refuses.
pub fn submit(
    manifest: &Path,
    lines: &[Line],
    indices: &[usize],
    places: &Places,
    slurm: &Slurm,
    dry_run: bool,
) -> Result<String> {
    ensure!(
        !indices.is_empty(),
        "all {} runs are done; `repro sweep collect {}` draws the figures",
        lines.len(),
        manifest.display()
    );
    let manifest = absolute(manifest)?;
    let scripts = Scripts {
        program: absolute(&std::env::current_exe().context("where this program is")?)?,
        logs: folder_of(&manifest),
        manifest: manifest.clone(),
        places: places.clone(),
    };
    scripts.check_paths()?;
    slurm.check()?;
    check_indices(lines.len(), indices)?;
    let (array, collect) = (scripts.array(indices, slurm), scripts.collect(slurm));
    if dry_run {
        return Ok(format!("{array}\n{collect}"));
    }
    let earlier = jobs_of(&manifest).filter(|jobs| !queued(jobs).is_empty());
    atomic::create_folder(&scripts.logs)?;
    let (array_sh, collect_sh) = (scripts.logs.join("array.sh"), scripts.logs.join("collect.sh"));
    atomic::write(&array_sh, array.as_bytes())?;
    atomic::write(&collect_sh, collect.as_bytes())?;
    let array = sbatch(&[], &array_sh)?;
    // After any end of the tasks: a figure without one run is better than none.
    let collect = sbatch(&[format!("--dependency=afterany:{array}")], &collect_sh).with_context(|| {
        format!("job {array} is submitted, but the job that draws the figures is not; `scancel {array}` takes it back")
    })?;
    let told = format!(
        "job {array}: {} tasks; job {collect}: the figures, once they have ended\n\
         `repro sweep status {}` shows how far they are; logs in {}\n",
        indices.len(),
        manifest.display(),
        scripts.logs.display()
    );
    let lost = || {
        format!(
            "jobs {array} and {collect} are submitted, but `repro sweep status` will not know them"
        )
    };
    // Tasks that are still in the queue are asked for too.
    let all = earlier.map_or(array.clone(), |earlier| format!("{array},{}", earlier.array));
    let jobs = serde_json::to_string(&Jobs { array: all, collect: collect.clone() })?;
    atomic::write(&jobs_json(&manifest), format!("{jobs}\n").as_bytes()).with_context(lost)?;
    Ok(told)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| path.display().to_string())
}

fn sbatch(options: &[String], script: &Path) -> Result<String> {
    let output =
        Command::new("sbatch").arg("--parsable").args(options).arg(script).output().context(
            "cannot start sbatch; is Slurm installed here? --dry-run prints the scripts",
        )?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("sbatch {}: {}", script.display(), said.trim());
    }
    // JOB, or JOB;CLUSTER.
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.trim().split(';').next().unwrap_or_default().to_string())
}

struct Scripts {
    program: PathBuf,
    manifest: PathBuf,
    logs: PathBuf,
    places: Places,
}

impl Scripts {
    fn array(&self, indices: &[usize], slurm: &Slurm) -> String {
        let at_a_time = slurm.parallel.map_or(String::new(), |n| format!("%{n}"));
        format!(
            include_str!("array.sh"),
            indices = ranges(indices) + &at_a_time,
            notice = NOTICE,
            cpus = slurm.cpus,
            output = self.output("%A_%a.log"),
            options = options(&[
                ("partition", &slurm.partition),
                ("gres", &slurm.gres),
                ("time", &slurm.time)
            ]),
            program = quoted(&self.program),
            manifest = quoted(&self.manifest),
            device = slurm.device,
            folders = self.folders(),
        )
    }

    fn collect(&self, slurm: &Slurm) -> String {
        format!(
            include_str!("collect.sh"),
            cpus = slurm.cpus,
            output = self.output("collect.log"),
            options = options(&[("partition", &slurm.partition)]),
            program = quoted(&self.program),
            manifest = quoted(&self.manifest),
            folders = self.folders(),
            out = quoted(&self.places.out),
        )
    }

    /// Where a job's output goes; `pattern` may hold what Slurm replaces, and the folder's name may not.
    fn output(&self, pattern: &str) -> String {
        let folder = self.logs.display().to_string().replace('%', "%%");
        word(&format!("--output={folder}/{pattern}"))
    }

    /// A script is text, a line of it ends at a line break, and after a backslash Slurm replaces
    /// nothing in the name of a log.
    fn check_paths(&self) -> Result<()> {
        let places = [&self.places.runs, &self.places.data, &self.places.out];
        for path in [&self.program, &self.manifest, &self.logs].into_iter().chain(places) {
            let text = path.to_str().filter(|text| !text.contains(['\\', '\n', '\r']));
            ensure!(
                text.is_some(),
                "Slurm's scripts cannot name {}: it has a backslash, a line break or letters that are not UTF-8",
                path.display()
            );
        }
        Ok(())
    }

    fn folders(&self) -> String {
        format!("--runs {} --data {}", quoted(&self.places.runs), quoted(&self.places.data))
    }
}

/// A line for each option that has a value.
fn options(all: &[(&str, &Option<String>)]) -> String {
    let given = all.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    given.map(|(key, value)| format!("#SBATCH {}\n", word(&format!("--{key}={value}")))).collect()
}

/// An option as one word of a line that begins with `#SBATCH`: quotes as a shell has them, with a
/// backslash before what would end or change them.
fn word(option: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:%@+".contains(c);
    if option.chars().all(is_plain) {
        return option.to_string();
    }
    let mut quoted = String::from('"');
    for letter in option.chars() {
        if matches!(letter, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Ascending numbers as Slurm writes them: 0-3,7.
fn ranges(indices: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => ranges.push((index, index)),
        }
    }
    let word = |&(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(word).collect::<Vec<_>>().join(",")
}

/// What Slurm's queue says of each index of a submitted manifest; nothing where it was not
/// submitted or no queue can be asked.
pub fn queue_of(manifest: &str) -> HashMap<usize, String> {
    jobs_of(Path::new(manifest)).map_or(HashMap::new(), |jobs| queued(&jobs))
}

fn jobs_of(manifest: &Path) -> Option<Jobs> {
    let text = std::fs::read_to_string(jobs_json(manifest)).ok()?;
    serde_json::from_str(&text).ok()
}

fn queued(jobs: &Jobs) -> HashMap<usize, String> {
    let output = Command::new("squeue")
        .args(["--noheader", "--array", "--format=%K|%T|%r", "--jobs"])
        .arg(&jobs.array)
        .output();
    let text = output.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned());
    text.lines().filter_map(task).collect()
}

fn task(line: &str) -> Option<(usize, String)> {
    let mut fields = line.trim().split('|');
    let index = fields.next()?.parse().ok()?;
    let state = fields.next()?.to_lowercase();
    let why = fields.next().filter(|why| !why.is_empty() && *why != "None");
    let why = why.map_or(String::new(), |why| format!(" ({why})"));
    Some((index, format!("{state}{why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_none_are_refused() {
        let fine = Slurm { cpus: 1, ..Slurm::default() };
        assert!(fine.check().is_ok());
        let text = |text: &str| Some(text.to_string());
        for time in ["90", "1:30:00", "2-12", "2-12:30:00", "UNLIMITED"] {
            assert!(Slurm { time: text(time), ..fine.clone() }.check().is_ok(), "{time}");
        }
        for wrong in [
            Slurm { cpus: 0, ..fine.clone() },
            Slurm { parallel: Some(0), ..fine.clone() },
            Slurm { time: text(""), ..fine.clone() },
            Slurm { time: text("soon"), ..fine.clone() },
            Slurm { time: text("1:2:3:4"), ..fine.clone() },
            Slurm { time: text("2"), ..fine.clone() },
            Slurm { partition: text("a\n#SBATCH --uid=0"), ..fine.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_is_read_as_slurm_reads_it() {
        for (text, expected) in [
            ("90", 90.0),
            ("90:30", 90.5),
            ("1:30:00", 90.0),
            ("2-12", 3600.0),
            ("1-0:30", 1470.0),
            ("0-1:2:30", 62.5),
        ] {
            assert_eq!(minutes(text), Some(expected), "{text}");
        }
        assert_eq!(["", "1:", "-1", "1h", "1:2:3:4"].map(minutes), [None; 5]);
    }

    #[test]
    fn indices_that_follow_one_another_are_written_as_a_range() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!(ranges(&[5]), "5");
    }

    #[test]
    fn a_line_of_the_queue_names_the_index_and_why_it_waits() {
        assert_eq!(task("3|PENDING|Resources"), Some((3, "pending (Resources)".to_string())));
        assert_eq!(task("11|RUNNING|None"), Some((11, "running".to_string())));
        assert_eq!(task("N/A|PENDING|Priority"), None);
    }

    fn scripts(folder: &str) -> Scripts {
        let folder = PathBuf::from(folder);
        Scripts {
            program: "/bin/repro".into(),
            manifest: folder.join("m.jsonl"),
            logs: folder_of(&folder.join("m.jsonl")),
            places: Places {
                out: folder.join("results"),
                runs: folder.join("runs"),
                data: folder.join("data"),
            },
        }
    }

    #[test]
    fn every_line_for_sbatch_is_one_word_and_every_path_is_read_back() {
        for folder in ["/a/b", "/my project", "/50% $HOME `x`", "/it's \"q\" #1", "/gr\u{fc}n*"] {
            let scripts = scripts(folder);
            scripts.check_paths().unwrap();
            let asked = Slurm { partition: Some("a b".into()), cpus: 1, ..Slurm::default() };
            for script in [scripts.array(&[0, 2], &asked), scripts.collect(&asked)] {
                for line in script.lines().filter_map(|line| line.strip_prefix("#SBATCH ")) {
                    let program = format!("set -- {line}; printf '%s\\n' $# \"$1\"");
                    let shell = Command::new("bash").arg("-c").arg(program).output().unwrap();
                    let said = String::from_utf8(shell.stdout).unwrap();
                    let (words, option) = said.split_once('\n').unwrap();
                    assert_eq!(words, "1", "{line}");
                    if let Some(log) = option.trim_end().strip_prefix("--output=") {
                        let log = log.replace("%%", "%");
                        assert!(log.starts_with(&format!("{folder}/m.jsonl.slurm/")), "{log}");
                    }
                }
                let end = format!("--data {}", quoted(&scripts.places.data));
                assert!(script.contains(&end), "{script}");
            }
        }
        for odd in ["/a\\b", "/a\nb"] {
            let error = scripts(odd).check_paths().unwrap_err().to_string();
            assert!(error.contains("a backslash, a line break"), "{error}");
        }
    }

    #[test]
    fn the_largest_array_is_read_from_slurms_configuration() {
        assert_eq!(max_array_size("MaxArraySize            = 1001"), Some(1001));
        assert_eq!(max_array_size("MaxJobCount             = 10000"), None);
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
