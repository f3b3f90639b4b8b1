//! A YAML text as a tree whose scalars keep their spelling: a name such as 0.50 stays `0.50` when
//! another key is changed, and merge keys (`<<`) are written out.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_yaml::Value;

/// The key whose mappings are merged into the mapping that holds it.
pub const MERGE: &str = "<<";

/// A node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// What YAML takes it for, and its text.
    Scalar(Value, String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads a text; tags are not kept. An empty text is null.
    ///
    /// # Errors
    /// What the YAML parser says, with the line.
    pub fn read(text: &str) -> Result<Node, serde_yaml::Error> {
        if text.trim().is_empty() {
            return Ok(Node::Scalar(Value::Null, String::new()));
        }
        let shape: Value = serde_yaml::from_str(text)?;
        Shaped(&shape).deserialize(serde_yaml::Deserializer::from_str(text))
    }

    /// The same with every merge key written out. A key of the mapping itself comes before one
    /// that is merged into it, and of several merged mappings the first comes first.
    ///
    /// # Errors
    /// When what is merged is not a mapping or a list of mappings.
    pub fn merged(self) -> Result<Node> {
        match self {
            Node::Scalar(..) => Ok(self),
            Node::List(items) => {
                Ok(Node::List(items.into_iter().map(Node::merged).collect::<Result<_>>()?))
            }
            Node::Map(pairs) => {
                let mut own = Vec::new();
                let mut added = Vec::new();
                for (key, node) in pairs {
                    match (key.as_str(), node.merged()?) {
                        (MERGE, Node::Map(more)) => added.extend(more),
                        (MERGE, Node::List(items)) => {
                            for item in items {
                                let Node::Map(more) = item else { bail!(NO_MAPPING) };
                                added.extend(more);
                            }
                        }
                        (MERGE, Node::Scalar(..)) => bail!(NO_MAPPING),
                        (_, node) => own.push((key, node)),
                    }
                }
                for (key, node) in added {
                    if own.iter().all(|(known, _)| *known != key) {
                        own.push((key, node));
                    }
                }
                Ok(Node::Map(own))
            }
        }
    }

    /// Puts `new` in the place that `path` names, such as `networks.0.name`.
    ///
    /// # Errors
    /// When a part of the path is no place in a list, or lies below a plain value.
    pub fn set(&mut self, path: &str, new: Node) -> Result<()> {
        let mut place = self;
        for part in path.split('.') {
            if matches!(place, Node::Scalar(Value::Null, _)) {
                *place = Node::Map(Vec::new());
            }
            place = match place {
                Node::List(items) => {
                    let count = items.len();
                    let index = part.parse::<usize>().ok();
                    let item = index.and_then(|index| items.get_mut(index));
                    item.with_context(|| {
                        format!("\"{part}\" is no place in the list, which has {count} entries, counted from 0")
                    })?
                }
                Node::Map(pairs) => {
                    let at = pairs.iter().position(|(key, _)| key == part);
                    let at = at.unwrap_or_else(|| {
                        pairs.push((part.to_string(), Node::Scalar(Value::Null, String::new())));
                        pairs.len() - 1
                    });
                    &mut pairs[at].1
                }
                Node::Scalar(..) => bail!("\"{part}\" lies below a plain value"),
            };
        }
        *place = new;
        Ok(())
    }

    /// The value of a type that the tree describes.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        let mut text = String::new();
        self.write(0, &mut text);
        serde_yaml::from_str(&text).map_err(|mistake| {
            let mistake = mistake.to_string();
            // The line is one of this text and not of the file.
            let told = mistake.rsplit_once(" at line ").map_or(&*mistake, |(told, _)| told);
            anyhow!("{told}")
        })
    }

    /// Appends the node as YAML, behind the key or dash that it belongs to. A scalar that is not
    /// text keeps its spelling.
    fn write(&self, indent: usize, text: &mut String) {
        match self {
            Node::Scalar(Value::String(_), spelled) => *text += &format!(" {}\n", quoted(spelled)),
            Node::Scalar(_, spelled) => *text += &format!(" {spelled}\n"),
            Node::List(items) if items.is_empty() => *text += " []\n",
            Node::Map(pairs) if pairs.is_empty() => *text += " {}\n",
            Node::List(items) => {
                text.push('\n');
                for item in items {
                    *text += &format!("{:indent$}-", "");
                    item.write(indent + 1, text);
                }
            }
            Node::Map(pairs) => {
                text.push('\n');
                for (key, node) in pairs {
                    *text += &format!("{:indent$}{}:", "", quoted(key));
                    node.write(indent + 1, text);
                }
            }
        }
    }

    /// Whether there is a merge key anywhere.
    pub fn has_merge(&self) -> bool {
        match self {
            Node::Scalar(..) => false,
            Node::List(items) => items.iter().any(Node::has_merge),
            Node::Map(pairs) => pairs.iter().any(|(key, node)| key == MERGE || node.has_merge()),
        }
    }
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const NO_MAPPING: &str =
    "`<<` merges a mapping, or each of a list of mappings, as in `<<: *anchor` or `<<: [*a, *b]`";

