//! Is a data set what it should be?

use std::path::Path;

use anyhow::{Context, Result};

use super::digest::{digest, for_each_chunk};
use super::raw::grouped;
use super::{Dataset, Images, Part, load};

/// What a part of a data set holds.
#[derive(Debug, Clone, PartialEq)]
pub struct PartReport {
    /// Which part.
    pub part: Part,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Images of each class, by label.
    pub balance: Vec<usize>,
    /// Mean of each channel, pixels from 0 to 1.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, pixels from 0 to 1.
    pub std: Vec<f64>,
    /// See [`digest`].
    pub digest: String,
}

/// Both parts, and what is wrong with them.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Training and test.
    pub parts: [PartReport; 2],
    /// One sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// Reads both parts, which checks sizes and label ranges, and counts.
///
/// # Errors
/// Those of [`load`].
pub fn verify(dataset: &Dataset, data_dir: &Path) -> Result<Report> {
    let one = |part| report(part, &load(dataset, part, data_dir)?);
    let parts = [one(Part::Train)?, one(Part::Test)?];
    let mut problems = Vec::new();
    for (part, official) in parts.iter().zip(official_counts(dataset)) {
        problems.extend(count_problem(part, official));
        problems.extend(empty_classes(part));
    }
    Ok(Report { parts, problems })
}

/// Number of training images of a whole data set, told without reading one.
///
/// # Errors
/// An image folder that cannot be listed.
pub fn training_images(dataset: &Dataset) -> Result<usize> {
    match dataset {
        Dataset::Folder(path) => super::folder::training_images(path),
        // ILSVRC 2012.
        Dataset::Imagenet => Ok(1_281_167),
        _ => Ok(official_counts(dataset)[0].unwrap_or(0)),
    }
}

/// Official numbers of training and test images; `None` where there is no such number.
fn official_counts(dataset: &Dataset) -> [Option<usize>; 2] {
    match dataset {
        Dataset::FashionMnistMini => [Some(10_000), Some(2_000)],
        Dataset::FashionMnist => [Some(60_000), Some(10_000)],
        Dataset::Cifar10 | Dataset::Cifar100 | Dataset::Cifar100Coarse => {
            [Some(50_000), Some(10_000)]
        }
        Dataset::Synthetic => [Some(2_000), Some(500)],
        Dataset::Imagenet | Dataset::Folder(_) => [None, None],
    }
}

fn count_problem(part: &PartReport, official: Option<usize>) -> Option<String> {
    let found: usize = part.balance.iter().sum();
    let expected = official.filter(|&n| n != found)?;
    Some(format!("{} {} images, expected {}", grouped(found), part.part.name(), grouped(expected)))
}

fn empty_classes(part: &PartReport) -> Option<String> {
    let empty: Vec<String> = (0..part.balance.len())
        .filter(|&class| part.balance[class] == 0)
        .map(|class| class.to_string())
        .collect();
    (!empty.is_empty())
        .then(|| format!("no {} image of label {}", part.part.name(), empty.join(", ")))
}

fn report(part: Part, images: &Images) -> Result<PartReport> {
    let (_, c, h, w) = images.pixels.size4()?;
    let shape = [c, h, w].map(|n| n as usize);
    let mut balance = vec![0; images.classes];
    for label in Vec::<i64>::try_from(&images.labels)? {
        let slot = balance.get_mut(label as usize);
        *slot.with_context(|| format!("label {label}, expected 0 to {}", images.classes - 1))? += 1;
    }
    let (mean, std) = moments(images)?;
    Ok(PartReport { part, shape, balance, mean, std, digest: digest(images)? })
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
    use crate::data::Raw;

    #[test]
    fn moments_are_those_of_each_channel() {
        let pixels = vec![0, 255, 51, 51, 255, 0, 51, 51];
        let raw = Raw { pixels, labels: vec![0, 0], channels: 2, side: 1, classes: 1 };
        // Planes of one pixel: channel 0 has 0, 51, 255, 51; channel 1 the others.
        let raw = Raw { labels: vec![0; 4], ..raw };
        let (mean, std) = moments(&Images::try_from(raw).unwrap()).unwrap();
        assert!((mean[0] - 0.35).abs() < 1e-12 && (mean[1] - 0.35).abs() < 1e-12, "{mean:?}");
        // ((.35)^2 + 2 (.15)^2 + (.65)^2) / 4 = 0.1475
        assert!((std[0] - 0.1475f64.sqrt()).abs() < 1e-12, "{std:?}");
    }

    #[test]
    fn the_constants_of_fashion_mnist_and_synthetic_are_those_of_their_images() {
        for (dataset, tolerance) in [(Dataset::FashionMnistMini, 5e-5), (Dataset::Synthetic, 0.02)]
        {
            let facts = dataset.facts(Path::new("")).unwrap();
            let images = load(&dataset, Part::Train, Path::new("")).unwrap();
            let (mean, std) = moments(&images).unwrap();
            for c in 0..facts.channels {
                assert!((mean[c] - facts.mean[c]).abs() < tolerance, "{dataset} {mean:?}");
                assert!((std[c] - facts.std[c]).abs() < tolerance, "{dataset} {std:?}");
            }
        }
    }

    #[test]
    fn the_embedded_data_is_whole() {
        let report = verify(&Dataset::FashionMnistMini, Path::new("")).unwrap();
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
        let report = verify(&Dataset::Cifar100Coarse, dir.path()).unwrap();
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
