//! One program at a time writes to a place.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The right to write to a place. It ends with this value or with the program, however that ends.
#[derive(Debug)]
pub struct Turn {
    lock: PathBuf,
    _file: File,
}

impl Turn {
    /// Takes the right to write to the file or folder `place`; none where another program has it.
    ///
    /// # Errors
    /// When no file can be made beside `place`.
    pub fn take(place: &Path) -> Result<Option<Turn>> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let lock = place.with_file_name(format!(".{name}.lock"));
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&lock);
            let file = file.with_context(|| format!("cannot write {}", lock.display()))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                // Some file systems have no locks; two programs cannot be kept apart there.
                _ if is_at(&file, &lock) => return Ok(Some(Turn { lock, _file: file })),
                // The program before has ended and removed it meanwhile.
                _ => {}
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // It is still locked; one that stays is only untidy.
        let _ = std::fs::remove_file(&self.lock);
    }
}

/// Whether `path` still names the open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Whether `path` still names the open file; one that is open is not removed here.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}
