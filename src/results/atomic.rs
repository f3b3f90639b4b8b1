//! Files that are either there and whole, or not there: written beside their place, synced,
//! renamed.
//!
//! What is no file of its own is never replaced: a link stays and the file that it names is
//! written; a device, a pipe or a socket is written to.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::data::hex;

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
    let context = || format!("cannot write {}", path.display());
    match place_of(path).with_context(context)? {
        Place::File(place) if place.is_dir() => {
            Err(anyhow::anyhow!("it is a folder; name a file in it"))
        }
        Place::File(place) => put(&place, fill, |temporary| fs::rename(temporary, &place)),
        Place::Stream => open_stream(path)
            .map_err(Into::into)
            .and_then(|mut stream| fill(&mut stream).and_then(|()| Ok(stream.flush()?))),
    }
    .with_context(context)
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
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What a path stands for.
enum Place {
    /// A file, existing or not, that is no link.
    File(PathBuf),
    /// A device, a pipe, a socket, or an open file of a process such as `/dev/stdout`.
    Stream,
}

/// Standard output goes on where it is; opened anew, a file behind it would be written from its start.
fn open_stream(path: &Path) -> std::io::Result<File> {
    #[cfg(unix)]
    if is_standard_output(path) {
        use std::os::fd::AsFd;
        return Ok(File::from(std::io::stdout().as_fd().try_clone_to_owned()?));
    }
    File::options().write(true).open(path)
}

/// Whether `path` names the file, pipe or device that standard output is.
#[cfg(unix)]
pub fn is_standard_output(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    let is_stream = place_of(path).is_ok_and(|place| matches!(place, Place::Stream));
    match (identity(path), identity(Path::new("/dev/stdout"))) {
        (Ok(path), Ok(output)) => is_stream && path == output,
        _ => false,
    }
}

/// Whether `path` names the file, pipe or device that standard output is; not known here.
#[cfg(not(unix))]
pub fn is_standard_output(_path: &Path) -> bool {
    false
}

/// Links that lead to one another, at most; Linux follows as many.
const LINKS: usize = 40;

/// Follows links to the place that they name.
fn place_of(path: &Path) -> Result<Place> {
    let mut place = path.to_path_buf();
    for _ in 0..LINKS {
        if is_open_file(&place) {
            return Ok(Place::Stream);
        }
        let Ok(target) = fs::read_link(&place) else {
            let kind = fs::metadata(&place).map(|found| found.file_type());
            let is_stream = kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir());
            return Ok(if is_stream { Place::Stream } else { Place::File(place) });
        };
        place = place.parent().unwrap_or(Path::new("")).join(target);
    }
    anyhow::bail!("its links lead around in a circle")
}

/// Whether `path` names a file that a process has open. It is a link, but what it says is not where it leads.
fn is_open_file(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(OsStr::to_str).collect();
    matches!(
        parts[..],
        ["/", "dev", "stdin" | "stdout" | "stderr"]
            | ["/", "dev", "fd", _]
            | ["/", "proc", .., "fd", _]
    )
}

fn put(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<()>,
    place: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<()> {
    let replaced = permissions(path)?;
    let (temporary, mut file) = create_locked(|| temporary_name(path))?;
    let result = replaced
        .map_or(Ok(()), |permissions| file.set_permissions(permissions))
        .map_err(Into::into)
        .and_then(|()| fill_and_sync(&mut file, fill))
        .and_then(|()| place(&temporary).map_err(Into::into));
    if result.is_err() {
        // Best effort: the error that counts is the first one.
        let _ = fs::remove_file(&temporary);
    }
    // Only now: what is not locked and has no final name is taken for left over.
    drop(file);
    result?;
    sync_folder(path);
    Ok(())
}

/// Those of the file that is replaced, if one is there.
///
/// # Errors
/// When it may not be written.
fn permissions(path: &Path) -> Result<Option<fs::Permissions>> {
    match File::options().write(true).open(path) {
        Ok(file) => Ok(Some(file.metadata()?.permissions())),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(error.into()),
        // A folder is refused where it is to be replaced.
        Err(_) => Ok(None),
    }
}

/// Removes a file that need not be there.
///
/// # Errors
/// Names a file that stays.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("cannot remove {}", path.display())),
    }
}

