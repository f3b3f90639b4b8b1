//! CSV tables, written whole and in fixed columns.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};
use polars::prelude::{Column, CsvReadOptions, CsvWriter, DataFrame, SerReader, SerWriter};

use super::atomic;

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

/// A table as text, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    names: Vec<String>,
    columns: Vec<Vec<String>>,
}

impl Rows {
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
}

/// Reads a CSV with a header, every cell as it stands.
///
/// # Errors
/// Names the path.
pub fn read(path: &Path) -> Result<Rows> {
    let context = || format!("cannot read {}", path.display());
    let bytes = std::fs::read(path).with_context(context)?;
    let options = CsvReadOptions::default().with_infer_schema_length(Some(0));
    let frame = options.into_reader_with_file_handle(Cursor::new(bytes)).finish();
    let frame = anyhow::Context::with_context(frame, context)?;
    let mut rows = Rows { names: Vec::new(), columns: Vec::new() };
    for column in frame.columns() {
        let cells = anyhow::Context::with_context(column.str(), context)?;
        rows.names.push(column.name().to_string());
        rows.columns.push(cells.iter().map(|cell| cell.unwrap_or_default().to_string()).collect());
    }
    Ok(rows)
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
}
