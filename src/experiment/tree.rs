//! A YAML text as a value that can be changed, with its merge keys (`<<`) written out.

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

/// The key whose mappings are merged into the mapping that holds it.
pub const MERGE: &str = "<<";

const NO_MAPPING: &str =
    "`<<` merges a mapping, or each of a list of mappings, as in `<<: *anchor` or `<<: [*a, *b]`";

/// Reads a text. An empty one is null.
///
/// # Errors
/// What the YAML parser says, with the line; and when what is merged is not a mapping or a list of
/// mappings.
pub fn read(text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let mut value = serde_yaml::from_str(text)?;
    merge(&mut value).ok().context(NO_MAPPING)?;
    if let Ok(names) = serde_yaml::from_str::<Names>(text) {
        names.put_into(&mut value);
    }
    if let Ok(OfFolder { dataset }) = serde_yaml::from_str(text) {
        value["dataset"]["folder"] = dataset.folder.into();
    }
    Ok(value)
}

/// Writes the merge keys out. A key of the mapping itself comes before one that is merged into it,
/// and of several merged mappings the first comes first.
fn merge(value: &mut Value) -> Result<(), serde_yaml::Error> {
    match value {
        Value::Sequence(items) => items.iter_mut().try_for_each(merge)?,
        Value::Mapping(pairs) => pairs.values_mut().try_for_each(merge)?,
        Value::Tagged(tagged) => merge(&mut tagged.value)?,
        _ => {}
    }
    value.apply_merge()
}

/// The names of a file as it spells them: in a value, the name 0.50 is 0.5.
#[derive(Deserialize)]
struct Names {
    name: Option<String>,
    ensemble: Option<Vec<String>>,
    joined: Option<Vec<String>>,
    #[serde(default)]
    networks: Vec<Names>,
}

impl Names {
    fn put_into(self, value: &mut Value) {
        let Value::Mapping(pairs) = value else { return };
        pairs.extend(self.name.map(|name| ("name".into(), name.into())));
        pairs.extend(self.ensemble.map(|names| ("ensemble".into(), names.into())));
        pairs.extend(self.joined.map(|names| ("joined".into(), names.into())));
        let entries = pairs.get_mut("networks").and_then(Value::as_sequence_mut);
        for (entry, names) in entries.into_iter().flatten().zip(self.networks) {
            names.put_into(entry);
        }
    }
}

/// An experiment on an image folder, whose path is spelled as the file has it.
#[derive(Deserialize)]
struct OfFolder {
    dataset: Folder,
}

#[derive(Deserialize)]
struct Folder {
    folder: String,
}

/// Puts the value that `new` stands for in the place that `path` names, such as `networks.0.name`.
///
/// # Errors
/// When `new` is no YAML, or a part of the path is no place in a list or lies below a plain value.
pub fn set(tree: &mut Value, path: &str, new: &str) -> Result<()> {
    let mut place = tree;
    for part in path.split('.') {
        if place.is_null() {
            *place = Value::Mapping(Mapping::new());
        }
        place = match place {
            Value::Sequence(items) => {
                let count = items.len();
                let index = part.parse::<usize>().ok();
                let item = index.and_then(|index| items.get_mut(index));
                item.with_context(|| {
                    format!("\"{part}\" is no place in the list, which has {count} entries, counted from 0")
                })?
            }
            Value::Mapping(pairs) => pairs.entry(part.into()).or_insert(Value::Null),
            _ => bail!("\"{part}\" lies below a plain value"),
        };
    }
    let is_list = path.ends_with(".ensemble") || path.ends_with(".joined");
    if is_list && let Ok(names) = serde_yaml::from_str::<Vec<String>>(new) {
        *place = names.into();
        return Ok(());
    }
    let is_name = path.ends_with(".name") || path == "dataset.folder";
    *place = match serde_yaml::from_str::<String>(new) {
        Ok(name) if is_name => name.into(),
        // Not null, which would be read as a name of four letters.
        Err(_) if is_name && new.trim().is_empty() => "".into(),
        _ => read(new)?,
    };
    Ok(())
}

/// The value of a type that the tree describes.
///
/// # Errors
/// Names the key that is wrong.
pub fn to<T: DeserializeOwned>(tree: &Value) -> Result<T> {
    // Read from a text, since only a text's errors name the key.
    serde_yaml::from_str(&serde_yaml::to_string(tree)?).map_err(|mistake| {
        let mistake = mistake.to_string();
        // The line is one of this text and not of the file.
        let told = mistake.rsplit_once(" at line ").map_or(&*mistake, |(told, _)| told);
        anyhow!("{told}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_members_are_spelled_as_they_are_written() {
        let mut tree = read("dataset: { folder: 1.10 }\nnetworks: [{ ensemble: [0.50] }]").unwrap();
        assert_eq!(tree["dataset"]["folder"], "1.10");
        set(&mut tree, "dataset.folder", "2.20").unwrap();
        set(&mut tree, "networks.0.ensemble", "[0.50, 1e3]").unwrap();
        assert_eq!(tree["dataset"]["folder"], "2.20");
        assert_eq!(tree["networks"][0]["ensemble"], read("['0.50', '1e3']").unwrap());
    }

    #[test]
    fn a_change_reaches_into_mappings_and_lists() {
        let mut changed = read("a: {b: [1, 2]}").unwrap();
        set(&mut changed, "a.b.1", "5").unwrap();
        set(&mut changed, "c.d", "true").unwrap();
        assert_eq!(changed, read("{a: {b: [1, 5]}, c: {d: true}}").unwrap());
        let far = set(&mut changed, "a.b.7", "1").unwrap_err();
        assert!(far.to_string().contains("which has 2 entries"), "{far}");
        let below = set(&mut changed, "c.d.e", "1").unwrap_err();
        assert!(below.to_string().contains("below a plain value"), "{below}");
    }

    #[test]
    fn merge_keys_are_written_out_and_own_keys_win() {
        let text = "- &a { x: 1, y: 1 }\n- &b { y: 2, z: 2 }\n- { <<: [*a, *b], z: 3 }\n- { w: 1, <<: *a }\n";
        let written = "[{x: 1, y: 1}, {y: 2, z: 2}, {z: 3, x: 1, y: 1}, {w: 1, x: 1, y: 1}]";
        assert_eq!(read(text).unwrap(), read(written).unwrap());
        let nested = "- &a { x: 1 }\n- &b { <<: *a, y: 1 }\n- &c { z: 1 }\n- { <<: [*c, *b] }\n";
        let written = "[{x: 1}, {x: 1, y: 1}, {z: 1}, {x: 1, y: 1, z: 1}]";
        assert_eq!(read(nested).unwrap(), read(written).unwrap());
        for wrong in ["<<: 5", "<<: [5]", "<<: ~"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("merges a mapping"), "{wrong}: {error}");
        }
    }
}
