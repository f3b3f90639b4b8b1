//! All claims of the paper in one picture: each effect with its interval, in units of the paper's.

use std::path::Path;

use anyhow::{Result, ensure};

use super::chart::ink::{FRAME, GRID, RULE, paler};
use super::chart::mark::{Across, Canvas, Colour, Down, Mark, text_width};
use super::chart::paint;

/// A claim's row; numbers in units of the paper's effect: 0 none, 1 the paper's.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What is written on the left.
    pub label: String,
    /// What is written on the right, such as a verdict.
    pub verdict: String,
    /// How it came out.
    pub outcome: Outcome,
    /// Our effect.
    pub value: f64,
    /// Its interval.
    pub interval: (f64, f64),
    /// The paper's effect, where it has one.
    pub paper: Option<f64>,
    /// What counts as no effect, or as harmless; a side that is open is infinite.
    pub margin: (f64, f64),
}

/// How a claim came out, which its colour and marker tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Holds,
    Fails,
    Open,
}

/// Claims under one heading.
pub type Group = (String, Vec<Claim>);

const ROW: f64 = 24.0;
const SIZE: f64 = 14.0;
const EDGE: f64 = 16.0;
const PLOT: f64 = 520.0;
/// What the axis shows at least.
const LEAST: (f64, f64) = (-1.0, 1.5);
/// What it shows at most; an interval beyond it is cut off, with an arrow, and a value stands at the edge with its number.
const MOST: (f64, f64) = (-2.0, 4.0);
/// Between two numbers at the axis.
const STEP: f64 = 0.5;

/// Draws the groups one below another.
///
/// # Errors
/// When there is no claim, a number is not finite, or a picture cannot be written.
pub fn draw(groups: &[Group], svg: &Path, png: &Path) -> Result<()> {
    paint::write(&lay_out(groups)?, svg, png)
}

struct Frame {
    left: f64,
    /// What the axis shows.
    shown: (f64, f64),
}

impl Frame {
    fn across(&self, x: f64) -> f64 {
        let (from, to) = self.shown;
        let share = (x.clamp(from, to) - from) / (to - from);
        self.left + share * PLOT
    }
}

fn lay_out(groups: &[Group]) -> Result<Canvas> {
    let claims = || groups.iter().flat_map(|(_, claims)| claims);
    ensure!(claims().next().is_some(), "there is no claim to draw");
    let mut widest = (0.0f64, 0.0f64);
    for claim in claims() {
        let numbers = [claim.value, claim.interval.0, claim.interval.1, claim.paper.unwrap_or(0.0)];
        ensure!(
            numbers.iter().all(|number| number.is_finite()),
            "claim {:?} cannot be drawn: {claim:?}",
            claim.label
        );
        widest.0 = widest.0.max(text_width(&claim.label, SIZE)?);
        widest.1 = widest.1.max(text_width(&claim.verdict, SIZE)?);
    }
    let frame = Frame { left: EDGE + widest.0 + 14.0, shown: shown(claims()) };
    let lines = claims().count() + groups.iter().filter(|(_, claims)| !claims.is_empty()).count();
    let bottom = EDGE + lines as f64 * ROW;
    let mut marks = Vec::new();
    axis(&frame, bottom, &mut marks);
    let mut top = EDGE;
    for (heading, claims) in groups.iter().filter(|(_, claims)| !claims.is_empty()) {
        text(heading, (EDGE, top + ROW / 2.0), Across::Left, &mut marks);
        top += ROW;
        for claim in claims {
            row(claim, &frame, top + ROW / 2.0, &mut marks);
            top += ROW;
        }
    }
    let end = key(&frame, bottom + 52.0, &mut marks);
    let width = frame.left + PLOT + 14.0 + widest.1 + EDGE;
    Ok(Canvas { width: width.ceil(), height: (end + EDGE).ceil(), marks })
}

