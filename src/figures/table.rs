//! Reads a CSV as text, so that a wrong cell can be named by file, column and row.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};

use crate::results::tables::{self, Rows};

/// A CSV with a header and at least one row; cells are text until asked for as numbers.
pub struct Table {
    path: PathBuf,
    rows: Rows,
}

/// # Errors
/// Names the file, where it cannot be read as CSV or has no rows.
pub fn read(path: &Path) -> Result<Table> {
    let rows = tables::read(path)?;
    let height = rows.names().first().map_or(0, |name| rows.column(name).count());
    ensure!(height > 0, "{} has no rows", path.display());
    Ok(Table { path: path.to_owned(), rows })
}

impl Table {
    /// Whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.rows.names().iter().any(|name| name == column)
    }

    /// A column's cells, empty ones as empty text.
    ///
    /// # Errors
    /// Names the file and its columns, where this one is missing.
    pub fn text(&self, column: &str) -> Result<Vec<String>> {
        let (path, known) = (self.path.display(), self.rows.names().join(", "));
        ensure!(self.has(column), "{path} has no column `{column}`, but {known}");
        Ok(self.rows.column(column).map(|cell| cell.trim().to_owned()).collect())
    }

    /// A column of finite numbers, one in each row.
    ///
    /// # Errors
    /// Names the cell that holds none.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>> {
        let cells = self.optional_numbers(column)?;
        let checked = cells.into_iter().enumerate().map(|(row, cell)| {
            cell.ok_or_else(|| anyhow!("{}: no number", self.cell(column, row)))
        });
        checked.collect()
    }

    /// A column of finite numbers; an empty cell or `NaN` is none.
    ///
    /// # Errors
    /// Names the cell that is something else.
    pub fn optional_numbers(&self, column: &str) -> Result<Vec<Option<f64>>> {
        let cells = self.text(column)?;
        let parsed = cells.iter().enumerate().map(|(row, cell)| {
            if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
                return Ok(None);
            }
            let number = cell.parse::<f64>().ok().filter(|number| number.is_finite());
            let number =
                number.with_context(|| format!("{}: not a number: {cell}", self.cell(column, row)));
            number.map(Some)
        });
        parsed.collect()
    }

    /// Says of an error which file it is about.
    ///
    /// # Errors
    /// That error.
    pub fn within<T>(&self, result: Result<T>) -> Result<T> {
        result.with_context(|| format!("in {}", self.path.display()))
    }

    /// A cell's place for a message; the header is line 1.
    fn cell(&self, column: &str, row: usize) -> String {
        let path = self.path.display();
        format!("{path}, column `{column}`, line {}", row + 2)
    }
}

/// A CSV in a folder of its own.
#[cfg(test)]
pub fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let csv = folder.path().join("figure.csv");
    std::fs::write(&csv, text).expect("a file");
    (folder, csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Table> {
        let (_folder, path) = written(text);
        read(&path)
    }

    fn message<T>(result: Result<T>) -> String {
        format!("{:#}", result.err().expect("an error"))
    }

    #[test]
    fn cells_are_read_as_they_are_asked_for() {
        let table = table("curve,x,y\n\"a, b\",1,0.5\nc,2e6,\n").unwrap();
        assert_eq!(table.text("curve").unwrap(), ["a, b", "c"]);
        assert_eq!(table.numbers("x").unwrap(), [1.0, 2e6]);
        assert_eq!(table.optional_numbers("y").unwrap(), [Some(0.5), None]);
    }

    #[test]
    fn a_wrong_cell_is_named_by_file_column_and_line() {
        let table = table("x,y\n1,2\n3,four\n").unwrap();
        let error = message(table.numbers("y"));
        assert!(error.contains("figure.csv, column `y`, line 3"), "{error}");
        assert!(error.contains("four"), "{error}");
    }

    #[test]
    fn a_missing_column_is_named_with_those_there_are() {
        let error = message(table("x,y\n1,2\n").unwrap().numbers("accuracy"));
        assert!(error.contains("figure.csv has no column `accuracy`, but x, y"), "{error}");
    }

    #[test]
    fn a_file_that_is_empty_absent_or_ragged_is_named() {
        for text in ["", "x,y\n", "x,y\n1,2,3\n"] {
            assert!(message(table(text)).contains("figure.csv"), "{text:?}");
        }
        let absent = Path::new("/nowhere/figure.csv");
        assert!(message(read(absent)).contains("/nowhere/figure.csv"));
    }
}
