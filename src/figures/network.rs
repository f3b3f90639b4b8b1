//! A network as a picture in the manner of the paper's Figs. 2 and 9: scales as rows, layers as
//! columns, classifiers below with what an image that leaves there has cost.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::chart::ink::{FRAME, GRID, TEXT, WHITE};
use super::chart::mark::{Across, Canvas, Colour, Down, Mark, Text, text_width, wrap};
use super::chart::paint;

/// What is drawn; rows and columns count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagram {
    /// Above the picture.
    pub title: String,
    /// Name of each row, from the finest down.
    pub rows: Vec<String>,
    /// What a column is, such as `layer`.
    pub unit: String,
    /// Number of each column.
    pub columns: Vec<usize>,
    /// Feature maps.
    pub cells: Vec<Cell>,
    /// From feature map to feature map, as places in `cells`.
    pub arrows: Vec<(usize, usize)>,
    /// Classifiers in order.
    pub exits: Vec<Exit>,
    /// Columns after which channels are compressed.
    pub transitions: Vec<usize>,
}

/// A feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub column: usize,
    pub row: usize,
    /// Whether an exit depends on it; lazy evaluation leaves the others out.
    pub is_used: bool,
}

/// A classifier below its feature map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Place in `cells`.
    pub cell: usize,
    /// What it has cost, for people.
    pub cost: String,
}

const BLUE: Colour = (0x00, 0x72, 0xb2);
const ORANGE: Colour = (0xd5, 0x5e, 0x00);
const MARGIN: f64 = 16.0;
const ROW: f64 = 46.0;
const HEAD: f64 = 22.0;

