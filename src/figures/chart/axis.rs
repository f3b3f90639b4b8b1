//! Where an axis begins and ends, where its ticks are and how they are written: plain numbers.

use anyhow::{Result, ensure};

use super::{Axis, Unit};

/// An axis with a range: data to a share of its length.
#[derive(Clone, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    unit: Unit,
}

/// Free room beyond the outermost value, as a share of the axis.
const ROOM: f64 = 0.05;

impl Scale {
    /// The scale that holds all values and the axis's own range.
    pub fn new(axis: &Axis, values: impl Iterator<Item = f64>) -> Result<Self> {
        let within = |(low, high): (f64, f64), v: f64| (low.min(v), high.max(v));
        let nothing = (f64::INFINITY, f64::NEG_INFINITY);
        let data = values.filter(|v| !axis.logarithmic || *v > 0.0).fold(nothing, within);
        ensure!(data.0 <= data.1, "no value for axis {:?}", axis.label);
        let widened = if axis.logarithmic {
            let room = (data.1 / data.0).ln().max(0.5) * ROOM;
            (data.0 / room.exp(), data.1 * room.exp())
        } else {
            linear(data, axis.unit)
        };
        let (low, high) = match axis.range {
            None => widened,
            Some((low, high)) => (
                if data.0 < low { widened.0 } else { low },
                if data.1 > high { widened.1 } else { high },
            ),
        };
        ensure!(
            low < high && (!axis.logarithmic || low > 0.0),
            "axis {:?} cannot run from {low} to {high}",
            axis.label
        );
        Ok(Self { low, high, logarithmic: axis.logarithmic, unit: axis.unit })
    }

    /// 0 at the low end, 1 at the high end; a value beyond an end is moved to it.
    pub fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Tick values from fine to coarse: the drawing takes the first set whose labels have room.
    pub fn tick_choices(&self) -> Vec<Vec<f64>> {
        if self.logarithmic {
            let sets: [&[f64]; 4] = [
                &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
                &[1.0, 2.0, 5.0],
                &[1.0, 3.0],
                &[1.0],
            ];
            let choices = sets.map(|digits| decades(self.low, self.high, digits));
            let (enough, _): (Vec<_>, Vec<_>) = choices.into_iter().partition(|t| t.len() >= 2);
            if !enough.is_empty() {
                return enough;
            }
        }
        let shown = self.shown();
        (2..=9)
            .rev()
            .map(|count| linear_ticks(self.low * shown, self.high * shown, count))
            .map(|ticks| ticks.into_iter().map(|t| t / shown).collect())
            .collect()
    }

    /// The ticks as text, all in one unit, with as many decimals as they need.
    pub fn tick_labels(&self, ticks: &[f64]) -> Vec<String> {
        let largest = ticks.iter().fold(0.0f64, |a, t| a.max(t.abs()));
        ticks
            .iter()
            .map(|&tick| match self.unit {
                Unit::Count if self.logarithmic => count(tick, tick, tick),
                Unit::Count => count(tick, largest, step(ticks)),
                _ if self.logarithmic => number(tick * self.shown(), tick * self.shown()),
                _ => number(tick * self.shown(), step(ticks) * self.shown()),
            })
            .collect()
    }

    fn shown(&self) -> f64 {
        if self.unit == Unit::Percent { 100.0 } else { 1.0 }
    }
}

/// The data's range with room on both sides; counts start at 0, one value gets a range around it.
fn linear((low, high): (f64, f64), unit: Unit) -> (f64, f64) {
    if unit == Unit::Count && low >= 0.0 {
        let high = if high > 0.0 { high } else { 1.0 };
        return (0.0, high * (1.0 + ROOM));
    }
    let spread = high - low;
    let least = 1e-6 * high.abs().max(low.abs()).max(1e-6);
    let room = if spread > least { spread * ROOM } else { 0.1 * high.abs().max(0.1) };
    // Neither a loss nor an accuracy goes below 0, so the axis does not either.
    let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    ((low - room).max(floor), high + room)
}

/// At most about `count` multiples of 1, 2 or 5 times a power of ten from low to high.
fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let raw = (high - low) / count as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(power * 10.0);
    let slack = 1e-9 * (high - low) / step;
    let first = (low / step - slack).ceil() as i64;
    let last = (high / step + slack).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

