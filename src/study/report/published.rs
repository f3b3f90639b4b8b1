//! Our networks beside others' trainings of the same network, exit by exit.

use std::fmt::Write;

use anyhow::Result;

use super::cell;
use super::load::{Shown, plan, training_images};
use crate::data::plural;
use crate::eval::figure::Figure;
use crate::eval::named::unique;
use crate::experiment::{Published, published};
use crate::results::markdown;

/// A table for each network of an anytime figure that has several exits and that others have trained.
pub(super) fn write(page: &mut String, figure: &Shown) -> Result<()> {
    if figure.experiment.figure != Figure::Anytime {
        return Ok(());
    }
    let mut known = published()?;
    known.retain(|other| {
        other.dataset == figure.experiment.dataset && other.accuracy_percent.len() > 1
    });
    // The plan of an image folder would need the folder.
    if known.is_empty() {
        return Ok(());
    }
    for network in plan(&figure.experiment)?.networks {
        let of_network = |other: &&Published| other.is_of(&network.config).unwrap_or(false);
        let others: Vec<&Published> = known.iter().filter(of_network).collect();
        let own = own(figure, &network.name)?;
        if others.is_empty() || own.is_empty() {
            continue;
        }
        writeln!(
            page,
            "{} beside others' trainings of the same network; here {} on {} images:\n",
            cell(&network.name),
            plural(figure.experiment.training.epochs as usize, "epoch"),
            training_images(&figure.experiment).map_or("all".to_string(), |n| n.to_string())
        )?;
        page.push_str(&table(&own, &others));
        page.push('\n');
    }
    Ok(())
}

/// Exit, seed and accuracy in percent.
type Point = (String, String, f64);

/// What the exits of a network answer alone.
fn own(figure: &Shown, name: &str) -> Result<Vec<Point>> {
    let table = &figure.curves;
    let (network, exit, seed) = (table.text("network")?, table.text("exit")?, table.text("seed")?);
    let (accuracy, combine) = (table.numbers("accuracy")?, table.text("combine")?);
    let own = (0..network.len()).filter(|&i| network[i] == name && combine[i] == "single");
    Ok(own.map(|i| (exit[i].clone(), seed[i].clone(), 100.0 * accuracy[i])).collect())
}

fn table(own: &[Point], others: &[&Published]) -> String {
    let seeds = unique(own.iter().map(|point| point.1.as_str()));
    let mut head = vec!["exit".to_string()];
    head.extend(seeds.iter().map(|seed| format!("here, seed {seed}")));
    head.extend(others.iter().map(|other| cell(&format!("{}, {}", other.source, other.recipe))));
    let rows = unique(own.iter().map(|point| point.0.as_str())).into_iter().enumerate();
    let rows = rows.map(|(place, exit)| {
        let here = seeds.iter().map(|seed| own.iter().find(|p| p.0 == exit && p.1 == *seed));
        let here = here.map(|point| point.map(|point| point.2));
        let there = others.iter().map(|other| other.accuracy_percent.get(place).copied());
        let percent = |a: Option<f64>| a.map_or("-".to_string(), |a| format!("{a:.1} %"));
        let cells = std::iter::once(exit.to_string()).chain(here.chain(there).map(percent));
        cells.collect::<Vec<_>>()
    });
    markdown::table(&head.join(" | "), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_is_a_row_with_our_seeds_and_others_trainings() {
        let mut other = published().unwrap().remove(0);
        other.accuracy_percent = vec![65.13, 68.11];
        (other.source, other.recipe) = ("someone".to_string(), "300 epochs".to_string());
        let point = |exit: &str, seed: &str, a| (exit.to_string(), seed.to_string(), a);
        let own = [point("1", "10", 60.0), point("1", "11", 61.0), point("2", "10", 62.04)];
        let lines = table(&own, &[&other]);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[0], "| exit | here, seed 10 | here, seed 11 | someone, 300 epochs |");
        assert_eq!(lines[2], "| 1 | 60.0 % | 61.0 % | 65.1 % |");
        assert_eq!(lines[3], "| 2 | 62.0 % | - | 68.1 % |");
    }
}
