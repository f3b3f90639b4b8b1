//! What can be told of an image folder without opening an image: `train/CLASS/*.jpg`, `test/` or `val/` alike.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Extensions of images, in lower case.
pub const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// The names of the classes: the folders in `train/`, in alphabetical order, which is the order of the labels.
///
/// # Errors
/// A missing folder, or one without class folders: with what was expected there.
pub fn classes(folder: &Path) -> Result<Vec<String>> {
    let train = folder.join("train");
    let mut names = Vec::new();
    for path in entries(&train)? {
        if path.is_dir()
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    ensure!(
        !names.is_empty(),
        "{} has no folder in it; expected one folder a class, each with its images",
        train.display()
    );
    names.sort();
    Ok(names)
}

/// The number of training images, by their extensions.
///
/// # Errors
/// A folder that cannot be listed.
pub fn training_images(folder: &Path) -> Result<usize> {
    let mut images = 0;
    for class in entries(&folder.join("train"))? {
        if class.is_dir() {
            images += entries(&class)?.iter().filter(|path| is_image(path)).count();
        }
    }
    Ok(images)
}

/// Whether a file's extension is an image's.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// The paths in a folder.
///
/// # Errors
/// A folder that cannot be listed.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).with_context(|| {
        format!(
            "cannot list {}; an image folder holds train/ and test/ (or val/), each with one folder a class",
            folder.display()
        )
    })?;
    let paths = listing.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("cannot list {}", folder.display()))
}
