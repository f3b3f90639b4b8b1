//! Sheets of test images, easy ones above and hard ones below (Figs. 1 and 6).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::opened::Opened;
use crate::data::plural;
use crate::eval::answers::Answers;
use crate::eval::budgeted::{BudgetedPoint, Setting, solve, sweep};
use crate::eval::combine;
use crate::eval::thresholds::Thresholds;
use crate::experiment::did_you_mean;
use crate::figures::sheet::{Row, Sheet, Tile};
use crate::results::atomic;
use crate::results::tables::Table;

/// How far images are let through the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// The ratio of the exits' shares.
    Ratio(f64),
    /// Mean multiply-adds of an image.
    Budget(f64),
    /// Half way between the first and the last exit's cost.
    Middle,
}

/// One image of a sheet.
struct Example {
    /// From 0.
    exit: usize,
    /// Place among the test predictions.
    at: usize,
}

/// Writes `by-exit` and `corrected`, each as PNG and CSV, to `folder`; returns their paths.
///
/// # Errors
/// When the class is unknown, the budget cannot be kept, or a file cannot be written.
pub fn write_examples(
    run: &Opened,
    class: Option<&str>,
    per_exit: usize,
    aim: Aim,
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    let class = class.map(|name| label_of(run, name)).transpose()?;
    let point = point_of(run, aim)?;
    let answers = combine::plain(&run.test)?;
    let exits = Thresholds::by_hand(point.thresholds.clone(), run.test.exits)?;
    let exits = exits.exits_of(&answers)?;
    atomic::create_folder(folder)?;
    let easy = by_exit(&answers, &exits, class, per_exit);
    let hard = corrected(&answers, class, per_exit * run.test.exits);
    let sheets = [
        ("by-exit", by_exit_sheet(run, &answers, &point, (&exits, class), &easy)?, easy),
        ("corrected", corrected_sheet(run, &answers, &hard, per_exit)?, hard),
    ];
    let mut written = Vec::new();
    for (name, sheet, examples) in sheets {
        let csv = folder.join(format!("{name}.csv"));
        table(run, &answers, &examples).write(&csv)?;
        written.push(csv);
        let png = folder.join(format!("{name}.png"));
        if let Some(sheet) = sheet {
            sheet.draw(&png)?;
            written.push(png);
        } else if png.is_file() {
            // An earlier sheet shows other images.
            std::fs::remove_file(&png).with_context(|| png.display().to_string())?;
        }
    }
    Ok(written)
}

fn label_of(run: &Opened, name: &str) -> Result<u32> {
    let same = |known: &String| known == name || known.replace('_', " ") == name;
    if let Some(label) = run.classes.iter().position(same) {
        return Ok(label as u32);
    }
    match name.parse::<u32>() {
        Ok(label) if (label as usize) < run.test.classes => Ok(label),
        _ => {
            let hint = did_you_mean(name, run.classes.iter().map(String::as_str));
            bail!("--class: {} has no class \"{name}\"{hint}", run.run.dataset)
        }
    }
}

fn point_of(run: &Opened, aim: Aim) -> Result<BudgetedPoint> {
    let costs = &run.multiply_adds;
    let middle = (costs[0] as f64 + costs[costs.len() - 1] as f64) / 2.0;
    let mut setting = Setting::paper();
    let ratio = match aim {
        Aim::Ratio(ratio) => ratio,
        Aim::Budget(budget) => solve(&run.network(), &setting, budget).context("--budget")?,
        Aim::Middle => solve(&run.network(), &setting, middle)?,
    };
    setting.knobs.ratios = vec![ratio];
    let points = sweep(&run.network(), &setting)?.points;
    points.into_iter().next().context("a sweep of one ratio has one point")
}

/// Up to `per_exit` images of each exit, evenly spaced by confidence.
fn by_exit(
    answers: &Answers,
    exits: &[usize],
    class: Option<u32>,
    per_exit: usize,
) -> Vec<Example> {
    let mut chosen = Vec::new();
    for exit in 0..answers.exits() {
        let here = |&at: &usize| exits[at] == exit && is_of(answers, at, class);
        let mut images: Vec<usize> = (0..answers.images()).filter(here).collect();
        sort_by_confidence(&mut images, &answers.confidence[exit]);
        let spread = spread(images.len(), per_exit);
        chosen.extend(spread.into_iter().map(|i| Example { exit, at: images[i] }));
    }
    chosen
}

/// Images that the first exit gets wrong and the last one right, the surest of the last exit first.
fn corrected(answers: &Answers, class: Option<u32>, most: usize) -> Vec<Example> {
    let last = answers.exits() - 1;
    let wrong_then_right = |&at: &usize| {
        answers.predicted[0][at] != answers.labels[at]
            && answers.predicted[last][at] == answers.labels[at]
            && is_of(answers, at, class)
    };
    let mut images: Vec<usize> = (0..answers.images()).filter(wrong_then_right).collect();
    sort_by_confidence(&mut images, &answers.confidence[last]);
    let images = images.into_iter().take(most);
    images.map(|at| Example { exit: last, at }).collect()
}

fn is_of(answers: &Answers, at: usize, class: Option<u32>) -> bool {
    class.is_none_or(|class| answers.labels[at] == class)
}

fn sort_by_confidence(images: &mut [usize], confidence: &[f64]) {
    images.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]).then(a.cmp(&b)));
}

/// At most `wanted` places of `count`, evenly spread, the first and the last among them.
pub(super) fn spread(count: usize, wanted: usize) -> Vec<usize> {
    if count <= wanted {
        return (0..count).collect();
    }
    if wanted == 1 {
        return vec![0];
    }
    (0..wanted).map(|i| i * (count - 1) / (wanted - 1)).collect()
}

