//! Is a data set what it should be?

use std::path::Path;

use anyhow::{Context, Result};

use super::digest::for_each_chunk;
use super::files::{Files, list};
use super::raw::grouped;
use super::source::check_classes;
use super::{Dataset, Images, Source, Split};

/// What a split of a data set holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitReport {
    /// Which part.
    pub split: Split,
    /// Images of each class that can be read, by label.
    pub balance: Vec<usize>,
    /// None for an image folder: its images differ in size.
    pub pixels: Option<Pixels>,
    /// What of an image folder is not read, for people.
    pub left_out: Option<String>,
    /// See [`Source::digest`]; in an image folder of the images that can be read.
    pub digest: String,
}

/// The pixels of images of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Mean of each channel, pixels from 0 to 1.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, pixels from 0 to 1.
    pub std: Vec<f64>,
}

/// Both splits that have files, and what is wrong with them.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Training and test.
    pub parts: [SplitReport; 2],
    /// One sentence each; empty when all is well.
    pub problems: Vec<String>,
    /// How many of the problems are files that are no whole images.
    pub broken: usize,
}

/// Reads both splits, which checks sizes and label ranges, and counts. Of an image folder every file is read;
/// `on_read` is called after each, with its split, the number of files read and of all.
///
/// # Errors
/// Those of [`Source::open`]; a broken image is a problem, not an error.
pub fn verify(
    dataset: &Dataset,
    data_dir: &Path,
    on_read: &(dyn Fn(Split, usize, usize) + Sync),
) -> Result<Report> {
    let splits = [Split::Train, Split::Test];
    let mut problems = Vec::new();
    let parts = match dataset.image_folder(data_dir) {
        None => {
            let [train, test] =
                splits.map(|split| report(split, &Source::open(dataset, split, data_dir)?));
            [train?, test?]
        }
        Some(folder) => {
            check_classes(dataset, &folder)?;
            let mut one = |split, listing| {
                let (files, broken) = Files::read(listing, &|done, of| on_read(split, done, of))?;
                problems.extend(broken.into_iter().map(|broken| broken.reason));
                report(split, &Source::Files(files))
            };
            // Both are listed before the first image is read.
            let [train, test] = splits.map(|split| list(&folder, split));
            let (train, test) = (train?, test?);
            [one(Split::Train, train)?, one(Split::Test, test)?]
        }
    };
    let broken = problems.len();
    let official = dataset.row().map(|row| row.images);
    for (place, part) in parts.iter().enumerate() {
        problems.extend(official.and_then(|images| count_problem(part, images[place])));
        problems.extend(empty_classes(part));
    }
    Ok(Report { parts, problems, broken })
}

fn count_problem(part: &SplitReport, official: usize) -> Option<String> {
    let found: usize = part.balance.iter().sum();
    let (name, expected) = (part.split.name(), grouped(official));
    (found != official).then(|| format!("{} {name} images, expected {expected}", grouped(found)))
}

fn empty_classes(part: &SplitReport) -> Option<String> {
    let empty: Vec<String> = (0..part.balance.len())
        .filter(|&class| part.balance[class] == 0)
        .map(|class| class.to_string())
        .collect();
    (!empty.is_empty())
        .then(|| format!("no {} image of label {}", part.split.name(), empty.join(", ")))
}

fn report(split: Split, source: &Source) -> Result<SplitReport> {
    let mut balance = vec![0; source.classes()];
    for label in Vec::<i64>::try_from(source.labels())? {
        let slot = balance.get_mut(label as usize);
        *slot
            .with_context(|| format!("label {label}, expected 0 to {}", source.classes() - 1))? +=
            1;
    }
    let pixels = match source {
        Source::Memory(images) => Some(pixels(images)?),
        Source::Files(_) => None,
    };
    Ok(SplitReport {
        split,
        balance,
        pixels,
        left_out: source.left_out(),
        digest: source.digest()?,
    })
}

