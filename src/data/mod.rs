//! Data sets: readers, splits, augmentation.

pub mod catalog;
