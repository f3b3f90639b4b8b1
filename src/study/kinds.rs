//! The figures, a row each: what is measured, how it is drawn, and where the paper has it.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::{Study, anytime, budgeted, claims, positional};
use crate::eval::figure::Figure;
use crate::eval::judge::{Measured, pooled};
use crate::eval::relative::relate;
use crate::figures::{self, PaperCurve};
use crate::results::tables::Table;

/// A figure.
pub struct Kind {
    pub figure: Figure,
    /// Its name in the paper.
    pub in_the_paper: &'static str,
    /// Its panels in the paper's table of curves: on ImageNet, and on CIFAR; empty where it has none.
    pub panels: [&'static str; 2],
    /// Whether others' published networks are points of it.
    pub has_published: bool,
    /// Measures it from the predictions of its runs.
    pub measure: fn(&Study) -> Result<Found>,
    /// Draws `figure.csv` with the paper's curves as SVG and PNG.
    pub draw: fn(&Path, &[PaperCurve], &Path, &Path) -> Result<()>,
}

/// What was measured for a figure.
pub struct Found {
    /// What claims are judged by.
    pub measured: Measured,
    /// `figure.csv` and the tables beside it that other figures do not have, by their files' names.
    pub tables: Vec<(&'static str, Table)>,
}

/// Every figure, in the order of the paper.
pub const KINDS: [Kind; 5] = [
    Kind {
        figure: Figure::FigIntermediate,
        in_the_paper: "Fig. 3, left",
        panels: ["", "3-left"],
        has_published: false,
        measure: by_position,
        draw: figures::positional::draw_intermediate,
    },
    Kind {
        figure: Figure::FigFinalDegradation,
        in_the_paper: "Fig. 3, right",
        panels: ["", "3-right"],
        has_published: false,
        measure: by_position,
        draw: figures::positional::draw_degradation,
    },
    Kind {
        figure: Figure::Anytime,
        in_the_paper: "Fig. 5",
        panels: ["5-left", "5-right"],
        has_published: true,
        measure: by_exit,
        draw: figures::anytime::draw,
    },
    Kind {
        figure: Figure::BudgetedBatch,
        in_the_paper: "Fig. 7",
        panels: ["7-left", "7-right"],
        has_published: true,
        measure: by_budget,
        draw: figures::budgeted::draw,
    },
    Kind {
        figure: Figure::Ablation,
        in_the_paper: "Fig. 10",
        panels: ["", ""],
        has_published: false,
        measure: by_exit,
        draw: figures::anytime::draw_ablation,
    },
];

/// The row of a figure.
pub fn kind(figure: Figure) -> &'static Kind {
    KINDS.iter().find(|kind| kind.figure == figure).expect("every figure has a row")
}

fn by_exit(study: &Study) -> Result<Found> {
    let rows = anytime::rows(study)?;
    ensure!(
        !rows.is_empty(),
        "nothing can be drawn: every trained network is a member of an ensemble, and no ensemble has all of its members"
    );
    let tables = vec![("figure.csv", anytime::table(&rows))];
    Ok(Found { tables, measured: anytime::judged(study, rows)? })
}

fn by_budget(study: &Study) -> Result<Found> {
    let rows = budgeted::rows(study)?;
    let taken = budgeted::taken_table(&rows);
    let tables = vec![("figure.csv", budgeted::table(&rows)), ("exits_taken.csv", taken)];
    Ok(Found { tables, measured: budgeted::judged(study, rows)? })
}

fn by_position(study: &Study) -> Result<Found> {
    let figure = study.plan.figure;
    let (networks, mut left_out) = positional::referred(study, positional::networks(study)?);
    let (rows, of_seeds) = relate(&networks, figure);
    left_out.extend(of_seeds);
    left_out.extend(positional::without_positions(&networks));
    for left_out in &left_out {
        study.settings.say(format!("left out: {left_out}"));
    }
    if rows.is_empty() {
        bail!("nothing can be drawn: {}", left_out.join("; "));
    }
    let losses = claims::positions_table(&pooled::positions(&networks, figure));
    let tables = vec![("figure.csv", positional::table(&rows)), ("positions.csv", losses)];
    let (networks, missing) = positional::whole(study, networks);
    for missing in missing {
        study.settings.say(missing);
    }
    Ok(Found { tables, measured: Measured::Positions(networks) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::BUILT_IN;

    #[test]
    fn every_figure_of_a_shipped_experiment_has_a_row() {
        for (name, _) in BUILT_IN {
            let (_, experiment) = crate::experiment::load(name, &[]).unwrap();
            assert_eq!(kind(experiment.figure).figure, experiment.figure, "{name}");
        }
    }
}
