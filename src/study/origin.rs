//! Which experiment the results in a folder belong to, so that another file of the same name does
//! not write over them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::experiment::file_of;
use crate::results::atomic;
use crate::runs::tell;

/// What the first line of `experiment.yaml` begins with; the file's path follows, as seen from the
/// results.
const MARK: &str = "# Of ";
/// The ways out where a folder is not this experiment's.
const AWAY: &str = "give another --out, or move it away";
const BUILT_IN: &str = "the built-in experiment";

/// Where an experiment was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its file; none for a built-in one.
    file: Option<PathBuf>,
}

impl Origin {
    /// Where `which` is read from.
    pub fn of(which: &str) -> Result<Origin> {
        let file = file_of(which).map(|file| {
            file.canonicalize().with_context(|| format!("cannot read {}", file.display()))
        });
        Ok(Origin { file: file.transpose()? })
    }

    /// Takes the folder of results for this experiment, whose text is `effective`. Results of the
    /// same file with other settings will be replaced, and a message says so.
    ///
    /// # Errors
    /// Those of [`Origin::check`].
    pub fn claim(&self, folder: &Path, effective: &str) -> Result<()> {
        let replaces = self.check(folder, effective)?;
        if !folder.join("figure.csv").is_file() {
            return self.write(folder, effective);
        }
        if replaces {
            tell(format!(
                "{}: the results here were made with other settings and will be replaced",
                folder.display()
            ));
        }
        Ok(())
    }

    /// Writes `experiment.yaml`.
    ///
    /// # Errors
    /// Those of [`Origin::check`]: another process may have claimed the folder meanwhile.
    pub fn write(&self, folder: &Path, effective: &str) -> Result<()> {
        self.check(folder, effective)?;
        let text = format!("{MARK}{}\n{effective}", self.seen_from(folder)?);
        atomic::write(&place(folder), text.as_bytes())
    }

    /// Whether other settings of the same file are in the folder.
    ///
    /// # Errors
    /// When the folder holds the results of another file that says something else, or files of which
    /// it is not known whose they are.
    pub fn check(&self, folder: &Path, effective: &str) -> Result<bool> {
        let place = place(folder);
        let is_drawn = folder.join("run.json").is_file();
        let text = match fs::read(&place) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let stranger = stranger(folder).filter(|_| !is_drawn);
                ensure!(
                    stranger.is_none(),
                    "{} is there, and no experiment.yaml beside it says of which experiment; {AWAY}",
                    stranger.unwrap_or_default().display()
                );
                return Ok(false);
            }
            Err(error) => return Err(error).with_context(|| place.display().to_string()),
        };
        let marked = text.strip_prefix(MARK).and_then(|text| text.split_once('\n'));
        ensure!(
            marked.is_some() || is_drawn || is_experiment(&text),
            "{} is no experiment; {AWAY}",
            place.display()
        );
        let (origin, found) = marked.map_or((None, text.as_str()), |(o, text)| (Some(o), text));
        if found == effective {
            return Ok(false);
        }
        let own = self.seen_from(folder)?;
        // Results from before origins were kept are taken for the file's own.
        let origin = origin.unwrap_or(&own);
        ensure!(
            origin == own,
            "{} holds the results of another experiment of this name, {}; \
             give another --out, or rename one of the two files",
            folder.display(),
            shown(folder, origin)
        );
        Ok(true)
    }

    /// The file's path relative to the folder, which stays right when both are moved.
    fn seen_from(&self, folder: &Path) -> Result<String> {
        let Some(file) = &self.file else {
            return Ok(BUILT_IN.to_string());
        };
        let folder =
            folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
        let shared = file.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
        let up = folder.components().skip(shared).map(|_| Component::ParentDir);
        let path: PathBuf = up.chain(file.components().skip(shared)).collect();
        // A line of text, whatever the name.
        Ok(path.to_string_lossy().replace(char::is_control, "\u{fffd}"))
    }
}