/// Whole steps that hold every effect and interval.
fn shown<'a>(claims: impl Iterator<Item = &'a Claim>) -> (f64, f64) {
    let (mut from, mut to) = LEAST;
    for claim in claims {
        from = from.min(claim.value).min(claim.interval.0);
        to = to.max(claim.value).max(claim.interval.1);
    }
    let (from, to) = ((from / STEP).floor() * STEP, (to / STEP).ceil() * STEP);
    (from.max(MOST.0), to.min(MOST.1))
}

fn colour(outcome: Outcome) -> Colour {
    match outcome {
        Outcome::Holds => (0x00, 0x72, 0xb2),
        Outcome::Fails => (0xd5, 0x5e, 0x00),
        Outcome::Open => FRAME,
    }
}

fn axis(frame: &Frame, bottom: f64, marks: &mut Vec<Mark>) {
    let mut x = frame.shown.0;
    while x <= frame.shown.1 {
        let at = frame.across(x);
        let strong = x == 0.0 || x == 1.0;
        let (colour, width) = if strong { (RULE, 1.4) } else { (GRID, 1.0) };
        marks.push(Mark::stroke([(at, EDGE), (at, bottom)], colour, width));
        text(&format!("{x}"), (at, bottom + 14.0), Across::Middle, marks);
        x += STEP;
    }
    let middle = frame.left + PLOT / 2.0;
    let words =
        "effect: 0 none, 1 the paper's (twice the margin where that is within it, or unknown)";
    text(words, (middle, bottom + 34.0), Across::Middle, marks);
}

fn row(claim: &Claim, frame: &Frame, middle: f64, marks: &mut Vec<Mark>) {
    let ink = colour(claim.outcome);
    let (from, to) = (frame.across(claim.margin.0), frame.across(claim.margin.1));
    let (above, below) = (middle - ROW * 0.38, middle + ROW * 0.38);
    marks.push(Mark::Area {
        points: vec![(from, above), (to, above), (to, below), (from, below)],
        colour: RULE,
        opacity: 0.16,
    });
    let (low, high) = (frame.across(claim.interval.0), frame.across(claim.interval.1));
    marks.push(Mark::stroke([(low, middle), (high, middle)], paler(ink, 0.25), 2.4));
    if claim.interval.0 < frame.shown.0 {
        arrow((low, middle), -1.0, ink, marks);
    }
    if claim.interval.1 > frame.shown.1 {
        arrow((high, middle), 1.0, ink, marks);
    }
    if let Some(paper) = claim.paper {
        diamond((frame.across(paper), middle), marks);
    }
    point((frame.across(claim.value), middle), claim.outcome, marks);
    let beyond = format!("{:.1}", claim.value);
    if claim.value < frame.shown.0 {
        text(&beyond, (frame.across(claim.value) + 10.0, middle), Across::Left, marks);
    }
    if claim.value > frame.shown.1 {
        text(&beyond, (frame.across(claim.value) - 10.0, middle), Across::Right, marks);
    }
    text(&claim.label, (frame.left - 14.0, middle), Across::Right, marks);
    text(&claim.verdict, (frame.left + PLOT + 14.0, middle), Across::Left, marks);
}

fn arrow((x, y): (f64, f64), way: f64, colour: Colour, marks: &mut Vec<Mark>) {
    let points = vec![(x, y - 4.5), (x + 7.0 * way, y), (x, y + 4.5)];
    marks.push(Mark::area(points, colour));
}

/// The paper's effect, hollow.
fn diamond((x, y): (f64, f64), marks: &mut Vec<Mark>) {
    let around = |r: f64| vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y), (x, y - r)];
    marks.push(Mark::stroke(around(6.0), (0, 0, 0), 1.4));
}