fn table(run: &Opened, answers: &Answers, examples: &[Example]) -> Table {
    let last = answers.exits() - 1;
    let name = |label: u32| run.class(label);
    let each = || examples.iter();
    Table::default()
        .count("image", each().map(|e| run.test.images[e.at]))
        .count("exit", each().map(|e| e.exit as u64 + 1))
        .text("label", each().map(|e| name(answers.labels[e.at])))
        .text("predicted", each().map(|e| name(answers.predicted[e.exit][e.at])))
        .number("confidence", each().map(|e| answers.confidence[e.exit][e.at]))
        .text("first_predicted", each().map(|e| name(answers.predicted[0][e.at])))
        .number("first_confidence", each().map(|e| answers.confidence[0][e.at]))
        .text("last_predicted", each().map(|e| name(answers.predicted[last][e.at])))
        .number("last_confidence", each().map(|e| answers.confidence[last][e.at]))
}

fn by_exit_sheet(
    run: &Opened,
    answers: &Answers,
    point: &BudgetedPoint,
    (exits, class): (&[usize], Option<u32>),
    examples: &[Example],
) -> Result<Option<Sheet>> {
    let of_class = |at: &usize| is_of(answers, *at, class);
    let all = (0..answers.images()).filter(of_class).count();
    let mut rows = Vec::new();
    for exit in 0..answers.exits() {
        let mut tiles = Vec::new();
        for example in examples.iter().filter(|e| e.exit == exit) {
            tiles.push(tile(run, answers, example)?);
        }
        let here = (0..answers.images()).filter(of_class);
        let left = here.filter(|&at| exits[at] == exit).count();
        let notes = vec![
            format!("exit {}", exit + 1),
            millions(run.multiply_adds[exit] as f64),
            plural(left, "image"),
            format!("{:.0} %", 100.0 * left as f64 / all.max(1) as f64),
        ];
        rows.push(Row { notes, tiles });
    }
    let scope = class
        .map_or(String::new(), |label| format!(" over all classes; shown: {}", run.class(label)));
    let title = format!(
        "{}: where images leave at {} an image, {:.1} % right{scope}. Easy above, hard below; \
         from sure to unsure. Framed: wrong.",
        run.run.network.short_name(),
        millions(point.multiply_adds),
        100.0 * point.accuracy
    );
    let empty = rows.iter().all(|row| row.tiles.is_empty());
    Ok((!empty).then_some(Sheet { title, rows }))
}

fn tile(run: &Opened, answers: &Answers, example: &Example) -> Result<Tile> {
    let (exit, at) = (example.exit, example.at);
    let (label, predicted) = (answers.labels[at], answers.predicted[exit][at]);
    let sure = format!("{:.0} %", 100.0 * answers.confidence[exit][at]);
    let lines = if label == predicted {
        vec![run.class(label), sure]
    } else {
        vec![run.class(label), format!("\u{2192} {}", run.class(predicted)), sure]
    };
    Ok(Tile { picture: run.picture(run.test.images[at])?, lines, is_wrong: label != predicted })
}

fn corrected_sheet(
    run: &Opened,
    answers: &Answers,
    examples: &[Example],
    per_row: usize,
) -> Result<Option<Sheet>> {
    let mut tiles = Vec::new();
    for example in examples {
        let at = example.at;
        let first = run.class(answers.predicted[0][at]);
        tiles.push(Tile {
            picture: run.picture(run.test.images[at])?,
            lines: vec![
                run.class(answers.labels[at]),
                format!("1: {first} {:.0} %", 100.0 * answers.confidence[0][at]),
                format!(
                    "{}: right {:.0} %",
                    answers.exits(),
                    100.0 * answers.confidence[example.exit][at]
                ),
            ],
            is_wrong: false,
        });
    }
    let mut rows = Vec::new();
    let mut tiles = tiles.into_iter().peekable();
    while tiles.peek().is_some() {
        rows.push(Row { notes: Vec::new(), tiles: tiles.by_ref().take(per_row).collect() });
    }
    let title = format!(
        "{}: wrong at exit 1, right at exit {}",
        run.run.network.short_name(),
        answers.exits()
    );
    Ok((!rows.is_empty()).then_some(Sheet { title, rows }))
}

/// Multiply-adds for people.
pub(super) fn millions(multiply_adds: f64) -> String {
    if multiply_adds >= 1e9 {
        format!("{:.2} G", multiply_adds / 1e9)
    } else {
        format!("{:.1} M", multiply_adds / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            confidence: vec![vec![0.9, 0.8, 0.4, 0.3], vec![0.5, 0.6, 0.7, 0.8]],
            predicted: vec![vec![0, 1, 1, 1], vec![0, 1, 0, 0]],
            labels: vec![0, 0, 0, 0],
        }
    }

    #[test]
    fn a_spread_keeps_both_ends_and_takes_all_where_they_are_few() {
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(3, 4), [0, 1, 2]);
        assert_eq!(spread(5, 1), [0]);
    }

    #[test]
    fn examples_of_an_exit_go_from_sure_to_unsure() {
        let chosen = by_exit(&answers(), &[1, 0, 1, 1], None, 2);
        let chosen: Vec<(usize, usize)> = chosen.iter().map(|e| (e.exit, e.at)).collect();
        assert_eq!(chosen, [(0, 1), (1, 3), (1, 0)]);
    }

    #[test]
    fn corrected_images_are_wrong_first_and_right_last() {
        let chosen: Vec<usize> = corrected(&answers(), None, 9).iter().map(|e| e.at).collect();
        assert_eq!(chosen, [3, 2]);
        assert!(corrected(&answers(), Some(1), 9).is_empty());
    }
}
