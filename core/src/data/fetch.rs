//! Downloads a data set: to a `.part` file, continued where it was cut, checked, unpacked beside its place and
//! renamed last. What has its final name is whole.

mod download;
#[cfg(test)]
mod tests;
mod unpack;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Turn;
use super::catalog::{Published, Reader};
use super::{Dataset, Split, cifar, idx};
use download::{Download, Progress, check, get};
use unpack::unpack;

/// Where a data set ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It needs no file.
    BuiltIn,
    /// It was there before.
    AlreadyThere(PathBuf),
    /// It is there now.
    New(PathBuf),
}

/// What was asked for beyond the official addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirror {
    /// A file, or a folder of files if it ends in `/` (always a folder for a data set of several files).
    pub url: Option<String>,
    /// Checksums to expect in place of the published ones, one a file.
    pub md5: Vec<String>,
}

/// Fetches a data set into `data_dir`; does nothing when it is there.
///
/// # Errors
/// No network (with what to do by hand), a wrong checksum, an archive that is damaged, would write outside its
/// folder or lacks a file, a full disk, a data set that nobody may pass on.
pub fn fetch(
    dataset: &Dataset,
    data_dir: &Path,
    mirror: &Mirror,
    progress: Progress,
) -> Result<Fetched> {
    let Some(place) = dataset.place(data_dir) else {
        return Ok(Fetched::BuiltIn);
    };
    let Some(row) = dataset.row() else {
        bail!(
            "a folder is not fetched; put images into {0}/train/CLASS/ and {0}/test/CLASS/",
            place.display()
        )
    };
    let Some(published) = &row.published else {
        bail!(
            "{dataset} is only given to registered users (image-net.org); unpack it into {0}/train/CLASS/ and \
             {0}/val/CLASS/",
            place.display()
        )
    };
    let downloads = downloads(published, mirror)?;
    match row.reader {
        Reader::Cifar(labels) => {
            let needed =
                [Split::Train, Split::Test].map(|split| cifar::files(labels, split)).concat();
            let needed = Needed { files: needed, record: labels.record() as u64 };
            fetch_archive(&downloads[0], data_dir, &place, &needed, progress)
        }
        _ => fetch_files(&downloads, place, progress),
    }
}

/// The published files, at the address and with the checksums that the user gave, if any.
fn downloads(published: &Published, mirror: &Mirror) -> Result<Vec<Download>> {
    let download = |(name, md5): &(&str, &str)| Download {
        name: name.to_string(),
        url: format!("{}/{name}", published.address),
        md5: md5.to_string(),
    };
    let mut downloads: Vec<Download> = published.files.iter().map(download).collect();
    if let Some(url) = &mirror.url {
        let folder = downloads.len() > 1 || url.ends_with('/');
        for download in &mut downloads {
            download.url = match folder {
                true => format!("{}/{}", url.trim_end_matches('/'), download.name),
                false => url.clone(),
            };
        }
    }
    if !mirror.md5.is_empty() {
        let names: Vec<&str> = downloads.iter().map(|d| d.name.as_str()).collect();
        ensure!(
            mirror.md5.len() == downloads.len(),
            "--md5: {} checksums, expected {}: of {}",
            mirror.md5.len(),
            downloads.len(),
            names.join(", ")
        );
        for (download, md5) in downloads.iter_mut().zip(&mirror.md5) {
            let is_md5 = md5.len() == 32 && md5.chars().all(|c| c.is_ascii_hexdigit());
            ensure!(is_md5, "--md5: {md5} is not 32 hexadecimal digits");
            download.md5 = md5.to_lowercase();
        }
    }
    Ok(downloads)
}

/// Files that stay as they are, each renamed when it is whole.
fn fetch_files(downloads: &[Download], folder: PathBuf, progress: Progress) -> Result<Fetched> {
    let found = |download: &Download| idx::find(&folder, download.name.trim_end_matches(".gz"));
    let is_missing = |download: &&Download| found(download).is_err();
    for path in downloads.iter().filter_map(|download| found(download).ok()) {
        let way_out = || format!("delete {}, and run this again to fetch it", path.display());
        check_gzip(&path).with_context(way_out)?;
    }
    if !downloads.iter().any(|download| is_missing(&download)) {
        return Ok(Fetched::AlreadyThere(folder));
    }
    create(&folder)?;
    let _turn = turn(&folder)?;
    let mut any = false;
    // Another program may have fetched them meanwhile.
    for download in downloads.iter().filter(is_missing) {
        let part = folder.join(format!("{}.part", download.name));
        get(download, &part, &folder, progress)?;
        rename(&part, &folder.join(&download.name))?;
        any = true;
    }
    Ok(if any { Fetched::New(folder) } else { Fetched::AlreadyThere(folder) })
}

/// The files of an archive, each of whole records of so many bytes.
struct Needed {
    files: Vec<String>,
    record: u64,
}

impl Needed {
    /// Whether they are all at `place`, however many images they hold.
    ///
    /// # Errors
    /// When something else is there: it may be somebody's own.
    fn are_at(&self, place: &Path) -> Result<bool> {
        if !place.exists() {
            return Ok(false);
        }
        let is_whole = |file: &PathBuf| {
            let bytes = std::fs::metadata(file).map_or(0, |found| found.len());
            file.is_file() && bytes > 0 && bytes.is_multiple_of(self.record)
        };
        match self.files.iter().map(|name| place.join(name)).find(|file| !is_whole(file)) {
            None => Ok(true),
            Some(file) => bail!(
                "{} is missing or cut short in a folder that is there; move {} away and run this again",
                file.display(),
                place.display()
            ),
        }
    }
}

/// An archive, unpacked to `place`. One that was put into `data_dir` by hand is used.
fn fetch_archive(
    download: &Download,
    data_dir: &Path,
    place: &Path,
    needed: &Needed,
    progress: Progress,
) -> Result<Fetched> {
    if needed.are_at(place)? {
        return Ok(Fetched::AlreadyThere(place.to_path_buf()));
    }
    create(data_dir)?;
    let _turn = turn(place)?;
    // Another program may have fetched it meanwhile.
    if needed.are_at(place)? {
        return Ok(Fetched::AlreadyThere(place.to_path_buf()));
    }
    let archive = data_dir.join(&download.name);
    let by_hand = archive.is_file();
    if by_hand {
        let shown = archive.display();
        let way_out =
            || format!("put the right {shown} there, or delete it and run this again to fetch it");
        check(&archive, download).with_context(way_out)?;
    } else {
        let part = data_dir.join(format!("{}.part", download.name));
        get(download, &part, data_dir, progress)?;
        rename(&part, &archive)?;
    }
    let folder = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    unpack(&archive, data_dir, folder, &needed.files)?;
    if !by_hand {
        std::fs::remove_file(&archive)
            .with_context(|| format!("cannot remove {}", archive.display()))?;
    }
    Ok(Fetched::New(place.to_path_buf()))
}

/// Refuses a compressed file that is empty or cut.
fn check_gzip(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut decoder = flate2::read::GzDecoder::new(std::fs::File::open(path)?);
        std::io::copy(&mut decoder, &mut std::io::sink())?;
    }
    Ok(())
}

/// The right to write to `place`.
fn turn(place: &Path) -> Result<Turn> {
    Turn::take(place)?.with_context(|| {
        let shown = place.display();
        format!("{shown} is being fetched by another program; run this again once that has ended")
    })
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}
