//! The claims of all figures together: each with the figure that decides it.

use anyhow::{Context, Result};

use super::super::claims::PAPERS_DATA;
use super::load::Shown;
use super::rows::ClaimRow;
use crate::data::grouped;
use crate::eval::claims::{self, Claim, Kind, Rule};
use crate::experiment::claims_yaml;

/// Figure that decides, id of the claim, its verdict there, and why it fails, or what to bear in mind
/// where it holds; counts have no figure.
const REMARKS: &[(Option<&str>, &str, &str, &str)] = &[
    (
        None,
        "exact-resnet-classifiers-cost",
        FAILS,
        "a ResNet-62 counts 1.397e8; the paper's plotted points lie 6 M (the last) to 11 M (the first) below ours, unexplained",
    ),
    (
        None,
        "exact-densenet-classifiers-cost",
        FAILS,
        "three blocks of 8 composite layers with growth 12 count 1.06e8; no reading of the text that was tried gives 1.3e8",
    ),
    (
        None,
        "exact-ablation-costs",
        FAILS,
        "the widths are ours, chosen in whole numbers: all four come within 2 %; three round to 3.0e8, and MSDNet, 3.05e8, to 3.1e8",
    ),
    (
        Some("anytime-cifar100-cpu"),
        "anytime-ensemble-competes-at-lowest",
        FAILS,
        "our MSDNet's first exit costs 13.3 M multiply-adds, more than a ResNet-8, and the paper's 9.1 M, less than one; the paper's exits around 13.3 M have 62.1 % (9.1 M) and 67.6 % (22.3 M), its ResNet-8 61 %. Public trainings of our network for 300 epochs have 61.3 to 65.3 % there. What 10 epochs add to that is not separated",
    ),
    (
        Some("fig-intermediate-cifar100-cpu"),
        "intermediate-msdnet-above-resnet",
        HOLDS,
        "most of this is the classifier. In the control, with MSDNet's classifiers, the ResNet loses about a quarter as much, relative to the final classifier of the same run; at a third of the depth that is still clearly more than MSDNet",
    ),
    (
        Some("fig-intermediate-cifar100-cpu"),
        "intermediate-msdnet-above-densenet",
        HOLDS,
        "in the control, with MSDNet's classifiers, the DenseNet's early ones lose no more than MSDNet's, relative to the final classifier of the same run",
    ),
    (
        Some("fig-final-degradation-cifar100-cpu"),
        "final-resnet-loses-early",
        HOLDS,
        "in the control, with MSDNet's classifiers, the ResNet's final one loses nothing that is clear of 0",
    ),
    (
        Some("fig-final-degradation-cifar100-cpu"),
        "final-msdnet-above-resnet",
        HOLDS,
        "in the control, with MSDNet's classifiers, the ResNet's final one loses nothing that is clear of 0; what is left of the difference is mostly MSDNet's gain",
    ),
    (
        Some("fig-final-degradation-cifar100-cpu"),
        "final-densenet-above-resnet",
        HOLDS,
        "its references, ResNet-20 (seeds 10 and 11) and DenseNet-BC-22, were trained a second time, on a processor, for Figs. 5 and 7 (ResNet-20 53.4 and 53.2 %, DenseNet-BC-22 47.2 and 47.4 %, means of three seeds). With the second trainings this claim would be undecided: 0.029 ln [-0.004, 0.063] without the noise of the test images",
    ),
    (
        Some("budgeted-batch-cifar100-cpu"),
        "budgeted-densenet-classifiers-reach-plain",
        HOLDS,
        "our plain DenseNets end at 57 M multiply-adds, 48 M before the full cost of the one with seven classifiers. Beyond its end a line keeps its last accuracy, and a plain DenseNet of 106 M, which is not trained, is likely more accurate",
    ),
    (
        Some("budgeted-batch-cifar100-cpu"),
        "beyond-budgeted-above-mobilenets",
        HOLDS,
        "short training favours MSDNet. Public trainings, each by its own recipe, have 66.0 % for MobileNet 1.0 (46 M multiply-adds, 200 epochs) and 67.7 to 72.3 % for the exit of our MSDNet at 45 M alone (300 epochs), 2 to 6 points more. Here, after 10 epochs, they have 45 and 57 %",
    ),
];

const HOLDS: &str = "holds";
const FAILS: &str = "fails";

