//! `results/README.md`: everything in the results folder on one page, made from the files alone,
//! so that the same files give the same page; and the findings in the README beside the folder.

mod again;
mod checklist;
mod claims;
mod control;
mod differences;
mod findings;
mod kept;
mod load;
mod overview;
mod pictures;
mod published;
mod rows;
mod run;
mod section;
mod stages;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::claims::{exact_judgements, table};
use crate::results::atomic;
use crate::results::markdown::text as cell;
use crate::results::tables::read;
use crate::runs::tell;

use claims::Judged;

/// Writes the page for all figures under `out` but quick ones and smoke, the pictures on it, and
/// the exact claims; and the findings in `../README.md`, where it has their markers. Returns what
/// was written for people.
///
/// # Errors
/// Names the file that is missing or broken, and the command that makes its figure again.
pub fn write_report(out: &Path) -> Result<Vec<PathBuf>> {
    let page = out.join("README.md");
    ensure!(
        std::fs::read(&page).map_or(true, |text| overview::is_own(&String::from_utf8_lossy(&text))),
        "{} was not made by `repro report`, and stays; move it away",
        page.display()
    );
    let figures = load::figures(out)?;
    let exact = out.join("exact");
    atomic::create_folder(&exact)?;
    let exact = exact.join("claims.csv");
    table(&exact_judgements()?).write(&exact)?;
    let judged = Judged::of(&figures, &rows::rows(&read(&exact)?, None)?)?;
    // All that may find fault with the figures' files comes before the first picture is touched.
    let mut sections = String::new();
    for figure in &figures {
        let told = section::write(&mut sections, figure, &figures, &judged);
        told.map_err(|error| figure.broken(&error))?;
    }
    checklist::write(&mut sections, &figures, &judged)?;
    let readme = with_findings(out, &figures, &judged)?;
    pictures::draw(out, &figures, &judged)?;
    // Its beginning shows the pictures that are there.
    let text = overview::page(out, &figures, &judged)? + &sections;
    atomic::write(&page, text.as_bytes())?;
    let mut written = vec![page];
    if let Some((path, text)) = readme {
        atomic::write(&path, text.as_bytes())?;
        written.push(path);
    }
    Ok(written)
}

/// The findings of the figures under `out`, as the README beside it has them between its markers.
pub fn findings(out: &Path) -> Result<String> {
    let exact = rows::rows(&read(&out.join("exact/claims.csv"))?, None)?;
    let figures = load::figures(out)?;
    findings::text(&figures, &Judged::of(&figures, &exact)?)
}

/// The README beside the folder, which need not be there: its place, and its text with the findings between its
/// markers.
fn with_findings(
    out: &Path,
    figures: &[load::Shown],
    judged: &Judged,
) -> Result<Option<(PathBuf, String)>> {
    let out = std::path::absolute(out)?;
    let Some(path) = out.parent().map(|folder| folder.join("README.md")) else {
        return Ok(None);
    };
    let readme = match std::fs::read(&path).map(String::from_utf8) {
        Ok(Ok(readme)) => readme,
        Ok(Err(_)) => {
            tell(format!("warning: {} is not UTF-8, so it is left as it is", path.display()));
            return Ok(None);
        }
        Err(_) => return Ok(None),
    };
    let replaced = findings::replace(&readme, &findings::text(figures, judged)?);
    Ok(replaced.map(|text| (path, text)))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_string(),
        other => other.to_string().replace(',', ", "),
    }
}

#[cfg(test)]
mod tests;
