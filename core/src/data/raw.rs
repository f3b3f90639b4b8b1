//! Images as a reader finds them: plain bytes, before they become tensors.

/// N images and their labels, row-major `[N, C, H, W]` with H = W = `side`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// N * C * side * side bytes.
    pub pixels: Vec<u8>,
    /// N labels, each below `classes`.
    pub labels: Vec<u8>,
    /// Number of channels, C.
    pub channels: usize,
    /// Height and width in pixels.
    pub side: usize,
    /// Number of classes.
    pub classes: usize,
}

/// A count and what is counted: `1 image`, `2 images`.
#[must_use]
pub fn plural(count: usize, word: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {word}{ending}")
}

/// 1234567 as `1,234,567`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{grouped, plural};

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(30730000), "30,730,000");
    }

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!([0, 1, 2].map(|n| plural(n, "image")), ["0 images", "1 image", "2 images"]);
    }
}
