//! Paints a laid-out picture with plotters: one function, two backends.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ink::TEXT;
use super::letters::printable;
use super::mark::{Across, Canvas, Down, FONT, FONT_HEIGHT, Mark, Text, register};
use crate::results::atomic;

/// plotters counts in whole units, so a pixel of the layout is this many of them: an SVG gets
/// smooth curves, and a PNG of half that size smooth edges.
const UNITS: f64 = 4.0;
/// How much larger than the layout the PNG is.
const PNG_SCALE: u32 = 2;

/// Writes the picture as SVG, in its layout's size, and as PNG, in twice that.
pub fn write(canvas: &Canvas, svg: &Path, png: &Path) -> Result<()> {
    let text = svg_text(canvas).with_context(|| format!("drawing {}", svg.display()))?;
    atomic::write(svg, text.as_bytes())?;
    write_png(canvas, &[], png)
}

/// A photograph on the canvas: its place and side in the layout's pixels.
pub struct Placed<'a> {
    pub picture: &'a RgbImage,
    pub at: (f64, f64),
    pub size: f64,
}

/// Writes the picture as PNG, with photographs laid over the marks.
pub fn write_png(canvas: &Canvas, pictures: &[Placed], path: &Path) -> Result<()> {
    let bytes =
        png_bytes(canvas, pictures).with_context(|| format!("drawing {}", path.display()))?;
    atomic::write(path, &bytes)
}

fn units(pixels: f64) -> u32 {
    (pixels * UNITS).round() as u32
}

fn svg_text(canvas: &Canvas) -> Result<String> {
    register()?;
    let (width, height) = (units(canvas.width), units(canvas.height));
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        paint(canvas, &area, SVG_LETTERS)?;
    }
    // The coordinates stay in units, the picture is shown in pixels.
    let fine = format!("width=\"{width}\" height=\"{height}\" viewBox");
    let shown = format!("width=\"{}\" height=\"{}\" viewBox", canvas.width, canvas.height);
    ensure!(text.contains(&fine), "the SVG has no size to set");
    Ok(text.replacen(&fine, &shown, 1))
}

fn png_bytes(canvas: &Canvas, pictures: &[Placed]) -> Result<Vec<u8>> {
    register()?;
    let (width, height) = (units(canvas.width), units(canvas.height));
    let mut pixels = vec![0u8; width as usize * height as usize * 3];
    {
        let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        paint(canvas, &backend.into_drawing_area(), PNG_LETTERS)?;
    }
    let large = RgbImage::from_raw(width, height, pixels).context("the picture's size is wrong")?;
    let (width, height) = (canvas.width as u32 * PNG_SCALE, canvas.height as u32 * PNG_SCALE);
    let mut small = DynamicImage::from(large).thumbnail_exact(width, height).into_rgb8();
    for placed in pictures {
        let scale = f64::from(PNG_SCALE);
        let side = (placed.size * scale) as u32;
        let filter = imageops::FilterType::CatmullRom;
        let picture = DynamicImage::from(placed.picture.clone());
        let resized = picture.resize_exact(side, side, filter).into_rgb8();
        let (x, y) = (placed.at.0 * scale, placed.at.1 * scale);
        imageops::replace(&mut small, &resized, x as i64, y as i64);
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    small.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// How far a backend must lower a text for its letters to hang from a point or to be centred on it,
/// in em. The two backends of plotters set the same anchor differently.
#[derive(Clone, Copy)]
struct Letters {
    top: f64,
    middle: f64,
}

const SVG_LETTERS: Letters = Letters { top: 0.0, middle: 0.08 };
const PNG_LETTERS: Letters = Letters { top: 0.13, middle: 0.25 };

/// The drawing function of both formats.
fn paint<B: DrawingBackend>(
    canvas: &Canvas,
    area: &DrawingArea<B, Shift>,
    letters: Letters,
) -> Result<()> {
    area.fill(&WHITE).map_err(failed)?;
    for mark in &canvas.marks {
        match mark {
            Mark::Stroke { points, colour: (r, g, b), width } => {
                let points = places(points);
                if points.len() > 1 {
                    let style = RGBColor(*r, *g, *b).stroke_width(units(*width));
                    area.draw(&PathElement::new(points, style)).map_err(failed)?;
                }
            }
            Mark::Area { points, colour: (r, g, b), opacity } => {
                let style = RGBColor(*r, *g, *b).mix(*opacity).filled();
                area.draw(&Polygon::new(places(points), style)).map_err(failed)?;
            }
            Mark::Text(text) => write_text(text, area, letters)?,
        }
    }
    area.present().map_err(failed)
}

fn write_text<B: DrawingBackend>(
    text: &Text,
    area: &DrawingArea<B, Shift>,
    letters: Letters,
) -> Result<()> {
    let across = match text.across {
        Across::Left => HPos::Left,
        Across::Middle => HPos::Center,
        Across::Right => HPos::Right,
    };
    let (down, lower) = match text.down {
        Down::Top => (VPos::Top, letters.top * text.size),
        Down::Middle => (VPos::Center, letters.middle * text.size),
    };
    let (x, y) = text.at;
    let font = (FONT, text.size * UNITS * FONT_HEIGHT).into_font();
    // A text that reads upwards has its underside on the right.
    let (font, at) = if text.upright {
        (font.transform(FontTransform::Rotate270), (x + lower, y))
    } else {
        (font, (x, y + lower))
    };
    let (r, g, b) = TEXT;
    let style = font.color(&RGBColor(r, g, b)).pos(Pos::new(across, down));
    area.draw_text(&printable(&text.words), &style, place(&at)).map_err(failed)
}

fn place(&(x, y): &(f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

/// In units, without repetitions: a segment of no length has no direction to be thick across.
fn places(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let mut places: Vec<(i32, i32)> = points.iter().map(place).collect();
    places.dedup();
    places
}

fn failed<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> anyhow::Error {
    anyhow!("{error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas(words: &str) -> Canvas {
        let text = Mark::text(words, (10.0, 10.0), 12.0, Across::Left, Down::Top);
        Canvas { width: 100.0, height: 40.0, marks: vec![text] }
    }

    #[test]
    fn any_character_gives_a_well_formed_svg() {
        let odd: String = (0u32..0x100)
            .chain([0xfffe, 0xffff, 0x1f600, 0x202e])
            .filter_map(char::from_u32)
            .collect();
        let svg = svg_text(&canvas(&odd)).unwrap();
        let is_xml = |c: char| matches!(c, '\n' | '\r' | '\t' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(svg.chars().all(is_xml));
        let start = svg.find("<text").unwrap();
        let text = &svg[start..svg[start..].find("</text>").unwrap() + start];
        let inner = &text[text.find('>').unwrap() + 1..];
        assert!(!inner.contains('<'), "{inner}");
        let entity = |at: usize| {
            let rest = &inner[at + 1..];
            ["amp;", "lt;", "gt;", "quot;", "apos;", "#"].iter().any(|e| rest.starts_with(e))
        };
        assert!(inner.match_indices('&').all(|(at, _)| entity(at)), "{inner}");
        png_bytes(&canvas(&odd), &[]).unwrap();
    }
}
