//! Files that are either there and whole, or not there: written beside their place, synced,
//! renamed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// Puts `bytes` at `path`, replacing what was there only once they are safely written.
///
/// # Errors
/// Names the path; what was there before is then unharmed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    with(path, |file| file.write_all(bytes).map_err(Into::into))
}

/// As [`write()`], with whatever `fill` writes into the file.
///
/// # Errors
/// Names the path; what was there before is then unharmed.
pub fn with(path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    put(path, fill, |temporary| fs::rename(temporary, path))
}

/// As [`write()`], but what was at `path` goes to `previous` instead of being lost. At any moment
/// one of the two is there and whole, if one ever was.
///
/// # Errors
/// Names the path; what was there before is then at one of the two.
pub fn write_keeping(path: &Path, previous: &Path, bytes: &[u8]) -> Result<()> {
    let rotate = |temporary: &Path| {
        if path.exists() {
            fs::rename(path, previous)?;
        }
        fs::rename(temporary, path)
    };
    put(path, |file| file.write_all(bytes).map_err(Into::into), rotate)
}

fn put(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<()>,
    place: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<()> {
    let temporary = temporary_name(path);
    let result =
        fill_and_sync(&temporary, fill).and_then(|()| place(&temporary).map_err(Into::into));
    if result.is_err() {
        // Best effort: the error that counts is the first one.
        let _ = fs::remove_file(&temporary);
    }
    result.with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(path);
    Ok(())
}

/// Removes what processes that were killed while they wrote left in `folder`, if it is older than
/// `age`: zero only for who alone may write there.
pub fn remove_temporaries(folder: &Path, age: Duration) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = written.is_ok_and(|at| at.elapsed().unwrap_or_default() >= age);
        if is_old && name.starts_with('.') && name.ends_with(".part") {
            // One that stays is only untidy.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A name beside `path` that does not end in its extension and that no other process uses.
pub fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

fn fill_and_sync(temporary: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let mut file = File::create(temporary)?;
    fill(&mut file)?;
    file.sync_all()?;
    Ok(())
}

/// A rename lasts once its folder is synced; some file systems cannot, and need not.
pub fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// Names the folder.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write(&path, b"old").unwrap();
        let error = with(&path, |file| {
            file.write_all(b"half")?;
            anyhow::bail!("disk full")
        });
        assert!(error.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_before_the_last_is_kept_and_what_a_kill_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, previous) = (folder.path().join("a"), folder.path().join("b"));
        for text in ["one", "two", "three"] {
            write_keeping(&path, &previous, text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read(&previous).unwrap(), b"two");
        fs::write(temporary_name(&path), b"ha").unwrap();
        remove_temporaries(folder.path(), Duration::from_secs(3600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        remove_temporaries(folder.path(), Duration::ZERO);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
