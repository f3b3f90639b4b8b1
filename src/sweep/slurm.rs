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
use sha2::{Digest, Sha256};

use super::asked::Slurm;
use super::manifest::{Line, manifest_text};
use super::scripts::Scripts;
use crate::data::hex;
use crate::results::atomic;
use crate::runs::Places;

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

/// The jobs of a manifest's runs as they are now; another one in its place has another digest.
fn jobs_json(manifest: &Path, digest: &str) -> PathBuf {
    folder_of(manifest).join(format!("{digest}.json"))
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
    let (logs, digest) = (folder_of(&manifest), digest_of(lines)?);
    let scripts = Scripts {
        program: absolute(&std::env::current_exe().context("where this program is")?)?,
        // A copy: another manifest may be written in its place while tasks wait.
        manifest: match dry_run {
            true => manifest.clone(),
            false => logs.join(format!("{digest}.jsonl")),
        },
        logs,
        places: places.clone(),
    };
    scripts.check_paths()?;
    slurm.check()?;
    check_indices(lines.len(), indices)?;
    let (array, collect) = (scripts.array(indices, slurm), scripts.collect(slurm));
    if dry_run {
        return Ok(format!("{array}\n{collect}"));
    }
    let earlier = jobs_of(&manifest, &digest).filter(|jobs| !queued(jobs).is_empty());
    atomic::create_folder(&scripts.logs)?;
    atomic::write(&scripts.manifest, manifest_text(lines)?.as_bytes())?;
    let Jobs { array, collect } = put_in_queue(&scripts.logs, &array, &collect)?;
    let told = format!(
        "job {array}: {} tasks; job {collect}: the figures, once they have ended\n\
         `repro sweep status {}` shows how far they are; logs in {}\n",
        indices.len(),
        manifest.display(),
        scripts.logs.display()
    );
    let lost = format!(
        "jobs {array} and {collect} are submitted, but `repro sweep status` will not know them"
    );
    // `squeue` is asked about the earlier array's tasks too, while they are queued.
    let array = earlier.map_or(array.clone(), |earlier| format!("{array},{}", earlier.array));
    let jobs = serde_json::to_string(&Jobs { array, collect })?;
    atomic::write(&jobs_json(&manifest, &digest), format!("{jobs}\n").as_bytes()).context(lost)?;
    Ok(told)
}

/// Writes the two scripts into `logs` and submits them.
fn put_in_queue(logs: &Path, array: &str, collect: &str) -> Result<Jobs> {
    let (array_sh, collect_sh) = (logs.join("array.sh"), logs.join("collect.sh"));
    atomic::write(&array_sh, array.as_bytes())?;
    atomic::write(&collect_sh, collect.as_bytes())?;
    let array = sbatch(&[], &array_sh)?;
    // After any end of the tasks: a figure without one run is better than none.
    let collect = sbatch(&[format!("--dependency=afterany:{array}")], &collect_sh).with_context(|| {
        format!("job {array} is submitted, but the job that draws the figures is not; `scancel {array}` takes it back")
    })?;
    Ok(Jobs { array, collect })
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

/// What Slurm's queue says of each index of a submitted manifest; nothing where it was not
/// submitted as it is now, or no queue can be asked.
pub fn queue_of(manifest: &str, lines: &[Line]) -> HashMap<usize, String> {
    let jobs = digest_of(lines).ok().and_then(|digest| jobs_of(Path::new(manifest), &digest));
    jobs.map_or(HashMap::new(), |jobs| queued(&jobs))
}

/// The digest of a manifest's runs, short as a run's.
fn digest_of(lines: &[Line]) -> Result<String> {
    let ids: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    Ok(hex(&Sha256::digest(serde_json::to_vec(&ids)?))[..16].to_string())
}

fn jobs_of(manifest: &Path, digest: &str) -> Option<Jobs> {
    let text = std::fs::read_to_string(jobs_json(manifest, digest)).ok()?;
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
    fn a_line_of_the_queue_names_the_index_and_why_it_waits() {
        assert_eq!(task("3|PENDING|Resources"), Some((3, "pending (Resources)".to_string())));
        assert_eq!(task("11|RUNNING|None"), Some((11, "running".to_string())));
        assert_eq!(task("N/A|PENDING|Priority"), None);
    }

    #[test]
    fn the_largest_array_is_read_from_slurms_configuration() {
        assert_eq!(max_array_size("MaxArraySize            = 1001"), Some(1001));
        assert_eq!(max_array_size("MaxJobCount             = 10000"), None);
    }
}
