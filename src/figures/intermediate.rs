//! Figure 3, left: how good an intermediate classifier is, by where it stands.

use std::path::Path;

use anyhow::Result;

use super::PaperCurve;
use super::draw::draw as draw_chart;
use super::relative::{Words, charts};

/// Draws the `figure.csv` of a fig-intermediate experiment: relative accuracy with the paper's
/// curves dashed, and absolute accuracy beside it.
///
/// Columns read: curve, seed, position, relative_depth, accuracy, relative_accuracy.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    let words = Words {
        title: "Intermediate classifier",
        relative: "accuracy relative to the last position's",
    };
    draw_chart(&charts(csv, paper, &words)?, svg, png)
}
