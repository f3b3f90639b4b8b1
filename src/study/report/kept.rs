//! Trained networks that are published beside the figures, in `runs/`.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::load::Shown;
use crate::data::plural;
use crate::results::tables::{Rows, read};

/// How many of the figure's runs are in `runs/`.
pub(super) fn told(figure: &Shown) -> Result<String> {
    let curves = curves(&figure.folder.join("learning.csv"))?;
    let names: Vec<&str> = figure.listed("runs").into_iter().filter_map(Value::as_str).collect();
    let mut count = 0;
    for name in &names {
        let Some(folder) = figure.published(name) else {
            continue;
        };
        // A run of this name may have been trained again elsewhere, with other weights. It counts if
        // its losses are those in learning.csv.
        let is_own = curves.contains(&losses(&read(&folder.join("train.csv"))?));
        count += usize::from(is_own);
    }
    Ok(match count {
        0 => "No.".to_string(),
        count => format!("runs/ has {count} of {}.", plural(names.len(), "run")),
    })
}

fn losses(table: &Rows) -> Vec<String> {
    table.column("loss").map(str::to_string).collect()
}

/// The losses of every training in a `learning.csv`, epoch by epoch; none without the file.
pub(super) fn curves(path: &Path) -> Result<HashSet<Vec<String>>> {
    if !path.is_file() {
        return Ok(HashSet::new());
    }
    let table = read(path)?;
    let column = |name| table.column(name).collect::<Vec<_>>();
    let [networks, seeds, exits] = ["network", "seed", "exit"].map(column);
    let losses = losses(&table);
    // A training's rows stand together, an exit's below one another.
    let training = |row: &usize| (networks[*row], seeds[*row], exits[*row]);
    let rows: Vec<usize> = (0..losses.len()).collect();
    let trainings = rows.chunk_by(|a, b| training(a) == training(b));
    Ok(trainings.map(|rows| rows.iter().map(|&row| losses[row].clone()).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_known_by_its_losses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("learning.csv");
        let text = "network,seed,epoch,learning_rate,loss,exit,accuracy\n\
                    A,1,1,0.1,3.5,1,0.1\nA,1,2,0.05,2.5,1,0.2\nA,1,1,0.1,3.5,2,0.1\nA,1,2,0.05,2.5,2,0.2\n\
                    A,2,1,0.1,4.5,1,0.1\nA,2,2,0.05,1.5,1,0.2\n";
        std::fs::write(&path, text).unwrap();
        let expected = [["3.5", "2.5"], ["4.5", "1.5"]].map(|c| c.map(str::to_string).to_vec());
        assert_eq!(curves(&path).unwrap(), HashSet::from(expected));
        assert!(curves(&folder.path().join("nothing.csv")).unwrap().is_empty());
    }
}
