//! The table and picture of what early exit saves.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::{Early, Measured};
use crate::figures::saving;
use crate::nn::Precision;
use crate::results::atomic;
use crate::results::tables::Table;

/// Writes `saving.csv`, `saving.svg` and `saving.png` to `folder`; returns their paths.
///
/// # Errors
/// When no early exit was measured, or a file cannot be written.
pub fn write_saving(measured: &[Measured], folder: &Path) -> Result<Vec<PathBuf>> {
    let rows: Vec<(&Measured, Early)> =
        measured.iter().filter_map(|m| m.early.map(|early| (m, early))).collect();
    ensure!(!rows.is_empty(), "no early exit was measured");
    atomic::create_folder(folder)?;
    let each = || rows.iter();
    let table = Table::default()
        .text("network", each().map(|(m, _)| &m.network))
        .count("batch", each().map(|(_, e)| e.batch as u64))
        .count("threads", each().map(|(m, _)| m.threads as u64))
        .text("exit", each().map(|(_, e)| e.exit.map_or(String::new(), |k| k.to_string())))
        .optional("ratio", each().map(|(_, e)| e.ratio))
        .number("counted", each().map(|(_, e)| e.counted))
        .number("measured", each().map(|(_, e)| e.measured))
        .number("images_per_s", each().map(|(m, _)| m.value))
        .text("precision", each().map(|(m, _)| m.precision.map_or("", Precision::name)));
    let path = |ending: &str| folder.join("saving").with_extension(ending);
    let (csv, svg, png) = (path("csv"), path("svg"), path("png"));
    table.write(&csv)?;
    saving::draw(&csv, &svg, &png)?;
    Ok(vec![csv, svg, png])
}
