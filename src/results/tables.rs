//! CSV tables: written whole and in fixed columns, read as text and numbers.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use polars::prelude::{Column, CsvReadOptions, CsvWriter, DataFrame, SerReader, SerWriter};

use super::atomic;
use crate::data::plural;

/// A table that grows a column at a time.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
}

impl Table {
    /// A column of text; an empty text is an empty cell, without quotes.
    pub fn text<S: AsRef<str>>(mut self, name: &str, values: impl IntoIterator<Item = S>) -> Table {
        let cell = |text: S| Some(text.as_ref().to_string()).filter(|text| !text.is_empty());
        let values: Vec<Option<String>> = values.into_iter().map(cell).collect();
        self.columns.push(Column::new(name.into(), values));
        self
    }

    /// A column of counts.
    pub fn count<N: Into<u64>>(mut self, name: &str, values: impl IntoIterator<Item = N>) -> Table {
        let values: Vec<u64> = values.into_iter().map(Into::into).collect();
        self.columns.push(Column::new(name.into(), values));
        self
    }

    /// A column of numbers.
    pub fn number(mut self, name: &str, values: impl IntoIterator<Item = f64>) -> Table {
        let values: Vec<f64> = values.into_iter().collect();
        self.columns.push(Column::new(name.into(), values));
        self
    }

    /// A column of numbers that may be absent.
    pub fn optional(mut self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Table {
        let values: Vec<Option<f64>> = values.into_iter().collect();
        self.columns.push(Column::new(name.into(), values));
        self
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name().as_str()).collect()
    }

    /// The table as CSV with a header.
    ///
    /// # Errors
    /// When the columns differ in length.
    pub fn to_csv(self) -> Result<Vec<u8>> {
        let mut frame =
            DataFrame::new_infer_height(self.columns).context("columns of different lengths")?;
        let mut bytes = Vec::new();
        CsvWriter::new(&mut bytes).finish(&mut frame)?;
        Ok(bytes)
    }

    /// Writes the table as CSV.
    ///
    /// # Errors
    /// Names the path.
    pub fn write(self, path: &Path) -> Result<()> {
        atomic::write(path, &self.to_csv()?)
    }
}

/// A table that was read; cells are text until asked for as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    path: PathBuf,
    names: Vec<String>,
    columns: Vec<Vec<String>>,
}

impl Rows {
    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The cells of a column, empty where there are none or there is no such column.
    pub fn column(&self, name: &str) -> impl Iterator<Item = &str> + use<'_> {
        let place = self.names.iter().position(|n| n == name);
        let column = place.map(|place| &self.columns[place][..]).unwrap_or_default();
        column.iter().map(String::as_str)
    }

    /// The table, which must have a row.
    ///
    /// # Errors
    /// Names the file, where it has none.
    pub fn filled(self) -> Result<Rows> {
        ensure!(self.count() > 0, "{} has no rows", self.path.display());
        Ok(self)
    }

    /// Whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.names.iter().any(|name| name == column)
    }

    /// A column's cells, empty ones as empty text.
    ///
    /// # Errors
    /// Names the file and its columns, where this one is missing.
    pub fn text(&self, column: &str) -> Result<Vec<String>> {
        let (path, known) = (self.path.display(), self.names.join(", "));
        ensure!(self.has(column), "{path} has no column `{column}`, but {known}");
        Ok(self.column(column).map(|cell| cell.trim().to_owned()).collect())
    }

    /// Refuses a table that lacks one of these columns, or has an empty cell in one.
    ///
    /// # Errors
    /// Names the column or the cell.
    pub fn check_filled(&self, columns: &[&str]) -> Result<()> {
        for column in columns {
            if let Some(row) = self.text(column)?.iter().position(String::is_empty) {
                bail!("{}: it is empty", self.cell(column, row));
            }
        }
        Ok(())
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

/// Reads a CSV with a header, every cell as it stands.
///
/// # Errors
/// Names the path, and the line that has more or fewer cells than the header.
pub fn read(path: &Path) -> Result<Rows> {
    let context = || format!("cannot read {}", path.display());
    parse(path, std::fs::read(path).with_context(context)?)
}

/// [`read`] of the bytes that a file has, or would have.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Rows> {
    let context = || format!("cannot read {}", path.display());
    check_widths(&bytes).with_context(context)?;
    let options = CsvReadOptions::default().with_infer_schema_length(Some(0));
    let frame = options.into_reader_with_file_handle(Cursor::new(bytes)).finish();
    let frame = frame.map_err(|error| first_line(&error.to_string())).with_context(context)?;
    let mut rows = Rows { path: path.to_owned(), names: Vec::new(), columns: Vec::new() };
    for column in frame.columns() {
        let cells = anyhow::Context::with_context(column.str(), context)?;
        rows.names.push(column.name().to_string());
        rows.columns.push(cells.iter().map(|cell| cell.unwrap_or_default().to_string()).collect());
    }
    Ok(rows)
}

