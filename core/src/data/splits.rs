//! Which training images are held out, which subset is used, and in which order an epoch sees them.

use anyhow::{Result, ensure};

use super::random::{shuffle, stream};

/// The seed of every split: the hold-out must be the same images for every run, so it takes no seed.
const FIXED: u64 = 0;

/// The training set in two parts; indices into the images of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldOut {
    /// Images to train on, ascending.
    pub train: Vec<u32>,
    /// Images held out to choose thresholds and watch accuracy, ascending; never augmented.
    pub validation: Vec<u32>,
}

/// Holds `validation` of `images` training images out: the same ones for every seed. A smaller hold-out of the
/// same data set is contained in a larger one.
///
/// # Errors
/// When nothing would be left to train on.
pub fn hold_out(images: usize, validation: usize) -> Result<HoldOut> {
    ensure!(
        validation < images,
        "validation: {validation} images cannot be held out of {images} training images; at most {} can",
        images.saturating_sub(1)
    );
    let mut order = indices(images)?;
    shuffle(&mut stream("hold-out", FIXED, 0, 0), &mut order);
    let mut train = order.split_off(validation);
    train.sort_unstable();
    order.sort_unstable();
    Ok(HoldOut { train, validation: order })
}

/// A fixed subset of `n` of `images`, ascending. Nested: a smaller subset lies within a larger one.
///
/// # Errors
/// When `n` is 0 or more than there are.
pub fn subset(images: &[u32], n: usize) -> Result<Vec<u32>> {
    ensure!(
        (1..=images.len()).contains(&n),
        "a subset of {n} images cannot be taken from {}; choose 1 to {}",
        images.len(),
        images.len()
    );
    let mut order = images.to_vec();
    shuffle(&mut stream("subset", FIXED, 0, 0), &mut order);
    order.truncate(n);
    order.sort_unstable();
    Ok(order)
}

/// The order in which `epoch` (from 0) sees the training images; a function of the seed and the epoch alone.
pub fn epoch_order(train: &[u32], seed: u64, epoch: u32) -> Vec<u32> {
    let mut order = train.to_vec();
    shuffle(&mut stream("order", seed, epoch, 0), &mut order);
    order
}

fn indices(images: usize) -> Result<Vec<u32>> {
    let count = u32::try_from(images)
        .map_err(|_| anyhow::anyhow!("{images} images are out of range (at most {})", u32::MAX))?;
    Ok((0..count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_out_and_its_rest_are_the_whole_training_set() {
        let split = hold_out(100, 30).unwrap();
        assert_eq!((split.train.len(), split.validation.len()), (70, 30));
        assert!(split.train.is_sorted() && split.validation.is_sorted());
        let mut all = [split.train, split.validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn a_hold_out_never_changes_between_versions() {
        assert_eq!(hold_out(10, 3).unwrap().validation, [3, 4, 8]);
    }

    #[test]
    fn a_smaller_hold_out_lies_within_a_larger_one() {
        let large = hold_out(100, 30).unwrap().validation;
        let small = hold_out(100, 10).unwrap().validation;
        assert!(small.iter().all(|image| large.contains(image)));
    }

    #[test]
    fn without_a_hold_out_everything_is_trained_on() {
        let split = hold_out(5, 0).unwrap();
        assert_eq!(split.train, [0, 1, 2, 3, 4]);
        assert!(split.validation.is_empty());
    }

    #[test]
    fn a_hold_out_that_leaves_nothing_to_train_on_is_an_error() {
        for validation in [10, 11] {
            let error = hold_out(10, validation).unwrap_err().to_string();
            assert!(error.contains("at most 9"), "{error}");
        }
        assert!(hold_out(0, 0).is_err());
    }

    #[test]
    fn subsets_are_nested_and_keep_to_their_images() {
        let images = [3, 5, 7, 9, 11, 13];
        let (small, large) = (subset(&images, 2).unwrap(), subset(&images, 4).unwrap());
        assert!(small.iter().all(|image| large.contains(image)));
        assert!(large.iter().all(|image| images.contains(image)));
        assert_eq!(subset(&images, 6).unwrap(), images);
        assert!(subset(&images, 7).is_err() && subset(&images, 0).is_err());
    }

    #[test]
    fn an_epoch_sees_every_image_once_in_its_own_order() {
        let train: Vec<u32> = (10..60).collect();
        let order = epoch_order(&train, 0, 0);
        assert_eq!(order, epoch_order(&train, 0, 0));
        assert_ne!(order, epoch_order(&train, 0, 1));
        assert_ne!(order, epoch_order(&train, 1, 0));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, train);
    }
}
