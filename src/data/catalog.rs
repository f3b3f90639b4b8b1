//! The data sets that the program knows, and the facts about each that a network depends on.

use std::path::PathBuf;

/// Which data set an experiment reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dataset {
    /// The first 10,000 and 2,000 images of Fashion-MNIST; compiled into the program.
    FashionMnistMini,
    /// All of Fashion-MNIST.
    FashionMnist,
    /// CIFAR-10.
    Cifar10,
    /// CIFAR-100 with its 100 fine labels.
    Cifar100,
    /// CIFAR-100 with its 20 coarse labels.
    Cifar100Coarse,
    /// ImageNet as an image folder.
    Imagenet,
    /// Seeded, learnable images for tests.
    Synthetic,
    /// A folder with `train/` and `test/` (or `val/`), each with one folder a class.
    Folder(PathBuf),
}