/// Whether a text without a mark is an experiment's all the same.
fn is_experiment(text: &str) -> bool {
    serde_yaml::from_str::<Value>(text).is_ok_and(|value| value["figure"].is_string())
}

/// A file in the folder that a figure would replace or remove.
fn stranger(folder: &Path) -> Option<PathBuf> {
    const NAMES: [&str; 10] = [
        "figure.csv",
        "figure.svg",
        "figure.png",
        "claims.csv",
        "costs.csv",
        "exits.csv",
        "exits_taken.csv",
        "learning.csv",
        "positions.csv",
        "summary.csv",
    ];
    NAMES.iter().map(|name| folder.join(name)).find(|file| file.exists())
}

/// The experiment's file, as `experiment.yaml` in the folder of its results says and as seen from
/// there; none of a built-in experiment, and where nothing is said.
pub fn file_seen_from(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(place(folder)).ok()?;
    let (origin, _) = text.strip_prefix(MARK)?.split_once('\n')?;
    (origin != BUILT_IN).then(|| origin.to_string())
}

fn place(folder: &Path) -> PathBuf {
    folder.join("experiment.yaml")
}

/// A path as seen from the folder, for people.
fn shown(folder: &Path, origin: &str) -> String {
    if origin == BUILT_IN {
        return origin.to_string();
    }
    let path = folder.join(origin);
    path.canonicalize().unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_its_own_results_and_another_of_its_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a/exp.yaml", "b/exp.yaml"] {
            fs::create_dir(dir.path().join(file).parent().unwrap()).unwrap();
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let of = |file: &str| Origin::of(dir.path().join(file).to_str().unwrap()).unwrap();
        let (a, b, built_in) = (of("a/exp.yaml"), of("b/../b/exp.yaml"), Origin { file: None });
        let folder = dir.path().join("results/exp");
        fs::create_dir_all(&folder).unwrap();
        a.claim(&folder, "epochs: 1\n").unwrap();
        a.claim(&folder, "epochs: 2\n").unwrap();
        let text = fs::read_to_string(place(&folder)).unwrap();
        assert_eq!(text, "# Of ../../a/exp.yaml\nepochs: 2\n");
        fs::write(folder.join("figure.csv"), "").unwrap();
        for other in [&b, &built_in] {
            let error = other.claim(&folder, "epochs: 3\n").unwrap_err().to_string();
            assert!(error.contains("a/exp.yaml") && error.contains("--out"), "{error}");
            assert!(other.write(&folder, "epochs: 3\n").is_err());
            other.claim(&folder, "epochs: 2\n").unwrap();
        }
        assert!(a.check(&folder, "epochs: 3\n").unwrap());
        a.claim(&folder, "epochs: 3\n").unwrap();
        assert_eq!(fs::read_to_string(place(&folder)).unwrap(), text, "until the figure is made");
        a.write(&folder, "epochs: 3\n").unwrap();
        assert!(!a.check(&folder, "epochs: 3\n").unwrap());
    }

    #[test]
    fn results_without_an_origin_are_the_files_own() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(place(dir.path()), "figure: anytime\n").unwrap();
        assert!(Origin { file: None }.check(dir.path(), "epochs: 2\n").unwrap());
    }

    #[test]
    fn files_of_which_it_is_not_known_whose_they_are_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let built_in = Origin { file: None };
        let refused = || built_in.claim(dir.path(), "epochs: 1\n").unwrap_err().to_string();
        fs::write(dir.path().join("figure.csv"), "mine").unwrap();
        assert!(refused().contains("figure.csv is there"), "{}", refused());
        fs::write(place(dir.path()), b"my notes\xff").unwrap();
        assert!(refused().contains("experiment.yaml is no experiment"), "{}", refused());
        assert_eq!(fs::read(place(dir.path())).unwrap(), b"my notes\xff");
        // A figure was drawn here, and its experiment.yaml is lost.
        fs::remove_file(place(dir.path())).unwrap();
        fs::write(dir.path().join("run.json"), "{}").unwrap();
        built_in.claim(dir.path(), "epochs: 1\n").unwrap();
    }
}
