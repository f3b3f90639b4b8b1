//! Damaged files: an error or the earlier checkpoint, never a panic, and never other numbers
//! without a word. Every truncation, and REPRO_CORRUPTIONS seeded corruptions (300) of each file.

use std::fs;
use std::path::Path;
use std::process::Output;

use repro::data::{Images, Raw, cifar, digest, idx};
use repro::eval;
use repro::experiment::{self, claims_yaml, paper_curves_csv};
use repro::results::folder::RunFolder;
use repro::results::{checkpoint, predictions, runfiles};

use super::fixtures;
use super::mutate::{corrupted, generator};
use super::session::{
    assert_same, complaint, finish, lasting, repro, run_folder, text, tiny, words,
};

fn corruptions() -> usize {
    let text = std::env::var("REPRO_CORRUPTIONS").ok();
    text.map_or(300, |text| text.parse().expect("a number"))
}

/// Every truncation of `whole`, and corruptions; says how many there were.
fn damage(name: &str, whole: &[u8], mut check: impl FnMut(&[u8])) {
    for length in 0..whole.len() {
        check(&whole[..length]);
    }
    let mut rng = generator(8);
    for _ in 0..corruptions() {
        check(&corrupted(whole, &mut rng));
    }
    println!("{name}: {} truncations, {} corruptions", whole.len(), corruptions());
}

#[test]
fn a_damaged_checkpoint_is_an_error_or_says_the_same() {
    let whole = fixtures::checkpoint_file();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let check = |bytes: &[u8]| {
        if let Ok((progress, tensors)) = checkpoint::parse(bytes) {
            assert!(checkpoint::to_bytes(&progress, &tensors).unwrap() == whole);
        }
    };
    damage("checkpoint", &whole, check);
    // Most of the file is tensors; the header has its own turn.
    let mut rng = generator(9);
    for _ in 0..corruptions() {
        let head = corrupted(&whole[..header], &mut rng);
        check(&[&head, &whole[header..]].concat());
    }
    println!("checkpoint header: {} corruptions", corruptions());
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::at(folder.path());
    let (mut progress, tensors) = fixtures::checkpoint();
    run.save(&progress, &tensors).unwrap();
    progress.step += 1;
    run.save(&progress, &tensors).unwrap();
    let mut bytes = fs::read(run.checkpoint()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(run.checkpoint(), &bytes).unwrap();
    let (_, complaints) = run.load().unwrap();
    assert!(complaints[0].contains("checksum"), "{complaints:?}");
    assert!(run.checkpoint().exists(), "looking changes nothing");
    let (loaded, complaints) = run.load_to_go_on().unwrap();
    assert_eq!(loaded.unwrap().progress.step, progress.step - 1);
    assert!(complaints[0].contains("checksum"), "{complaints:?}");
    let aside = folder.path().join("checkpoint.damaged");
    assert_eq!(fs::read(aside).unwrap(), bytes);
}

#[test]
fn a_number_that_is_not_finite_is_never_saved() {
    let (progress, mut tensors) = fixtures::checkpoint();
    let name = tensors[0].0.clone();
    tensors[0].1 = tensors[0].1.f_mul_scalar(f64::NAN).unwrap();
    let error = checkpoint::to_bytes(&progress, &tensors).unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("NaN"), "{error}");
}

#[test]
fn a_training_that_diverges_says_where_and_leaves_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--quiet", "--set", "training.learning_rate=1e30"];
    let output = tiny(folder.path(), &options).output().unwrap();
    let error = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("DenseNet, seed 0") && error.contains("at epoch 1, step"), "{error}");
    assert!(!folder.path().join("results/tiny/figure.csv").exists());
    let run = RunFolder::at(run_folder(folder.path()).unwrap());
    assert!(run.load().unwrap().0.is_none());
}

#[test]
fn damaged_predictions_are_an_error_and_never_other_numbers() {
    let whole = fixtures::predictions_file();
    let (expected, made) = fixtures::predictions();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions-test.parquet");
    fs::write(&path, &whole).unwrap();
    assert_eq!(predictions::load(&path).unwrap(), (made, expected));
    damage("predictions", &whole, |bytes| {
        let error = predictions::parse(bytes.to_vec());
        assert!(bytes == whole || error.is_err());
    });
    fs::write(&path, &whole[1..]).unwrap();
    assert!(predictions::load(&path).is_err());
}

/// Damaged images are an error, or their digest tells: training on them would begin anew.
fn check_images(parsed: anyhow::Result<Raw>, whole: &Raw, original: &str) {
    if let Ok(raw) = parsed
        && raw != *whole
    {
        assert_ne!(digest(&Images::try_from(raw).unwrap()).unwrap(), original);
    }
}

