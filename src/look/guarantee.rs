//! How much leaving early may cost, by a run's hold-out, and what it costs on its test images.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::opened::Opened;
use crate::eval::combine;
use crate::eval::guarantee::bounds::least_hold_out;
use crate::eval::guarantee::table::{Certified, TOLERANCES, certified};
use crate::eval::guarantee::{Method, Risk, Tolerance};
use crate::figures::guarantee::draw;
use crate::results::atomic;
use crate::results::tables::Table;
use crate::runs::IMPORTED_DOUBT;

/// The table for people, and the files that were written.
#[derive(Debug, Clone)]
pub struct Guarantee {
    /// One row a method.
    pub text: String,
    /// `guarantee.csv`, `guarantee.svg`, `guarantee.png`.
    pub files: Vec<PathBuf>,
}

/// Certifies thresholds of a run at `tolerance` and, for the picture, at others, and writes them
/// to `out/guarantee/RUN/`.
///
/// # Errors
/// When the hold-out is too small (the least size is told), or a file cannot be written.
pub fn guarantee(run: &Opened, risk: Risk, tolerance: Tolerance, out: &Path) -> Result<Guarantee> {
    let network = run.network();
    network.check().with_context(|| run.name.clone())?;
    ensure!(
        network.test.exits > 1,
        "{}: a network of one exit has nothing to leave early",
        run.name
    );
    // The method that needs the most images, so that the size it tells is enough for all.
    let least = |method: &Method| least_hold_out(*method, &tolerance).unwrap_or(usize::MAX);
    let method = Method::ALL.into_iter().max_by_key(least).context("no method")?;
    tolerance.check_size(method, network.hold_out.len())?;
    let (hold_out, test) = (combine::plain(network.hold_out)?, combine::plain(network.test)?);
    let rows = certified(&hold_out, &test, network.multiply_adds, risk, &tolerances(tolerance))?;
    let folder = out.join("guarantee").join(&run.name);
    atomic::create_folder(&folder)?;
    let files = ["csv", "svg", "png"].map(|ending| folder.join(format!("guarantee.{ending}")));
    table(risk, &rows).write(&files[0])?;
    draw(&files[0], &files[1], &files[2])?;
    let asked = rows.iter().filter(|row| row.tolerance == tolerance);
    let mut text = describe(asked, risk, tolerance, hold_out.images());
    if run.run.training.is_none() {
        let _ = writeln!(text, "\nNot certain here: {IMPORTED_DOUBT}.");
    }
    Ok(Guarantee { text, files: files.to_vec() })
}

/// The tolerances of the picture and the one asked for, ascending.
fn tolerances(asked: Tolerance) -> Vec<Tolerance> {
    let mut all: Vec<f64> = TOLERANCES.to_vec();
    all.push(asked.at_most);
    all.sort_by(f64::total_cmp);
    all.dedup();
    all.into_iter().map(|at_most| Tolerance { at_most, ..asked }).collect()
}

/// The rows as `guarantee.csv` has them; crc has no confidence, and no threshold means that no
/// image leaves early.
fn table(risk: Risk, rows: &[Certified]) -> Table {
    let confidence =
        |row: &Certified| (row.method != Method::Crc).then_some(row.tolerance.confidence);
    Table::default()
        .text("risk", rows.iter().map(|_| risk.name()))
        .number("tolerance", rows.iter().map(|r| r.tolerance.at_most))
        .optional("confidence", rows.iter().map(confidence))
        .text("method", rows.iter().map(|r| r.method.name()))
        .optional("threshold", rows.iter().map(|r| Some(r.threshold).filter(|t| t.is_finite())))
        .number("multiply_adds", rows.iter().map(|r| r.multiply_adds))
        .number("saving", rows.iter().map(|r| r.saving))
        .number("risk_holdout", rows.iter().map(|r| r.risk_hold_out))
        .number("risk_test", rows.iter().map(|r| r.risk_test))
}

fn describe<'a>(
    rows: impl Iterator<Item = &'a Certified>,
    risk: Risk,
    tolerance: Tolerance,
    images: usize,
) -> String {
    let what = match risk {
        Risk::Gap => "accuracy lost by leaving early",
        Risk::Consistency => "share of answers that differ from the last exit's",
    };
    let mut text = format!(
        "{risk} ({what}): at most {}, by {images} held-out images\n\
         crc: in expectation; betting and ltt: with a probability of {}\n\n\
         {:8} {:>9} {:>18} {:>8} {:>13} {:>13}\n",
        tolerance.at_most,
        tolerance.confidence,
        "method",
        "threshold",
        "multiply-adds",
        "saving",
        "hold-out risk",
        "test risk"
    );
    for row in rows {
        let threshold = match row.threshold.is_finite() {
            true => format!("{:.2}", row.threshold),
            false => "none".to_string(),
        };
        let above = |risk: f64| risk > tolerance.at_most;
        let over = match (above(row.risk_hold_out), above(row.risk_test)) {
            (true, true) => "  above on both",
            (true, false) => "  above on hold-out",
            (false, true) => "  above on test",
            (false, false) => "",
        };
        let _ = writeln!(
            text,
            "{:8} {threshold:>9} {:>18.0} {:>6.1} % {:>13.4} {:>13.4}{over}",
            row.method.name(),
            row.multiply_adds,
            100.0 * row.saving,
            row.risk_hold_out,
            row.risk_test
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_that_was_asked_for_is_among_those_drawn_and_once() {
        let asked = |at_most| tolerances(Tolerance::new(at_most, 0.9).unwrap());
        assert_eq!(asked(0.02).len(), TOLERANCES.len());
        let other = asked(0.3);
        assert_eq!((other.len(), other[TOLERANCES.len()].at_most), (TOLERANCES.len() + 1, 0.3));
    }

    #[test]
    fn crc_promises_nothing_with_a_confidence() {
        let row = |method, threshold| Certified {
            tolerance: Tolerance::new(0.02, 0.9).unwrap(),
            method,
            threshold,
            multiply_adds: 75.0,
            saving: 0.25,
            risk_hold_out: 0.01,
            risk_test: 0.03,
        };
        let rows = [row(Method::Crc, 0.7), row(Method::Ltt, f64::INFINITY)];
        let csv = String::from_utf8(table(Risk::Gap, &rows).to_csv().unwrap()).unwrap();
        let lines: Vec<&str> = csv.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["gap,0.02,,crc,0.7,75.0,0.25,0.01,0.03", "gap,0.02,0.9,ltt,,75.0,0.25,0.01,0.03"]
        );
        let text = describe(rows.iter(), Risk::Gap, rows[0].tolerance, 500);
        assert!(
            text.contains("by 500 held-out images") && text.contains("above on test"),
            "{text}"
        );
    }
}
