//! How the curves of a picture are told apart: by colour, by marker and by dashes, so that one of
//! the three is enough (greyscale print, colour-blind readers).

use std::f64::consts::{PI, TAU};

use super::mark::Colour;
use super::{Line, Style};
use crate::eval::named::unique;

pub const TEXT: Colour = (0x22, 0x22, 0x22);
pub const FRAME: Colour = (0x55, 0x55, 0x55);
pub const GRID: Colour = (0xe4, 0xe4, 0xe4);
pub const RULE: Colour = (0x88, 0x88, 0x88);
pub const WHITE: Colour = (0xff, 0xff, 0xff);

/// The colours of Okabe and Ito, "Color Universal Design" (2008), of which yellow is left out and
/// orange and sky blue are darkened until they stand 3:1 against white (WCAG 2.1, 1.4.11).
const PALETTE: [Colour; 7] = [
    (0x00, 0x72, 0xb2),
    (0xd5, 0x5e, 0x00),
    (0x00, 0x9e, 0x73),
    (0x00, 0x00, 0x00),
    (0xcc, 0x79, 0xa7),
    (0xb0, 0x79, 0x00),
    (0x3b, 0x93, 0xc6),
];

/// Dashes of our curves, in pixels drawn and left out; the paper's have `PAPER_DASH`.
const DASHES: [&[f64]; 4] =
    [&[], &[14.0, 4.0], &[14.0, 4.0, 3.0, 4.0], &[14.0, 3.0, 3.0, 3.0, 3.0, 3.0]];
/// For a curve of the paper that nothing of ours belongs to.
const UNRELATED: Colour = (0x6e, 0x6e, 0x6e);
const PAPER_DASH: &[f64] = &[4.0, 3.5];

/// What makes one curve look like itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ink {
    pub colour: Colour,
    pub dash: &'static [f64],
    /// Which of the marker shapes.
    pub marker: usize,
    pub hollow: bool,
    pub width: f64,
}

/// The inks of a picture: one for each label that is ours and one for each of the paper's.
pub struct Inks {
    /// Label, slot: its place in the palette, the markers and the dashes.
    ours: Vec<(String, usize)>,
    /// Of the paper's and others': label, our label of the same family, marker.
    paper: Vec<(String, Option<usize>, usize)>,
}

impl Inks {
    /// Hands inks out in the order in which labels first occur, but the first curve of each of the
    /// paper's families looks the same in all pictures.
    pub fn of<'a>(lines: impl Iterator<Item = &'a Line> + Clone) -> Self {
        let own = lines.clone().filter(|line| !is_foreign(line));
        let ours = slots(&unique(own.map(|line| line.label.as_str())));
        let mut paper: Vec<(String, Option<usize>, usize)> = Vec::new();
        let mut fresh = ours.iter().map(|(_, slot)| slot + 1).max().unwrap_or(0);
        for line in lines.filter(|line| is_foreign(line)) {
            if paper.iter().any(|(label, _, _)| *label == line.label) {
                continue;
            }
            let kin = relative_of(&line.label, &ours);
            // A second curve of the paper in one colour gets a marker of its own.
            let free = kin.filter(|slot| paper.iter().all(|(_, _, marker)| marker != slot));
            let marker = free.unwrap_or_else(|| {
                fresh += 1;
                fresh - 1
            });
            paper.push((line.label.clone(), kin, marker));
        }
        Self { ours, paper }
    }

    pub fn ink(&self, line: &Line) -> Ink {
        if is_foreign(line) {
            let found = self.paper.iter().find(|(label, _, _)| *label == line.label);
            let (kin, marker) = found.map_or((None, 0), |(_, kin, marker)| (*kin, *marker));
            return Ink {
                colour: kin.map_or(UNRELATED, |slot| PALETTE[slot % PALETTE.len()]),
                dash: PAPER_DASH,
                marker,
                hollow: true,
                width: 1.3,
            };
        }
        let found = self.ours.iter().find(|(label, _)| *label == line.label);
        let slot = found.map_or(0, |(_, slot)| *slot);
        let strong = Ink {
            colour: PALETTE[slot % PALETTE.len()],
            dash: DASHES[(slot + 2 * (slot / PALETTE.len())) % DASHES.len()],
            marker: slot,
            hollow: false,
            width: 2.2,
        };
        if line.style == Style::Pale {
            Ink { colour: paler(strong.colour, 0.6), dash: &[], width: 1.3, ..strong }
        } else {
            strong
        }
    }
}

