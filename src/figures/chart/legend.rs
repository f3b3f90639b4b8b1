//! The legend: below the panels, where no curve can run under it, in as many columns as fit.

use std::collections::BTreeSet;

use anyhow::Result;

use super::ink::Inks;
use super::mark::{Across, Down, Mark, text_width, wrap};
use super::panel::{mark_point, push_dashes};
use super::{Chart, Line, Markers, Point, Style};

const SIZE: f64 = 15.0;
const ROW: f64 = 23.0;
const SWATCH: f64 = 62.0;
const GAP: f64 = 10.0;
/// Between columns; wide, because an SVG may be shown in a wider font than it was measured in.
const BETWEEN: f64 = 30.0;

/// Adds the legend's marks from `left, top` on; returns where it ends below.
pub fn lay_out(
    panels: &[Chart],
    inks: &Inks,
    (left, top): (f64, f64),
    width: f64,
    marks: &mut Vec<Mark>,
) -> Result<f64> {
    let room = width - SWATCH - GAP;
    let mut all = Vec::new();
    for line in entries(panels) {
        let text = wrap(&line.label, SIZE, room)?;
        let mut widest = 0.0f64;
        for words in &text {
            widest = widest.max(text_width(words, SIZE)?);
        }
        all.push(Entry { line, text, width: widest });
    }
    // Long entries stand below the others where those have room for two columns without them.
    let half = (width - BETWEEN) / 2.0 - SWATCH - GAP;
    let is_long = |entry: &Entry| entry.width > half;
    let short = all.iter().filter(|entry| !is_long(entry)).count();
    let (long, short) = match short > 1 {
        true => all.into_iter().partition(is_long),
        false => (Vec::new(), all),
    };
    let bottom = lay_out_block(&short, inks, (left, top), width, marks);
    let bottom = lay_out_block(&long, inks, (left, bottom), width, marks);
    note(panels, (left, bottom), width, marks)
}

struct Entry<'a> {
    line: &'a Line,
    text: Vec<String>,
    width: f64,
}

/// In as many columns as fit, which stand in the middle and are read downwards, then to the right.
fn lay_out_block(
    entries: &[Entry],
    inks: &Inks,
    (left, top): (f64, f64),
    width: f64,
    marks: &mut Vec<Mark>,
) -> f64 {
    let widest = entries.iter().map(|entry| entry.width).fold(0.0, f64::max);
    let column = SWATCH + GAP + widest + BETWEEN;
    let columns = (((width + BETWEEN) / column) as usize).clamp(1, entries.len().max(1));
    let rows = entries.len().div_ceil(columns).max(1);
    let used = entries.len().div_ceil(rows) as f64 * column - BETWEEN;
    let start = left + ((width - used) / 2.0).max(0.0);
    let mut bottom = top;
    for (i, of_column) in entries.chunks(rows).enumerate() {
        let x = start + i as f64 * column;
        let mut y = top;
        for Entry { line, text, .. } in of_column {
            draw_entry(line, text, inks, (x, y), marks);
            y += ROW * text.len() as f64;
        }
        bottom = bottom.max(y);
    }
    bottom
}

/// One line for each label, in the order of their first occurrence, ours before the paper's and others'.
/// Hollow points with the label of one of our lines belong to it.
fn entries(panels: &[Chart]) -> Vec<&Line> {
    let mut entries: Vec<&Line> = Vec::new();
    for style in [Style::Ours, Style::Paper, Style::Published] {
        for line in panels.iter().flat_map(|panel| &panel.curves) {
            let known = entries.iter().any(|e| e.label == line.label);
            if line.style == style && !known {
                entries.push(line);
            }
        }
    }
    entries
}

fn draw_entry(
    line: &Line,
    text: &[String],
    inks: &Inks,
    (x, y): (f64, f64),
    marks: &mut Vec<Mark>,
) {
    let ink = inks.ink(line);
    let middle = y + ROW / 2.0;
    if line.points.len() > 1 && line.style != Style::Published {
        push_dashes(&[(x, middle), (x + SWATCH, middle)], ink, marks);
    }
    if line.markers != Markers::None || line.points.len() == 1 {
        mark_point((x + SWATCH / 2.0, middle), ink, marks);
    }
    for (i, words) in text.iter().enumerate() {
        let at = (x + SWATCH + GAP, middle + i as f64 * ROW);
        marks.push(Mark::text(words, at, SIZE, Across::Left, Down::Middle));
    }
}

/// Says what intervals and dots are, and of how many seeds, where there are any.
fn note(
    panels: &[Chart],
    (left, top): (f64, f64),
    width: f64,
    marks: &mut Vec<Mark>,
) -> Result<f64> {
    let lines = || panels.iter().flat_map(|panel| &panel.curves);
    let ours = lines().filter(|line| line.style == Style::Ours);
    // A point without an interval is of one seed, but for the points between those that have one on a
    // line through means.
    let seeds = |line: &Line| {
        let alone = (line.markers == Markers::Every).then_some(1);
        let seeds = |point: &Point| point.spread.map(|spread| spread.seeds).or(alone);
        let own: BTreeSet<usize> = line.points.iter().filter_map(seeds).collect();
        if own.is_empty() { BTreeSet::from([1]) } else { own }
    };
    let seeds: BTreeSet<usize> = ours.flat_map(seeds).collect();
    let n = match (seeds.first(), seeds.last()) {
        (_, Some(1)) => return Ok(top),
        (Some(first), Some(last)) if first == last => format!("n = {first}"),
        (Some(first), Some(last)) => format!("n = {first} to {last}"),
        _ => return Ok(top),
    };
    let is_there = |style| lines().any(|line| line.style == style);
    let each = [(Style::Seeds, "; dots: seeds"), (Style::Pale, "; thin lines: seeds")];
    let shown: String =
        each.iter().filter(|(style, _)| is_there(*style)).map(|(_, words)| *words).collect();
    // Without the seeds beside them, points are no means of them, but effects of claims.
    let said = match shown.as_str() {
        "" => format!("bars: 95 % intervals over seeds and test images ({n})"),
        _ => format!("mean over seeds ({n}); bars: its 95 % interval by Student's t{shown}"),
    };
    let mut y = top + 6.0;
    for words in wrap(&said, SIZE, width)? {
        let at = (left + width / 2.0, y + ROW / 2.0);
        marks.push(Mark::text(words, at, SIZE, Across::Middle, Down::Middle));
        y += ROW;
    }
    Ok(y)
}
