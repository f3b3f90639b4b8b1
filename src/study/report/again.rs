//! The command that makes a figure's results again.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::super::origin;
use crate::eval::figure::Figure;
use crate::experiment::BUILT_IN;
use crate::results::shell::word;

/// The command as it is given in the folder that the folder of results lies in.
pub(super) fn from_above(folder: &Path, figure: Figure) -> String {
    // In `./results` the dot would be the last part of a path.
    let folder = std::path::absolute(folder).unwrap_or(folder.to_path_buf());
    let (name, out) = (name_of(&folder), folder.parent().map(name_of).unwrap_or_default());
    let file = origin::file_seen_from(&folder);
    let file = file.map(|file| plain(&Path::new(&out).join(&name).join(file)));
    let out = (out != "results").then_some(out);
    command(Some(figure), file.as_deref(), &name, out.as_deref())
}

/// The command as it is given in the working directory. Where `experiment.yaml` does not say which
/// figure they are of, the experiment's file or the shipped experiment of that name does.
pub(super) fn from_here(folder: &Path) -> String {
    let read = |path: &Path| figure_of(&std::fs::read_to_string(path).ok()?);
    let (name, file) = (name_of(folder), origin::file_seen_from(folder));
    let file = file.map(|file| folder.join(file)).map(|file| file.canonicalize().unwrap_or(file));
    let shipped = || BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
    let figure = read(&folder.join("experiment.yaml"))
        .or_else(|| read(file.as_ref()?))
        .or_else(|| figure_of(shipped()?.1));
    let here = std::env::current_dir().unwrap_or_default();
    let file = file.map(|file| file.strip_prefix(here).unwrap_or(&file).to_path_buf());
    let out = folder.parent().unwrap_or(Path::new(""));
    let real = |path: &Path| path.canonicalize().ok();
    let out = (real(out) != real(Path::new("results"))).then(|| out.display().to_string());
    command(figure, file.as_deref(), &name, out.as_deref())
}

/// `out`: none for the usual folder.
fn command(figure: Option<Figure>, file: Option<&Path>, name: &str, out: Option<&str>) -> String {
    // A name is looked for in experiments/ too.
    let own = Path::new("experiments").join(format!("{name}.yaml"));
    let which = file.filter(|file| **file != own).map(|file| file.display().to_string());
    let out = out.map_or(String::new(), |out| format!(" --out {}", word(out)));
    let figure = figure.map_or("FIGURE", Figure::name);
    format!("repro {figure} {}{out}", word(which.as_deref().unwrap_or(name)))
}

/// A path without the steps up that follow a step down.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let is_down = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        if part == Component::ParentDir && is_down {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

fn figure_of(yaml: &str) -> Option<Figure> {
    let experiment: Value = serde_yaml::from_str(yaml).ok()?;
    experiment["figure"].as_str()?.parse().ok()
}

/// The last part of a folder's path.
pub(super) fn name_of(folder: &Path) -> String {
    folder.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_a_persons_own_file_are_made_again_from_that_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("drawn/tiny");
        std::fs::create_dir_all(&folder).unwrap();
        let place = folder.join("experiment.yaml");
        let own = dir.path().canonicalize().unwrap().join("my tiny.yaml");
        std::fs::write(&own, "figure: ablation\n").unwrap();
        std::fs::write(&place, "# Of ../../my tiny.yaml\nfigure: anytime\n").unwrap();
        let above = from_above(&folder, Figure::Anytime);
        assert_eq!(above, "repro anytime 'my tiny.yaml' --out drawn");
        let out = folder.parent().unwrap().display().to_string();
        let expected = |figure| format!("repro {figure} '{}' --out {}", own.display(), word(&out));
        assert_eq!(from_here(&folder), expected("anytime"));
        // Damaged: the experiment's own file says the figure.
        std::fs::write(&place, "# Of ../../my tiny.yaml\n{").unwrap();
        assert_eq!(from_here(&folder), expected("ablation"));
        for (origin, which) in [
            ("the built-in experiment", "tiny"),
            ("../../experiments/tiny.yaml", "tiny"),
            ("../tiny.yaml", "drawn/tiny.yaml"),
            ("../../../tiny.yaml", "../tiny.yaml"),
        ] {
            std::fs::write(&place, format!("# Of {origin}\n{{")).unwrap();
            let expected = format!("repro anytime {which} --out drawn");
            assert_eq!(from_above(&folder, Figure::Anytime), expected);
        }
    }
}
