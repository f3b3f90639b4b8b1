//! The picture as a list: strokes, areas and texts, in pixels at 100 %, y downwards.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use plotters::style::{FontStyle, IntoFont, register_font};

/// Red, green, blue.
pub type Colour = (u8, u8, u8);

/// A picture that is laid out and only needs painting.
pub struct Canvas {
    pub width: f64,
    pub height: f64,
    /// Later marks cover earlier ones.
    pub marks: Vec<Mark>,
}

pub enum Mark {
    /// An open line of any number of points.
    Stroke {
        points: Vec<(f64, f64)>,
        colour: Colour,
        width: f64,
    },
    /// A filled polygon; `opacity` from 0 to 1.
    Area {
        points: Vec<(f64, f64)>,
        colour: Colour,
        opacity: f64,
    },
    Text(Text),
}

/// One line of text. `at` is the point that `across` and `down` speak of.
pub struct Text {
    pub words: String,
    pub at: (f64, f64),
    pub across: Across,
    pub down: Down,
    /// Height of the letters' em, in pixels.
    pub size: f64,
    /// Turned a quarter to the left, reading upwards; `at` is then its middle.
    pub upright: bool,
}

impl Mark {
    /// A line through points.
    pub fn stroke(points: impl Into<Vec<(f64, f64)>>, colour: Colour, width: f64) -> Mark {
        Mark::Stroke { points: points.into(), colour, width }
    }

    /// An opaque polygon.
    pub fn area(corners: impl Into<Vec<(f64, f64)>>, colour: Colour) -> Mark {
        Mark::Area { points: corners.into(), colour, opacity: 1.0 }
    }

    /// Its points, or the place of its text.
    #[cfg(test)]
    pub fn places(&self) -> Vec<(f64, f64)> {
        match self {
            Mark::Stroke { points, .. } | Mark::Area { points, .. } => points.clone(),
            Mark::Text(text) => vec![text.at],
        }
    }

    /// A line of text that is read from left to right.
    pub fn text(
        words: impl Into<String>,
        at: (f64, f64),
        size: f64,
        across: Across,
        down: Down,
    ) -> Mark {
        Mark::Text(Text { words: words.into(), at, across, down, size, upright: false })
    }
}

#[derive(Clone, Copy)]
pub enum Across {
    Left,
    Middle,
    Right,
}

#[derive(Clone, Copy)]
pub enum Down {
    Top,
    Middle,
}

/// The name under which the font is known to the painter and in the SVG.
///
/// In an SVG the reader's own fonts are used: the ones with the embedded font's widths first.
pub const FONT: &str = "Liberation Sans, Arimo, Arial, Helvetica, sans-serif";

/// The embedded font.
pub const FONT_FILE: &[u8] = include_bytes!("../../../assets/fonts/LiberationSans-Regular.ttf");

/// Makes the embedded font known to the painter; cheap after the first call.
pub fn register() -> Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok());
    done.then_some(()).ok_or_else(|| anyhow!("the embedded font cannot be read"))
}

/// The width of a line of text in pixels.
pub fn text_width(words: &str, size: f64) -> Result<f64> {
    register()?;
    // Measured large, because the painter's measure is in whole pixels.
    let large = 100.0;
    let (width, _) = (FONT, large * FONT_HEIGHT)
        .into_font()
        .box_size(words)
        .map_err(|error| anyhow!("measuring {words:?}: {error}"))?;
    Ok(f64::from(width) / large * size)
}

/// The painter sizes a font by ascent plus descent; this many em in the embedded font.
pub const FONT_HEIGHT: f64 = 1.117;

/// Breaks a text into lines no wider than `room` pixels, between words where it can.
pub fn wrap(words: &str, size: f64, room: f64) -> Result<Vec<String>> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let line = lines.last_mut().expect("starts with one line");
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if text_width(&longer, size)? <= room {
            *line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        for letter in word.chars() {
            let line = lines.last_mut().expect("starts with one line");
            let longer = format!("{line}{letter}");
            if line.is_empty() || text_width(&longer, size)? <= room {
                *line = longer;
            } else {
                lines.push(letter.to_string());
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_the_fonts_advances_say() {
        // Digits of Liberation Sans advance 1139 of 2048 units.
        let width = text_width("0000", 20.0).unwrap();
        assert!((width - 4.0 * 20.0 * 1139.0 / 2048.0).abs() < 0.5, "{width}");
    }

    #[test]
    fn long_texts_break_between_words_and_inside_a_word_that_is_too_long() {
        let lines = wrap("one two incomprehensibilities", 10.0, 60.0).unwrap();
        assert_eq!(lines[0], "one two");
        assert_eq!(lines[1..].concat(), "incomprehensibilities");
        for line in &lines {
            assert!(text_width(line, 10.0).unwrap() <= 60.0, "{line}");
        }
    }
}