impl Diagram {
    /// Draws it as SVG and as PNG.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn draw(&self, svg: &Path, png: &Path) -> Result<()> {
        paint::write(&self.lay_out()?, svg, png)
    }

    fn lay_out(&self) -> Result<Canvas> {
        ensure!(!self.cells.is_empty(), "a network without a layer cannot be drawn");
        let plan = Plan::of(self)?;
        let mut marks = Vec::new();
        let mut y = MARGIN;
        for line in wrap(&self.title, 14.0, plan.width - 2.0 * MARGIN)? {
            marks.push(Mark::text(line, (MARGIN, y), 14.0, Across::Left, Down::Top));
            y += 18.0;
        }
        let plan = Plan { top: y + 8.0, ..plan };
        self.heads(&plan, &mut marks);
        for &(from, to) in &self.arrows {
            arrow(plan.centre(self.cells[from]), plan.centre(self.cells[to]), &plan, &mut marks);
        }
        for (number, exit) in (1..).zip(&self.exits) {
            self.exit(number, exit, &plan, &mut marks)?;
        }
        for cell in &self.cells {
            square(plan.centre(*cell), plan.half, cell.is_used, &mut marks);
        }
        for &column in &self.transitions {
            self.transition(column, &plan, &mut marks)?;
        }
        let bottom = self.legend(&plan, &mut marks)?;
        Ok(Canvas { width: plan.width, height: (bottom + MARGIN).ceil(), marks })
    }

    fn heads(&self, plan: &Plan, marks: &mut Vec<Mark>) {
        let y = plan.top;
        marks.push(Mark::text(&self.unit, (MARGIN, y), 11.0, Across::Left, Down::Top));
        // As many numbers as have room.
        let widest = self.columns.iter().max().map_or(0.0, |n| n.to_string().len() as f64 * 7.0);
        let every = ((widest + 4.0) / plan.step).ceil().max(1.0) as usize;
        for (i, number) in self.columns.iter().enumerate().step_by(every) {
            let at = (plan.x(i), y);
            marks.push(Mark::text(number.to_string(), at, 11.0, Across::Middle, Down::Top));
        }
        for (row, name) in self.rows.iter().enumerate() {
            let y = plan.y(row);
            marks.push(Mark::stroke([(plan.left - 4.0, y), (plan.width - MARGIN, y)], GRID, 1.0));
            marks.push(Mark::text(name, (MARGIN, y), 11.0, Across::Left, Down::Middle));
        }
    }

    fn exit(&self, number: usize, exit: &Exit, plan: &Plan, marks: &mut Vec<Mark>) -> Result<()> {
        let cell = self.cells.get(exit.cell).context("an exit without a feature map")?;
        let (x, y) = plan.centre(*cell);
        let bottom = plan.y(self.rows.len()) - 4.0;
        marks.push(Mark::stroke([(x, y), (x, bottom)], ORANGE, 1.4));
        marks.push(Mark::area(circle((x, bottom), plan.half.min(6.5)), ORANGE));
        let words = format!("exit {number}: {}", exit.cost);
        let upright = plan.upright;
        let length = text_width(&words, 10.5)?;
        if upright {
            let at = (x, bottom + 12.0 + length / 2.0);
            let (across, down) = (Across::Middle, Down::Middle);
            marks.push(Mark::Text(Text { words, at, across, down, size: 10.5, upright: true }));
        } else {
            let at = (x, bottom + 11.0);
            marks.push(Mark::text(format!("exit {number}"), at, 10.5, Across::Middle, Down::Top));
            let at = (x, bottom + 24.0);
            marks.push(Mark::text(&exit.cost, at, 10.5, Across::Middle, Down::Top));
        }
        Ok(())
    }

    /// A bar through the rows that are left after `column`.
    fn transition(&self, column: usize, plan: &Plan, marks: &mut Vec<Mark>) -> Result<()> {
        let rows = self.cells.iter().filter(|c| c.column == column).map(|c| c.row);
        let (first, last) =
            (rows.clone().min().context("a transition after no layer")?, rows.max().unwrap_or(0));
        let x = plan.x(column) + plan.half + (plan.step / 2.0 - plan.half) * 0.9;
        marks.push(Mark::stroke(
            [(x, plan.y(first) - plan.half - 5.0), (x, plan.y(last) + plan.half + 5.0)],
            TEXT,
            2.4,
        ));
        Ok(())
    }

    fn legend(&self, plan: &Plan, marks: &mut Vec<Mark>) -> Result<f64> {
        let top = plan.y(self.rows.len()) + plan.labels + 14.0;
        let mut entries: Vec<(Sign, &str)> = vec![
            (Sign::Square(true), "feature map"),
            (Sign::Circle, "exit, with the multiply-adds spent there"),
        ];
        if self.cells.iter().any(|cell| !cell.is_used) {
            entries.insert(1, (Sign::Square(false), "never computed: no exit reads it"));
        }
        if !self.transitions.is_empty() {
            entries.push((Sign::Bar, "transition: 1x1 compression"));
        }
        let (mut x, mut y) = (MARGIN, top + 8.0);
        for (sign, words) in entries {
            let room = 20.0 + text_width(words, 11.0)? + 18.0;
            if x > MARGIN && x + room > plan.width {
                (x, y) = (MARGIN, y + 18.0);
            }
            match sign {
                Sign::Square(is_used) => square((x + 6.0, y), 5.5, is_used, marks),
                Sign::Circle => marks.push(Mark::area(circle((x + 6.0, y), 5.5), ORANGE)),
                Sign::Bar => {
                    marks.push(Mark::stroke([(x + 6.0, y - 7.0), (x + 6.0, y + 7.0)], TEXT, 2.4))
                }
            }
            marks.push(Mark::text(words, (x + 18.0, y), 11.0, Across::Left, Down::Middle));
            x += room;
        }
        Ok(y + 8.0)
    }
}

enum Sign {
    Square(bool),
    Circle,
    Bar,
}

/// Where things are.
#[derive(Clone, Copy)]
struct Plan {
    left: f64,
    top: f64,
    step: f64,
    half: f64,
    width: f64,
    /// Room below the exits for their labels.
    labels: f64,
    upright: bool,
}

