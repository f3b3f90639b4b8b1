//! An image folder's classes and files: `train/CLASS/*.jpg`, and `test/` or `val/` alike. No image is opened.
//!
//! Hidden entries, whose names begin with a dot, are skipped everywhere.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Extensions of images, in lower case.
pub const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// The names of the classes: the folders in `train/`, in alphabetical order, which is the order of the labels.
///
/// # Errors
/// A missing folder, or one without class folders: with what was expected there.
pub fn classes(folder: &Path) -> Result<Vec<String>> {
    Ok(class_folders(folder)?.iter().map(|path| name(path)).collect())
}

/// The folders in `train/`, in the order of their labels.
///
/// # Errors
/// Those of [`classes`].
pub(super) fn class_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let train = folder.join("train");
    let (classes, _) = folders_and_files(&train)?;
    ensure!(
        !classes.is_empty(),
        "{} has no folder in it; expected one folder a class, each with its images",
        train.display()
    );
    Ok(classes)
}

/// The last part of a path, for people.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The number of training images, by their extensions.
///
/// # Errors
/// A folder that cannot be listed.
pub fn training_images(folder: &Path) -> Result<usize> {
    let mut images = 0;
    let train = folder.join("train");
    for class in class_folders(folder)? {
        images += below(&class, Some(&train), &mut LeftOut::default())?.len();
    }
    Ok(images)
}

/// What is not read: files that are no images by their extensions, counted by extension, and a folder of images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    files: BTreeMap<String, usize>,
    /// Why `test/` or `val/` is not read, for people, where both are there.
    pub(super) part: Option<String>,
}

impl LeftOut {
    /// Counts a file.
    pub(super) fn add(&mut self, path: &Path) {
        let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy()));
        *self.files.entry(extension.unwrap_or_else(|| "no extension".to_string())).or_default() +=
            1;
    }

    /// For people; none where nothing is left out.
    pub fn describe(&self) -> Option<String> {
        let told: Vec<String> =
            self.describe_files().into_iter().chain(self.part.clone()).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn describe_files(&self) -> Option<String> {
        let each = self.files.iter().map(|(extension, count)| format!("{extension}: {count}"));
        let each: Vec<String> = each.collect();
        let total: usize = self.files.values().sum();
        let files = if total == 1 { "1 file is" } else { &format!("{total} files are") };
        (total > 0).then(|| {
            format!(
                "{files} left out ({}); images are .{}",
                each.join(", "),
                EXTENSIONS.join(", .")
            )
        })
    }
}

/// The images in a folder and at any depth below it, by name and then by path, so that it does not matter
/// how deep they lie. A link that leads back to a folder around it is passed over; so is one that leads to
/// `classes`, the folder that a class lies in, which may itself be a link to elsewhere.
///
/// # Errors
/// A folder that cannot be listed.
pub(super) fn below(
    folder: &Path,
    classes: Option<&Path>,
    left_out: &mut LeftOut,
) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    let around = classes.and_then(|classes| classes.canonicalize().ok());
    gather(folder, &mut around.into_iter().collect(), &mut images, left_out)?;
    images.sort_by(|a, b| a.file_name().cmp(&b.file_name()).then_with(|| a.cmp(b)));
    Ok(images)
}

/// `above` are the real paths of the folders around this one.
fn gather(
    folder: &Path,
    above: &mut Vec<PathBuf>,
    images: &mut Vec<PathBuf>,
    left_out: &mut LeftOut,
) -> Result<()> {
    let real =
        folder.canonicalize().with_context(|| format!("cannot list {}", folder.display()))?;
    if above.iter().any(|above| above.starts_with(&real)) {
        return Ok(());
    }
    above.push(real);
    for path in entries(folder)? {
        if path.is_dir() {
            gather(&path, above, images, left_out)?;
        } else if is_no_file(&path) {
            *left_out.files.entry("no regular file".to_string()).or_default() += 1;
        } else if is_image(&path) {
            images.push(path);
        } else {
            left_out.add(&path);
        }
    }
    above.pop();
    Ok(())
}

/// Whether a path, its links followed, is a pipe, a socket or a device. Reading one may never end.
fn is_no_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file())
}

/// What systems and programs put beside a person's files without a dot before it.
const KEPT_BY_SYSTEMS: [&str; 7] = [
    "__MACOSX",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "__pycache__",
];

/// Whether a path is what programs keep for themselves: its name begins with a dot, such as
/// `.ipynb_checkpoints` and `._1.jpg`, or is known.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name: &OsStr| {
        name.as_encoded_bytes().starts_with(b".")
            || KEPT_BY_SYSTEMS.iter().any(|kept| name == *kept)
    })
}

/// Whether a file's extension is an image's.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// The paths in a folder, in order and without hidden ones.
///
/// # Errors
/// A folder that cannot be listed.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot list {}", folder.display());
    let listing = std::fs::read_dir(folder).with_context(context)?;
    let paths = listing.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<std::io::Result<_>>().with_context(context)?;
    paths.retain(|path| !is_hidden(path));
    paths.sort();
    Ok(paths)
}

/// The folders of the classes and the files beside them in `train/`, `test/` or `val/`.
///
/// # Errors
/// A folder that cannot be listed: with what was expected there.
pub(super) fn folders_and_files(place: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let entries = entries(place).context(
        "an image folder holds train/ and test/ (or val/), each with one folder a class",
    )?;
    if let Some(gone) = entries.iter().find(|path| path.metadata().is_err()) {
        bail!("{} cannot be read: it is a link to nothing, or its disk is gone", gone.display());
    }
    Ok(entries.into_iter().partition(|path| path.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_and_systems_keep_for_themselves_is_hidden() {
        for name in [".DS_Store", "._1.jpg", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found"] {
            assert!(is_hidden(&Path::new("train").join(name)), "{name}");
        }
        for name in ["cat", "@home", "macosx", "lost", "a.b"] {
            assert!(!is_hidden(&Path::new("train").join(name)), "{name}");
        }
    }
}
