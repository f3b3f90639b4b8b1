//! A download: continued where it was cut, and checked.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use md5::{Digest, Md5};

use crate::data::digest::hex;

/// Attempts in a row that may end without a new byte.
const ATTEMPTS: u32 = 4;

/// A file to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Its name on this machine.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Its MD5 checksum in lower-case hexadecimal digits.
    pub md5: String,
}

/// Called with the file's name, the bytes that are here and the bytes there will be.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, Option<u64>);

/// Downloads to `part` and checks it. Continues what an earlier attempt left, and starts again if the whole is
/// then wrong: the beginning may be of another file.
///
/// # Errors
/// No network, with what to do by hand; a wrong checksum; a full disk.
pub fn get(download: &Download, part: &Path, folder: &Path, progress: Progress) -> Result<()> {
    let left_over = size(part) > 0;
    from_network(download, part, folder, progress)?;
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

/// Checks the file's checksum.
///
/// # Errors
/// Names the file and both checksums.
pub fn check(file: &Path, download: &Download) -> Result<()> {
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
    /// The connection failed or was cut; another attempt may go on.
    Cut(anyhow::Error),
    /// The server does not give the file.
    Refused(anyhow::Error),
}

fn from_network(download: &Download, part: &Path, folder: &Path, progress: Progress) -> Result<()> {
    let mut fruitless = 0;
    loop {
        let before = size(part);
        let cut = match attempt(download, part, progress)? {
            Attempt::Whole => return Ok(()),
            Attempt::Cut(error) => error,
            Attempt::Refused(error) => return Err(error.context(by_hand(download, folder))),
        };
        fruitless = if size(part) > before { 0 } else { fruitless + 1 };
        if fruitless == ATTEMPTS {
            if size(part) == 0 {
                let _ = std::fs::remove_file(part);
            }
            return Err(cut.context(by_hand(download, folder)));
        }
        std::thread::sleep(Duration::from_millis(200 << fruitless));
    }
}

/// One request for the bytes missing from `part`, or for all where the server does not know ranges.
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
        416 if have > 0 => return Ok(Attempt::Whole), // nothing is missing; the checksum decides
        status => return Ok(Attempt::Refused(anyhow!("the server answered {status}"))),
    };
    if start != 0 && start != have {
        let said = anyhow!("the server sent bytes from {start}, asked for those from {have}");
        return Ok(Attempt::Refused(said));
    }
    file.set_len(start).with_context(context)?;
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
            Attempt::Cut(anyhow!("the connection was cut after {done} of {total} bytes"))
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

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
