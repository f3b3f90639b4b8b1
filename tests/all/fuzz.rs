//! Every reader of foreign bytes, on bytes that nobody meant: it answers or gives an error, soon,
//! and never panics. Runs 200 inputs a reader, or for REPRO_FUZZ_SECONDS a reader, with the seed
//! REPRO_FUZZ_SEED, from the input number REPRO_FUZZ_FROM on, of the reader REPRO_FUZZ_READER or
//! of all. What was found once is in `tests/corpus/`, named by its reader.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use repro::data::{cifar, idx};
use repro::experiment::{self, BUILT_IN, Plan, claims_yaml, paper_curves_csv};
use repro::nn::Weights;
use repro::results::{checkpoint, predictions, runfiles};
use repro::{cost, eval};
use tch::{Device, Kind};

use super::fixtures;
use super::foreign::{self, Reader};
use super::mutate::{below, generator, mutated};

/// Longer than any input of these sizes may take.
const LONGEST: Duration = Duration::from_secs(10);

fn readers(folder: &Path) -> Vec<Reader> {
    let path = |name: &str| folder.join(name);
    let built_in = || BUILT_IN.iter().map(|(_, text)| text.as_bytes().to_vec());
    let reader = |name, text, corpus, read| Reader { name, text, corpus, read };
    let experiment = path("experiment.yaml");
    let network = path("network.yaml");
    let tensors = path("tensors.safetensors");
    let timing = path("timing.csv");
    let mut readers = vec![
        reader(
            "experiment",
            true,
            built_in().chain([fixtures::EXPERIMENT.into(), POSITIONS.into()]).collect(),
            Box::new(move |bytes| read_experiment(&experiment, bytes)),
        ),
        reader(
            "network",
            true,
            NETWORKS.iter().map(|text| (*text).into()).collect(),
            Box::new(move |bytes| read_networks(&network, bytes)),
        ),
        reader(
            "claims",
            true,
            vec![claims_yaml().into()],
            Box::new(|bytes| with_text(bytes, |text| eval::claims::parse(text).is_ok())),
        ),
        reader(
            "paper-curves",
            true,
            vec![paper_curves_csv().into()],
            Box::new(|bytes| with_text(bytes, |text| eval::paper::parse(text).is_ok())),
        ),
        reader(
            "cifar",
            false,
            vec![fixtures::cifar(1), fixtures::cifar(2)],
            Box::new(|bytes| {
                let labels = [cifar::Labels::Ten, cifar::Labels::Fine, cifar::Labels::Coarse];
                labels.map(|l| cifar::parse(bytes, "x", l).is_ok()).contains(&true)
            }),
        ),
        reader(
            "idx",
            false,
            vec![
                fixtures::idx_images(),
                fixtures::idx_labels(),
                fixtures::gzipped(&fixtures::idx_images()),
                fixtures::gzipped(&fixtures::idx_labels()),
            ],
            Box::new(|bytes| {
                let (images, labels) = (fixtures::idx_images(), fixtures::idx_labels());
                idx::join((bytes, "x"), (&labels, "y")).is_ok()
                    | idx::join((&images, "x"), (bytes, "y")).is_ok()
            }),
        ),
        reader(
            "checkpoint",
            false,
            vec![fixtures::checkpoint_file()],
            Box::new(|bytes| checkpoint::parse(bytes).is_ok()),
        ),
        reader(
            "checkpoint-metadata",
            true,
            vec![metadata_of(&fixtures::checkpoint_file()).into_bytes()],
            Box::new(|bytes| with_text(bytes, |text| checkpoint::parse(&wrapped(text)).is_ok())),
        ),
        reader(
            "safetensors",
            false,
            vec![fixtures::checkpoint_file(), wrapped("x")],
            Box::new(move |bytes| read_tensors(&tensors, bytes)),
        ),
        reader(
            "predictions",
            false,
            vec![fixtures::predictions_file()],
            Box::new(|bytes| predictions::parse(bytes.to_vec()).is_ok()),
        ),
        reader(
            "timing",
            true,
            vec![b"epoch,images_per_second,seconds\n1,20.5,3.250\n2,20.5,3.250\n".to_vec()],
            Box::new(move |bytes| {
                std::fs::write(&timing, bytes).unwrap();
                runfiles::timing_seconds(&timing).is_finite()
            }),
        ),
    ];
    readers.extend(foreign::readers(folder));
    readers
}

