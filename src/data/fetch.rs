//! Downloads a data set: to a `.part` file, resumed where it was cut, checked, unpacked beside its place and
//! renamed last. What has its final name is whole.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use md5::{Digest, Md5};

use super::digest::hex;
use super::{Dataset, Part, cifar, idx};

/// Attempts in a row that may end without a new byte.
const ATTEMPTS: u32 = 4;
/// Unpacked bytes that an archive may have; the real ones have 185 MB.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// A file to download.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Download {
    name: String,
    url: String,
    md5: String,
}

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

/// Told the file's name, the bytes that are here and the bytes there will be.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, Option<u64>);

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
    match dataset {
        Dataset::FashionMnistMini | Dataset::Synthetic => Ok(Fetched::BuiltIn),
        Dataset::FashionMnist => fetch_files(data_dir, mirror, progress),
        Dataset::Cifar10 => fetch_archive(data_dir, cifar::Labels::Ten, mirror, progress),
        Dataset::Cifar100 | Dataset::Cifar100Coarse => {
            fetch_archive(data_dir, cifar::Labels::Fine, mirror, progress)
        }
        Dataset::Imagenet => bail!(
            "imagenet is only given to registered users (image-net.org); unpack it into {}/train/CLASS/ and \
             {}/val/CLASS/",
            data_dir.join("imagenet").display(),
            data_dir.join("imagenet").display()
        ),
        Dataset::Folder(path) => bail!(
            "a folder is not fetched; put images into {}/train/CLASS/ and {}/test/CLASS/",
            path.display(),
            path.display()
        ),
    }
}

fn fashion_downloads() -> Vec<Download> {
    [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    .map(|(name, md5)| Download {
        name: name.to_string(),
        url: format!("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{name}"),
        md5: md5.to_string(),
    })
    .into()
}

fn cifar_download(labels: cifar::Labels) -> Download {
    let (name, md5) = match labels {
        cifar::Labels::Ten => ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        _ => ("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
    };
    Download {
        name: name.to_string(),
        url: format!("https://www.cs.toronto.edu/~kriz/{name}"),
        md5: md5.to_string(),
    }
}

/// The same downloads from where the user said, with the checksums that the user gave.
fn mirrored(mut downloads: Vec<Download>, mirror: &Mirror) -> Result<Vec<Download>> {
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
            download.md5 = md5.to_lowercase();
        }
    }
    Ok(downloads)
}

/// Fashion-MNIST: four files into `<data_dir>/fashion-mnist`, each renamed when it is whole.
fn fetch_files(data_dir: &Path, mirror: &Mirror, progress: Progress) -> Result<Fetched> {
    let folder = data_dir.join("fashion-mnist");
    let mut any = false;
    for download in mirrored(fashion_downloads(), mirror)? {
        if idx::find(&folder, download.name.trim_end_matches(".gz")).is_ok() {
            continue;
        }
        create(&folder)?;
        let part = folder.join(format!("{}.part", download.name));
        get(&download, &part, &folder, progress)?;
        rename(&part, &folder.join(&download.name))?;
        any = true;
    }
    Ok(if any { Fetched::New(folder) } else { Fetched::AlreadyThere(folder) })
}

/// CIFAR: one archive, unpacked into its folder. An archive that was put into `data_dir` by hand is used.
fn fetch_archive(
    data_dir: &Path,
    labels: cifar::Labels,
    mirror: &Mirror,
    progress: Progress,
) -> Result<Fetched> {
    let (folder, train) = cifar::files(labels, Part::Train);
    let (_, test) = cifar::files(labels, Part::Test);
    let needed = [train, test].concat();
    let place = data_dir.join(folder);
    if place.exists() {
        for name in needed {
            let file = place.join(name);
            ensure!(
                file.is_file(),
                "{} is missing from a folder that is there; move {} away and run this again",
                file.display(),
                place.display()
            );
        }
        return Ok(Fetched::AlreadyThere(place));
    }
    create(data_dir)?;
    let download = mirrored(vec![cifar_download(labels)], mirror)?.remove(0);
    let archive = data_dir.join(&download.name);
    let by_hand = archive.is_file();
    if by_hand {
        check(&archive, &download)?;
    } else {
        let part = data_dir.join(format!("{}.part", download.name));
        get(&download, &part, data_dir, progress)?;
        rename(&part, &archive)?;
    }
    unpack(&archive, data_dir, folder, &needed)?;
    if !by_hand {
        std::fs::remove_file(&archive)
            .with_context(|| format!("cannot remove {}", archive.display()))?;
    }
    Ok(Fetched::New(place))
}

