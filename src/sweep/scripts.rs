//! The scripts that Slurm runs.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::asked::{NOTICE, Slurm};
use crate::results::shell;
use crate::runs::Places;

/// The two scripts of a manifest.
pub(super) struct Scripts {
    /// This program.
    pub program: PathBuf,
    /// The manifest as it was submitted.
    pub manifest: PathBuf,
    /// Folder of logs.
    pub logs: PathBuf,
    /// Folders of runs, data and figures.
    pub places: Places,
}

impl Scripts {
    /// The script of a task of each index.
    pub fn array(&self, indices: &[usize], slurm: &Slurm) -> String {
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

    /// The script that draws the figures.
    pub fn collect(&self, slurm: &Slurm) -> String {
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

    /// Refuses paths that a script cannot hold: it is UTF-8, a line break ends a line, and after a backslash
    /// Slurm does not fill in %A and %a.
    pub fn check_paths(&self) -> Result<()> {
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
    shell::word(&path.display().to_string())
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn scripts(folder: &str) -> Scripts {
        let folder = PathBuf::from(folder);
        Scripts {
            program: "/bin/repro".into(),
            manifest: folder.join("m.jsonl"),
            logs: folder.join("m.jsonl.slurm"),
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
    fn indices_that_follow_one_another_are_written_as_a_range() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!(ranges(&[5]), "5");
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