/// The families of the paper, whose first curves have the first slots.
pub const FAMILIES: [&str; 3] = ["MSDNet", "ResNet", "DenseNet"];

fn slots(labels: &[&str]) -> Vec<(String, usize)> {
    let first = |name: &&str| labels.iter().position(|label| family(label) == *name);
    let first = FAMILIES.each_ref().map(first);
    let free: Vec<usize> = (0..FAMILIES.len() + labels.len())
        .filter(|slot| first.get(*slot).is_none_or(|label| label.is_none()))
        .collect();
    let mut free = free.into_iter();
    let labelled = labels.iter().enumerate().map(|(i, label)| {
        let own = first.iter().position(|label| *label == Some(i));
        let slot = own.or_else(|| free.next()).unwrap_or(i);
        ((*label).to_owned(), slot)
    });
    labelled.collect()
}

/// The slot of our curve that one of the paper's belongs to: of the same family (the word that both
/// begin with, such as `ResNet` for `ResNets`), with the longest common beginning.
fn relative_of(paper: &str, ours: &[(String, usize)]) -> Option<usize> {
    let paper = paper.split_once(": ").map_or(paper, |(_, label)| label);
    let family = family(paper);
    let common = |label: &str| {
        let pairs = label.chars().zip(paper.chars());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let kin = ours.iter().filter(|(label, _)| !family.is_empty() && self::family(label) == family);
    // The first one of equals.
    kin.rev().max_by_key(|(label, _)| (label == paper, common(label))).map(|(_, slot)| *slot)
}

/// Whether somebody else's numbers are drawn.
fn is_foreign(line: &Line) -> bool {
    matches!(line.style, Style::Paper | Style::Published)
}

fn family(label: &str) -> &str {
    let end = label.find(|c: char| !c.is_alphanumeric()).unwrap_or(label.len());
    label[..end].trim_end_matches('s')
}

/// The colour mixed with white; `white` from 0 to 1.
pub fn paler((r, g, b): Colour, white: f64) -> Colour {
    let mix = |c: u8| (f64::from(c) * (1.0 - white) + 255.0 * white).round() as u8;
    (mix(r), mix(g), mix(b))
}

/// How many marker shapes there are.
const MARKERS: usize = 8;

/// The outline of a marker around 0, of about equal area in all shapes, for a radius of 1.
pub fn marker(shape: usize) -> Vec<(f64, f64)> {
    match shape % MARKERS {
        0 => ring(24, 1.0, 1.0, 0.0),
        1 => ring(4, 1.22, 1.22, PI / 4.0),
        2 => ring(3, 1.4, 1.4, -PI / 2.0),
        3 => ring(4, 1.32, 1.32, 0.0),
        4 => ring(3, 1.4, 1.4, PI / 2.0),
        5 => cross(PI / 4.0),
        6 => ring(10, 1.5, 0.62, -PI / 2.0),
        _ => cross(0.0),
    }
}

/// A regular polygon whose corners take turns in two radii.
fn ring(corners: usize, even: f64, odd: f64, turn: f64) -> Vec<(f64, f64)> {
    let corner = |i: usize| {
        let angle = turn + TAU * i as f64 / corners as f64;
        let radius = if i.is_multiple_of(2) { even } else { odd };
        (radius * angle.cos(), radius * angle.sin())
    };
    (0..corners).map(corner).collect()
}

/// A plus sign with arms as broad as a third of it, turned.
fn cross(turn: f64) -> Vec<(f64, f64)> {
    let (long, short) = (1.3, 0.43);
    let arm = [(long, -short), (long, short), (short, short)];
    let turned = |(x, y): (f64, f64), angle: f64| {
        let (sin, cos) = angle.sin_cos();
        (x * cos - y * sin, x * sin + y * cos)
    };
    (0..4)
        .flat_map(|quarter| arm.map(|corner| turned(corner, turn + PI / 2.0 * f64::from(quarter))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, style: Style) -> Line {
        Line { style, ..Line::new(label, Vec::new()) }
    }

    /// Relative luminance as WCAG 2.1 defines it.
    fn luminance((r, g, b): Colour) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast_with_white(colour: Colour) -> f64 {
        1.05 / (luminance(colour) + 0.05)
    }

    #[test]
    fn every_curve_stands_out_from_white_and_text_more_so() {
        for colour in PALETTE.into_iter().chain([UNRELATED]) {
            assert!(contrast_with_white(colour) >= 3.0, "{colour:?}");
        }
        assert!(contrast_with_white(TEXT) >= 7.0);
    }

    #[test]
    fn the_first_dozen_curves_differ_in_more_than_colour() {
        let lines: Vec<Line> = (0..12).map(|i| line(&format!("{i}"), Style::Ours)).collect();
        let inks = Inks::of(lines.iter());
        let looks: Vec<Ink> = lines.iter().map(|line| inks.ink(line)).collect();
        for (i, a) in looks.iter().enumerate() {
            for b in &looks[..i] {
                assert_ne!(a, b);
                assert!(marker(a.marker) != marker(b.marker) || a.dash != b.dash);
            }
        }
    }

    #[test]
    fn without_markers_every_colour_has_all_dashes_before_one_comes_again() {
        let lines: Vec<Line> = (0..28).map(|i| line(&format!("{i}"), Style::Ours)).collect();
        let inks = Inks::of(lines.iter());
        let look = |line| (inks.ink(line).colour, inks.ink(line).dash);
        assert_eq!(unique(lines.iter().map(look)).len(), lines.len());
    }

    #[test]
    fn a_family_looks_the_same_whatever_stands_beside_it() {
        let colour = |labels: &[&str], of: &str| {
            let lines: Vec<Line> = labels.iter().map(|l| line(l, Style::Ours)).collect();
            Inks::of(lines.iter()).ink(&line(of, Style::Ours)).colour
        };
        let alone = colour(&["ResNets"], "ResNets");
        let labels = ["VGG", "DenseNet", "MSDNet", "MSDNet, averaged", "ResNet-110"];
        assert_eq!(colour(&labels, "ResNet-110"), alone);
        assert_eq!(
            slots(&labels).iter().map(|(_, slot)| *slot).collect::<Vec<_>>(),
            [3, 2, 0, 4, 1]
        );
    }

    #[test]
    fn a_curve_of_the_paper_has_the_colour_of_our_curve_of_its_family() {
        let lines = [
            line("MSDNet", Style::Ours),
            line("MSDNet, averaged", Style::Ours),
            line("ResNet (6 classifiers)", Style::Ours),
            line("paper: ResNet^MC", Style::Paper),
            line("paper: MSDNet", Style::Paper),
            line("paper: ResNets", Style::Paper),
            line("paper: FractalNet", Style::Paper),
            line("published: MSDNet (elsewhere)", Style::Published),
        ];
        let inks = Inks::of(lines.iter());
        let ink = |i: usize| inks.ink(&lines[i]);
        assert_eq!(ink(3).colour, ink(2).colour);
        assert_eq!(ink(4).colour, ink(0).colour);
        assert_eq!(ink(4).marker, ink(0).marker);
        assert_eq!(ink(5).colour, ink(2).colour);
        assert_ne!(ink(5).marker, ink(3).marker);
        assert!((0..6).all(|i| ink(i).colour != ink(6).colour));
        assert_eq!(ink(7).colour, ink(0).colour);
        assert!(ink(7).hollow);
    }

    #[test]
    fn points_of_the_very_label_of_a_line_have_its_colour_and_marker() {
        let lines = [
            line("a-keeps-early", Style::Ours),
            line("a-keeps", Style::Ours),
            line("a-keeps", Style::Published),
        ];
        let inks = Inks::of(lines.iter());
        let ink = |i: usize| inks.ink(&lines[i]);
        assert_eq!((ink(2).colour, ink(2).marker), (ink(1).colour, ink(1).marker));
    }

    #[test]
    fn a_pale_line_belongs_to_the_strong_one_of_its_label() {
        let lines = [line("a", Style::Pale), line("b", Style::Ours)];
        let more = line("a", Style::Ours);
        let inks = Inks::of(lines.iter().chain([&more]));
        assert_eq!(inks.ink(&lines[0]).colour, paler(inks.ink(&more).colour, 0.6));
        assert_ne!(inks.ink(&more).colour, inks.ink(&lines[1]).colour);
    }
}
