//! The two splits that runs are predicted on.

use crate::data::Part;

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The hold-out.
    Validation,
    /// The test images.
    Test,
}

impl Split {
    /// Name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// The part of the data set that it is taken from.
    pub fn part(self) -> Part {
        match self {
            Split::Validation => Part::Train,
            Split::Test => Part::Test,
        }
    }
}
