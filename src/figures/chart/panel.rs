//! One panel laid out: title, axes with grid and ticks, curves, intervals, seeds and markers.

use anyhow::{Result, ensure};

use super::axis::Scale;
use super::ink::{FRAME, GRID, Ink, Inks, RULE, WHITE, marker, paler};
use super::mark::{Across, Colour, Down, Mark, Text, text_width, wrap};
use super::stroke::{dashes, spaced, steps};
use super::{Axis, Chart, Line, Markers, Point, Spread, Style};

const TITLE: f64 = 18.0;
const LABEL: f64 = 16.0;
const TICK: f64 = 15.0;
/// Radius of a marker of our curves.
const MARKER: f64 = 4.6;
/// Radius of a seed's dot.
const DOT: f64 = 2.2;

/// Width and height of a panel, in pixels, by the number of panels beside each other.
pub fn size(panels: usize) -> (f64, f64) {
    match panels {
        1 => (800.0, 520.0),
        2 => (580.0, 460.0),
        _ => (460.0, 400.0),
    }
}

/// Where data lie on the canvas.
struct Frame {
    x: Scale,
    y: Scale,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Frame {
    fn across(&self, x: f64) -> f64 {
        self.left + self.x.share(x) * (self.right - self.left)
    }
    fn down(&self, y: f64) -> f64 {
        self.bottom - self.y.share(y) * (self.bottom - self.top)
    }
    fn place(&self, point: &Point) -> (f64, f64) {
        (self.across(point.x), self.down(point.y))
    }
}

/// The height that a panel's title needs; beside each other, all panels get the largest.
pub fn title_height(chart: &Chart, width: f64) -> Result<f64> {
    if chart.title.is_empty() {
        return Ok(TICK / 2.0);
    }
    let lines = wrap(&chart.title, TITLE, width)?.len() as f64;
    Ok(lines * TITLE * 1.3 + 8.0)
}

/// Adds the marks of a panel whose frame begins `title` pixels below its top.
pub fn lay_out(
    chart: &Chart,
    inks: &Inks,
    (left, top): (f64, f64),
    (width, height): (f64, f64),
    title: f64,
    marks: &mut Vec<Mark>,
) -> Result<()> {
    check(chart)?;
    self::title(chart, (left, top), width, marks)?;
    let x = Scale::new(&chart.x, points(chart).map(|p| p.x))?;
    let y = Scale::new(&chart.y, heights(chart))?;
    let (y_ticks, y_labels) = choose(&y, |labels, ticks| {
        let room = height - 80.0;
        let gaps = ticks.windows(2).map(|w| y.share(w[1]) - y.share(w[0]));
        let closest = gaps.fold(1.0, f64::min);
        Ok(labels.len() < 2 || closest * room >= TICK * 2.2)
    })?;
    let mut widest = 0.0f64;
    for label in &y_labels {
        widest = widest.max(text_width(label, TICK)?);
    }
    let frame_left = left + LABEL + 14.0 + widest + 8.0;
    let frame_right = left + width - 22.0;
    let (x_ticks, x_labels) = choose(&x, |labels, ticks| {
        let room = frame_right - frame_left;
        let mut free = f64::NEG_INFINITY;
        for (label, &tick) in labels.iter().zip(ticks) {
            let half = text_width(label, TICK)? / 2.0;
            let middle = x.share(tick) * room;
            if middle - half < free {
                return Ok(false);
            }
            free = middle + half + TICK;
        }
        Ok(true)
    })?;
    let frame = Frame {
        x,
        y,
        left: frame_left,
        right: frame_right,
        top: top + title,
        bottom: top + height - TICK - LABEL - 26.0,
    };
    grid(&frame, &x_ticks, &y_ticks, marks);
    rule(chart, &frame, marks);
    curves(chart, inks, &frame, marks);
    tick_labels(&frame, (&x_ticks, &x_labels), (&y_ticks, &y_labels), marks);
    axis_labels(chart, &frame, left, top + height, marks);
    Ok(())
}

fn points(chart: &Chart) -> impl Iterator<Item = &Point> {
    chart.curves.iter().flat_map(|line| &line.points)
}

/// All heights that the y axis must hold: values, the ends of intervals, the rule. An interval of two
/// seeds is so wide that it is cut off instead.
fn heights(chart: &Chart) -> impl Iterator<Item = f64> {
    let edges = chart.curves.iter().flat_map(|line| {
        line.points.iter().flat_map(|p| {
            let shown = p.spread.filter(|s| line.style == Style::Ours && s.seeds > 2);
            let half = shown.map_or(0.0, |s| s.half);
            [p.y, p.y - half, p.y + half]
        })
    });
    edges.chain(chart.rule)
}

fn check(chart: &Chart) -> Result<()> {
    ensure!(points(chart).next().is_some(), "there is no point to draw");
    let fits = |axis: &Axis, v: f64| v.is_finite() && (!axis.logarithmic || v > 0.0);
    for line in &chart.curves {
        for p in &line.points {
            let sound = fits(&chart.x, p.x)
                && fits(&chart.y, p.y)
                && p.spread.is_none_or(|s| s.half.is_finite() && s.half >= 0.0);
            ensure!(sound, "curve {:?} has a point that cannot be drawn: {p:?}", line.label);
        }
    }
    Ok(())
}

/// The finest ticks whose labels have room, or else the coarsest.
fn choose(
    scale: &Scale,
    has_room: impl Fn(&[String], &[f64]) -> Result<bool>,
) -> Result<(Vec<f64>, Vec<String>)> {
    let mut last = (Vec::new(), Vec::new());
    for ticks in scale.tick_choices() {
        let labels = scale.tick_labels(&ticks);
        let fits = has_room(&labels, &ticks)?;
        last = (ticks, labels);
        if fits {
            break;
        }
    }
    Ok(last)
}

fn title(chart: &Chart, (left, top): (f64, f64), width: f64, marks: &mut Vec<Mark>) -> Result<()> {
    let lines = wrap(&chart.title, TITLE, width)?;
    for (i, words) in lines.into_iter().enumerate() {
        let at = (left + width / 2.0, top + i as f64 * TITLE * 1.3);
        marks.push(Mark::text(words, at, TITLE, Across::Middle, Down::Top));
    }
    Ok(())
}

fn grid(frame: &Frame, x_ticks: &[f64], y_ticks: &[f64], marks: &mut Vec<Mark>) {
    let mut stroke = |from, to, colour| {
        marks.push(Mark::stroke([from, to], colour, 1.0));
    };
    let xs: Vec<f64> = x_ticks.iter().map(|&tick| frame.across(tick)).collect();
    let ys: Vec<f64> = y_ticks.iter().map(|&tick| frame.down(tick)).collect();
    for &x in &xs {
        stroke((x, frame.top), (x, frame.bottom), GRID);
    }
    for &y in &ys {
        stroke((frame.left, y), (frame.right, y), GRID);
    }
    stroke((frame.left, frame.top), (frame.left, frame.bottom), FRAME);
    let (left, right) = (frame.left - 0.5, frame.right);
    stroke((left, frame.bottom), (right, frame.bottom), FRAME);
    for &x in &xs {
        stroke((x, frame.bottom), (x, frame.bottom + 5.0), FRAME);
    }
    for &y in &ys {
        stroke((frame.left - 5.0, y), (frame.left, y), FRAME);
    }
}

fn rule(chart: &Chart, frame: &Frame, marks: &mut Vec<Mark>) {
    if let Some(y) = chart.rule {
        let y = frame.down(y);
        marks.push(Mark::stroke([(frame.left, y), (frame.right, y)], RULE, 1.4));
    }
}

/// Pale lines lowest, then the paper's, ours, the intervals; dots and markers over all lines. What
/// others published has markers alone.
fn curves(chart: &Chart, inks: &Inks, frame: &Frame, marks: &mut Vec<Mark>) {
    let of = |style: Style| chart.curves.iter().filter(move |line| line.style == style);
    let order = [Style::Pale, Style::Paper, Style::Published, Style::Ours];
    for line in order.into_iter().filter(|&style| style != Style::Published).flat_map(of) {
        trace(line, inks.ink(line), frame, marks);
    }
    for line in of(Style::Ours) {
        for point in &line.points {
            interval(*point, inks.ink(line), frame, marks);
        }
    }
    for line in of(Style::Seeds) {
        for point in &line.points {
            let colour = paler(inks.ink(line).colour, 0.35);
            marks.push(shape(frame.place(point), 0, DOT, colour));
        }
    }
    for line in order.into_iter().flat_map(of) {
        let places: Vec<_> = line.points.iter().map(|p| frame.place(p)).collect();
        let marked: Vec<usize> = match line.markers {
            _ if places.len() == 1 => vec![0],
            Markers::None => Vec::new(),
            Markers::Every => (0..places.len()).collect(),
            Markers::Spaced => spaced(&places, 42.0),
            Markers::Intervals => {
                let has = |i: &usize| line.points[*i].spread.is_some();
                (0..places.len()).filter(has).collect()
            }
        };
        for i in marked {
            mark_point(places[i], inks.ink(line), marks);
        }
    }
}

/// A point's interval, as a vertical bar through it.
fn interval(point: Point, ink: Ink, frame: &Frame, marks: &mut Vec<Mark>) {
    let Some(Spread { half, .. }) = point.spread else {
        return;
    };
    let x = frame.across(point.x);
    marks.push(Mark::stroke(
        [(x, frame.down(point.y - half)), (x, frame.down(point.y + half))],
        paler(ink.colour, 0.4),
        2.0,
    ));
}

/// A marker's shape, filled.
fn shape((x, y): (f64, f64), marker: usize, radius: f64, colour: Colour) -> Mark {
    let corners = self::marker(marker).into_iter();
    let points = corners.map(|(dx, dy)| (x + dx * radius, y + dy * radius));
    Mark::area(points.collect::<Vec<_>>(), colour)
}

fn trace(line: &Line, ink: Ink, frame: &Frame, marks: &mut Vec<Mark>) {
    let places: Vec<_> = line.points.iter().map(|p| frame.place(p)).collect();
    let path = if line.stepped { steps(&places) } else { places };
    push_dashes(&path, ink, marks);
}

/// A line in an ink's dashes.
pub fn push_dashes(path: &[(f64, f64)], ink: Ink, marks: &mut Vec<Mark>) {
    for points in dashes(path, ink.dash) {
        marks.push(Mark::Stroke { points, colour: ink.colour, width: ink.width });
    }
}

/// A marker with a thin white edge around it, which sets it off from the lines that it lies on.
pub fn mark_point(at: (f64, f64), ink: Ink, marks: &mut Vec<Mark>) {
    let mut outline = |radius: f64, colour| marks.push(shape(at, ink.marker, radius, colour));
    if ink.hollow {
        outline(MARKER * 0.95, ink.colour);
        outline(MARKER * 0.55, WHITE);
    } else {
        outline(MARKER * 1.25, WHITE);
        outline(MARKER, ink.colour);
    }
}

fn tick_labels(
    frame: &Frame,
    (x_ticks, x_labels): (&[f64], &[String]),
    (y_ticks, y_labels): (&[f64], &[String]),
    marks: &mut Vec<Mark>,
) {
    for (&tick, label) in x_ticks.iter().zip(x_labels) {
        let at = (frame.across(tick), frame.bottom + 9.0);
        marks.push(Mark::text(label, at, TICK, Across::Middle, Down::Top));
    }
    for (&tick, label) in y_ticks.iter().zip(y_labels) {
        let at = (frame.left - 9.0, frame.down(tick));
        marks.push(Mark::text(label, at, TICK, Across::Right, Down::Middle));
    }
}

fn axis_labels(chart: &Chart, frame: &Frame, left: f64, bottom: f64, marks: &mut Vec<Mark>) {
    let words = |axis: &Axis| {
        format!("{}{}", axis.label, if axis.logarithmic { ", logarithmic" } else { "" })
    };
    let at = ((frame.left + frame.right) / 2.0, bottom - LABEL);
    marks.push(Mark::text(words(&chart.x), at, LABEL, Across::Middle, Down::Top));
    marks.push(Mark::Text(Text {
        words: words(&chart.y),
        at: (left + LABEL / 2.0, (frame.top + frame.bottom) / 2.0),
        across: Across::Middle,
        down: Down::Middle,
        size: LABEL,
        upright: true,
    }));
}
