//! How tests use the program: folders, tiny experiments, the program's start, what it says and writes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::fixtures::EXPERIMENT;

/// The program in `folder`.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_repro"));
    command.current_dir(folder).env("NO_COLOR", "1");
    command
}

/// The program in `folder`, at its end.
pub fn repro(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

/// The words of a command line without quotes.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Standard output of a call that must succeed.
#[track_caller]
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = repro(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", complaint(&output));
    text(&output.stdout)
}

/// Standard error of a call that must fail with `code`, without a panic.
#[track_caller]
pub fn refused(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = repro(folder, arguments);
    let error = complaint(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(!error.contains("panicked") && !error.contains("RUST_BACKTRACE"), "{error}");
    error
}

/// Standard error of an ended program.
pub fn complaint(output: &Output) -> String {
    text(&output.stderr)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of its own with a file in it.
pub fn folder_with(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// Waits until `is_so`; the limit only ends what hangs.
pub fn wait_until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Python with the packages of `scripts/run-notebooks.sh`; none where there is no Python.
pub fn python(code: &str, argument: &Path) -> Option<Output> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join(".python");
    let mut command = Command::new("python3");
    command.args(["-c", code]).arg(argument).env("PYTHONPATH", packages).output().ok()
}

/// The experiment of [`trained`].
pub const TINY: &str = "\
figure: budgeted-batch
dataset: synthetic
validation: 200
training_images: 300
training: { epochs: 1, batch_size: 50, augmentation: { crop: 0, flip: false } }
budgeted: { policies: [max-softmax, margin, entropy] }
networks:
  - name: tiny
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2], bottleneck: [1, 1], exits: 3, first_exit: 1, spacing: { even: 1 } }
";

/// A folder with a trained run, its figure, and `tiny.yaml`; trained once, a copy for each test.
pub fn trained() -> tempfile::TempDir {
    static TRAINED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let original = TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(folder.path().join("tiny.yaml"), TINY).unwrap();
        let arguments = ["budgeted-batch", "tiny.yaml", "--threads", "1", "--quiet"];
        succeed(folder.path(), &arguments);
        folder
    });
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    copy
}

pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_tree(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Rows of a CSV without quoted cells, by column.
pub fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(String::from));
    let header: Vec<String> = lines.next().unwrap().collect();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

/// A test image of the synthetic kind, as a file.
pub fn picture(folder: &Path, name: &str, shade: u8) {
    let stripes = |x: u32, y: u32| image::Rgb([shade, (x * 8) as u8, (y * 8) as u8]);
    let picture = image::RgbImage::from_fn(48, 40, stripes);
    picture.save(folder.join(name)).unwrap();
}

/// The program on [`EXPERIMENT`] in `folder`, on one thread.
pub fn tiny(folder: &Path, options: &[&str]) -> Command {
    fs::write(folder.join("tiny.yaml"), EXPERIMENT).unwrap();
    let mut command = program(folder);
    command
        .args(["anytime", "tiny.yaml", "--threads", "1", "--device", "cpu"])
        .args(options)
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end.
pub fn finish(folder: &Path) -> Output {
    let output = tiny(folder, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    output
}

/// The one run folder in `folder`, once it is there.
pub fn run_folder(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder.join("runs")).ok()?;
    entries.next().map(|entry| entry.unwrap().path())
}

/// Every file that must have the same bytes however often the run was interrupted.
pub fn lasting(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let run = run_folder(folder).expect("a run folder");
    let of_run = [
        "checkpoint.safetensors",
        "train.csv",
        "holdout.csv",
        "run.yaml",
        "predictions-validation.parquet",
        "predictions-test.parquet",
    ];
    let of_figure = ["figure.csv", "exits.csv", "costs.csv", "figure.svg", "figure.png"];
    let results = folder.join("results/tiny");
    let paths = of_run
        .iter()
        .map(|name| run.join(name))
        .chain(of_figure.iter().map(|name| results.join(name)));
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let mut bytes = fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            if name == "run.yaml" {
                // What began the run comes last, its date and speed included.
                let text = String::from_utf8(bytes).unwrap();
                bytes = text.split("\nbegan:").next().unwrap().as_bytes().to_vec();
            }
            (name, bytes)
        })
        .collect()
}

/// Fails on the first file that differs, by name.
pub fn assert_same(found: &[(String, Vec<u8>)], expected: &[(String, Vec<u8>)]) {
    assert_eq!(found.len(), expected.len());
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert!(found == expected, "{name} differs from the uninterrupted run's");
    }
}

/// The files of an uninterrupted run, and how long it took.
pub fn uninterrupted() -> (Vec<(String, Vec<u8>)>, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    finish(folder.path());
    (lasting(folder.path()), began.elapsed())
}

/// The data of small experiments.
pub const TRAINING: &str = "dataset: synthetic
validation: 100
training_images: 200
";

const NETWORKS: &str = "networks:
  - name: MSDNet
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 2, first_exit: 1, spacing: { even: 1 } }
  - name: ResNet
    resnet: { blocks_per_stage: 1, channels: 4, exits_after: [1] }
";

/// A small anytime experiment that trains in seconds.
pub fn anytime(seeds: &str, epochs: u32, learning_rate: &str) -> String {
    format!(
        "figure: anytime\n{TRAINING}seeds: {seeds}\n\
         training: {{ epochs: {epochs}, batch_size: 50, learning_rate: {learning_rate} }}\n{NETWORKS}"
    )
}

/// The epochs of a run's clock, in the order in which they were trained.
pub fn epochs(run: &Path) -> Vec<u32> {
    let text = fs::read_to_string(run.join("timing.csv")).unwrap_or_default();
    let epoch = |line: &str| line.split(',').next().unwrap().parse().unwrap();
    text.lines().skip(1).map(epoch).collect()
}

/// The files of the figure `x` in the folder `out`.
pub fn figure_files(folder: &Path, out: &str) -> Vec<Vec<u8>> {
    let files = ["figure.csv", "figure.svg", "figure.png", "exits.csv"];
    let read = |name| fs::read(folder.join(out).join("x").join(name)).unwrap();
    files.into_iter().map(read).collect()
}