/// Downloads to `part` and checks it. What an earlier attempt left is gone on from, and given up if the whole is
/// then wrong: it may be of another file.
fn get(download: &Download, part: &Path, folder: &Path, progress: Progress) -> Result<()> {
    let left_over = size(part) > 0;
    from_network(download, part, progress).with_context(|| by_hand(download, folder))?;
    let Err(wrong) = check(part, download) else {
        return Ok(());
    };
    std::fs::remove_file(part).with_context(|| format!("cannot remove {}", part.display()))?;
    if !left_over {
        return Err(wrong);
    }
    get(download, part, folder, progress)
}

fn by_hand(download: &Download, folder: &Path) -> String {
    format!(
        "cannot download {}; by hand: get that file on a machine with a network (md5 {}), put it into {} as {}, and \
         run this command again",
        download.url,
        download.md5,
        folder.display(),
        download.name
    )
}

fn check(file: &Path, download: &Download) -> Result<()> {
    let found = md5_of(file)?;
    ensure!(
        found == download.md5,
        "{}: md5 {found} over {} bytes, expected {}: it is not the file that is published under this name",
        file.display(),
        size(file),
        download.md5
    );
    Ok(())
}

fn md5_of(path: &Path) -> Result<String> {
    let context = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(context)?;
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).with_context(context)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// How an attempt ended that did not fail for good.
enum Attempt {
    Whole,
    Cut(anyhow::Error),
}

fn from_network(download: &Download, part: &Path, progress: Progress) -> Result<()> {
    let mut fruitless = 0;
    loop {
        let before = size(part);
        let cut = match attempt(download, part, progress)? {
            Attempt::Whole => return Ok(()),
            Attempt::Cut(error) => error,
        };
        fruitless = if size(part) > before { 0 } else { fruitless + 1 };
        if fruitless == ATTEMPTS {
            if size(part) == 0 {
                let _ = std::fs::remove_file(part);
            }
            return Err(cut);
        }
        std::thread::sleep(Duration::from_millis(200 << fruitless));
    }
}

/// One request: what is missing from `part`, or all of it where the server does not know ranges.
fn attempt(download: &Download, part: &Path, progress: Progress) -> Result<Attempt> {
    let context = || format!("cannot write {}", part.display());
    let mut file =
        std::fs::File::options().create(true).append(true).open(part).with_context(context)?;
    if file.try_lock().is_err() {
        bail!("{} is being written by another program", part.display());
    }
    let have = size(part);
    let mut request = agent(&download.url).get(&download.url).header("Accept-Encoding", "identity");
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return Ok(Attempt::Cut(error.into())),
    };
    let start = match response.status().as_u16() {
        200 => 0,
        206 => range_start(&response).unwrap_or(0),
        416 if have > 0 => return Ok(Attempt::Whole), // nothing is missing; the checksum tells whether that is so
        status => bail!("the server answered {status}"),
    };
    ensure!(
        start == 0 || start == have,
        "the server sent bytes from {start}, asked for those from {have}"
    );
    file.set_len(start).with_context(context)?;
    file.seek(SeekFrom::End(0)).with_context(context)?;
    let total = response.body().content_length().map(|length| start + length);
    let body = response.into_body().into_reader();
    let outcome = copy(body, &mut file, start, total, |done| progress(&download.name, done, total));
    let outcome = outcome.with_context(context)?;
    file.sync_all().with_context(context)?;
    Ok(outcome)
}

