//! Bounds on a mean of losses that hold with a given probability.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Method, Tolerance};

/// Hold-outs above this size are not searched for.
pub(super) const MOST_IMAGES: usize = 1 << 24;

/// Whether the mean of losses in -1..1 is below `at_most` with probability 1 - `delta`: the hedged
/// capital of a gambler who bets against a mean of m = `at_most` exceeds 1/delta at some time
/// (Waudby-Smith and Ramdas, 2024, in the form of Bates et al., 2021).
///
/// With mu_i = (1/2 + sum of x_j) / (1 + i), s_i = (1/4 + sum of (x_j - mu_j)^2) / (1 + i) over
/// j to i, and bets nu_i = min(sqrt(2 ln(1/delta) / (n s_{i-1})), 1), the logarithm of the capital
/// is max_i sum over j to i of ln(1 - nu_j (x_j - m)). It rises with m.
pub fn betting_holds(losses: &[i8], at_most: f64, delta: f64) -> bool {
    let bets = bets(losses.iter().copied(), losses.len(), delta);
    at_most > 1e-10 && pays(losses.iter().copied().zip(&bets), at_most, delta)
}

/// The stakes nu_1 to nu_n, each of what came before it.
fn bets(losses: impl Iterator<Item = i8>, n: usize, delta: f64) -> Vec<f64> {
    let (mut sum, mut squares, mut variance) = (0.5, 0.25, 0.25);
    let bet = |(index, loss): (usize, i8)| {
        let bet = (2.0 * (1.0 / delta).ln() / (n as f64 * variance)).sqrt().min(1.0);
        let (count, loss) = (index as f64 + 2.0, f64::from(loss));
        sum += loss;
        squares += (loss - sum / count).powi(2);
        variance = squares / count;
        bet
    };
    losses.enumerate().map(bet).collect()
}

/// Whether betting against a mean of `mean` ever turns 1 into more than 1/`delta`.
fn pays<'a>(bets: impl Iterator<Item = (i8, &'a f64)>, mean: f64, delta: f64) -> bool {
    let wanted = -delta.ln();
    let mut capital = 0.0;
    for (loss, bet) in bets {
        capital += (-bet * (f64::from(loss) - mean)).ln_1p();
        if capital > wanted {
            return true;
        }
    }
    false
}

/// p-value of "the mean of n losses of 0 or 1 is above e" when `count` of them are 1:
/// min(exp(-n h(a, e)), e P[Bin(n, e) <= count]) with a = min(count/n, e), h the
/// Kullback-Leibler divergence of two coins and the second e Euler's number (Hoeffding, 1963;
/// Bentkus, 2004; together in Bates et al., 2021).
pub fn hoeffding_bentkus(count: usize, images: usize, at_most: f64) -> f64 {
    let n = images as f64;
    let share = (count as f64 / n).min(at_most);
    let hoeffding = (-n * divergence(share, at_most)).exp();
    let binomial = Binomial::new(at_most, images as u64);
    // Unreachable for a tolerance from 0 to 1; 1 certifies nothing.
    let tail = binomial.map_or(1.0, |binomial| binomial.cdf(count as u64));
    hoeffding.min(std::f64::consts::E * tail)
}

/// Kullback-Leibler divergence of a coin with chance `b` from one with chance `a`, in nats.
fn divergence(a: f64, b: f64) -> f64 {
    let part = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a * (a / b).ln() };
    part(a, b) + part(1.0 - a, 1.0 - b)
}

/// Images from which `method` passes a threshold that loses nothing; none above 2^24.
pub fn least_hold_out(method: Method, tolerance: &Tolerance) -> Option<usize> {
    let (at_most, delta) = (tolerance.at_most, 1.0 - tolerance.confidence);
    let passes = |n: usize| match method {
        Method::Crc => (n + 1) as f64 * at_most - 1.0 >= 0.0,
        Method::Ltt => hoeffding_bentkus(0, n, at_most) <= delta,
        Method::Betting => {
            let none = || std::iter::repeat_n(0i8, n);
            pays(none().zip(&bets(none(), n, delta)), at_most, delta)
        }
    };
    let mut high = 1;
    while !passes(high) {
        high *= 2;
        if high > MOST_IMAGES {
            return None;
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if passes(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_of_no_loss_is_the_chance_of_none() {
        // e^(-n h(0, e)) = (1 - e)^n, which is below Euler's number times itself.
        let found = hoeffding_bentkus(0, 100, 0.05);
        assert!((found / 0.95f64.powi(100) - 1.0).abs() < 1e-12, "{found}");
        assert_eq!(hoeffding_bentkus(10, 100, 0.05), 1.0);
    }

    #[test]
    fn the_bound_of_a_single_loss_is_worked_by_hand() {
        // The stake is min(sqrt(8 ln 1.5), 1) = 1, and 1 - (0 - m) = 1.5 at m = 1/2.
        let holds = |loss: i8, at_most: f64| betting_holds(&[loss], at_most, 1.0 / 1.5);
        assert!(holds(0, 0.5 + 1e-12) && !holds(0, 0.5 - 1e-12));
        assert!(!holds(1, 1.0) && holds(-1, 1e-9) && !holds(-1, 0.0));
    }
}
