//! A manifest as a Slurm job array, with the figures drawn by a job that depends on it.
//!
//! The scheduling is Slurm's: a task that nears its time limit is told by USR1, saves, and puts
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

/// Seconds before the time limit at which a task is told to save.
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

/// The jobs of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    array: String,
    collect: String,
}

/// The folder beside a manifest that holds its scripts, logs and job numbers.
fn folder_of(manifest: &Path) -> PathBuf {
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    manifest.with_file_name(format!("{name}.slurm"))
}

fn jobs_json(manifest: &Path) -> PathBuf {
    folder_of(manifest).join("jobs.json")
}

/// Writes the scripts and, unless it is a `dry_run`, submits them. `indices` are those of the runs
/// that are not done. Returns what is to be printed.
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
    let (array, collect) = (scripts.array(indices, slurm), scripts.collect(slurm));
    if dry_run {
        return Ok(format!("{array}\n{collect}"));
    }
    atomic::create_folder(&scripts.logs)?;
    let (array_sh, collect_sh) = (scripts.logs.join("array.sh"), scripts.logs.join("collect.sh"));
    atomic::write(&array_sh, array.as_bytes())?;
    atomic::write(&collect_sh, collect.as_bytes())?;
    let array = sbatch(&[], &array_sh)?;
    // After any end of the tasks: a figure without one run is better than none.
    let collect = sbatch(&[format!("--dependency=afterany:{array}")], &collect_sh)?;
    let told = format!(
        "job {array}: {} tasks; job {collect}: the figures, once they have ended\n\
         `repro sweep status {}` shows how far they are; logs in {}\n",
        indices.len(),
        manifest.display(),
        scripts.logs.display()
    );
    let jobs = serde_json::to_string(&Jobs { array, collect })?;
    atomic::write(&jobs_json(&manifest), format!("{jobs}\n").as_bytes())?;
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
        let mut head = format!(
            "#!/bin/bash\n\
             #SBATCH --job-name=repro\n\
             #SBATCH --array={}{at_a_time}\n\
             #SBATCH --requeue\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --signal=B:USR1@{NOTICE}\n\
             #SBATCH --cpus-per-task={}\n\
             #SBATCH --output={}\n",
            ranges(indices),
            slurm.cpus,
            self.logs.join("%A_%a.log").display()
        );
        let options =
            [("partition", &slurm.partition), ("gres", &slurm.gres), ("time", &slurm.time)];
        for (key, value) in options {
            if let Some(value) = value {
                head.push_str(&format!("#SBATCH --{key}={value}\n"));
            }
        }
        format!(
            "{head}\n\
             # USR1 comes before the time limit, TERM when Slurm preempts the task; both are handed on,\n\
             # and the program saves. Only the first asks to be put back: preemption does so itself.\n\
             at_limit=no\n\
             trap 'at_limit=yes; kill -USR1 $task' USR1\n\
             trap 'kill -TERM $task' TERM\n\
             {} sweep run --manifest {} --index \"$SLURM_ARRAY_TASK_ID\" \\\n  \
             --threads {} --device {} {} &\n\
             task=$!\n\
             wait $task; code=$?\n\
             # A trap ends the first wait before the program has ended.\n\
             while kill -0 $task 2>/dev/null; do wait $task; code=$?; done\n\
             if [ $code = 75 ] && [ $at_limit = yes ]; then scontrol requeue \"$SLURM_JOB_ID\"; fi\n\
             exit $code\n",
            quoted(&self.program),
            quoted(&self.manifest),
            slurm.cpus,
            slurm.device,
            self.folders()
        )
    }

    fn collect(&self, slurm: &Slurm) -> String {
        let partition = slurm
            .partition
            .as_ref()
            .map_or(String::new(), |p| format!("#SBATCH --partition={p}\n"));
        format!(
            "#!/bin/bash\n\
             #SBATCH --job-name=repro-collect\n\
             #SBATCH --requeue\n\
             #SBATCH --cpus-per-task={}\n\
             #SBATCH --output={}\n\
             {partition}\n\
             {} sweep collect {} --threads {} --device cpu {} --out {}\n",
            slurm.cpus,
            self.logs.join("collect.log").display(),
            quoted(&self.program),
            quoted(&self.manifest),
            slurm.cpus,
            self.folders(),
            quoted(&self.places.out)
        )
    }

    fn folders(&self) -> String {
        format!("--runs {} --data {}", quoted(&self.places.runs), quoted(&self.places.data))
    }
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
    let jobs = std::fs::read_to_string(jobs_json(Path::new(manifest)));
    let Some(jobs) = jobs.ok().and_then(|text| serde_json::from_str::<Jobs>(&text).ok()) else {
        return HashMap::new();
    };
    let output = Command::new("squeue")
        .args(["--noheader", "--array", "--format=%K|%T|%r", "--jobs"])
        .arg(&jobs.array)
        .output();
    let text = output.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned());
    text.lines().filter_map(queued).collect()
}

fn queued(line: &str) -> Option<(usize, String)> {
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
    fn indices_that_follow_one_another_are_written_as_a_range() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!(ranges(&[5]), "5");
    }

    #[test]
    fn a_line_of_the_queue_names_the_index_and_why_it_waits() {
        assert_eq!(queued("3|PENDING|Resources"), Some((3, "pending (Resources)".to_string())));
        assert_eq!(queued("11|RUNNING|None"), Some((11, "running".to_string())));
        assert_eq!(queued("N/A|PENDING|Priority"), None);
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
