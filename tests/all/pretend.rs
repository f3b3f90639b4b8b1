//! Training on a GPU, as far as a machine without one can show it: on a pretended device (`tests/pretend/device.cpp`),
//! which counts how often a step makes a real one wait.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::session::{self, assert_same, complaint, lasting};

const NETWORKS: &str = "
  - name: MSDNet
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 2, first_exit: 1, spacing: { even: 1 } }
  - name: ResNet
    resnet: { blocks_per_stage: 1, channels: 4, exits_after: [1] }
  - name: DenseNet
    densenet: { layers_per_block: 1, growth: 2, exits_after: [1] }
  - name: MobileNet
    mobilenet: { width: 0.125, stem: cifar }
  - name: MobileNetV2
    mobilenet_v2: { width: 0.125, stem: cifar }
  - name: SqueezeNet
    squeezenet: { form: cifar }
";
/// Of [`NETWORKS`].
const FAMILIES: i64 = 6;

/// The folder with the headers and libraries of the LibTorch that the tests were linked with.
fn libtorch() -> PathBuf {
    let given = std::env::var_os("LIBTORCH").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".libtorch/torch"))
}

/// The folder of the compiled device, or why there is none.
fn device() -> Result<&'static Path, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref().map_err(Clone::clone)
}

fn build() -> Result<PathBuf, String> {
    let (torch, out) = (libtorch(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("pretend"));
    if !torch.join("include/ATen").is_dir() {
        return Err(format!("no headers of LibTorch in {}", torch.display()));
    }
    if Command::new("c++").arg("--version").output().is_err() {
        return Err("no C++ compiler".to_string());
    }
    fs::create_dir_all(&out).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pretend/device.cpp");
    let library = out.join("libpretend.so");
    let newer = |a: &Path, b: &Path| {
        Some(a.metadata().ok()?.modified().ok()? > b.metadata().ok()?.modified().ok()?)
    };
    if newer(&library, &source) == Some(true) {
        return Ok(out);
    }
    let include = torch.join("include");
    // Under a name of its own first: two test programs may build it at a time.
    let part = out.join(format!("part.{}", std::process::id()));
    compile(
        Command::new("c++")
            .args(["-std=c++17", "-O1", "-fPIC", "-shared", "-w"])
            .args([
                "-D_GLIBCXX_USE_CXX11_ABI=1".into(),
                format!("-I{}", include.display()),
                format!("-I{}/torch/csrc/api/include", include.display()),
                format!("-L{}/lib", torch.display()),
                format!("-Wl,-rpath,{}/lib", torch.display()),
            ])
            .arg(&source)
            .arg("-o")
            .arg(&part)
            .args(["-Wl,--no-as-needed", "-ltorch_cpu", "-lc10"]),
    );
    // An empty libtorch.so before the real one: LibTorch's CUDA library stays out.
    let empty = out.join("empty.cpp");
    fs::write(&empty, "").unwrap();
    compile(
        Command::new("c++")
            .args(["-shared", "-fPIC"])
            .arg(&empty)
            .arg("-o")
            .arg(out.join("libtorch.so")),
    );
    fs::rename(&part, &library).unwrap();
    Ok(out)
}

fn compile(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
}

/// The program on the pretended device, on `networks` of a tiny experiment in `folder`.
fn program(
    device: &Path,
    folder: &Path,
    training: &str,
    networks: &str,
    options: &[&str],
) -> Command {
    let experiment = format!(
        "figure: anytime\ndataset: synthetic\nvalidation: 100\nseeds: [0]\n{training}\nnetworks:{networks}"
    );
    fs::write(folder.join("tiny.yaml"), experiment).unwrap();
    let mut command = session::program(folder);
    command
        .args(["anytime", "tiny.yaml", "--device", "cuda", "--threads", "1", "--quiet"])
        .args(options)
        .env("LD_PRELOAD", device.join("libpretend.so"))
        .env("LD_LIBRARY_PATH", device)
        .env("OMP_NUM_THREADS", "1")
        .env("PRETEND_COUNTS", folder.join("counts"));
    command
}

fn training(images: usize, epochs: u32, precision: &str) -> String {
    format!(
        "training_images: {images}\n\
         training: {{ epochs: {epochs}, batch_size: 20, learning_rate: 0.05, precision: {precision} }}"
    )
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, complaint(&output));
    output
}