/// A claim, and the row that decides it.
pub(super) struct Decided {
    pub claim: Claim,
    pub row: ClaimRow,
    /// The figure's name; none of an exact claim.
    pub figure: Option<String>,
    /// Whether the figure's runs are those of the shipped experiment, which remarks are about.
    pub is_shipped: bool,
}

impl Decided {
    /// The verdict for people; of harmlessness also whether there is even a gain. What a line gains
    /// to its end is judged as a harm as well, and below 0 it is a loss.
    pub(super) fn verdict(&self) -> String {
        let is_harm =
            self.claim.kind == Kind::Harmless && !matches!(self.claim.rule, Rule::Gain { .. });
        let gains = is_harm && self.row.high.is_some_and(|high| high < 0.0);
        match self.row.verdict.as_str() {
            HOLDS if gains => "holds (a gain)".to_string(),
            _ => verdict(&self.row),
        }
    }

    /// The likely reason where it fails; what to bear in mind where it holds.
    pub(super) fn remark(&self) -> Option<&'static str> {
        if !self.is_shipped {
            return None;
        }
        let own = (self.figure.as_deref(), &*self.claim.id, &*self.row.verdict);
        let known = REMARKS.iter().find(|(figure, id, verdict, _)| (*figure, *id, *verdict) == own);
        known.map(|(.., remark)| *remark)
    }
}

/// Every claim that is measured somewhere, in the order of `claims.yaml`, and the others. Figures that
/// stand beside others judge nothing.
pub(super) struct Judged {
    pub decided: Vec<Decided>,
    /// Claims that no figure has.
    pub absent: Vec<Claim>,
    /// Claims that cannot be measured on the figures that have their curves, with the reason.
    pub not_measurable: Vec<(Claim, String)>,
}

impl Judged {
    pub(super) fn of(figures: &[Shown], exact: &[ClaimRow]) -> Result<Judged> {
        let mut judged =
            Judged { decided: Vec::new(), absent: Vec::new(), not_measurable: Vec::new() };
        for claim in claims::parse(claims_yaml()).context("claims.yaml")? {
            let own = rows_of(&claim.id, figures, exact);
            let best =
                own.iter().filter(|(row, _)| row.is_measured()).max_by_key(|(row, figure)| {
                    // The paper's data before others, a verdict before none, then the longest training, then the
                    // plainest name.
                    let is_papers = figure.is_some_and(|f| f.experiment.dataset == PAPERS_DATA);
                    let passes = figure.and_then(Shown::image_passes).unwrap_or(0.0) as u64;
                    let name = figure.map_or(0, |figure| figure.name.len());
                    (is_papers, row.seeds.min(3), passes, std::cmp::Reverse(name))
                });
            match (best, own.first()) {
                (Some((row, figure)), _) => judged.decided.push(Decided {
                    claim,
                    row: (*row).clone(),
                    figure: figure.map(|figure| figure.name.clone()),
                    is_shipped: figure.is_none_or(Shown::is_shipped),
                }),
                (None, Some((row, _))) => judged.not_measurable.push((claim, row.note.clone())),
                (None, None) => judged.absent.push(claim),
            }
        }
        Ok(judged)
    }

    /// Claims about effects.
    pub(super) fn effects(&self) -> impl Iterator<Item = &Decided> {
        self.decided.iter().filter(|decided| decided.claim.kind != Kind::Exact)
    }

    /// Claims about counts, which need no run.
    pub(super) fn counts(&self) -> impl Iterator<Item = &Decided> {
        self.decided.iter().filter(|decided| decided.claim.kind == Kind::Exact)
    }

    /// The remark on each effect that has one, as a sentence.
    pub(super) fn remarks(&self) -> Vec<String> {
        let told = |decided: &Decided| {
            let remark = decided.remark()?;
            let begins = match decided.row.verdict.as_str() {
                FAILS => "fails. Likely reason",
                _ => "holds. To bear in mind",
            };
            Some(format!("`{}` {begins}: {remark}.", decided.claim.id))
        };
        self.effects().filter_map(told).collect()
    }

    /// What the intervals of effects are.
    pub(super) fn intervals(&self) -> &'static str {
        match self.effects().any(|decided| decided.row.seeds < 2) {
            true => {
                "Intervals are of 95 % over seeds and test images. Where a side has one seed, its part covers test images \
                 alone, and the interval is too narrow."
            }
            false => "Intervals are of 95 % over seeds and test images.",
        }
    }

    /// Whether a figure decides a claim.
    pub(super) fn is_decided_by(&self, claim: &str, figure: &str) -> bool {
        let mut decided = self.decided.iter().filter(|decided| decided.claim.id == claim);
        decided.any(|decided| decided.figure.as_deref() == Some(figure))
    }
}

