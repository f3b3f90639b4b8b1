//! The readers that the fuzzer knows of image folders, of weights from elsewhere and of manifests.

use std::io::{Cursor, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use image::{ImageFormat, RgbImage};
use repro::data::files::Files;
use repro::data::{Augmentation, Split, folder};
use repro::experiment::Run;
use repro::import;
use repro::runs::{DataSets, Places, Settings};
use repro::sweep;
use serde_json::Value;

use super::fixtures;

/// Whether bytes are taken; it must not panic.
pub type Takes = Box<dyn Fn(&[u8]) -> bool>;

/// One reader: whether it took the bytes.
pub struct Reader {
    /// Of its files in the corpus.
    pub name: &'static str,
    /// Whether words and numbers are changed too.
    pub text: bool,
    /// Whole files.
    pub corpus: Vec<Vec<u8>>,
    /// The reader.
    pub read: Takes,
}

/// All of them; they write below `folder`.
pub fn readers(folder: &Path) -> Vec<Reader> {
    let path = |name: &str| folder.join(name);
    let reader = |name, text, corpus, read| Reader { name, text, corpus, read };
    let (listing, image) = (path("listing"), path("image"));
    let (torch, pickled) = (path("x.pth.tar"), path("pickled.pth.tar"));
    let (state, manifest) = (path("state.safetensors"), path("m.jsonl"));
    let runs = path("no-runs");
    vec![
        reader(
            "image-folder",
            true,
            vec![LISTING.into(), LISTING.replace("test", "val").into()],
            Box::new(move |bytes| read_listing(&listing, bytes)),
        ),
        reader(
            "image",
            false,
            vec![
                encoded(ImageFormat::Png, 5, 4),
                encoded(ImageFormat::Png, 300, 2),
                encoded(ImageFormat::Jpeg, 24, 17),
                encoded(ImageFormat::Jpeg, 1, 40),
                encoded(ImageFormat::WebP, 9, 7),
            ],
            Box::new(move |bytes| {
                let as_it_is = read_image(&image, bytes);
                as_it_is | with_right_sums(bytes).is_some_and(|b| read_image(&image, &b))
            }),
        ),
        reader(
            "torch-file",
            false,
            vec![TORCH_ZIP.to_vec(), TORCH_LEGACY.to_vec()],
            Box::new(move |bytes| read_state(&torch, bytes)),
        ),
        reader(
            "pickle",
            false,
            vec![pickle_of(TORCH_ZIP)],
            Box::new(move |bytes| read_state(&pickled, &with_pickle(TORCH_ZIP, bytes))),
        ),
        reader(
            "state-dict",
            false,
            vec![fixtures::state_dict_file()],
            Box::new(move |bytes| {
                let network = fixtures::run().network.build(fixtures::INPUT).unwrap();
                let read = import::read_states(&state, bytes);
                read.is_ok_and(|states| import::fit(&network, states).is_ok())
            }),
        ),
        reader(
            "manifest",
            true,
            vec![planned(&path("planned.yaml"))],
            Box::new(move |bytes| {
                let as_it_is = read_manifest(&manifest, &runs, bytes);
                as_it_is
                    | with_right_ids(bytes).is_some_and(|b| read_manifest(&manifest, &runs, &b))
            }),
        ),
    ]
}

/// Files of an image folder, a path a line.
const LISTING: &str = "\
train/cat/1.png
train/cat/2.JPG
train/dog/1.jpeg
train/dog/notes.txt
test/cat/1.png
test/dog/9.jpg
";

fn read_listing(root: &Path, bytes: &[u8]) -> bool {
    let _ = std::fs::remove_dir_all(root);
    std::fs::create_dir_all(root).unwrap();
    for line in bytes.split(|&byte| byte == b'\n') {
        let path = Path::new(std::ffi::OsStr::from_bytes(line));
        let stays = path.components().all(|c| matches!(c, Component::Normal(_)));
        let file = root.join(path);
        if !line.is_empty() && stays && std::fs::create_dir_all(file.parent().unwrap()).is_ok() {
            // What the file system refuses is not in the folder.
            let _ = std::fs::write(&file, "x");
        }
    }
    let known = folder::classes(root).is_ok_and(|names| !names.is_empty());
    let counted = folder::training_images(root).is_ok();
    let whole = [Split::Train, Split::Test].map(|part| {
        Files::open(root, part).is_ok_and(|files| !files.is_empty() && files.digest().is_ok())
    });
    // No file holds an image, so none is left.
    assert!(Files::open_whole(root, Split::Train).is_err());
    known && counted && whole == [true, true]
}

/// A picture whose pixels differ.
fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x, y, x * y].map(|n| (n * 37 % 256) as u8))
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn read_image(root: &Path, bytes: &[u8]) -> bool {
    for part in ["train/a", "test/a"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
        std::fs::write(root.join(part).join("1.png"), bytes).unwrap();
    }
    let Ok(files) = Files::open(root, Split::Test) else {
        return false;
    };
    let change = Some((Augmentation::default(), 1, 0));
    let [seen, trained] = [None, change].map(|change| files.pixels(&[0], change).is_ok());
    assert_eq!(seen, trained, "an image is whole or it is not");
    assert_eq!(seen, Files::open_whole(root, Split::Test).is_ok());
    seen
}

