//! An archive, unpacked so that it cannot write outside its folder.

use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{create, rename};

/// Unpacked bytes that an archive may have; the real ones have 185 MB.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// Unpacks `<folder>/...` of an archive into a temporary folder, and renames that when all `needed` files are in it.
///
/// # Errors
/// An archive that is damaged, would write outside its folder or lacks a file; a full disk.
pub fn unpack(archive: &Path, data_dir: &Path, folder: &str, needed: &[String]) -> Result<()> {
    let temporary = data_dir.join(format!("{folder}.part"));
    let _ = std::fs::remove_dir_all(&temporary);
    create(&temporary)?;
    let unpacked = unpack_into(archive, &temporary, folder)
        .with_context(|| format!("cannot unpack {}", archive.display()))
        .and_then(|()| {
            let missing = needed.iter().find(|name| !temporary.join(name).is_file());
            match missing {
                Some(name) => bail!("{}: there is no {folder}/{name} in it", archive.display()),
                None => rename(&temporary, &data_dir.join(folder)),
            }
        });
    if unpacked.is_err() {
        let _ = std::fs::remove_dir_all(&temporary);
    }
    unpacked
}

fn unpack_into(archive: &Path, temporary: &Path, folder: &str) -> Result<()> {
    let file = BufReader::new(File::open(archive)?);
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut left = UNPACKED_LIMIT;
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        let inside = inside(&path, folder)?;
        if kind.is_dir() {
            continue;
        }
        ensure!(kind.is_file(), "'{}' is neither a file nor a folder: refused", path.display());
        left = left.checked_sub(entry.size()).with_context(|| {
            format!("'{}' makes it larger than {UNPACKED_LIMIT} bytes: refused", path.display())
        })?;
        let target = temporary.join(inside);
        if let Some(parent) = target.parent() {
            create(parent)?;
        }
        let context = || format!("cannot write {}", target.display());
        let mut out = File::create(&target).with_context(context)?;
        std::io::copy(&mut entry, &mut out).with_context(context)?;
        out.sync_all().with_context(context)?;
    }
    Ok(())
}

/// The path of an entry below `folder`, unless it leads out of it.
fn inside(path: &Path, folder: &str) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => plain.push(name),
            _ => bail!("'{}' leads out of the folder: refused", path.display()),
        }
    }
    let below = plain.strip_prefix(folder).map(Path::to_path_buf);
    below.with_context(|| format!("'{}' is not in {folder}/: refused", path.display()))
}
