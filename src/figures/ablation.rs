//! Figure 10: what MSDNet loses without one of its parts, drawn as an anytime figure.

use std::path::Path;

use anyhow::Result;

use super::draw::draw as draw_chart;
use super::{PaperCurve, anytime};

/// Draws the `figure.csv` of an ablation; columns, steps and errors as in [`anytime::draw`].
pub fn draw(csv: &Path, paper: &[PaperCurve], svg: &Path, png: &Path) -> Result<()> {
    draw_chart(&[anytime::chart(csv, paper, "Ablation")?], svg, png)
}