/// Copies until the end. A read that fails is a cut connection; a write that fails is an error.
fn copy(
    mut from: impl Read,
    to: &mut std::fs::File,
    start: u64,
    total: Option<u64>,
    mut progress: impl FnMut(u64),
) -> std::io::Result<Attempt> {
    let mut done = start;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                done += n as u64;
                progress(done);
            }
            Err(error) => return Ok(Attempt::Cut(error.into())),
        }
    }
    Ok(match total {
        Some(total) if done < total => {
            Attempt::Cut(anyhow::anyhow!("the connection was cut after {done} of {total} bytes"))
        }
        _ => Attempt::Whole,
    })
}

/// 500 of `Content-Range: bytes 500-999/1000`.
fn range_start(response: &ureq::http::Response<ureq::Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn agent(url: &str) -> ureq::Agent {
    let loopback = ["http://127.", "http://localhost", "http://[::1]"];
    let proxy = match loopback.iter().any(|start| url.starts_with(start)) {
        true => None,
        false => ureq::Proxy::try_from_env(),
    };
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(proxy)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .new_agent()
}

/// Unpacks `<folder>/...` of an archive into a temporary folder, and renames that when all `needed` files are in it.
fn unpack(archive: &Path, data_dir: &Path, folder: &str, needed: &[&str]) -> Result<()> {
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
    let file = BufReader::new(std::fs::File::open(archive)?);
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
        let mut out = std::fs::File::create(&target).with_context(context)?;
        std::io::copy(&mut entry, &mut out).with_context(context)?;
        out.sync_all().with_context(context)?;
    }
    Ok(())
}