/// Launches, uploads and values read back of the programs that ran in `folder`.
fn counts(folder: &Path) -> [i64; 3] {
    let text = fs::read_to_string(folder.join("counts")).unwrap();
    let mut sums = [0; 3];
    for line in text.lines() {
        let numbers = line.split(' ').map(|number| number.parse::<i64>().unwrap());
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    sums
}

/// Counts of one training of every family.
fn counted(device: &Path, images: usize, epochs: u32, precision: &str) -> [i64; 3] {
    let folder = tempfile::tempdir().unwrap();
    let training = training(images, epochs, precision);
    succeed(program(device, folder.path(), &training, NETWORKS, &[]));
    counts(folder.path())
}

#[test]
fn a_step_uploads_nothing_and_reads_nothing_back() {
    let device = match device() {
        Ok(device) => device,
        Err(why) => return println!("skipped: {why}"),
    };
    for precision in ["fp32", "bf16"] {
        let [short, long, longer] = [(40, 1), (80, 1), (40, 2)]
            .map(|(images, epochs)| counted(device, images, epochs, precision));
        let growth = |other: [i64; 3]| [0, 1, 2].map(|i| other[i] - short[i]);
        let [launches, uploads, readbacks] = growth(long);
        assert!(launches > 100, "{precision}: two steps more launched {launches}");
        assert_eq!((uploads, readbacks), (0, 0), "{precision}: two steps more of each family");
        let [_, uploads, readbacks] = growth(longer);
        // Of each training: order, places, coins, mean and deviation, and as much for the hold-out; then the log,
        // the accuracies and the checkpoint.
        assert!(
            uploads <= FAMILIES * 12 && readbacks <= FAMILIES * 8,
            "{precision}: an epoch: {uploads}, {readbacks}"
        );
        println!(
            "{precision}: a step of each family launches {} operations in all, uploads 0, reads 0 back; an epoch of \
             one uploads {}, reads {} back",
            launches / 2,
            uploads / FAMILIES,
            readbacks / FAMILIES
        );
    }
}

#[test]
fn a_lost_gpu_leaves_a_training_that_goes_on_and_ends_with_the_same_bytes() {
    let device = match device() {
        Ok(device) => device,
        Err(why) => return println!("skipped: {why}"),
    };
    for network in NETWORKS.trim().split("\n  - ") {
        let network = format!("\n  - {}\n", network.trim_start_matches("- "));
        let training = training(60, 2, "fp32");
        let every_step = ["--checkpoint-minutes", "0"];
        let whole = tempfile::tempdir().unwrap();
        succeed(program(device, whole.path(), &training, &network, &every_step));
        let [launches, ..] = counts(whole.path());
        let folder = tempfile::tempdir().unwrap();
        let run = || program(device, folder.path(), &training, &network, &every_step);
        let output = run().env("PRETEND_LOST", (launches / 2).to_string()).output().unwrap();
        let error = complaint(&output);
        assert_eq!(output.status.code(), Some(75), "{error}");
        assert!(error.contains("the GPU was lost") && !error.contains("frame #"), "{error}");
        succeed(run());
        assert_same(&lasting(folder.path()), &lasting(whole.path()));
    }
}

#[test]
fn a_gpu_that_is_too_small_is_told_with_a_batch_that_fits() {
    let device = match device() {
        Ok(device) => device,
        Err(why) => return println!("skipped: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let training = "training_images: 400\ntraining: { epochs: 1, batch_size: 200 }";
    let network = "\n  - name: ResNet\n    resnet: { blocks_per_stage: 3, channels: 16 }\n";
    let run = |batch: &str| {
        let set = format!("training.batch_size={batch}");
        let options: &[&str] = if batch.is_empty() { &[] } else { &["--set", &set] };
        let mut command = program(device, folder.path(), training, network, options);
        command.env("PRETEND_MEMORY", "250000000").output().unwrap()
    };
    let output = run("");
    let error = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("batch") && error.contains("200") && !error.contains("frame #"),
        "{error}"
    );
    let size = error.split("training.batch_size=").nth(1).expect(&error);
    let size: String = size.chars().take_while(char::is_ascii_digit).collect();
    assert!(size.parse::<usize>().unwrap() < 200, "{error}");
    assert!(run(&size).status.success(), "{size}: {}", complaint(&run(&size)));
}

#[test]
fn workers_share_a_gpu_and_train_what_one_process_trains() {
    let device = match device() {
        Ok(device) => device,
        Err(why) => return println!("skipped: {why}"),
    };
    let figures = [&["--workers", "1"], &["--workers", "2"]].map(|options| {
        let folder = tempfile::tempdir().unwrap();
        succeed(program(device, folder.path(), &training(40, 1, "fp32"), NETWORKS, options));
        fs::read(folder.path().join("results/tiny/figure.csv")).unwrap()
    });
    assert_eq!(figures[0], figures[1]);
}
