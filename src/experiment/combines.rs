//! The key `combine` of an entry: one rule, or several with a curve each.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::eval::combine::Combine;

/// Ways to combine exits, each a curve of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Combines(pub Vec<Combine>);

impl<'de> Deserialize<'de> for Combines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Combines;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let known = Combine::ALL.map(Combine::name).join(", ");
        write!(f, "one of {known}, or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Combines, E> {
        name.parse().map(|rule| Combines(vec![rule])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rules: A) -> Result<Combines, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(rules)).map(Combines)
    }
}

impl JsonSchema for Combines {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Combines".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Combine>();
        json_schema!({
            "description": "One way to combine exits, or several with a curve each.",
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_and_a_list_are_read_and_anything_else_is_named() {
        let read = |text: &str| serde_yaml::from_str::<Combines>(text).map(|c| c.0);
        assert_eq!(read("mean").unwrap(), [Combine::Mean]);
        assert_eq!(read("[single, mie]").unwrap(), [Combine::Single, Combine::Mie]);
        let error = read("sum").unwrap_err().to_string();
        assert!(error.contains("unknown way to combine exits `sum`"), "{error}");
        assert!(read("3").unwrap_err().to_string().contains("one of single, mean"));
    }
}
