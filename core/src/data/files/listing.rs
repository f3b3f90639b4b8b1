//! Which files of an image folder a split has, and their digest.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::data::Split;
use crate::data::digest::hex;
use crate::data::folder::{self, LeftOut};
use crate::stop;

/// The images of a split, by class and then by name.
pub struct Listing {
    /// Files with their labels.
    pub files: Vec<(PathBuf, usize)>,
    /// Names of the classes.
    pub names: Vec<String>,
    /// Files that are no images.
    pub left_out: LeftOut,
}

/// Lists the images of a split; the classes are those of `train/`.
///
/// # Errors
/// A missing folder, a class without images, a class that `train/` does not have: named.
pub fn list(root: &Path, split: Split) -> Result<Listing> {
    let classes = folder::class_folders(root)?;
    let place = place(root, split, &classes)?;
    let mut left_out = LeftOut::default();
    left_out.part = describe_other(root, &place);
    check_classes(&place, &classes, &mut left_out)?;
    let mut files = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let class = place.join(class.file_name().unwrap_or_default());
        let images = folder::below(&class, Some(&place), &mut left_out)?;
        ensure!(
            !images.is_empty(),
            "{} holds no image ({}); a class needs at least one",
            class.display(),
            folder::EXTENSIONS.join(", ")
        );
        files.extend(images.into_iter().map(|path| (path, label)));
    }
    let names = classes.iter().map(|class| folder::name(class)).collect();
    Ok(Listing { files, names, left_out })
}

/// Checks that a split has the folders of the classes and no others. Files beside them are left out.
fn check_classes(place: &Path, classes: &[PathBuf], left_out: &mut LeftOut) -> Result<()> {
    let (folders, files) = folder::folders_and_files(place)?;
    let name = |path: &PathBuf| path.file_name().map(ToOwned::to_owned);
    let images = files.iter().filter(|path| folder::is_image(path)).count();
    ensure!(
        !folders.is_empty() || images == 0,
        "{} holds {images} images and no folder; expected one folder a class, as in train/",
        place.display()
    );
    let known: HashSet<_> = classes.iter().map(name).collect();
    let here: HashSet<_> = folders.iter().map(name).collect();
    if let Some(extra) = folders.iter().find(|path| !known.contains(&name(path))) {
        bail!("{} is a class that train/ does not have", extra.display());
    }
    if let Some(missing) = classes.iter().find(|path| !here.contains(&name(path))) {
        bail!(
            "{} has no folder \"{}\", which is a class of train/",
            place.display(),
            folder::name(missing)
        );
    }
    files.iter().for_each(|path| left_out.add(path));
    Ok(())
}

/// The folder of a split's images.
fn place(root: &Path, split: Split, classes: &[PathBuf]) -> Result<PathBuf> {
    if split != Split::Test {
        return Ok(root.join("train"));
    }
    let mut places = ["test", "val"].map(|name| root.join(name)).to_vec();
    places.retain(|place| place.is_dir());
    // ImageNet's own test/ has no classes.
    for place in &places {
        let (folders, _) = folder::folders_and_files(place)?;
        if folders
            .iter()
            .any(|one| classes.iter().any(|class| class.file_name() == one.file_name()))
        {
            return Ok(place.clone());
        }
    }
    places.into_iter().next().with_context(|| {
        format!(
            "{} holds neither test/ nor val/, which the test images are read from",
            root.display()
        )
    })
}

/// Says that the other one of `test/` and `val/` is not read; none where there is no other.
fn describe_other(root: &Path, place: &Path) -> Option<String> {
    let [test, val] = ["test", "val"].map(|name| root.join(name));
    if place == test && val.is_dir() {
        let val = val.display();
        Some(format!("{val} is not read. Test images come from test/, the hold-out from train/"))
    } else if place == val && test.is_dir() {
        let test = test.display();
        Some(format!("{test} has no class of train/ and is not read. Test images come from val/"))
    } else {
        None
    }
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
        stop::check()?;
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