const POSITIONS: &str = "\
figure: fig-final-degradation
dataset: cifar10
training: { epochs: 3 }
networks:
  - { name: ResNet, resnet: { blocks_per_stage: 2 }, positions: [1, 3] }
  - { name: M, msdnet: { channels: 4, growth: 2, scale_growth: [1, 2], bottleneck: [1, 2], exits: [6] }, positions: [2] }
";

const NETWORKS: &[&str] = &[
    "msdnet: { stem: cifar, channels: 16, growth: 6, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 3, first_exit: 4, spacing: { even: 2 }, compression: 0.5 }",
    "msdnet: { stem: imagenet, channels: 32, growth: 16, scale_growth: [1, 2, 4, 4], bottleneck: [1, 2, 4, 4], exits: 5, first_exit: 4, spacing: { growing: 1 }, reduce: false, dense: false, multi_scale: false }",
    "resnet: { blocks_per_stage: 3, channels: 16, exits_after: [4, 8], classifier: convolutional }",
    "name: D\ndensenet: { layers_per_block: 4, growth: 12, bottleneck: true, compression: 0.5, growth_doubles: true, exits_after: [3, 8] }",
];

fn with_text(bytes: &[u8], read: impl Fn(&str) -> bool) -> bool {
    std::str::from_utf8(bytes).is_ok_and(read)
}

fn read_experiment(path: &Path, bytes: &[u8]) -> bool {
    std::fs::write(path, bytes).unwrap();
    let Ok((_, experiment)) = experiment::load(path.to_str().unwrap(), &[]) else {
        return false;
    };
    let Ok(plan) = Plan::new(&experiment, fixtures::INPUT, 100) else {
        return false;
    };
    let runs = plan.runs().into_iter().take(50);
    runs.filter(|run| !run.folder_name().is_empty()).count() > 0
}

fn read_networks(path: &Path, bytes: &[u8]) -> bool {
    std::fs::write(path, bytes).unwrap();
    let Ok((networks, _)) = experiment::load_networks(path.to_str().unwrap()) else {
        return false;
    };
    for (_, config) in &networks {
        if let Ok(network) = config.build(fixtures::INPUT) {
            let table = cost::table(&network);
            assert!(table.is_sorted_by_key(|c| c.multiply_adds), "costs overflow");
        }
    }
    true
}

fn read_tensors(path: &Path, bytes: &[u8]) -> bool {
    std::fs::write(path, bytes).unwrap();
    let _ = checkpoint::load_progress(path);
    let Ok(tensors) = checkpoint::load_tensors(path) else {
        return false;
    };
    let network = fixtures::run().network.build(fixtures::INPUT).unwrap();
    let mut weights = Weights::zeros(&network, Kind::Float, Device::Cpu).unwrap();
    weights.load(&tensors).is_ok()
}

/// The JSON in a checkpoint's metadata.
fn metadata_of(file: &[u8]) -> String {
    let (_, header) = safetensors::SafeTensors::read_metadata(file).unwrap();
    header.metadata().as_ref().unwrap()["repro"].clone()
}

/// A safetensors file with `text` for its metadata.
fn wrapped(text: &str) -> Vec<u8> {
    let data = [0; 8];
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data);
    let metadata = std::collections::HashMap::from([("repro".to_string(), text.to_string())]);
    safetensors::serialize([("a", view.unwrap())], Some(metadata)).unwrap()
}

/// What was found before, by the reader's name.
fn found_before(reader: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.split('.').next() == Some(reader) {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found
}

/// What this process has computed so far: a process that was stopped, or waited for a processor,
/// is not slow.
fn computed() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name in brackets: user and system time, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let hundredths = fields.skip(11).take(2).map(|n| n.parse::<u64>().unwrap());
    Duration::from_millis(10 * hundredths.sum::<u64>())
}

