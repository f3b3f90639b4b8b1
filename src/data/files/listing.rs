//! Which files a part of an image folder has, and their digest.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::data::Part;
use crate::data::digest::hex;
use crate::data::folder;

/// The images of a part, by class and then by name.
pub struct Listing {
    /// Files with their labels.
    pub files: Vec<(PathBuf, usize)>,
    /// Number of classes.
    pub classes: usize,
    /// Names of the classes.
    pub names: Vec<String>,
}

/// Lists a part; the classes are those of `train/`.
///
/// # Errors
/// A missing folder, a class without images, a class that `train/` does not have: named.
pub fn list(root: &Path, part: Part) -> Result<Listing> {
    let names = folder::classes(root)?;
    let place = place(root, part)?;
    let mut files = Vec::new();
    for (label, name) in names.iter().enumerate() {
        let class = place.join(name);
        let mut images = folder::entries(&class)?;
        images.retain(|path| folder::is_image(path));
        ensure!(
            !images.is_empty(),
            "{} holds no image ({}); a class needs at least one",
            class.display(),
            folder::EXTENSIONS.join(", ")
        );
        images.sort();
        files.extend(images.into_iter().map(|path| (path, label)));
    }
    for path in folder::entries(&place)? {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        let known = name.is_some_and(|name| names.contains(&name));
        ensure!(
            !path.is_dir() || known,
            "{} is a class that {} does not have",
            path.display(),
            root.join("train").display()
        );
    }
    Ok(Listing { files, classes: names.len(), names })
}

fn place(root: &Path, part: Part) -> Result<PathBuf> {
    if part == Part::Train {
        return Ok(root.join("train"));
    }
    for name in ["test", "val"] {
        let place = root.join(name);
        if place.is_dir() {
            return Ok(place);
        }
    }
    bail!("{} holds neither test/ nor val/", root.display())
}

/// Folders of more bytes than this are not read whole for their digest.
const READ_WHOLE: u64 = 4 << 30;
/// Bytes that are read of each file then.
const BEGINNING: u64 = 1024;

/// SHA-256 over class count and, for each file, label, name in its class, size and content; in a
/// folder of more than 4 GiB the first kilobyte stands for the content.
///
/// # Errors
/// A file that cannot be read, named.
pub fn digest<'a>(
    classes: usize,
    files: impl Iterator<Item = (&'a PathBuf, i64)>,
) -> Result<String> {
    let mut sized = Vec::new();
    for (path, label) in files {
        let context = || format!("cannot read {}", path.display());
        let size = std::fs::metadata(path).with_context(context)?.len();
        sized.push((path, label, size));
    }
    let total: u64 = sized.iter().map(|(_, _, size)| size).sum();
    let limit = if total > READ_WHOLE { BEGINNING } else { u64::MAX };
    let mut hash = Sha256::new();
    hash.update(format!("{classes} classes, {} files\n", sized.len()));
    let mut content = Vec::new();
    for (path, label, size) in sized {
        let context = || format!("cannot read {}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hash.update(format!("{label} {name} {size}\n"));
        content.clear();
        let file = File::open(path).with_context(context)?;
        file.take(limit).read_to_end(&mut content).with_context(context)?;
        hash.update(&content);
    }
    Ok(hex(&hash.finalize()))
}
