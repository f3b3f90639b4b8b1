//! A sheet of images in rows, each with a few lines below it.

use std::path::Path;

use anyhow::Result;
use image::RgbImage;

use super::chart::mark::{Across, Canvas, Colour, Down, Mark, text_width, wrap};
use super::chart::paint::{self, Placed};

/// A sheet; see [`Sheet::draw`].
pub struct Sheet {
    /// Above the rows.
    pub title: String,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// A row of images.
pub struct Row {
    /// Lines to its left; the first is the heading. None in any row: no room is kept for them.
    pub notes: Vec<String>,
    /// From left to right.
    pub tiles: Vec<Tile>,
}

/// One image.
pub struct Tile {
    /// Shown at one size, whatever its own is.
    pub picture: RgbImage,
    /// Below it.
    pub lines: Vec<String>,
    /// Whether it has a frame.
    pub is_wrong: bool,
}

const MARGIN: f64 = 14.0;
const NOTES: f64 = 82.0;
const PICTURE: f64 = 72.0;
const COLUMN: f64 = PICTURE + 14.0;
const LETTER: f64 = 10.0;
const LINE: f64 = 12.5;
const FRAMED: Colour = (0xd5, 0x5e, 0x00);

impl Sheet {
    /// Draws the sheet as PNG.
    ///
    /// # Errors
    /// Names the file.
    pub fn draw(&self, png: &Path) -> Result<()> {
        let (canvas, pictures) = self.lay_out()?;
        paint::write_png(&canvas, &pictures, png)
    }

    fn lay_out(&self) -> Result<(Canvas, Vec<Placed<'_>>)> {
        let has_notes = self.rows.iter().any(|row| !row.notes.is_empty());
        let left = MARGIN + if has_notes { NOTES } else { 0.0 };
        let most = self.rows.iter().map(|row| row.tiles.len()).max().unwrap_or(0);
        let width = (left + most.max(4) as f64 * COLUMN + MARGIN).ceil();
        let (mut marks, mut pictures) = (Vec::new(), Vec::new());
        let mut y = MARGIN;
        for line in wrap(&self.title, 13.0, width - 2.0 * MARGIN)? {
            marks.push(text(&line, (MARGIN, y), 13.0, Across::Left));
            y += 17.0;
        }
        y += 6.0;
        for row in &self.rows {
            for (i, note) in row.notes.iter().enumerate() {
                let size = if i == 0 { 13.0 } else { LETTER };
                let down = if i == 0 { 2.0 } else { 20.0 + (i - 1) as f64 * LINE };
                marks.push(text(note, (MARGIN, y + down), size, Across::Left));
            }
            for (i, tile) in row.tiles.iter().enumerate() {
                let x = left + i as f64 * COLUMN;
                if tile.is_wrong {
                    marks.push(frame((x, y)));
                }
                pictures.push(Placed { picture: &tile.picture, at: (x, y), size: PICTURE });
                for (k, line) in tile.lines.iter().enumerate() {
                    let at = (x + PICTURE / 2.0, y + PICTURE + 6.0 + k as f64 * LINE);
                    let (line, size) = fitting(line, COLUMN - 8.0)?;
                    marks.push(text(&line, at, size, Across::Middle));
                }
            }
            let lines = row.tiles.iter().map(|t| t.lines.len()).max().unwrap_or(0);
            y += PICTURE + lines as f64 * LINE + 16.0;
        }
        let canvas = Canvas { width, height: (y + MARGIN - 8.0).ceil(), marks };
        Ok((canvas, pictures))
    }
}

/// A long name is written smaller, and one that would be too small to read is cut.
fn fitting(line: &str, room: f64) -> Result<(String, f64)> {
    let width = text_width(line, LETTER)?.max(1.0);
    let size = (LETTER * room / width).min(LETTER);
    if size >= SMALLEST {
        return Ok((line.to_string(), size));
    }
    let mut begin: String = line.to_string();
    while begin.pop().is_some() {
        let cut = format!("{}\u{2026}", begin.trim_end());
        if text_width(&cut, SMALLEST)? <= room {
            return Ok((cut, SMALLEST));
        }
    }
    Ok((String::new(), SMALLEST))
}

/// Height in pixels of the smallest letters.
const SMALLEST: f64 = 6.0;

fn frame((x, y): (f64, f64)) -> Mark {
    let (a, b) = (3.0, PICTURE + 3.0);
    Mark::area([(x - a, y - a), (x + b, y - a), (x + b, y + b), (x - a, y + b)], FRAMED)
}

fn text(words: &str, at: (f64, f64), size: f64, across: Across) -> Mark {
    Mark::text(words, at, size, across, Down::Top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_be_too_small_to_read_is_cut() {
        let room = COLUMN - 8.0;
        assert_eq!(fitting("cat", room).unwrap(), ("cat".to_owned(), LETTER));
        let (line, size) = fitting(&("W".repeat(40) + &"i".repeat(160)), room).unwrap();
        assert!(line.starts_with("WWW") && line.ends_with('\u{2026}'), "{line}");
        assert!(size >= SMALLEST && text_width(&line, size).unwrap() <= room, "{line}");
    }

    #[test]
    fn a_sheet_is_as_high_as_its_rows_and_shows_each_picture() {
        let tile = |grey: u8, is_wrong| Tile {
            picture: RgbImage::from_pixel(4, 4, image::Rgb([grey; 3])),
            lines: vec!["a class with a name that is much too long".to_owned()],
            is_wrong,
        };
        let row = |tiles| Row { notes: vec!["exit 1".to_owned()], tiles };
        let sheet = Sheet {
            title: "easy above".to_owned(),
            rows: vec![row(vec![tile(10, false)]), row(vec![tile(20, true)])],
        };
        let folder = tempfile::tempdir().unwrap();
        let png = folder.path().join("sheet.png");
        sheet.draw(&png).unwrap();
        let picture = image::open(&png).unwrap().to_rgb8();
        let count = |colour: [u8; 3]| picture.pixels().filter(|p| p.0 == colour).count();
        let size = (2.0 * PICTURE) as usize;
        assert_eq!((count([10; 3]), count([20; 3])), (size * size, size * size));
        assert!(count([0xd5, 0x5e, 0x00]) > 4 * size, "the frame");
    }
}
