//! The small Fashion-MNIST, compiled into the program so that an installed one works in any folder.
//! (github.com/zalandoresearch/fashion-mnist, MIT, (c) 2017 Zalando SE; the notice is beside the files.)

use anyhow::Result;

use super::Part;
use super::idx;
use super::raw::Raw;

macro_rules! embedded {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../data/fashion-mnist-mini/", $name)).as_slice(),
            concat!("fashion-mnist-mini/", $name),
        )
    };
}

/// Reads a part: 10,000 training or 2,000 test images.
///
/// # Errors
/// None, unless the program was built with damaged files.
pub fn read(part: Part) -> Result<Raw> {
    match part {
        Part::Train => idx::join(
            embedded!("train-images-idx3-ubyte.gz"),
            embedded!("train-labels-idx1-ubyte.gz"),
        ),
        Part::Test => idx::join(
            embedded!("t10k-images-idx3-ubyte.gz"),
            embedded!("t10k-labels-idx1-ubyte.gz"),
        ),
    }
}
