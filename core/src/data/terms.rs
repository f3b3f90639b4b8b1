//! Under which name and licence others publish the data sets.

/// A data set as others publish it.
#[derive(Debug, PartialEq, Eq)]
pub struct Terms {
    /// Name on model hubs.
    pub hub: &'static str,
    /// Licence, as its authors state it.
    pub licence: &'static str,
}

/// A data set's name, its name on hubs, and its licence.
const TERMS: &[(&str, &str, &str)] = &[
    ("fashion-mnist", "zalando-datasets/fashion_mnist", "MIT"),
    ("fashion-mnist-mini", "zalando-datasets/fashion_mnist", "MIT"),
    ("cifar100", "uoft-cs/cifar100", "none stated by its authors"),
    ("cifar100-coarse", "uoft-cs/cifar100", "none stated by its authors"),
    ("cifar10", "uoft-cs/cifar10", "none stated by its authors"),
    ("imagenet", "ILSVRC/imagenet-1k", "non-commercial research and education"),
];

/// The terms of the data set of this name; none of one that is not published.
pub fn terms(dataset: &str) -> Option<Terms> {
    let found = TERMS.iter().find(|(name, ..)| *name == dataset);
    found.map(|&(_, hub, licence)| Terms { hub, licence })
}
