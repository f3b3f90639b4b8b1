//! The rules about which images leave early.

use std::collections::BTreeMap;

use super::{Finding, Findings, Row};
use crate::eval::claims::Curves;
use crate::eval::statistics::{Estimate, Sample, Term, estimate};

/// A set of images and which of them were answered rightly, N each.
struct Group {
    members: Vec<bool>,
    hits: Vec<bool>,
}

impl Group {
    fn new(members: &[bool], hits: &[bool]) -> Group {
        let right = members.iter().zip(hits).map(|(&member, &hit)| member && hit).collect();
        Group { members: members.to_vec(), hits: right }
    }

    /// The members' accuracy: a ratio of two shares of all images. None of an empty group.
    fn accuracy(&self) -> Option<Sample<'_>> {
        let (members, right) = (share(&self.members), share(&self.hits));
        let accuracy = right / members;
        (members > 0.0).then(|| Sample {
            value: accuracy,
            terms: vec![
                of(1.0 / members, right, &self.hits),
                of(-accuracy / members, members, &self.members),
            ],
        })
    }
}

fn of(gradient: f64, accuracy: f64, hits: &[bool]) -> Term<'_> {
    Term { gradient, accuracy, images: hits.len(), hits: Some(hits) }
}

fn share(set: &[bool]) -> f64 {
    set.iter().filter(|&&is_in| is_in).count() as f64 / set.len() as f64
}

/// Accuracy of the first leavers minus that of the last ones.
pub(super) fn easier_first(rows: &[Row], curve: &Curves, ratio: f64) -> Findings {
    over_seeds(rows, curve, ratio, |row| {
        let (left, hits) = (row.leavers.as_ref()?, row.answered.hits.as_ref()?);
        Some([Group::new(&left.first, hits), Group::new(&left.last, hits)])
    })
}

/// The last exit's accuracy on the first leavers minus the first exit's.
pub(super) fn gain_of_staying(rows: &[Row], curve: &Curves, ratio: f64) -> Findings {
    over_seeds(rows, curve, ratio, |row| {
        let (left, hits) = (row.leavers.as_ref()?, row.answered.hits.as_ref()?);
        Some([Group::new(&left.first, &left.last_hits), Group::new(&left.first, hits)])
    })
}

/// The difference in accuracy of two groups, for each network of the curve.
fn over_seeds(
    rows: &[Row],
    curve: &Curves,
    ratio: f64,
    groups: impl Fn(&Row) -> Option<[Group; 2]>,
) -> Findings {
    let mut networks: BTreeMap<(&str, &str), Vec<[Group; 2]>> = BTreeMap::new();
    for row in rows.iter().filter(|row| curve.matches(&row.curve) && row.ratio == Some(ratio)) {
        if let Some(pair) = groups(row) {
            networks.entry((&row.curve, &row.network)).or_default().push(pair);
        }
    }
    if networks.is_empty() {
        return Err(format!("no curve with dynamic evaluation has a point of ratio {ratio}"));
    }
    let found = networks.iter().map(|((label, network), seeds)| {
        let place = format!("{label}, {network} at ratio {ratio}");
        match difference(seeds) {
            Some(estimate) => Ok(Finding { place, estimate, left_out: String::new() }),
            None => Err(format!("{place}: no image leaves at the first or at the last exit")),
        }
    });
    found.collect()
}

fn difference(seeds: &[[Group; 2]]) -> Option<Estimate> {
    let samples: Option<Vec<Sample>> =
        seeds.iter().map(|[a, b]| Some(a.accuracy()?.minus(b.accuracy()?))).collect();
    estimate(&samples?)
}
