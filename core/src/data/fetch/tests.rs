use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use md5::{Digest, Md5};

use super::*;
use crate::data::digest::hex;

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
    let range =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: ").map(String::from));
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
    assert_eq!(fetch_cifar(dir.path(), &url, &md5(&body)).unwrap(), Fetched::New(place.clone()));
    assert_eq!(names(dir.path()), ["cifar-100-binary"]);
    assert_eq!(cifar::read(&place, cifar::Labels::Fine, Split::Train).unwrap().labels, [7; 4]);
    assert_eq!(fetch_cifar(dir.path(), &url, &md5(&body)).unwrap(), Fetched::AlreadyThere(place));
    assert_eq!(*ranges.lock().unwrap(), [""]);
}

#[test]
fn a_second_fetch_leaves_the_first_alone() {
    let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
    let (url, ranges) = serve(body.clone(), vec![Answer::Obey]);
    let md5 = md5(&body);
    let first = Turn::take(&dir.path().join("cifar-100-binary")).unwrap().unwrap();
    let error = format!("{:#}", fetch_cifar(dir.path(), &url, &md5).unwrap_err());
    assert!(error.contains("is being fetched by another program"), "{error}");
    drop(first);
    let fetched = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| fetch_cifar(dir.path(), &url, &md5)));
        both.map(|fetch| fetch.join().unwrap())
    });
    let is_new = |fetched: &&Result<Fetched>| matches!(fetched, Ok(Fetched::New(_)));
    assert_eq!(fetched.iter().filter(is_new).count(), 1, "{fetched:?}");
    assert_eq!(*ranges.lock().unwrap(), [""]);
    assert_eq!(names(dir.path()), ["cifar-100-binary"]);
}

#[test]
fn a_file_that_is_cut_short_is_told_and_a_smaller_set_is_left() {
    let (dir, body) = (tempfile::tempdir().unwrap(), cifar100());
    let (url, _) = serve(body.clone(), vec![]);
    let place = dir.path().join("cifar-100-binary");
    std::fs::create_dir(&place).unwrap();
    for bytes in [2 * 3074, 3073, 0] {
        std::fs::write(place.join("train.bin"), vec![0; bytes]).unwrap();
        std::fs::write(place.join("test.bin"), [0; 3074]).unwrap();
        let fetched = fetch_cifar(dir.path(), &url, &md5(&body));
        match bytes {
            6148 => assert_eq!(fetched.unwrap(), Fetched::AlreadyThere(place.clone())),
            _ => {
                let error = format!("{:#}", fetched.unwrap_err());
                assert!(error.contains("train.bin is missing or cut short"), "{error}");
            }
        }
    }
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
    assert!(error.contains("by hand") && error.contains("as cifar-100-binary.tar.gz"), "{error}");
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
    let error = format!("{:#}", fetch_cifar(dir.path(), &url, &md5(&[])).unwrap_err());
    assert!(error.contains("the server answered 404"), "{error}");
    assert_eq!(ranges.lock().unwrap().len(), 1);
}

#[test]
fn a_damaged_archive_is_to_be_deleted_and_a_checksum_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("cifar-100-binary.tar.gz");
    std::fs::write(&archive, "cut").unwrap();
    let refused = |md5: &str| format!("{:#}", fetch_cifar(dir.path(), "", md5).unwrap_err());
    let told = format!("put the right {} there, or delete it", archive.display());
    assert!(refused(&md5(&[])).starts_with(&told), "{}", refused(&md5(&[])));
    assert!(archive.is_file());
    for wrong in ["zz", &"g".repeat(32)] {
        let told = format!("--md5: {wrong} is not 32 hexadecimal digits");
        assert!(refused(wrong).contains(&told), "{}", refused(wrong));
    }
}

#[test]
fn an_archive_that_leads_out_of_its_folder_is_refused() {
    for path in
        ["../evil.bin", "/tmp/evil.bin", "cifar-100-binary/../../evil.bin", "elsewhere/train.bin"]
    {
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
    for (body, what) in
        [(partly, "no cifar-100-binary/test.bin"), (whole[..whole.len() / 2].to_vec(), "cannot")]
    {
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
