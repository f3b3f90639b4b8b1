//! The terminal that bars are drawn on.

use std::io::{Result, Write, stderr};
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;
use terminal_size::{Height, Width, terminal_size_of};

/// After each drawing the cursor stands 3 columns before the end of the last bar: the `^C` that a
/// terminal adds there must not begin a line that the bars do not know, or a bar would stay.
const BACK: &str = "\x1b[3D";

/// Standard error; what is written goes out with the next flush.
#[derive(Debug, Default)]
pub(super) struct Terminal(Mutex<String>);

impl Terminal {
    fn add(&self, text: &str) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    /// Moves the cursor, as ECMA-48 has it; 0 would move it by 1.
    fn go(&self, steps: usize, letter: char) -> Result<()> {
        if steps == 0 { Ok(()) } else { self.add(&format!("\x1b[{steps}{letter}")) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        let (Width(width), _) = terminal_size_of(stderr()).unwrap_or((Width(80), Height(24)));
        width
    }

    fn height(&self) -> u16 {
        terminal_size_of(stderr()).map_or(24, |(_, Height(height))| height)
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, s: &str) -> Result<()> {
        self.add(&format!("{s}\n"))
    }

    fn write_str(&self, s: &str) -> Result<()> {
        self.add(s)
    }

    fn clear_line(&self) -> Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> Result<()> {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        stderr().write_all(format!("{text}{BACK}").as_bytes())
    }
}