#[test]
fn damaged_images_are_an_error_or_have_another_digest() {
    tch::set_num_threads(1);
    let digest_of = |raw: &Raw| digest(&Images::try_from(raw.clone()).unwrap()).unwrap();
    for (labels, bytes) in [(cifar::Labels::Ten, 1), (cifar::Labels::Fine, 2)] {
        let file = fixtures::cifar(bytes);
        let whole = cifar::parse(&file, "x", labels).unwrap();
        let original = digest_of(&whole);
        damage("cifar", &file, |bytes| {
            check_images(cifar::parse(bytes, "x", labels), &whole, &original);
        });
    }
    let plain = (fixtures::idx_images(), fixtures::idx_labels());
    let packed = (fixtures::gzipped(&plain.0), fixtures::gzipped(&plain.1));
    for (images, labels) in [plain, packed] {
        let join = |images: &[u8], labels: &[u8]| idx::join((images, "x"), (labels, "y"));
        let whole = join(&images, &labels).unwrap();
        let original = digest_of(&whole);
        damage("idx images", &images, |bytes| {
            check_images(join(bytes, &labels), &whole, &original);
        });
        damage("idx labels", &labels, |bytes| {
            check_images(join(&images, bytes), &whole, &original);
        });
    }
}

#[test]
fn damaged_text_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    let name = path.to_str().unwrap().to_string();
    damage("experiment", fixtures::EXPERIMENT.as_bytes(), |bytes| {
        fs::write(&path, bytes).unwrap();
        drop(experiment::load(&name, &[]));
        drop(experiment::load_networks(&name));
    });
    let claims = claims_yaml().as_bytes();
    damage("claims", &claims[..claims.len().min(1500)], |bytes| {
        drop(eval::claims::parse(&text(bytes)));
    });
    let curves = paper_curves_csv().as_bytes();
    damage("curves", &curves[..curves.len().min(1500)], |bytes| {
        drop(eval::paper::parse(&text(bytes)));
    });
    let timing = b"epoch,images_per_second,seconds\n1,20.5,3.250\n2,20.5,3.250\n";
    damage("timing", timing, |bytes| {
        fs::write(&path, bytes).unwrap();
        assert!(runfiles::timing_seconds(&path).is_finite());
    });
}

/// CIFAR-10 in `folder`, small: 40 images a file.
fn write_cifar(folder: &Path) {
    let place = folder.join("data/cifar-10-batches-bin");
    fs::create_dir_all(&place).unwrap();
    let names = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin"];
    for name in names.into_iter().chain(["data_batch_5.bin", "test_batch.bin"]) {
        let records = (0..40u32).flat_map(|image| {
            let pixels = (0..3072u32).map(move |i| (i * (image + 3) % 253) as u8);
            std::iter::once((image % 10) as u8).chain(pixels)
        });
        fs::write(place.join(name), records.collect::<Vec<u8>>()).unwrap();
    }
}

fn train_on_cifar(folder: &Path) -> Output {
    let yaml = fixtures::EXPERIMENT
        .replace("synthetic", "cifar10")
        .replace("validation: 100", "validation: 40")
        .replace("epochs: 3", "epochs: 1");
    fs::write(folder.join("tiny.yaml"), yaml).unwrap();
    repro(folder, &words("anytime tiny.yaml --threads 1 --device cpu"))
}

/// Changes one byte of a file.
fn touch(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 8;
    fs::write(path, bytes).unwrap();
}

#[test]
fn changed_images_redo_what_depends_on_them_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    write_cifar(folder.path());
    let told = |output: Output| {
        let said = complaint(&output);
        assert!(output.status.success(), "{said}");
        said
    };
    let trained = |text: &str| text.contains("epoch 1/1");
    assert!(trained(&told(train_on_cifar(folder.path()))));
    let again = told(train_on_cifar(folder.path()));
    assert!(!trained(&again) && !again.contains("predicting again"), "{again}");

    let place = folder.path().join("data/cifar-10-batches-bin");
    touch(&place.join("test_batch.bin"));
    let test = told(train_on_cifar(folder.path()));
    assert!(!trained(&test), "{test}");
    let lines = test.lines().filter(|line| line.contains("predicting again"));
    let lines: Vec<_> = lines.collect();
    assert!(
        matches!(lines[..], [line] if line.contains("predictions-test") && line.contains("the data have changed")),
        "{test}"
    );

    touch(&place.join("data_batch_3.bin"));
    let train = told(train_on_cifar(folder.path()));
    assert!(train.contains("the training data have changed") && trained(&train), "{train}");
}

#[test]
fn a_finished_run_whose_weights_are_damaged_is_trained_on_from_the_checkpoint_before() {
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    let expected = lasting(folder.path());
    let run = run_folder(folder.path()).unwrap();
    let path = run.join("checkpoint.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::remove_file(run.join("predictions-test.parquet")).unwrap();
    let output = finish(folder.path());
    let text = complaint(&output);
    assert!(text.contains("checkpoint.damaged") && text.contains("after epoch 2"), "{text}");
    assert_same(&lasting(folder.path()), &expected);
}
