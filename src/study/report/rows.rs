//! The rows of `claims.csv`, checked.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::eval::claims::{self as judging, Claim, Kind, Unit};
use crate::eval::figure::Figure;
use crate::eval::judge::{Magnitude, Verdict};
use crate::experiment::claims_yaml;
use crate::results::tables::Rows;

/// A row of `claims.csv`.
#[derive(Clone, Default)]
pub(super) struct ClaimRow {
    pub claim: String,
    pub verdict: String,
    pub magnitude: String,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub unit: String,
    pub margin: Option<f64>,
    pub paper: Option<f64>,
    pub ratio: Option<f64>,
    pub ratio_low: Option<f64>,
    pub ratio_high: Option<f64>,
    pub seeds: u64,
    pub needed: String,
    pub note: String,
}

impl ClaimRow {
    pub(super) fn is_measured(&self) -> bool {
        self.verdict != "not-measurable"
    }
}

/// Refuses claims that have seeds enough for a verdict and none.
pub(super) fn check_judged(claims: &[ClaimRow]) -> Result<()> {
    let silent = claims.iter().find(|row| row.verdict.is_empty() && row.seeds >= 3);
    if let Some(ClaimRow { claim, seeds, .. }) = silent {
        bail!("claims.csv: column verdict: {claim} has {seeds} seeds and no verdict");
    }
    Ok(())
}

/// The rows of a table with the columns of `claims.csv`: of a figure, or else of the exact claims.
pub(super) fn rows(claims: &Rows, figure: Option<Figure>) -> Result<Vec<ClaimRow>> {
    let known = judging::parse(claims_yaml()).context("claims.yaml")?;
    let mut rows: Vec<ClaimRow> = Vec::new();
    for at in 0..claims.column("claim").count() {
        let line = Line { table: claims, at };
        let row = line.row()?;
        let is_new = rows.iter().all(|earlier| earlier.claim != row.claim);
        ensure!(is_new, "{}, a second time", line.wrong("claim"));
        let claim = known.iter().find(|claim| claim.id == row.claim);
        let claim =
            claim.with_context(|| format!("{}, no claim of this program", line.wrong("claim")))?;
        line.check(&row, claim, figure)?;
        rows.push(row);
    }
    Ok(rows)
}

/// A line of `claims.csv`.
struct Line<'a> {
    table: &'a Rows,
    at: usize,
}

impl Line<'_> {
    fn cell(&self, name: &str) -> &str {
        self.table.column(name).nth(self.at).unwrap_or_default()
    }

    /// Where a cell is, and what it says; the header is line 1.
    fn wrong(&self, name: &str) -> String {
        format!("line {}, column {name}: {}", self.at + 2, self.cell(name))
    }

    /// A finite number, or none.
    fn number(&self, name: &str) -> Result<Option<f64>> {
        let given = Some(self.cell(name)).filter(|cell| !cell.is_empty());
        let finite = |cell: &str| cell.parse().ok().filter(|number: &f64| number.is_finite());
        given.map(|cell| finite(cell).with_context(|| self.wrong(name))).transpose()
    }

    /// A word of a closed list, or none.
    fn word<T: FromStr>(&self, name: &str) -> Result<String> {
        let cell = self.cell(name);
        ensure!(cell.is_empty() || cell.parse::<T>().is_ok(), self.wrong(name));
        Ok(cell.to_string())
    }

    fn row(&self) -> Result<ClaimRow> {
        let text = |name: &str| self.cell(name).to_string();
        let seeds = self.cell("seeds").parse::<u64>().ok();
        Ok(ClaimRow {
            claim: text("claim"),
            verdict: self.word::<Verdict>("verdict")?,
            magnitude: self.word::<Magnitude>("magnitude")?,
            value: self.number("value")?,
            low: self.number("low")?,
            high: self.number("high")?,
            unit: self.word::<Unit>("unit")?,
            margin: self.number("margin")?,
            paper: self.number("paper")?,
            ratio: self.number("ratio")?,
            ratio_low: self.number("ratio_low")?,
            ratio_high: self.number("ratio_high")?,
            seeds: seeds.with_context(|| self.wrong("seeds"))?,
            needed: text("needed"),
            note: text("note"),
        })
    }

    /// Refuses a row that no judgement gives: of another figure's claim, or an effect without its numbers.
    fn check(&self, row: &ClaimRow, claim: &Claim, figure: Option<Figure>) -> Result<()> {
        let own = (claim.kind != Kind::Exact).then_some(claim.figure);
        let whose = own.map_or("the counts", Figure::name);
        ensure!(own == figure, "{}, which belongs to {whose}", self.wrong("claim"));
        // A count has no unit, and where there are fewer than the paper's no number.
        if own.is_none() {
            return Ok(());
        }
        ensure!(!row.unit.is_empty(), "{}an effect has a unit", self.wrong("unit"));
        let numbers =
            [("value", row.value), ("low", row.low), ("high", row.high), ("margin", row.margin)];
        let lacking = numbers.iter().find(|(_, number)| number.is_none());
        match lacking.filter(|_| row.is_measured()) {
            Some((name, _)) => bail!("{}an effect that is measured has one", self.wrong(name)),
            None => Ok(()),
        }
    }
}
