//! A disk that fills at any write of a run: an error that says so, and the run goes on once there
//! is space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use repro::results::{checkpoint, predictions};

use super::session::{assert_same, complaint, finish, lasting, run_folder, tiny, uninterrupted};

/// A file system in memory of a given size, taken away at the end.
struct Small {
    place: PathBuf,
}

impl Small {
    /// None where this user may not mount.
    fn new(place: &Path, pages: usize) -> Option<Small> {
        fs::create_dir_all(place).unwrap();
        let small = Small { place: place.to_path_buf() };
        let size = format!("size={}k,nr_inodes=1000", 4 * pages);
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], place);
        if !mounted {
            std::mem::forget(small);
            return None;
        }
        Some(small)
    }

    fn grow(&self) {
        assert!(run("mount", &["-o", "remount,size=64m"], &self.place));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &[], &self.place);
    }
}

fn run(program: &str, arguments: &[&str], place: &Path) -> bool {
    let output = Command::new(program).args(arguments).arg(place).output();
    output.is_ok_and(|output| output.status.success())
}

/// Pages of 4 KiB that the files of a finished run take, folders and temporaries left out.
fn pages(folder: &Path) -> usize {
    let mut sum = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        sum += if metadata.is_dir() {
            pages(&entry.path())
        } else {
            (metadata.len() as usize).div_ceil(4096)
        };
    }
    sum
}

/// No file with a final name is half written.
fn assert_whole(folder: &Path) {
    let Some(run) = run_folder(folder) else {
        return;
    };
    for entry in fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => drop(checkpoint::load(&path).unwrap()),
            Some("parquet") => drop(predictions::load(&path).unwrap()),
            Some("csv") => assert!(fs::read_to_string(&path).unwrap().ends_with('\n')),
            _ => {}
        }
    }
}

#[test]
fn a_disk_that_fills_at_any_write_is_an_error_and_the_run_goes_on_later() {
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    if Small::new(&place, 16).is_none() {
        println!("skipped: a small file system cannot be mounted here (it takes root)");
        return;
    }
    let (expected, _) = uninterrupted();
    let enough = {
        let whole = tempfile::tempdir().unwrap();
        finish(whole.path());
        pages(whole.path()) + 4
    };
    // Every size in pages with REPRO_DISK_FULL=1; else some.
    let every = std::env::var_os("REPRO_DISK_FULL").is_some();
    let step = if every { 1 } else { enough.div_ceil(8) };
    let (mut filled, mut sizes) = (0, 0);
    for size in (1..enough).step_by(step) {
        let small = Small::new(&place, size + 1).unwrap();
        sizes += 1;
        let output = tiny(&place, &["--quiet"]).output().unwrap();
        let error = complaint(&output);
        if !output.status.success() {
            filled += 1;
            assert_eq!(output.status.code(), Some(1), "{size} pages: {error}");
            assert!(error.contains("No space left"), "{size} pages: {error}");
            assert!(!error.contains("mistake in the program"), "{size} pages: {error}");
        }
        assert_whole(&place);
        small.grow();
        finish(&place);
        assert_same(&lasting(&place), &expected);
    }
    assert!(filled > 0, "no size was too small");
    println!("{sizes} sizes up to {enough} pages, {filled} of them too small");
}