/// What is wrong, without the advice for programmers that polars puts below it.
fn first_line(told: &str) -> anyhow::Error {
    anyhow!("{}", told.lines().next().unwrap_or_default())
}

/// Refuses a row that is not as wide as the header, such as the last one of a file that was cut: polars
/// takes the cells that a row lacks for empty ones.
fn check_widths(bytes: &[u8]) -> Result<()> {
    let rows = (1..).zip(split(bytes, b'\n')).filter(|(_, row)| !row.trim_ascii().is_empty());
    let mut widths = rows.map(|(line, row)| (line, split(row, b',').count()));
    let Some((_, head)) = widths.next() else {
        return Ok(());
    };
    match widths.find(|(_, cells)| *cells != head) {
        Some((line, cells)) => {
            bail!("line {line} has {}, and the header {head}", plural(cells, "cell"))
        }
        None => Ok(()),
    }
}

/// Splits at a byte, but not within quotes.
fn split(bytes: &[u8], at: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    bytes.split(move |&byte| {
        is_quoted ^= byte == b'"';
        byte == at && !is_quoted
    })
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

    #[test]
    fn a_table_is_plain_csv_with_shortest_numbers() {
        let csv = Table::default()
            .text("curve", ["a", "b, c"])
            .text("note", ["", "n"])
            .count("exit", [1u32, 2])
            .number("accuracy", [0.1, 1.0 / 3.0])
            .optional("ece", [None, Some(0.5)])
            .to_csv()
            .unwrap();
        let expected =
            "curve,note,exit,accuracy,ece\na,,1,0.1,\n\"b, c\",n,2,0.3333333333333333,0.5\n";
        assert_eq!(String::from_utf8(csv).unwrap(), expected);
    }

    fn table(text: &str) -> Result<Rows> {
        let (_folder, path) = written(text);
        read(&path)?.filled()
    }

    fn message<T>(result: Result<T>) -> String {
        format!("{:#}", result.err().expect("an error"))
    }

    #[test]
    fn cells_are_read_as_they_are_asked_for() {
        let rows = table("curve,x,y\n\"a, b\",1,0.5\nc,2e6,\n").unwrap();
        assert_eq!(rows.text("curve").unwrap(), ["a, b", "c"]);
        assert_eq!(rows.numbers("x").unwrap(), [1.0, 2e6]);
        assert_eq!(rows.optional_numbers("y").unwrap(), [Some(0.5), None]);
    }

    #[test]
    fn a_wrong_cell_is_named_by_file_column_and_line() {
        let rows = table("x,y\n1,2\n3,four\n").unwrap();
        let error = message(rows.numbers("y"));
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

    #[test]
    fn a_row_that_is_not_as_wide_as_the_header_is_told_in_one_line() {
        let quoted = "x,y\n\"a, \"\"b\"\"\nc\",2\n";
        assert_eq!(table(quoted).unwrap().text("y").unwrap(), ["2"]);
        for (row, cells) in [("3", "1 cell,"), ("3,4,5", "3 cells,"), ("\"3,4", "1 cell,")] {
            let error = message(table(&format!("{quoted}{row}")));
            assert!(error.contains(&format!(": line 3 has {cells} and the header 2")), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn an_empty_cell_is_named_where_there_must_be_none() {
        let rows = table("x,y\na,b\nc,\n").unwrap();
        rows.check_filled(&["x"]).unwrap();
        let error = message(rows.check_filled(&["x", "y"]));
        assert!(error.contains("figure.csv, column `y`, line 3: it is empty"), "{error}");
        assert!(message(rows.check_filled(&["z"])).contains("no column `z`"));
    }
}
