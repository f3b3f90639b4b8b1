//! Dropout (Hinton et al., arXiv 1207.0580): in training a number becomes 0 with probability
//! `rate`, and the others are divided by `1 - rate`.
//!
//! Which ones is a function of a key, the layer and the number's place: a hash of the place, computed
//! with whole numbers on the device that holds the map. So no generator has a state to keep,
//! nothing is copied to the device, and every device drops the same numbers.

use anyhow::Result;
use tch::{Kind, Tensor};

/// The lower 32 bits.
const LOW: i64 = 0xffff_ffff;

/// `x` with numbers dropped. `key` is int64 `[1]` and not negative; `layer` is the index of the layer among those that
/// drop, from 0. Numbers are counted in the order of `x`'s dimensions, however they lie in memory.
///
/// # Errors
/// When LibTorch fails.
pub(super) fn dropout(x: &Tensor, rate: f64, key: &Tensor, layer: usize) -> Result<Tensor> {
    let hash = hashes(x.numel() as i64, key, layer)?;
    let threshold = (rate * 2f64.powi(32)) as i64;
    let kept = hash.f_ge(threshold)?.f_view(x.size().as_slice())?.f_to_kind(x.kind())?;
    Ok(x.f_mul(&kept.f_div_scalar(1.0 - rate)?)?)
}

/// `count` numbers of 32 bits, each of its place, the layer and both halves of the key.
fn hashes(count: i64, key: &Tensor, layer: usize) -> Result<Tensor> {
    let (low, high) = (key.f_bitwise_and(LOW)?, key.f_bitwise_right_shift_tensor_scalar(32)?);
    let mut hash = Tensor::f_arange(count, (Kind::Int64, key.device()))?;
    mix(&mut hash.f_bitwise_xor_tensor_(&low)?)?;
    mix(&mut hash.f_bitwise_xor_tensor_(&high)?.f_bitwise_xor_(layer as i64)?)?;
    Ok(hash)
}

/// Mixes each number of 32 bits, in place: C. Wellons' `lowbias32` (nullprogram.com, "Prospecting
/// for hash functions"). Factors above 2^31 are taken modulo 2^32 with a sign, so that no product
/// leaves 64 bits.
fn mix(hash: &mut Tensor) -> Result<()> {
    shift_in(hash, 16)?;
    let _ = hash.f_mul_scalar_(0x7feb_352d_i64)?.f_bitwise_and_(LOW)?;
    shift_in(hash, 15)?;
    let _ = hash.f_mul_scalar_(0x846c_a68b_i64 - (1 << 32))?.f_bitwise_and_(LOW)?;
    shift_in(hash, 16)
}

fn shift_in(hash: &mut Tensor, bits: i64) -> Result<()> {
    let shifted = hash.f_bitwise_right_shift_tensor_scalar(bits)?;
    let _ = hash.f_bitwise_xor_tensor_(&shifted)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn key(key: i64) -> Tensor {
        Tensor::from_slice(&[key])
    }

    fn dropped(rate: f64, from: i64, layer: usize) -> Tensor {
        dropout(&Tensor::ones([8, 32, 5, 5], (Kind::Float, Device::Cpu)), rate, &key(from), layer)
            .unwrap()
    }

    #[test]
    fn the_numbers_never_change_between_versions() {
        // Pinned: a change here changes every run with dropout.
        let drawn = hashes(4, &key(0x0123_4567_89ab_cdef), 7).unwrap();
        assert_eq!(
            Vec::<i64>::try_from(drawn).unwrap(),
            [2089404665, 2472104647, 601857332, 2678181018]
        );
    }

    #[test]
    fn a_share_of_the_numbers_is_dropped_and_the_others_make_up_for_it() {
        for rate in [0.0, 0.2, 0.5, 0.9] {
            let y = dropped(rate, 12345, 3);
            let zeros = f64::try_from(y.eq(0.0).to_kind(Kind::Double).mean(Kind::Double)).unwrap();
            // 6,400 numbers: four standard deviations are 0.025 at most.
            assert!((zeros - rate).abs() <= 0.025, "{rate}: {zeros}");
            let largest = f64::try_from(y.max()).unwrap();
            assert!((largest - 1.0 / (1.0 - rate)).abs() < 1e-5, "{rate}: {largest}");
        }
    }

    #[test]
    fn the_key_and_the_layer_choose_which_and_the_order_in_memory_does_not() {
        let y = dropped(0.5, 1, 3);
        assert_eq!(y, dropped(0.5, 1, 3));
        // Two independent choices agree in half of the places.
        for other in [dropped(0.5, 2, 3), dropped(0.5, 1 << 32 | 1, 3), dropped(0.5, 1, 4)] {
            let equal = y.eq_tensor(&other).to_kind(Kind::Double).mean(Kind::Double);
            let equal = f64::try_from(equal).unwrap();
            assert!((equal - 0.5).abs() < 0.03, "{equal}");
        }
        let x = Tensor::ones([8, 5, 5, 32], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        assert_eq!(dropout(&x, 0.5, &key(1), 3).unwrap(), y);
    }

    #[test]
    fn gradients_go_where_numbers_stay() {
        let x = Tensor::ones([4, 6, 3, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let y = dropout(&x, 0.5, &key(9), 0).unwrap();
        let gradient = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], false, false).remove(0);
        assert_eq!(gradient, y.detach());
    }
}
