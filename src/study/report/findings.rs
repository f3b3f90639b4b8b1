//! The findings that a README shows between its markers.

use std::fmt::Write;

use anyhow::Result;

use super::cell;
use super::claims::{Decided, Judged, effect, papers, verdict};
use crate::eval::claims::Kind;
use crate::results::markdown;

const BEGIN: &str = "<!-- findings -->\n";
const END: &str = "<!-- /findings -->";

/// The paragraph and, where something is decided, the table.
pub(super) fn text(judged: &Judged) -> Result<String> {
    let mut text = String::new();
    let measured = judged.effects().count();
    if measured == 0 {
        writeln!(
            text,
            "Figs. 3, 5 and 7 on CIFAR-100 are being trained: the paper's widths, 10 epochs of all images, three seeds\n\
             (`repro experiments show fig-final-degradation-cifar100-cpu`). Until they are in, the picture above is that of\n\
             `make quick`: one seed, so values and intervals but no verdict. Of the counts, which need no run, {} hold and {}\n\
             fail.",
            judged.count("holds"),
            judged.count("fails")
        )?;
        return Ok(text);
    }
    writeln!(
        text,
        "Of {} claims that are measured, {} hold, {} fail, {} show no effect as large as their margin, {} have\n\
         intervals too wide to tell, and {} have fewer than three seeds so far and no verdict. Intervals are of 95 % over\n\
         seeds and test images. `fails` and `holds` are said of this scale, not of the paper's. The table shows the claims\n\
         about a direction that are decided, and all that fail.",
        judged.decided.len(),
        judged.count("holds"),
        judged.count("fails"),
        judged.count("no-effect"),
        judged.count("too-few-seeds"),
        judged.count(""),
    )?;
    let shown = judged.decided.iter().filter(|decided| is_shown(decided));
    let rows = shown.map(|Decided { claim, row, .. }| {
        [cell(&claim.text), papers(row), effect(row), verdict(row)]
    });
    text.push('\n');
    text.push_str(&markdown::table("the paper says | paper | here | verdict", rows));
    Ok(text)
}

/// Directions that are decided or still below three seeds, and whatever fails.
fn is_shown(decided: &Decided) -> bool {
    let verdict = decided.row.verdict.as_str();
    let is_direction = decided.claim.kind == Kind::Direction;
    verdict == "fails" || (is_direction && matches!(verdict, "holds" | "no-effect" | ""))
}

/// The README with `text` between its markers; none where it has none.
pub(super) fn replace(readme: &str, text: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{text}{END}{after}"))
}