/// Our effect: a disc where the claim holds, a square where it fails, a ring where neither.
fn point((x, y): (f64, f64), outcome: Outcome, marks: &mut Vec<Mark>) {
    let ink = colour(outcome);
    let disc = |r: f64| {
        let corner = |i: i32| {
            let angle = std::f64::consts::TAU * f64::from(i) / 20.0;
            (x + r * angle.cos(), y + r * angle.sin())
        };
        (0..20).map(corner).collect()
    };
    let mut area = |points, colour| marks.push(Mark::area(points, colour));
    match outcome {
        Outcome::Holds => area(disc(4.6), ink),
        Outcome::Fails => {
            let r = 4.2;
            area(vec![(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], ink);
        }
        Outcome::Open => {
            area(disc(4.6), ink);
            area(disc(2.6), (0xff, 0xff, 0xff));
        }
    }
}

/// What the marks mean; returns where it ends.
fn key(frame: &Frame, top: f64, marks: &mut Vec<Mark>) -> f64 {
    let entries =
        [(Outcome::Holds, "holds"), (Outcome::Fails, "fails"), (Outcome::Open, "neither")];
    let mut x = frame.left;
    let middle = top + ROW / 2.0;
    for (outcome, words) in entries {
        point((x, middle), outcome, marks);
        text(words, (x + 12.0, middle), Across::Left, marks);
        x += 80.0;
    }
    diamond((x, middle), marks);
    text("the paper", (x + 12.0, middle), Across::Left, marks);
    x += 105.0;
    marks.push(Mark::Area {
        points: vec![
            (x, top + 4.0),
            (x + 20.0, top + 4.0),
            (x + 20.0, top + 20.0),
            (x, top + 20.0),
        ],
        colour: RULE,
        opacity: 0.16,
    });
    text("within the margin", (x + 28.0, middle), Across::Left, marks);
    top + ROW
}

fn text(words: &str, at: (f64, f64), across: Across, marks: &mut Vec<Mark>) {
    marks.push(Mark::text(words, at, SIZE, across, Down::Middle));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(value: f64, half: f64) -> Claim {
        Claim {
            label: "msdnet-above".to_owned(),
            verdict: "holds".to_owned(),
            outcome: Outcome::Holds,
            value,
            interval: (value - half, value + half),
            paper: Some(1.0),
            margin: (-0.5, 0.5),
        }
    }

    #[test]
    fn each_claim_is_a_row_under_its_heading_and_the_same_claims_give_the_same_bytes() {
        let groups = vec![
            ("Fig. 5".to_owned(), vec![claim(0.8, 0.2), claim(9.0, 1.0)]),
            ("Fig. 7".to_owned(), Vec::new()),
        ];
        let drawn = || {
            let folder = tempfile::tempdir().unwrap();
            let (svg, png) = (folder.path().join("c.svg"), folder.path().join("c.png"));
            draw(&groups, &svg, &png).unwrap();
            (std::fs::read_to_string(svg).unwrap(), std::fs::read(png).unwrap())
        };
        let first = drawn();
        assert!(first == drawn());
        assert_eq!(first.0.matches("\nmsdnet-above\n").count(), 2);
        assert!(first.0.contains("\nFig. 5\n") && !first.0.contains("\nFig. 7\n"));
    }

    #[test]
    fn the_axis_holds_every_interval_up_to_a_limit() {
        let of = |value, half| shown([claim(0.5, 0.1), claim(value, half)].iter());
        assert_eq!(of(0.8, 0.2), (-1.0, 1.5));
        assert_eq!(of(2.5, 0.4), (-1.0, 3.0));
        assert_eq!(of(-1.1, 0.2), (-1.5, 1.5));
        assert_eq!(of(9.0, 20.0), (-2.0, 4.0));
    }

    #[test]
    fn what_lies_beyond_the_axis_is_cut_off_and_nothing_leaves_the_canvas() {
        let groups = vec![("Fig. 5".to_owned(), vec![claim(9.0, 20.0)])];
        let canvas = lay_out(&groups).unwrap();
        let is_told = |mark: &Mark| matches!(mark, Mark::Text(text) if text.words == "9.0");
        assert!(canvas.marks.iter().any(is_told));
        for (x, y) in canvas.marks.iter().flat_map(Mark::places) {
            assert!(x >= 0.0 && x <= canvas.width && y >= 0.0 && y <= canvas.height, "{x} {y}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_or_no_claim_at_all_is_refused() {
        assert!(lay_out(&[]).is_err());
        let error = lay_out(&[("Fig. 5".to_owned(), vec![claim(f64::NAN, 1.0)])]);
        assert!(format!("{:#}", error.err().unwrap()).contains("msdnet-above"));
    }
}