impl Plan {
    fn of(diagram: &Diagram) -> Result<Plan> {
        let columns = diagram.columns.len() as f64;
        let mut names: f64 = text_width(&diagram.unit, 11.0)?;
        for name in &diagram.rows {
            names = names.max(text_width(name, 11.0)?);
        }
        let mut long: f64 = 0.0;
        let mut short: f64 = 0.0;
        for (number, exit) in (1..).zip(&diagram.exits) {
            long = long.max(text_width(&format!("exit {number}: {}", exit.cost), 10.5)?);
            short = short.max(text_width(&exit.cost, 10.5)?.max(text_width("exit 00", 10.5)?));
        }
        let step = (1500.0 / columns).clamp(7.0, 42.0);
        let mut places: Vec<usize> =
            diagram.exits.iter().map(|e| diagram.cells[e.cell].column).collect();
        places.sort_unstable();
        let nearest = places.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(99);
        let upright = (nearest as f64) * step < short + 8.0;
        let left = MARGIN + names + 16.0;
        let overhang = if upright { 0.0 } else { (short - step).max(0.0) / 2.0 };
        Ok(Plan {
            left,
            top: 0.0,
            step,
            half: (step * 0.3).min(11.0),
            width: (left + columns * step + overhang + MARGIN).ceil().max(420.0),
            labels: if upright { 12.0 + long } else { 34.0 },
            upright,
        })
    }

    fn x(&self, column: usize) -> f64 {
        self.left + (column as f64 + 0.5) * self.step
    }

    fn y(&self, row: usize) -> f64 {
        self.top + HEAD + (row as f64 + 0.5) * ROW
    }

    fn centre(&self, cell: Cell) -> (f64, f64) {
        (self.x(cell.column), self.y(cell.row))
    }
}

/// A line from edge to edge with a head at its end.
fn arrow(from: (f64, f64), to: (f64, f64), plan: &Plan, marks: &mut Vec<Mark>) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1e-9);
    let (ux, uy) = (dx / length, dy / length);
    // To the edge of a square, whatever the direction.
    let edge = plan.half / ux.abs().max(uy.abs());
    let start = (from.0 + ux * edge, from.1 + uy * edge);
    let end = (to.0 - ux * (edge + 0.5), to.1 - uy * (edge + 0.5));
    let head = plan.half.min(5.0);
    let (bx, by) = (end.0 - ux * head, end.1 - uy * head);
    let half = head * 0.45;
    marks.push(Mark::stroke([start, (bx, by)], FRAME, 0.9));
    marks.push(Mark::area(
        [end, (bx - uy * half, by + ux * half), (bx + uy * half, by - ux * half)],
        FRAME,
    ));
}

fn square((x, y): (f64, f64), half: f64, is_used: bool, marks: &mut Vec<Mark>) {
    let corners = |h: f64| vec![(x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)];
    let colour = if is_used { BLUE } else { FRAME };
    marks.push(Mark::area(corners(half), colour));
    if !is_used {
        marks.push(Mark::area(corners(half - 1.0), WHITE));
    }
}

fn circle((x, y): (f64, f64), radius: f64) -> Vec<(f64, f64)> {
    let angle = |i: u32| f64::from(i) / 24.0 * std::f64::consts::TAU;
    (0..24).map(|i| (x + radius * angle(i).cos(), y + radius * angle(i).sin())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagram(columns: usize) -> Diagram {
        let cells = (0..columns).map(|column| Cell { column, row: 0, is_used: column != 1 });
        Diagram {
            title: "a chain".to_owned(),
            rows: vec!["32 x 32".to_owned()],
            unit: "block".to_owned(),
            columns: (0..columns).collect(),
            cells: cells.collect(),
            arrows: (1..columns).map(|i| (i - 1, i)).collect(),
            exits: vec![Exit { cell: columns - 1, cost: "7.0 M".to_owned() }],
            transitions: vec![0],
        }
    }

    #[test]
    fn a_network_of_any_length_stays_on_its_canvas() {
        for columns in [2, 24, 300] {
            let canvas = diagram(columns).lay_out().unwrap();
            for mark in &canvas.marks {
                for (x, y) in mark.places() {
                    assert!(x >= 0.0 && x <= canvas.width, "{columns}: {x}");
                    assert!(y >= 0.0 && y <= canvas.height, "{columns}: {y}");
                }
            }
        }
    }

    #[test]
    fn an_exit_is_written_with_its_cost_and_the_legend_tells_the_rest() {
        let canvas = diagram(3).lay_out().unwrap();
        let words: Vec<&str> = canvas
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Text(text) => Some(text.words.as_str()),
                _ => None,
            })
            .collect();
        for expected in
            ["exit 1", "7.0 M", "never computed: no exit reads it", "transition: 1x1 compression"]
        {
            assert!(words.contains(&expected), "{words:?}");
        }
    }
}
