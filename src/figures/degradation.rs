//! Figure 3, right: what an intermediate classifier does to the final one, by where it stands.

use std::path::Path;

use anyhow::Result;

use super::PaperCurve;
use super::draw::draw as draw_chart;
use super::relative::{Words, charts};

/// Draws the `figure.csv` of a fig-final-degradation experiment: the final classifier's accuracy
/// relative to the network without an intermediate one, with the paper's curves dashed, and its
/// absolute accuracy beside it.
///
/// Columns read: curve, seed, position, relative_depth, accuracy, relative_accuracy.
///
/// # Errors
/// Names the CSV with the column or line that cannot be drawn, or the picture that could not be
/// written.
pub fn draw(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    let words = Words {
        title: "Final classifier",
        relative: "accuracy relative to no intermediate classifier",
    };
    draw_chart(&charts(csv, paper, &words)?, svg, png)
}