fn rows_of<'a>(
    id: &str,
    figures: &'a [Shown],
    exact: &'a [ClaimRow],
) -> Vec<(&'a ClaimRow, Option<&'a Shown>)> {
    let judges = figures.iter().filter(|figure| figure.experiment.beside.is_none());
    let of_figures =
        judges.flat_map(|figure| figure.claims.iter().map(move |row| (row, Some(figure))));
    let all = of_figures.chain(exact.iter().map(|row| (row, None)));
    all.filter(|(row, _)| row.claim == id).collect()
}

/// A number in the claim's unit: points of accuracy, a difference of logarithms, or a count.
fn number(x: f64, unit: &str) -> String {
    match unit {
        "accuracy" => format!("{:.1}", 100.0 * x),
        "ln" => format!("{x:.3}"),
        _ => grouped(x as usize),
    }
}

/// The claim's effect with its interval, and the unit.
pub(super) fn effect(row: &ClaimRow) -> String {
    let Some(value) = row.value else {
        return String::new();
    };
    let value = number(value, &row.unit);
    match (row.low, row.high) {
        (Some(low), Some(high)) if !unit(row).is_empty() => {
            let (low, high) = (number(low, &row.unit), number(high, &row.unit));
            format!("{value} [{low}, {high}] {}", unit(row))
        }
        _ => value,
    }
}

fn unit(row: &ClaimRow) -> &'static str {
    match row.unit.as_str() {
        "accuracy" => "points",
        "ln" => "ln",
        _ => "",
    }
}

/// The paper's effect, and how large an effect counts as none; each with its unit.
pub(super) fn papers_and_margin(row: &ClaimRow) -> [String; 2] {
    let text = |x: f64| format!("{} {}", number(x, &row.unit), unit(row)).trim_end().to_string();
    [row.paper, row.margin].map(|x| x.map_or("-".to_string(), text))
}

/// The verdict for people, and what is to be kept in mind where there is none.
pub(super) fn verdict(row: &ClaimRow) -> String {
    match row.verdict.as_str() {
        "" => "no verdict below three seeds".to_string(),
        "too-few-seeds" => "undecided".to_string(),
        verdict => verdict.replace('-', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::plan;
    use super::*;
    use crate::cost;
    use crate::experiment::{BUILT_IN, Experiment};
    use crate::models::NetworkConfig;
    use crate::runs::data::input_of;

    /// A remark stays when its figure gains networks or a longer training, and must then be read again.
    #[test]
    fn remarks_are_about_the_networks_and_lengths_that_there_are() {
        let remark = |id| REMARKS.iter().find(|(_, of, ..)| *of == id).unwrap().3;
        let (_, yaml) =
            BUILT_IN.iter().find(|(name, _)| *name == "budgeted-batch-cifar100-cpu").unwrap();
        let experiment: Experiment = serde_yaml::from_str(yaml).unwrap();
        let input = input_of(&experiment.dataset).unwrap();
        let cost = |config: &NetworkConfig| {
            let exits = cost::table(&config.build(input).unwrap());
            (exits.len(), exits.last().unwrap().multiply_adds)
        };
        let networks = plan(&experiment).unwrap().networks;
        let densenets = networks.iter().filter(|n| matches!(n.config, NetworkConfig::Densenet(_)));
        let (several, plain): (Vec<_>, Vec<_>) =
            densenets.map(|network| cost(&network.config)).partition(|(exits, _)| *exits > 1);
        let dearest =
            |costs: &[(usize, u64)]| costs.iter().map(|c| c.1).max().unwrap() as f64 / 1e6;
        let (end, beyond) = (dearest(&plain), dearest(&several) - dearest(&plain));
        let told = format!("end at {end:.0} M multiply-adds, {beyond:.0} M before the full cost");
        let of_densenets = remark("budgeted-densenet-classifiers-reach-plain");
        assert!(of_densenets.contains(&told), "{told}");
        let results = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let is_told_unknown =
            remark("anytime-ensemble-competes-at-lowest").ends_with("is not separated");
        assert_ne!(is_told_unknown, results.join("anytime-cifar100-long-cpu").is_dir());
    }
}
