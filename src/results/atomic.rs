//! Files that are either there and whole, or not there: written beside their place, synced,
//! renamed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

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

/// Removes the files that processes which were killed while they wrote left in `folder`. A file that
/// is being written is locked, so it stays.
pub fn remove_temporaries(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let is_part = entry.file_name().to_string_lossy().ends_with(".part");
        if is_part
            && File::options()
                .write(true)
                .open(entry.path())
                .is_ok_and(|file| file.try_lock().is_ok())
        {
            // One that stays is only untidy.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A name beside `path` that does not end in its extension and that no other process uses.
fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

fn fill_and_sync(temporary: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let mut file = create_locked(temporary)?;
    fill(&mut file)?;
    file.sync_all()?;
    Ok(())
}

/// A new file, locked for as long as it is open.
fn create_locked(path: &Path) -> std::io::Result<File> {
    loop {
        let file = File::create(path)?;
        // Some file systems have no locks; nobody else can lock a file there either.
        let _ = file.lock();
        // Another process may have removed it in the instant before it was locked.
        if path.exists() {
            return Ok(file);
        }
    }
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
        let count = || fs::read_dir(folder.path()).unwrap().count();
        let being_written = create_locked(&temporary_name(&path)).unwrap();
        remove_temporaries(folder.path());
        assert_eq!(count(), 3);
        drop(being_written);
        remove_temporaries(folder.path());
        assert_eq!(count(), 2);
    }
}