/// A PNG with the checksum of each chunk made right, so that what a chunk says is looked at.
fn with_right_sums(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut mended = bytes.get(..8).filter(|b| b.starts_with(b"\x89PNG"))?.to_vec();
    let mut rest = &bytes[8..];
    while rest.len() >= 12 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let end = length.min(rest.len() - 12) + 8;
        let mut sum = flate2::Crc::new();
        sum.update(&rest[4..end]);
        mended.extend_from_slice(&rest[..end]);
        mended.extend(sum.sum().to_be_bytes());
        rest = &rest[end + 4..];
    }
    mended.extend_from_slice(rest);
    Some(mended)
}

const TORCH_ZIP: &[u8] = include_bytes!("../../src/import/fixtures/zip.pth.tar");
const TORCH_LEGACY: &[u8] = include_bytes!("../../src/import/fixtures/legacy.pth.tar");

fn read_state(path: &Path, bytes: &[u8]) -> bool {
    import::read_states(path, bytes).is_ok()
}

fn pickle_of(file: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).unwrap();
    let name = archive.file_names().find(|name| name.ends_with("data.pkl"));
    let name = name.unwrap().to_string();
    let mut bytes = Vec::new();
    let mut entry = archive.by_name(&name).unwrap();
    entry.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The same archive with another pickle, its checksum right.
fn with_pickle(file: &[u8], pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).unwrap();
    let mut written = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let is_pickle = entry.name().ends_with("data.pkl");
        written.start_file(entry.name(), stored).unwrap();
        let bytes = if is_pickle { pickle } else { &bytes };
        written.write_all(bytes).unwrap();
    }
    written.finish().unwrap().into_inner()
}

fn settings(runs: &Path) -> Settings {
    Settings::on_one_core(Places {
        out: runs.join("results"),
        runs: runs.to_path_buf(),
        data: runs.join("data"),
    })
}

/// A manifest of two runs.
fn planned(experiment: &Path) -> Vec<u8> {
    let text = fixtures::EXPERIMENT.replace("seeds: [0]", "seeds: [0, 3]");
    std::fs::write(experiment, text).unwrap();
    let which = experiment.to_str().unwrap().to_string();
    let changes = ["training.epochs=2".to_string()];
    let lines = sweep::manifest(&[which], &changes, &settings(Path::new("no-runs"))).unwrap();
    sweep::manifest_text(&lines).unwrap().into_bytes()
}

fn read_manifest(path: &Path, runs: &Path, bytes: &[u8]) -> bool {
    std::fs::write(path, bytes).unwrap();
    let path = path.to_str().unwrap();
    let Ok(lines) = sweep::read_manifest(path) else {
        return false;
    };
    let statuses = sweep::status_of(&lines, path, &DataSets::new(&settings(runs)));
    assert_eq!(statuses.len(), lines.len());
    !sweep::describe_status(&statuses, true).is_empty()
}

/// A manifest with each line's place and id made right, so that what a line says is looked at.
fn with_right_ids(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::new();
    for (index, line) in std::str::from_utf8(bytes).ok()?.lines().enumerate() {
        let mut line: Value = serde_json::from_str(line).ok()?;
        let run: Run = serde_json::from_value(line.get("run")?.clone()).ok()?;
        line["index"] = index.into();
        line["id"] = run.folder_name().into();
        writeln!(mended, "{line}").unwrap();
    }
    Some(mended)
}