/// Removes the files that processes which were killed while they wrote left in `folder`. A file that
/// is being written is locked, so it stays.
pub fn remove_temporaries(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        // It stays locked until it is gone, so that a process that has just made it does not go on writing to
        // a deleted file.
        if is_temporary(&entry.file_name().to_string_lossy())
            && let Ok(file) = File::options().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            // One that stays is only untidy.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Bytes of a file's name that its temporary name begins with, at most: the whole is no longer than
/// a file system takes, however long the name is.
const KEPT: usize = 40;

/// A name beside `path` that does not end in its extension. It is drawn by chance: processes in two
/// containers may have the same number.
fn temporary_name(path: &Path) -> PathBuf {
    let chance = RandomState::new().hash_one(std::process::id());
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    let name = start_of(&name, KEPT);
    path.with_file_name(format!(".{name}.{chance:016x}.part"))
}

/// Whether [`temporary_name`] gives names like this one; a person's own files have others.
fn is_temporary(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
    let chance = inner.and_then(|inner| inner.rsplit_once('.')).map(|(_, chance)| chance);
    chance.is_some_and(|c| c.len() == 16 && c.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A name with an `ending` behind it, cut and told apart by a digest where no file system would take
/// it whole.
pub fn with_ending(name: &OsStr, ending: &str) -> OsString {
    let mut whole = name.to_os_string();
    whole.push(ending);
    if whole.len() <= LONGEST_NAME {
        return whole;
    }
    let digest = Sha256::digest(name.as_encoded_bytes());
    let digest = hex(&digest[..8]);
    let name = name.to_string_lossy();
    let name = start_of(&name, LONGEST_NAME - ending.len() - digest.len() - 1);
    format!("{name}-{digest}{ending}").into()
}

/// The beginning of a name that fits in `bytes` bytes.
fn start_of(name: &str, bytes: usize) -> &str {
    let ends = name.char_indices().map(|(at, letter)| at + letter.len_utf8());
    &name[..ends.take_while(|&end| end <= bytes).last().unwrap_or(0)]
}

/// Bytes of a name that file systems take.
const LONGEST_NAME: usize = 255;

fn fill_and_sync(file: &mut File, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    fill(file)?;
    file.sync_all()?;
    Ok(())
}

/// A new file by the first of the names that is free, locked for as long as it is open.
fn create_locked(mut name: impl FnMut() -> PathBuf) -> std::io::Result<(PathBuf, File)> {
    loop {
        let path = name();
        let file = match File::options().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        // Some file systems have no locks; nobody else can lock a file there either.
        let _ = file.lock();
        // Another process may have removed it in the instant before it was locked.
        if path.exists() {
            return Ok((path, file));
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

/// Whether what failed is not allowed here: a file that belongs to somebody else, or a file system
/// that is only read.
pub fn is_read_only(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| {
        matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
    })
}

/// Makes the folder that a file is to lie in, before the work whose result the file keeps.
///
/// # Errors
/// Names the folder.
pub fn create_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), create_folder)
}

/// Makes a folder and those above it.
///
/// # Errors
/// Names the folder.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| {
        let above = path.ancestors().find(|above| fs::symlink_metadata(above).is_ok());
        let why = match above {
            Some(above) if !above.exists() => format!("{} is a link to nothing", above.display()),
            Some(above) if !above.is_dir() => format!("{} is not a folder", above.display()),
            _ => error.to_string(),
        };
        anyhow::Error::new(error)
            .context(format!("cannot make the folder {}: {why}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_is_no_file_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", write(folder.path(), b"x").unwrap_err());
        assert!(error.ends_with("it is a folder; name a file in it"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn where_no_folder_can_be_made_what_stands_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        fs::write(&file, "").unwrap();
        for (place, told) in [(&link, "link is a link to nothing"), (&file, "file is not a folder")]
        {
            let error = create_folder(&place.join("below")).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

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
    fn a_temporary_name_that_another_process_uses_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let [taken, free] = [".a.1-0.part", ".a.1-1.part"].map(|name| folder.path().join(name));
        fs::write(&taken, "another's").unwrap();
        let mut names = [&taken, &free].into_iter();
        let (found, _) = create_locked(|| names.next().unwrap().clone()).unwrap();
        assert_eq!(found, free);
        assert_eq!(fs::read_to_string(&taken).unwrap(), "another's");
        let path = folder.path().join("a");
        assert_ne!(temporary_name(&path), temporary_name(&path));
    }

    #[test]
    fn a_file_is_not_taken_for_left_over_before_it_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let place = |temporary: &Path| {
            remove_temporaries(folder.path());
            fs::rename(temporary, &path)
        };
        put(&path, |file| Ok(file.write_all(b"x")?), place).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn only_the_open_files_of_a_process_are_streams_by_their_path() {
        for path in ["/dev/stdout", "/dev//fd/3", "/proc/self/fd/1", "/proc/7/task/7/fd/1"] {
            assert!(is_open_file(Path::new(path)), "{path}");
        }
        for path in ["/dev/shm/stdout", "/dev/shm/fd/3", "/proc/self/cwd/fd", "dev/stdout", "fd/1"]
        {
            assert!(!is_open_file(Path::new(path)), "{path}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_in_shared_memory_leads_to_a_file_that_is_replaced_whole() {
        let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
            println!("skipped: there is no /dev/shm here");
            return;
        };
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "a text that is longer").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write(&link, b"short").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"short");
        assert!(link.is_symlink());
    }

    #[test]
    fn every_name_that_the_file_system_takes_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        for letter in ["a", "\u{e4}", "\u{1f600}"] {
            let name = letter.repeat(255 / letter.len());
            write(&folder.path().join(&name), b"x").unwrap_or_else(|e| panic!("{name}: {e:#}"));
            let beside = with_ending(OsStr::new(&name), ".slurm");
            assert!(beside.len() <= 255);
            fs::create_dir(folder.path().join(&beside)).unwrap();
            assert_ne!(beside, with_ending(OsStr::new(&name[letter.len()..]), ".slurm"));
        }
        assert_eq!(with_ending(OsStr::new("m.jsonl"), ".slurm"), "m.jsonl.slurm");
        let long = folder.path().join("a".repeat(256));
        let error = format!("{:#}", write(&long, b"x").unwrap_err());
        assert!(error.contains("name too long"), "{error}");
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
        let (_, being_written) = create_locked(|| temporary_name(&path)).unwrap();
        remove_temporaries(folder.path());
        assert_eq!(count(), 3);
        drop(being_written);
        for own in ["film.part", ".film.part", ".film.0123456789abcde.part"] {
            fs::write(folder.path().join(own), "a person's").unwrap();
        }
        remove_temporaries(folder.path());
        assert_eq!(count(), 5);
    }
}
