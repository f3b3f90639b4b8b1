//! The JSON Schema of experiment files.

use std::path::Path;

use serde_json::Value;

use super::session::succeed;

fn committed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_committed_schema_is_the_programs() {
    let folder = tempfile::tempdir().unwrap();
    let now = succeed(folder.path(), &["config", "schema"]);
    assert!(now == committed("schema.json"), "run `repro config schema > experiments/schema.json`");
}

#[test]
fn the_schema_accepts_every_shipped_experiment_and_refuses_mistakes() {
    let schema: Value = serde_json::from_str(&committed("schema.json")).unwrap();
    for (name, text) in repro::experiment::BUILT_IN {
        let experiment: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(fault(&schema, &schema, &experiment), None, "{name}");
    }
    let unquoted: Value =
        serde_yaml::from_str("{name: S, squeezenet: {form: 1.1, exits_after: [2]}}").unwrap();
    assert_eq!(fault(&schema, &schema["$defs"]["Entry"], &unquoted), None);
    let mistakes = [
        ("dataset", serde_json::json!("cifar-100")),
        ("dataset", serde_json::json!({ "folder": "x", "classes": 3 })),
        ("figure", serde_json::json!("fig5")),
        ("seed", serde_json::json!(0)),
        ("training", serde_json::json!({ "epochs": 1, "precision": "fp8" })),
        ("training", serde_json::json!({ "epochs": 1, "augmentation": { "flips": true } })),
    ];
    let (_, smoke) = repro::experiment::BUILT_IN.iter().find(|(name, _)| *name == "smoke").unwrap();
    for (key, wrong) in mistakes {
        let mut experiment: Value = serde_yaml::from_str(smoke).unwrap();
        experiment[key] = wrong.clone();
        assert!(fault(&schema, &schema, &experiment).is_some(), "{key}: {wrong}");
    }
}

/// The first thing in which `value` breaks `schema`, by the keywords that our schema uses.
fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(target) = schema["$ref"].as_str()
        && let Some(fault) = fault(root, root.pointer(&target[1..]).unwrap(), value)
    {
        return Some(fault);
    }
    for (key, wanted) in [("anyOf", 1..=usize::MAX), ("oneOf", 1..=1)] {
        if let Some(choices) = schema[key].as_array() {
            let fitting = choices.iter().filter(|c| fault(root, c, value).is_none()).count();
            if !wanted.contains(&fitting) {
                return Some(format!("{value} fits {fitting} of {key}"));
            }
        }
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        return Some(format!("{value} is none of {known:?}"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Some(format!("{value} is not {}", schema["const"]));
    }
    if !has_type(&schema["type"], value) {
        return Some(format!("{value} is not a {}", schema["type"]));
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| fault(root, &schema["items"], item));
    }
    let map = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten();
    let mut missing = required.filter(|key| !map.contains_key(key.as_str().unwrap()));
    if let Some(key) = missing.next() {
        return Some(format!("{key} is missing"));
    }
    map.iter().find_map(|(key, inner)| match schema["properties"].get(key) {
        Some(property) => fault(root, property, inner),
        None if schema["additionalProperties"] == false => Some(format!("{key} is unknown")),
        None => None,
    })
}

fn has_type(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match types {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}
