//! The legend: below the panels, where no curve can run under it, in as many columns as fit.

use std::collections::BTreeSet;

use anyhow::Result;

use super::ink::Inks;
use super::mark::{Across, Down, Mark, text_width, wrap};
use super::panel::{mark_point, push_dashes};
use super::{Chart, Line, Markers, Style};

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
    let entries = entries(panels);
    let room = width - SWATCH - GAP;
    let mut texts = Vec::new();
    let mut widest = 0.0f64;
    for line in &entries {
        let text = wrap(&line.label, SIZE, room)?;
        for words in &text {
            widest = widest.max(text_width(words, SIZE)?);
        }
        texts.push(text);
    }
    let column = SWATCH + GAP + widest + BETWEEN;
    let columns = (((width + BETWEEN) / column) as usize).clamp(1, entries.len().max(1));
    // The block of columns stands in the middle, and is read downwards, then to the right.
    let rows = entries.len().div_ceil(columns);
    let used = entries.len().div_ceil(rows.max(1)) as f64 * column - BETWEEN;
    let start = left + ((width - used) / 2.0).max(0.0);
    let mut bottom = top;
    for (i, column_entries) in entries.chunks(rows.max(1)).enumerate() {
        let x = start + i as f64 * column;
        let mut y = top;
        for (line, text) in column_entries.iter().zip(&texts[i * rows..]) {
            entry(line, text, inks, (x, y), marks);
            y += ROW * text.len() as f64;
        }
        bottom = bottom.max(y);
    }
    note(panels, (left, bottom), width, marks)
}

/// One line for each label, in the order of their first occurrence, ours before the paper's and others'.
fn entries(panels: &[Chart]) -> Vec<&Line> {
    let mut entries: Vec<&Line> = Vec::new();
    for style in [Style::Ours, Style::Paper, Style::Published] {
        for line in panels.iter().flat_map(|panel| &panel.curves) {
            let known = entries.iter().any(|e| e.label == line.label && e.style == style);
            if line.style == style && !known {
                entries.push(line);
            }
        }
    }
    entries
}

fn entry(line: &Line, text: &[String], inks: &Inks, (x, y): (f64, f64), marks: &mut Vec<Mark>) {
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
    // A line without any interval is of one seed; of a mean line only some points have one.
    let seeds = |line: &Line| {
        let own = line.points.iter().filter_map(|point| point.spread);
        let own: BTreeSet<usize> = own.map(|spread| spread.seeds).collect();
        if own.is_empty() { BTreeSet::from([1]) } else { own }
    };
    let seeds: BTreeSet<usize> = ours.flat_map(seeds).collect();
    let n = match (seeds.first(), seeds.last()) {
        (_, Some(1)) => return Ok(top),
        (Some(first), Some(last)) if first == last => format!("n = {first}"),
        (Some(first), Some(last)) => format!("n = {first} to {last}"),
        _ => return Ok(top),
    };
    let mut said = format!("mean over seeds ({n}); bars: its 95 % interval by Student's t");
    for (style, words) in [(Style::Seeds, "; dots: seeds"), (Style::Pale, "; thin lines: seeds")] {
        if lines().any(|line| line.style == style) {
            said.push_str(words);
        }
    }
    let mut y = top + 6.0;
    for words in wrap(&said, SIZE, width)? {
        let at = (left + width / 2.0, y + ROW / 2.0);
        marks.push(Mark::text(words, at, SIZE, Across::Middle, Down::Middle));
        y += ROW;
    }
    Ok(y)
}
