//! The hold-out in bins of equal size by the confidence of one exit.

use crate::eval::answers::Answers;

/// Number of bins of an exit.
pub const BINS: usize = 20;

/// Bins of one exit's confidences on the hold-out.
///
/// By ascending confidence the image of rank r (from 0) of n lies in bin floor(20 r / n). Any
/// image's bin is the number of tops, the last one left out, below its confidence; so equal
/// confidences share a bin, and a bin may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    /// Largest confidence in each bin, ascending.
    pub tops: Vec<f64>,
}

impl Bins {
    /// Bins of these confidences, at least one.
    pub fn of(confidence: &[f64]) -> Self {
        let mut ascending = confidence.to_vec();
        ascending.sort_by(f64::total_cmp);
        let images = ascending.len();
        // The last rank r of bin b is the largest with 20 r < n (b + 1).
        let top = |bin: usize| ascending[((images * (bin + 1)).div_ceil(BINS)).max(1) - 1];
        Bins { tops: (0..BINS).map(top).collect() }
    }

    /// The bin (from 0) of a confidence. One above every confidence on the hold-out falls into the bin of the surest
    /// image there: with few images the last bins are empty.
    pub fn bin(&self, confidence: f64) -> usize {
        let confidence = confidence.min(self.tops[BINS - 1]);
        self.tops[..BINS - 1].partition_point(|&top| top < confidence)
    }

    /// The threshold above which the bins from `bin` on lie: infinity where no bin does, minus infinity
    /// where every bin does.
    pub fn threshold_below(&self, bin: usize) -> f64 {
        match bin {
            0 => f64::NEG_INFINITY,
            BINS.. => f64::INFINITY,
            _ => self.tops[bin - 1],
        }
    }
}

/// Images and wrong answers of each bin of an exit.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Images in each bin.
    pub images: Vec<usize>,
    /// Images in each bin that the exit answers wrongly.
    pub wrong: Vec<usize>,
}

impl Counts {
    /// Counts of `exit` (from 0), whose images lie in the bins `of`.
    pub fn new(answers: &Answers, exit: usize, of: &[usize]) -> Self {
        let (mut images, mut wrong) = (vec![0; BINS], vec![0; BINS]);
        for (image, &bin) in of.iter().enumerate() {
            images[bin] += 1;
            wrong[bin] += usize::from(answers.predicted[exit][image] != answers.labels[image]);
        }
        Counts { images, wrong }
    }

    /// Share of wrong answers in a bin; 0 in an empty one.
    pub fn error(&self, bin: usize) -> f64 {
        self.wrong[bin] as f64 / self.images[bin].max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_images_lie_two_in_a_bin() {
        let confidence: Vec<f64> = (0..40).rev().map(f64::from).collect();
        let bins = Bins::of(&confidence);
        assert_eq!(bins.tops, (0..20).map(|b| f64::from(2 * b + 1)).collect::<Vec<_>>());
        for rank in 0..40 {
            assert_eq!(bins.bin(rank as f64), rank / 2);
        }
        assert_eq!((bins.bin(-5.0), bins.bin(99.0)), (0, 19));
        assert_eq!(bins.threshold_below(3), 5.0);
        assert_eq!(bins.threshold_below(0), f64::NEG_INFINITY);
        assert_eq!(bins.threshold_below(20), f64::INFINITY);
    }

    #[test]
    fn an_image_surer_than_a_small_hold_out_is_in_the_bin_of_its_surest() {
        let bins = Bins::of(&[0.2, 0.4, 0.6]);
        assert!(bins.bin(0.6) < BINS - 1);
        assert_eq!([0.6, 0.7, 1.0].map(|confidence| bins.bin(confidence)), [bins.bin(0.6); 3]);
    }

    #[test]
    fn ranks_of_any_number_of_images_fill_the_bins_by_the_rule() {
        for images in [1, 3, 19, 20, 21, 33, 100] {
            let confidence: Vec<f64> = (0..images).map(|i| i as f64).collect();
            let bins = Bins::of(&confidence);
            for rank in 0..images {
                let bin = BINS * rank / images;
                assert!(bins.tops[bin] >= rank as f64, "{images} images, rank {rank}");
                assert!(images < BINS || bins.bin(rank as f64) == bin, "{images}, {rank}");
            }
        }
    }

    #[test]
    fn equal_confidences_share_a_bin() {
        let bins = Bins::of(&[0.1, 1.0, 1.0, 1.0]);
        assert_eq!(bins.bin(0.1), 0);
        assert!(bins.bin(1.0) > 0 && bins.tops[bins.bin(1.0)] == 1.0);
        assert_eq!(bins.bin(0.5), bins.bin(1.0));
    }
}