/// The part of an entry's path below `folder`, if it has no way out of it.
fn inside(path: &Path, folder: &str) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => plain.push(name),
            _ => bail!("'{}' leads out of the folder: refused", path.display()),
        }
    }
    let below = plain.strip_prefix(folder);
    Ok(below
        .with_context(|| format!("'{}' is not in {folder}/: refused", path.display()))?
        .to_path_buf())
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    /// What a server does with its requests, in order; the last goes on for ever.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Answer {
        /// The bytes asked for.
        Obey,
        /// The whole file, whatever was asked for.
        IgnoreRange,
        /// As `Obey`, but the connection closes after so many bytes.
        CutAfter(usize),
        Status(u16),
    }

    /// Serves `body` under any path; gives its address and the `Range` of each request.
    fn serve(body: Vec<u8>, answers: Vec<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = ranges.clone();
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let answer = answers[i.min(answers.len() - 1)];
                respond(stream.unwrap(), &body, answer, &seen);
            }
        });
        (address, ranges)
    }

    fn respond(mut stream: TcpStream, body: &[u8], answer: Answer, seen: &Mutex<Vec<String>>) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> =
            lines.map(|line| line.unwrap()).take_while(|line| !line.is_empty()).collect();
        let range = head
            .iter()
            .find_map(|line| line.to_lowercase().strip_prefix("range: ").map(String::from));
        seen.lock().unwrap().push(range.clone().unwrap_or_default());
        let start = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let start: usize = if answer == Answer::IgnoreRange { 0 } else { start.unwrap_or(0) };
        let status = match answer {
            Answer::Status(status) => format!("{status} No\r\nContent-Length: 0"),
            _ if start >= body.len() => "416 Range\r\nContent-Length: 0".to_string(),
            _ if start > 0 => format!(
                "206 Partial\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}",
                body.len() - start,
                body.len() - 1,
                body.len()
            ),
            _ => format!("200 OK\r\nContent-Length: {}", body.len()),
        };
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n").unwrap();
        let end = match answer {
            Answer::CutAfter(n) => (start + n).min(body.len()),
            Answer::Status(_) => start,
            _ => body.len(),
        };
        if start < end {
            let _ = stream.write_all(&body[start..end]);
        }
    }

    fn md5(bytes: &[u8]) -> String {
        hex(&Md5::digest(bytes))
    }

    /// A tar.gz with these files.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            // Written directly: the builder's own functions refuse paths that lead out, which is what is tested.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn cifar100() -> Vec<u8> {
        let noise: Vec<u8> =
            (0..3072u32 * 4).map(|i| (i.wrapping_mul(2654435761) >> 13) as u8).collect();
        let records: Vec<u8> = noise.chunks(3072).flat_map(|p| [&[3u8, 7], p].concat()).collect();
        archive(&[
            ("cifar-100-binary/train.bin", &records),
            ("cifar-100-binary/test.bin", &records[..3074]),
        ])
    }

    fn fetch_cifar(dir: &Path, url: &str, md5: &str) -> Result<Fetched> {
        let mirror = Mirror { url: Some(url.to_string()), md5: vec![md5.to_string()] };
        fetch(&Dataset::Cifar100, dir, &mirror, &mut |_, _, _| {})
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_archive_is_fetched_unpacked_and_not_fetched_again() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        let (url, ranges) = serve(body.clone(), vec![Answer::Obey]);
        let place = dir.path().join("cifar-100-binary");
        assert_eq!(
            fetch_cifar(dir.path(), &url, &md5(&body)).unwrap(),
            Fetched::New(place.clone())
        );
        assert_eq!(names(dir.path()), ["cifar-100-binary"]);
        assert_eq!(
            cifar::read(dir.path(), cifar::Labels::Fine, Part::Train).unwrap().labels,
            [7; 4]
        );
        assert_eq!(
            fetch_cifar(dir.path(), &url, &md5(&body)).unwrap(),
            Fetched::AlreadyThere(place)
        );
        assert_eq!(*ranges.lock().unwrap(), [""]);
    }

    #[test]
    fn a_cut_connection_is_gone_on_from_where_it_was_cut() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        let (url, ranges) =
            serve(body.clone(), vec![Answer::CutAfter(1000), Answer::CutAfter(500), Answer::Obey]);
        fetch_cifar(dir.path(), &format!("{url}some.tar.gz"), &md5(&body)).unwrap();
        assert_eq!(*ranges.lock().unwrap(), ["", "bytes=1000-", "bytes=1500-"]);
    }

    #[test]
    fn what_an_earlier_command_left_is_gone_on_from() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        std::fs::write(dir.path().join("cifar-100-binary.tar.gz.part"), &body[..700]).unwrap();
        let (url, ranges) = serve(body.clone(), vec![Answer::Obey]);
        fetch_cifar(dir.path(), &url, &md5(&body)).unwrap();
        assert_eq!(*ranges.lock().unwrap(), ["bytes=700-"]);
    }

    #[test]
    fn a_server_that_ignores_ranges_sends_it_all_again() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        let (url, _) = serve(body.clone(), vec![Answer::CutAfter(1000), Answer::IgnoreRange]);
        fetch_cifar(dir.path(), &url, &md5(&body)).unwrap();
    }

    #[test]
    fn the_left_over_of_another_file_is_given_up() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        let part = dir.path().join("cifar-100-binary.tar.gz.part");
        let (url, ranges) = serve(body.clone(), vec![Answer::Obey]);
        std::fs::write(&part, [1; 700]).unwrap();
        fetch_cifar(dir.path(), &url, &md5(&body)).unwrap();
        std::fs::remove_dir_all(dir.path().join("cifar-100-binary")).unwrap();
        std::fs::write(&part, vec![1; body.len() + 9]).unwrap();
        fetch_cifar(dir.path(), &url, &md5(&body)).unwrap();
        let longer = format!("bytes={}-", body.len() + 9);
        assert_eq!(*ranges.lock().unwrap(), ["bytes=700-", "", &longer, ""]);
    }

    #[test]
    fn a_wrong_checksum_leaves_nothing_behind() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        let (url, _) = serve(body.clone(), vec![Answer::Obey]);
        let error = format!("{:#}", fetch_cifar(dir.path(), &url, &md5(b"another")).unwrap_err());
        assert!(error.contains(&md5(&body)) && error.contains(&md5(b"another")), "{error}");
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn the_published_checksum_holds_for_a_mirror() {
        let dir = tempfile::tempdir().unwrap();
        let (url, _) = serve(cifar100(), vec![Answer::Obey]);
        let mirror = Mirror { url: Some(url), md5: vec![] };
        let error = fetch(&Dataset::Cifar100, dir.path(), &mirror, &mut |_, _, _| {}).unwrap_err();
        assert!(format!("{error:#}").contains("03b5dce01913d631647c71ecec9e9cb8"), "{error:#}");
    }

    #[test]
    fn no_network_says_what_to_do_by_hand_and_the_file_put_there_is_used() {
        let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("http://{closed}/");
        let error = format!("{:#}", fetch_cifar(dir.path(), &url, &md5(&body)).unwrap_err());
        assert!(
            error.contains("by hand") && error.contains("as cifar-100-binary.tar.gz"),
            "{error}"
        );
        assert!(names(dir.path()).is_empty());
        let by_hand = dir.path().join("cifar-100-binary.tar.gz");
        std::fs::write(&by_hand, &body).unwrap();
        fetch_cifar(dir.path(), &url, &md5(&body)).unwrap();
        assert!(by_hand.is_file());
    }

    #[test]
    fn a_file_that_the_server_lacks_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (url, ranges) = serve(vec![], vec![Answer::Status(404)]);
        let error = format!("{:#}", fetch_cifar(dir.path(), &url, "0").unwrap_err());
        assert!(error.contains("the server answered 404"), "{error}");
        assert_eq!(ranges.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_archive_that_leads_out_of_its_folder_is_refused() {
        for path in [
            "../evil.bin",
            "/tmp/evil.bin",
            "cifar-100-binary/../../evil.bin",
            "elsewhere/train.bin",
        ] {
            let (dir, body) = (tempfile::tempdir().unwrap(), archive(&[(path, b"evil")]));
            let data = dir.path().join("data");
            let (url, _) = serve(body.clone(), vec![Answer::Obey]);
            let error = format!("{:#}", fetch_cifar(&data, &url, &md5(&body)).unwrap_err());
            assert!(error.contains("refused"), "{path}: {error}");
            assert_eq!(names(dir.path()), ["data"]);
            assert_eq!(names(&data), ["cifar-100-binary.tar.gz"]);
        }
    }

    #[test]
    fn an_archive_without_a_needed_file_or_cut_short_leaves_no_folder() {
        let whole = cifar100();
        let partly = archive(&[("cifar-100-binary/train.bin", b"x")]);
        for (body, what) in [
            (partly, "no cifar-100-binary/test.bin"),
            (whole[..whole.len() / 2].to_vec(), "cannot"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (url, _) = serve(body.clone(), vec![Answer::Obey]);
            let error = format!("{:#}", fetch_cifar(dir.path(), &url, &md5(&body)).unwrap_err());
            assert!(error.contains(what), "{error}");
            assert_eq!(names(dir.path()), ["cifar-100-binary.tar.gz"]);
        }
    }

    #[test]
    fn fashion_mnist_comes_as_four_files_and_only_the_missing_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (url, ranges) = serve(b"file".to_vec(), vec![Answer::Obey]);
        let folder = dir.path().join("fashion-mnist");
        create(&folder).unwrap();
        std::fs::write(folder.join("train-images-idx3-ubyte"), "by hand").unwrap();
        let mirror = Mirror { url: Some(url), md5: vec![md5(b"file"); 4] };
        fetch(&Dataset::FashionMnist, dir.path(), &mirror, &mut |_, _, _| {}).unwrap();
        assert_eq!(
            names(&folder),
            [
                "t10k-images-idx3-ubyte.gz",
                "t10k-labels-idx1-ubyte.gz",
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte.gz"
            ]
        );
        assert_eq!(ranges.lock().unwrap().len(), 3);
        let too_few = Mirror { md5: vec![md5(b"file")], ..mirror };
        assert!(fetch(&Dataset::FashionMnist, dir.path(), &too_few, &mut |_, _, _| {}).is_err());
    }
}
