//! The letters of names that people choose, in pictures.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use ab_glyph::{Font, FontRef};

use super::mark::FONT_FILE;

/// What stands for a character that no picture can hold.
const NONE: char = '\u{fffd}';

/// A text as a picture can hold it: XML has no control characters, and a line no breaks. Letters
/// that the embedded font lacks are kept in mind for [`take_missing`].
pub fn printable(words: &str) -> Cow<'_, str> {
    note_missing(words);
    let odd = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    if !words.contains(odd) {
        return words.into();
    }
    let shown = words.chars().map(|c| match c {
        '\t' | '\n' | '\r' => ' ',
        c if odd(c) => NONE,
        c => c,
    });
    shown.collect::<String>().into()
}

static MISSING: Mutex<BTreeSet<char>> = Mutex::new(BTreeSet::new());

fn note_missing(words: &str) {
    let lacking = lacking(words);
    if !lacking.is_empty() {
        MISSING.lock().unwrap_or_else(PoisonError::into_inner).extend(lacking);
    }
}

/// The letters that the embedded font lacks.
fn lacking(words: &str) -> BTreeSet<char> {
    static FONT: OnceLock<Option<FontRef>> = OnceLock::new();
    let Some(font) = FONT.get_or_init(|| FontRef::try_from_slice(FONT_FILE).ok()) else {
        return BTreeSet::new();
    };
    words.chars().filter(|c| !c.is_control() && font.glyph_id(*c).0 == 0).collect()
}

/// The letters of all pictures since the last call that the embedded font lacks, for people; none
/// where it has all.
pub fn take_missing() -> Option<String> {
    describe(&std::mem::take(&mut *MISSING.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn describe(missing: &BTreeSet<char>) -> Option<String> {
    let shown: Vec<String> =
        missing.iter().take(8).map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
    let more = missing.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| {
        let shown = shown.join(", ");
        format!("the font of the pictures lacks {shown}{more}; PNG files show a box there")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_missing_letters_told() {
        assert_eq!(printable("MSD\u{7}Net\n2"), "MSD\u{fffd}Net 2");
        let known = "gr\u{fc}n \u{2192}";
        assert_eq!((printable(known), describe(&lacking(known))), (known.into(), None));
        let told = describe(&lacking("\u{732b} and \u{732b}\u{7}")).unwrap();
        assert!(told.contains("lacks \u{732b} (U+732B);"), "{told}");
    }
}