/// Reads the text once more, knowing which nodes are scalars, since only who asks for a string is
/// given a scalar's text.
#[derive(Clone, Copy)]
struct Shaped<'a>(&'a Value);

impl<'de> DeserializeSeed<'de> for Shaped<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.0 {
            Value::Sequence(_) => deserializer.deserialize_seq(self),
            Value::Mapping(_) => deserializer.deserialize_map(self),
            Value::Tagged(tagged) => Shaped(&tagged.value).deserialize(deserializer),
            _ => deserializer.deserialize_str(self),
        }
    }
}

impl<'de> Visitor<'de> for Shaped<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the same value again")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Scalar(self.0.clone(), text.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        for shape in self.0.as_sequence().into_iter().flatten() {
            items.extend(seq.next_element_seed(Shaped(shape))?);
        }
        // The end is to be seen.
        seq.next_element::<serde::de::IgnoredAny>()?;
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut pairs = Vec::new();
        for shape in self.0.as_mapping().into_iter().flat_map(|mapping| mapping.values()) {
            if let Some(key) = map.next_key::<String>()? {
                pairs.push((key, map.next_value_seed(Shaped(shape))?));
            }
        }
        map.next_key::<serde::de::IgnoredAny>()?;
        Ok(Node::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tree(text: &str) -> Node {
        Node::read(text).unwrap().merged().unwrap()
    }

    type Names = BTreeMap<String, Vec<String>>;

    #[test]
    fn what_a_change_does_not_name_stays_as_it_was_written() {
        let text = "names: [0.50, 007, 1e3, 0x10, yes, ~, 'a', 2024-01-01, 1_000]\n";
        let mut tree = tree(text);
        tree.set("more", Node::read("[0.10]").unwrap()).unwrap();
        let names = tree.to::<Names>().unwrap();
        let as_written = ["0.50", "007", "1e3", "0x10", "yes", "~", "a", "2024-01-01", "1_000"];
        assert_eq!(names["names"], as_written);
        assert_eq!(names["more"], ["0.10"]);
    }

    #[test]
    fn a_change_reaches_into_mappings_and_lists() {
        let mut changed = tree("a: {b: [1, 2]}");
        changed.set("a.b.1", Node::read("5").unwrap()).unwrap();
        changed.set("c.d", Node::read("true").unwrap()).unwrap();
        assert_eq!(changed, tree("{a: {b: [1, 5]}, c: {d: true}}"));
        let far = changed.set("a.b.7", Node::read("1").unwrap()).unwrap_err();
        assert!(far.to_string().contains("which has 2 entries"), "{far}");
        let below = changed.set("c.d.e", Node::read("1").unwrap()).unwrap_err();
        assert!(below.to_string().contains("below a plain value"), "{below}");
    }

    #[test]
    fn merge_keys_are_written_out_and_own_keys_win() {
        let text = "- &a { x: 1, y: 1 }\n- &b { y: 2, z: 2 }\n- { <<: [*a, *b], z: 0.50 }\n- { w: 1, <<: *a }\n";
        assert_eq!(
            tree(text),
            tree("[{x: 1, y: 1}, {y: 2, z: 2}, {z: 0.50, x: 1, y: 1}, {w: 1, x: 1, y: 1}]")
        );
        let nested = "- &a { x: { p: 1 } }\n- &b { <<: *a, y: 1 }\n- { <<: *b }\n";
        assert_eq!(tree(nested), tree("[{x: {p: 1}}, {y: 1, x: {p: 1}}, {y: 1, x: {p: 1}}]"));
        for wrong in ["<<: 5", "<<: [5]", "<<: ~"] {
            let error = Node::read(wrong).unwrap().merged().unwrap_err().to_string();
            assert!(error.contains("merges a mapping"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_the_path_of_its_key() {
        let error = tree("a: {b: [1, [x]]}").to::<BTreeMap<String, BTreeMap<String, Vec<u8>>>>();
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("a.b[1]: invalid type"), "{error}");
    }
}