/// Whether the reader takes `bytes`, or what is wrong with how it reads them.
fn wrong(reader: &Reader, bytes: &[u8]) -> Result<bool, String> {
    let (began, before) = (Instant::now(), computed());
    let result = catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes)));
    let took = began.elapsed().min(computed().saturating_sub(before));
    match result {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
            Err(format!("panics: {}", text.unwrap_or_default()))
        }
        Ok(_) if took > LONGEST => Err(format!("takes {took:.1?}")),
        Ok(taken) => Ok(taken),
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Where findings of a long run go, REPRO_FUZZ_FINDINGS.
fn keep(reader: &Reader, which: &str, bytes: &[u8]) {
    if let Ok(folder) = std::env::var("REPRO_FUZZ_FINDINGS") {
        let path = Path::new(&folder).join(format!("{}.{which}", reader.name));
        std::fs::write(path, bytes).unwrap();
    }
}

fn fuzz(reader: &Reader, seed: u64, limit: Duration, least: u64) -> (u64, u64, Vec<String>) {
    let (mut executions, mut taken, mut findings) = (0, 0, Vec::new());
    let began = Instant::now();
    while executions < least || began.elapsed() < limit {
        // Each input depends on its own number alone, so that any of them can be made again.
        let mut rng = generator(seed.wrapping_add(executions));
        let from = &reader.corpus[below(&mut rng, reader.corpus.len())];
        let other = &reader.corpus[below(&mut rng, reader.corpus.len())];
        let bytes = mutated(from, other, reader.text, &mut rng);
        executions += 1;
        // What never returns, or takes all memory, is left behind under this name.
        keep(reader, "under-way", &bytes);
        match wrong(reader, &bytes) {
            Err(what) if !findings.contains(&what) => {
                keep(reader, &findings.len().to_string(), &bytes);
                findings.push(what);
                if findings.len() > 20 {
                    break;
                }
            }
            Err(_) => {}
            Ok(reads) => taken += u64::from(reads),
        }
    }
    (executions, taken, findings)
}

#[test]
fn whole_files_are_taken_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    for reader in readers(folder.path()) {
        let whole = reader.corpus.iter().filter(|bytes| (reader.read)(bytes));
        let expected = match reader.name {
            // Its own metadata belongs to other tensors; a safetensors file need not fit a network.
            "checkpoint-metadata" => 0,
            "safetensors" => 1,
            // Networks for ImageNet do not fit images of 32 pixels.
            "experiment" => (reader.corpus.iter())
                .filter(|bytes| !String::from_utf8_lossy(bytes).contains("dataset: imagenet"))
                .count(),
            _ => reader.corpus.len(),
        };
        assert_eq!(whole.count(), expected, "{}", reader.name);
    }
}

#[test]
fn what_was_found_once_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    for reader in readers(folder.path()) {
        for (path, bytes) in found_before(reader.name) {
            let wrong = wrong(&reader, &bytes).err();
            assert_eq!(wrong, None, "{}", path.display());
        }
    }
}

#[test]
fn no_reader_panics_on_foreign_bytes() {
    tch::set_num_threads(1);
    let folder = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(setting("REPRO_FUZZ_SECONDS").unwrap_or(0));
    let seed = setting("REPRO_FUZZ_SEED").unwrap_or(0) << 40;
    let seed = seed + setting("REPRO_FUZZ_FROM").unwrap_or(0);
    let only = std::env::var("REPRO_FUZZ_READER").ok();
    let mut wrong = Vec::new();
    for reader in readers(folder.path()) {
        if only.as_deref().is_some_and(|only| only != reader.name) {
            continue;
        }
        let (executions, taken, findings) = fuzz(&reader, seed, limit, 200);
        println!(
            "{}: {executions} inputs, {taken} of them taken, {} findings",
            reader.name,
            findings.len()
        );
        wrong.extend(findings.into_iter().map(|f| format!("{}: {f}", reader.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
