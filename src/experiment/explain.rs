//! What YAML and serde say of a mistake, in words for whoever wrote the file, with the nearest
//! right word and the way out.

use schemars::schema_for;

use super::file::Experiment;
use crate::data::nearest;

/// What a type of the program is called in a file.
const EXPECTED: &[(&str, &str)] = &[
    ("struct Experiment", "keys, such as `figure: anytime` (with a space after the colon)"),
    ("struct variant RateSchedule::Step", "a mapping, such as { at: [0.5, 0.75], factor: 0.1 }"),
    ("struct variant RateSchedule::Cosine", "a mapping, such as { warm_up: 5 }"),
    ("enum RateSchedule", "a mapping, such as { cosine: {} }"),
    ("enum Spacing", "a mapping, such as { even: 2 }"),
    ("map with a single key", "one key alone, not several"),
    ("struct variant", "a mapping, such as { cosine: {} }"),
    ("newtype variant", "a mapping, such as { even: 2 }"),
    ("struct Training", "a mapping, such as { epochs: 3 }"),
    ("struct Augmentation", "a mapping, such as { crop: 4, flip: true }"),
    ("struct Entry", "a mapping, such as { name: A, resnet: { blocks_per_stage: 3 } }"),
    ("struct Config", "a mapping of the network's keys"),
    ("a sequence", "a list, as in [1, 2] or with a dash before each entry"),
    ("any YAML value", "a number that fits"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0"),
    ("usize", "a whole number from 0"),
    ("f64", "a number"),
];

/// The message with the way out, where there is one.
pub fn explain(message: &str) -> String {
    let mut text = message.to_string();
    for (program, file) in EXPECTED {
        text = text.replace(&format!("expected {program}"), &format!("expected {file}"));
    }
    text = text.replace("unit variant", "a name alone").replace("` as u128", "`");
    match way_out(message) {
        Some(way) => format!("{text}; {way}"),
        None => text,
    }
}

fn way_out(message: &str) -> Option<String> {
    if message.contains("found a tab character") {
        return Some("YAML is indented by spaces".to_string());
    }
    let unknown = message.contains("unknown ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (wrong, right) = quoted.split_first().filter(|_| unknown)?;
    if message.contains("unknown field")
        && !wrong.is_empty()
        && wrong.chars().all(|c| c.is_ascii_digit())
    {
        return Some("a decimal number has a point, such as 0.1, not a comma".to_string());
    }
    if right.contains(&"dataset") && keys_of_training().iter().any(|key| key == wrong) {
        return Some(format!("did you mean `training.{wrong}`?"));
    }
    if right.contains(&"epochs") && keys_of_experiment().iter().any(|key| key == wrong) {
        return Some(format!("`{wrong}` stands beside `training`, not in it"));
    }
    let near = nearest(wrong, right.iter().copied())?;
    Some(format!("did you mean `{near}`?"))
}

/// The path of a key of the experiment or of its training, such as `training.epochs`.
pub fn key_path(key: &str) -> Option<String> {
    if keys_of_training().iter().any(|known| known == key) {
        return Some(format!("training.{key}"));
    }
    let known = keys_of_experiment().into_iter().find(|known| known == key);
    known.filter(|key| key != "figure" && key != "networks")
}

fn keys_of_experiment() -> Vec<String> {
    keys("/properties")
}

fn keys_of_training() -> Vec<String> {
    keys("/$defs/Training/properties")
}

fn keys(pointer: &str) -> Vec<String> {
    let schema = schema_for!(Experiment);
    let properties = schema.pointer(pointer).and_then(|p| p.as_object());
    properties.map_or(Vec::new(), |p| p.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_types() {
        assert_eq!(key_path("epochs").as_deref(), Some("training.epochs"));
        assert_eq!(key_path("seeds").as_deref(), Some("seeds"));
        assert_eq!(key_path("networks"), None);
        assert_eq!(key_path("colour"), None);
    }
}
