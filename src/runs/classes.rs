//! The classes of a run on an image folder. A network answers with numbers, and the folder that gave them names is not
//! on every machine, or is another one of the same path: so the run keeps them.

use anyhow::{Context, Result};

use crate::data::{Dataset, Facts};

/// The facts of a data set; of an image folder those that the classes `kept` give, whatever lies there now.
///
/// # Errors
/// When no classes were kept and the folder is not here.
pub fn facts(dataset: &Dataset, kept: Option<&[String]>) -> Result<Facts> {
    match (kept, dataset) {
        (Some(kept), Dataset::Folder(_)) => Ok(Facts::of_image_folder(kept.len())),
        _ => dataset.facts().with_context(|| needed(dataset)),
    }
}

/// What is wrong where the images of a run are not here.
pub fn needed(dataset: &Dataset) -> String {
    match dataset {
        Dataset::Folder(path) if path.is_relative() => format!(
            "the run needs the image folder of its training: {}, relative to the working directory",
            path.display()
        ),
        _ => format!("the run needs the images of its training: {dataset}"),
    }
}

/// The first class in which the folder that is here differs from the classes that the run kept; none where
/// they agree or no folder is here.
pub fn difference(dataset: &Dataset, kept: &[String]) -> Option<String> {
    let Dataset::Folder(path) = dataset else { return None };
    first_difference(kept, &dataset.folder_classes()?, &path.join("train").display().to_string())
}

fn first_difference(kept: &[String], here: &[String], place: &str) -> Option<String> {
    let most = kept.len().max(here.len());
    let label = (0..most).find(|&label| kept.get(label) != here.get(label))?;
    Some(match (kept.get(label), here.get(label)) {
        (Some(kept), Some(here)) => {
            format!("class {label} is \"{kept}\" in the run and \"{here}\" in {place}")
        }
        (Some(kept), None) => format!("class {label} of the run, \"{kept}\", is not in {place}"),
        (None, here) => {
            let here = here.map_or("", String::as_str);
            format!("class {label} in {place}, \"{here}\", is none of the run")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_differs_is_named() {
        let told = |kept: &[&str], here: &[&str]| {
            let [kept, here] = [kept, here].map(|names| names.iter().map(|n| (*n).to_string()));
            first_difference(&kept.collect::<Vec<_>>(), &here.collect::<Vec<_>>(), "pets/train")
        };
        assert_eq!(told(&["cat", "dog"], &["cat", "dog"]), None);
        let other = told(&["cat", "dog", "owl"], &["cat", "fox", "owl"]).unwrap();
        assert_eq!(other, "class 1 is \"dog\" in the run and \"fox\" in pets/train");
        let fewer = told(&["cat", "dog"], &["cat"]).unwrap();
        assert_eq!(fewer, "class 1 of the run, \"dog\", is not in pets/train");
        let more = told(&["cat"], &["cat", "dog"]).unwrap();
        assert_eq!(more, "class 1 in pets/train, \"dog\", is none of the run");
    }

    #[test]
    fn an_image_folder_has_the_facts_of_the_classes_that_were_kept() {
        let dataset = Dataset::Folder("no/such".into());
        let kept = ["cat", "dog"].map(String::from);
        let found = facts(&dataset, Some(&kept)).unwrap();
        assert_eq!((found.classes, found.channels, found.side), (2, 3, 224));
        assert_eq!(difference(&dataset, &kept), None);
        let error = format!("{:#}", facts(&dataset, None).unwrap_err());
        assert!(error.contains("no/such, relative to the working directory"), "{error}");
        assert!(error.contains("cannot list no/such/train"), "{error}");
        assert_eq!(facts(&Dataset::Cifar10, Some(&kept)).unwrap().classes, 10);
    }
}
