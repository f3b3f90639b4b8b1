//! Random numbers that depend on what they are for and on nothing else.
//!
//! A draw is keyed by its purpose, the seed, the epoch and the image, so that it is the same whatever the
//! batch, the order or the number of threads. The ChaCha8 specification fixes the stream, and the reductions
//! to a range are written here, so that a new version of a crate cannot change a run.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The stream of `purpose` (at most 16 bytes) for a seed, an epoch and an image.
///
/// Key: seed (8 bytes, little-endian), epoch (4), zeros (4), purpose (16). Stream number: the image.
pub fn stream(purpose: &str, seed: u64, epoch: u32, image: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&epoch.to_le_bytes());
    for (slot, byte) in key[16..].iter_mut().zip(purpose.bytes()) {
        *slot = byte;
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(image);
    rng
}

/// A number in `0..n`. The bias is below n / 2^32: not seen in any number of epochs.
pub(crate) fn below(rng: &mut ChaCha8Rng, n: u32) -> u32 {
    ((u64::from(rng.next_u32()) * u64::from(n)) >> 32) as u32
}

/// Fisher-Yates, from the back.
pub(crate) fn shuffle(rng: &mut ChaCha8Rng, items: &mut [u32]) {
    for last in (1..items.len()).rev() {
        let other = ((u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_never_changes_between_versions() {
        // Pinned: a change here changes every run of every experiment.
        let mut rng = stream("order", 1, 2, 3);
        let drawn: Vec<u32> = (0..4).map(|_| below(&mut rng, 1000)).collect();
        assert_eq!(drawn, [338, 499, 67, 673]);
    }

    #[test]
    fn purpose_seed_epoch_and_image_each_give_another_stream() {
        let first = |mut rng: ChaCha8Rng| rng.next_u64();
        let drawn = [
            first(stream("order", 0, 0, 0)),
            first(stream("augment", 0, 0, 0)),
            first(stream("order", 1, 0, 0)),
            first(stream("order", 0, 1, 0)),
            first(stream("order", 0, 0, 1)),
        ];
        for i in 0..drawn.len() {
            for j in 0..i {
                assert_ne!(drawn[i], drawn[j], "streams {i} and {j}");
            }
        }
    }

    #[test]
    fn a_shuffle_sends_every_item_everywhere_about_equally_often() {
        let mut seen = [[0u32; 4]; 4];
        for image in 0..4000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut stream("test", 0, 0, image), &mut items);
            for (place, item) in items.iter().enumerate() {
                seen[place][*item as usize] += 1;
            }
        }
        // 4,000 draws with probability 1/4: standard deviation 27.
        for count in seen.iter().flatten() {
            assert!((860..1140).contains(count), "{seen:?}");
        }
    }
}