fn decades(low: f64, high: f64, digits: &[f64]) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    powers
        .flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)))
        .filter(|tick| (low..=high).contains(tick))
        .collect()
}

fn step(ticks: &[f64]) -> f64 {
    match ticks {
        [first, second, ..] => second - first,
        [only] => *only,
        [] => 1.0,
    }
}

/// A number with the decimals that `step` needs to be told apart.
fn number(value: f64, step: f64) -> String {
    let decimals = if step == 0.0 {
        0
    } else {
        (-(step.abs() * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize
    };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        None => text,
        Some(zero) if zero.chars().all(|c| c == '0' || c == '.') => zero.to_owned(),
        Some(digits) => format!("\u{2212}{digits}"),
    }
}

/// A count with the prefix of the largest one beside it: `20 M`.
fn count(value: f64, largest: f64, step: f64) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let prefix = prefixes.iter().find(|(unit, _)| largest >= unit * 0.999_999);
    match prefix {
        Some((unit, name)) if value != 0.0 => {
            format!("{}\u{a0}{name}", number(value / unit, step / unit))
        }
        _ => number(value, if value == 0.0 { 1.0 } else { step }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(axis: Axis, values: &[f64]) -> Scale {
        Scale::new(&axis, values.iter().copied()).unwrap()
    }

    fn labels(scale: &Scale, choice: usize) -> Vec<String> {
        scale.tick_labels(&scale.tick_choices()[choice])
    }

    #[test]
    fn counts_start_at_zero_and_carry_one_prefix() {
        let axis = Axis { unit: Unit::Count, ..Axis::default() };
        let scale = scale(axis, &[15.14e6, 75.94e6]);
        assert_eq!(scale.share(0.0), 0.0);
        assert_eq!(
            labels(&scale, 0),
            ["0", "10 M", "20 M", "30 M", "40 M", "50 M", "60 M", "70 M"]
                .map(|label| label.replace(' ', "\u{a0}"))
        );
    }

    #[test]
    fn fractions_are_written_as_percent() {
        let axis = Axis { unit: Unit::Percent, ..Axis::default() };
        let scale = scale(axis, &[0.612, 0.758]);
        assert_eq!(labels(&scale, 0), ["62", "64", "66", "68", "70", "72", "74", "76"]);
    }

    #[test]
    fn a_logarithmic_axis_spaces_equal_ratios_equally() {
        let axis = Axis { logarithmic: true, unit: Unit::Count, ..Axis::default() };
        let scale = scale(axis, &[5e5, 1.3e8]);
        let apart = |a: f64, b: f64| scale.share(b) - scale.share(a);
        assert!((apart(1e6, 1e7) - apart(1e7, 1e8)).abs() < 1e-12);
        assert_eq!(
            labels(&scale, 1),
            ["500 k", "1 M", "2 M", "5 M", "10 M", "20 M", "50 M", "100 M"]
                .map(|label| label.replace(' ', "\u{a0}"))
        );
    }

    #[test]
    fn a_range_is_kept_and_widened_where_data_lie_outside() {
        let axis = Axis { range: Some((0.0, 1.0)), ..Axis::default() };
        let kept = scale(axis.clone(), &[0.2, 0.8]);
        assert_eq!((kept.low, kept.high), (0.0, 1.0));
        let wider = scale(axis, &[0.2, 1.2]);
        assert_eq!(wider.low, 0.0);
        assert!(wider.high > 1.2);
    }

    #[test]
    fn one_value_gets_an_axis_around_it() {
        let scale = scale(Axis::default(), &[0.1]);
        let share = scale.share(0.1);
        assert!(share > 0.2 && share < 0.8, "{share}");
        assert!(scale.tick_choices()[0].len() >= 2);
    }

    #[test]
    fn numbers_have_the_decimals_of_their_step() {
        assert_eq!(number(0.30000000000000004, 0.1), "0.3");
        assert_eq!(number(-0.0, 0.5), "0.0");
        assert_eq!(number(-2.0, 1.0), "\u{2212}2");
        assert_eq!(number(0.001, 0.0005), "0.0010");
        assert_eq!(count(1.5e9, 1.5e9, 0.5e9), "1.5\u{a0}G");
        assert_eq!(count(0.5e9, 1.5e9, 0.5e9), "0.5\u{a0}G");
    }
}
