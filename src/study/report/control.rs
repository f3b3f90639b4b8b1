//! The control: the baselines with MSDNet's classifiers, so that classifier and network can be told
//! apart.

use std::fmt::Write;

use anyhow::Result;

use super::differences::{CONVOLUTIONAL, classifiers};
use super::load::{Loss, Shown};
use super::{cell, kept, stages};
use crate::data::plural;
use crate::results::markdown;

/// A table for each figure by position that stands beside another and differs by the classifier.
pub(super) fn write(page: &mut String, figures: &[Shown]) -> Result<()> {
    if figures.iter().any(|figure| figure.experiment.figure.is_positional()) {
        writeln!(page, "\n## Network or classifier?\n\n{}", confounded(figures)?)?;
        page.push_str(&tables(figures)?);
    }
    Ok(())
}

fn tables(figures: &[Shown]) -> Result<String> {
    let mut tables = String::new();
    for (main, control) in pairs(figures) {
        let rows = rows(&main.losses()?, &control.losses()?);
        if !rows.is_empty() {
            let trainings = trainings(main, control)?;
            let (main, control) = (link(main), link(control));
            writeln!(
                tables,
                "\n{control} beside {main}. {trainings} Loss in ln [95 %] and number of seeds:\n"
            )?;
            tables.push_str(&markdown::table(HEAD, rows));
        }
    }
    Ok(tables)
}

const HEAD: &str = "network | relative depth | relative to | pooled, linear | convolutional | MSDNet, convolutional";

/// The rows of each control's first position, for a README; none without a control.
pub(super) fn first_places(figures: &[Shown]) -> Result<Option<String>> {
    let mut all = Vec::new();
    for (main, control) in pairs(figures) {
        let rows = rows(&main.losses()?, &control.losses()?);
        let Some(first) = rows.iter().map(|row| row[1].clone()).min() else { continue };
        let place = control.place(figures);
        let own = rows.into_iter().filter(|row| row[1] == first);
        all.extend(own.map(|row| [vec![place.clone()], row.to_vec()].concat()));
    }
    Ok((!all.is_empty()).then(|| markdown::table(&format!("figure | {HEAD}"), all)))
}

/// Each control behind what it controls.
fn pairs(figures: &[Shown]) -> impl Iterator<Item = (&Shown, &Shown)> {
    figures.iter().filter(|figure| classifiers(&figure.experiment) == CONVOLUTIONAL).filter_map(
        |control| {
            let of = control.experiment.beside.as_ref()?;
            Some((figures.iter().find(|figure| figure.name == *of)?, control))
        },
    )
}

/// What Fig. 3 cannot tell apart without the control, and whether the control is there.
pub(super) fn confounded(figures: &[Shown]) -> Result<String> {
    Ok(format!(
        "In Fig. 3 the baselines' intermediate classifiers are pooled and linear. MSDNet's have two convolutions of 128 channels. {}",
        match is_there(figures)? {
            true => {
                "In the control the baselines have MSDNet's, which also makes them larger (the table of the networks says by \
                 how much)."
            }
            false => {
                "No run separates the network from its classifier: the control, baselines with MSDNet's classifiers, is not \
                 trained yet."
            }
        }
    ))
}

/// Whether the control is among the figures, beside what it controls.
fn is_there(figures: &[Shown]) -> Result<bool> {
    Ok(!tables(figures)?.is_empty())
}

/// What trained the two: where it differs, more than the classifier changes.
fn trainings(main: &Shown, control: &Shown) -> Result<String> {
    let [own, other] = [main, control].map(stages::machine);
    let [one, two] =
        [main, control].map(|figure| kept::curves(&figure.folder.join("learning.csv")));
    let shared = match one?.intersection(&two?).count() {
        0 => "no training".to_string(),
        count => format!("{}, without an intermediate classifier", plural(count, "training")),
    };
    let msdnets = if main.experiment.networks.iter().any(|entry| entry.msdnet.is_some()) {
        " (MSDNet's included)"
    } else {
        ""
    };
    Ok(format!(
        "They share {shared}. Where the other trainings differ, more than the classifier changes: {other}; beside \
         {own}{msdnets}."
    ))
}

fn link(figure: &Shown) -> String {
    markdown::heading_link(&figure.name)
}

fn rows(main: &[Loss], control: &[Loss]) -> Vec<[String; 6]> {
    let of = |place: &[String; 3]| main.iter().find(|known| known.place == *place);
    let mut rows = Vec::new();
    for own in control.iter().filter(|own| own.place[0] != "MSDNet") {
        let Some(pooled) = of(&own.place) else { continue };
        let [curve, depth, reference] = own.place.clone();
        let msdnet = of(&["MSDNet".to_string(), depth.clone(), reference.clone()]);
        let told = |loss: &Loss| format!("{}, {}", loss.loss, loss.seeds);
        let msdnet = msdnet.map_or("-".to_string(), told);
        let (pooled, convolutional) = (told(pooled), told(own));
        rows.push([cell(&curve), depth, reference, pooled, convolutional, msdnet]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(curve: &str, depth: &str, reference: &str, loss: &str) -> Loss {
        let place = [curve, depth, reference].map(String::from);
        Loss { place, loss: loss.to_string(), seeds: "3".to_string() }
    }

    #[test]
    fn positions_of_both_stand_beside_each_other_and_beside_msdnets() {
        let main = [
            loss("ResNet", "0.11", "none", "0.07"),
            loss("ResNet", "0.33", "none", "0.06"),
            loss("MSDNet", "0.11", "none", "0.01"),
        ];
        let control = ["ResNet", "MSDNet"].map(|curve| loss(curve, "0.11", "none", "0.03"));
        let expected =
            ["ResNet", "0.11", "none", "0.07, 3", "0.03, 3", "0.01, 3"].map(String::from);
        assert_eq!(rows(&main, &control), [expected]);
    }
}
