//! What a picture shows, said without a pixel: panels of curves. [`draw`] lays them out as a list of
//! strokes, areas and texts (`mark`) and paints that one list twice, as SVG and as PNG.

mod axis;
mod draw;
pub(super) mod ink;
mod legend;
mod letters;
pub(super) mod mark;
pub(super) mod paint;
mod panel;
mod stroke;

pub(super) use draw::draw;
pub use letters::take_missing;

/// One panel. `Chart::default()` is an empty one with plain axes.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Written above the panel; empty for none.
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub curves: Vec<Line>,
    /// A thin grey horizontal line at this y, such as a relative accuracy of 1.
    pub rule: Option<f64>,
}

/// One axis of a panel.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Written along the axis, unit included.
    pub label: String,
    /// What the axis shows at least. It is widened to the data, so nothing is ever cut off.
    pub range: Option<(f64, f64)>,
    pub unit: Unit,
    /// Logarithmic; every value must then be above 0.
    pub logarithmic: bool,
}

impl Axis {
    /// A linear axis over its data.
    pub fn new(label: &str, unit: Unit) -> Axis {
        Axis { label: label.to_owned(), unit, ..Axis::default() }
    }
}

/// How an axis writes its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    #[default]
    Plain,
    /// Fractions written as percent, without the sign: 0.7 as `70`.
    Percent,
    /// Large counts with a prefix: 20,000,000 as `20 M`. A linear axis then starts at 0.
    Count,
}

/// One curve of a panel.
///
/// Lines of one label, also in different panels, look alike and share one entry of the legend.
#[derive(Clone, Debug)]
pub struct Line {
    pub label: String,
    pub points: Vec<Point>,
    pub style: Style,
    pub markers: Markers,
    /// Each y holds until the next x, as an anytime prediction does.
    pub stepped: bool,
}

impl Line {
    /// A strong line with every point marked.
    pub fn new(label: &str, points: Vec<Point>) -> Line {
        let (style, markers) = (Style::Ours, Markers::Every);
        Line { label: label.to_owned(), points, style, markers, stepped: false }
    }
}

/// A point of a curve, in the units of the data: multiply-adds, fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// How sure y is, of several seeds; `None` where there is one seed.
    pub spread: Option<Spread>,
}

impl Point {
    /// A point of one seed.
    pub fn new(x: f64, y: f64) -> Point {
        Point { x, y, spread: None }
    }
}

/// The 95 % interval of what several seeds say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half its width, by Student's t.
    pub half: f64,
    /// Number of seeds, 2 or more.
    pub seeds: usize,
}

/// Whose curve it is, and how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Strong, with the intervals of its points.
    Ours,
    /// Thin, dashed, hollow markers, no band; coloured as our curve of the same family.
    Paper,
    /// Hollow markers without a line: points that somebody published.
    Published,
    /// A pale companion of the strong line of the same label; not in the legend.
    Pale,
    /// What each seed measured, as small dots without a line; not in the legend.
    Seeds,
}

/// Which points of a curve carry a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markers {
    None,
    Every,
    /// So few that they do not touch, for curves of many points.
    Spaced,
    /// Those with an interval.
    Intervals,
}