fn pixels(images: &Images) -> Result<Pixels> {
    let (_, c, h, w) = images.pixels.size4()?;
    let (mean, std) = moments(images)?;
    Ok(Pixels { shape: [c, h, w].map(|n| n as usize), mean, std })
}

/// Mean and standard deviation (of the population) of each channel, pixels from 0 to 1; exact, by counting values.
///
/// # Errors
/// When a tensor cannot be read.
pub fn moments(images: &Images) -> Result<(Vec<f64>, Vec<f64>)> {
    let (_, c, h, w) = images.pixels.size4()?;
    let plane = (h * w) as usize;
    let mut counts = vec![[0u64; 256]; c as usize];
    for_each_chunk(&images.pixels, |bytes| {
        for (i, plane) in bytes.chunks_exact(plane).enumerate() {
            let counts = &mut counts[i % c as usize];
            for &pixel in plane {
                counts[usize::from(pixel)] += 1;
            }
        }
    })?;
    Ok(counts.iter().map(mean_and_std).unzip())
}

fn mean_and_std(counts: &[u64; 256]) -> (f64, f64) {
    let total: u64 = counts.iter().sum();
    let sum = |power: u32| -> f64 {
        let terms = counts.iter().zip(0u64..).map(|(n, value)| n * value.pow(power));
        terms.sum::<u64>() as f64 / total as f64
    };
    let mean = sum(1);
    (mean / 255.0, (sum(2) - mean * mean).max(0.0).sqrt() / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Raw, load};

    #[test]
    fn moments_are_those_of_each_channel() {
        let pixels = vec![0, 255, 51, 51, 255, 0, 51, 51];
        // Planes of one pixel: channel 0 has 0, 51, 255, 51; channel 1 the others.
        let raw = Raw { pixels, labels: vec![0; 4], channels: 2, side: 1, classes: 1 };
        let (mean, std) = moments(&Images::try_from(raw).unwrap()).unwrap();
        assert!((mean[0] - 0.35).abs() < 1e-12 && (mean[1] - 0.35).abs() < 1e-12, "{mean:?}");
        // ((.35)^2 + 2 (.15)^2 + (.65)^2) / 4 = 0.1475
        assert!((std[0] - 0.1475f64.sqrt()).abs() < 1e-12, "{std:?}");
    }

    #[test]
    fn the_constants_of_fashion_mnist_and_synthetic_are_those_of_their_images() {
        for (dataset, tolerance) in [(Dataset::FashionMnistMini, 5e-5), (Dataset::Synthetic, 0.02)]
        {
            let facts = dataset.facts().unwrap();
            let images = load(&dataset, Split::Train, Path::new("")).unwrap();
            let (mean, std) = moments(&images).unwrap();
            for c in 0..facts.channels {
                assert!((mean[c] - facts.mean[c]).abs() < tolerance, "{dataset} {mean:?}");
                assert!((std[c] - facts.std[c]).abs() < tolerance, "{dataset} {std:?}");
            }
        }
    }

    #[test]
    fn the_embedded_data_is_whole() {
        let report = verify(&Dataset::FashionMnistMini, Path::new(""), &|_, _, _| ()).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert_eq!(
            report.parts[0].balance,
            [942, 1027, 1016, 1019, 974, 989, 1021, 1022, 990, 1000]
        );
    }

    #[test]
    fn a_wrong_count_and_a_class_without_images_are_problems() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cifar-100-binary");
        std::fs::create_dir(&folder).unwrap();
        let records: Vec<u8> =
            (0..19u8).flat_map(|label| [vec![label, 5], vec![0; 3072]].concat()).collect();
        for name in ["train.bin", "test.bin"] {
            std::fs::write(folder.join(name), &records).unwrap();
        }
        let report = verify(&Dataset::Cifar100Coarse, dir.path(), &|_, _, _| ()).unwrap();
        assert_eq!(
            report.problems,
            [
                "19 training images, expected 50,000",
                "no training image of label 19",
                "19 test images, expected 10,000",
                "no test image of label 19"
            ]
        );
    }
}
