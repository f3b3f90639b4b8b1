//! What a figure's `run.json` must have.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::data::plural;

/// What a value of `run.json` must be, in words and as a test.
type Form = (&'static str, fn(&Value) -> bool);

const TEXT: Form = ("a text", Value::is_string);
const SECONDS: Form = ("a number of seconds", is_seconds);
const NAMES: Form = ("a list of names", |value| is_list(value, Value::is_string));
const TIMES: Form = ("a list of numbers of seconds", |value| is_list(value, is_seconds));
/// A list, or its one value.
const LISTED: Form = ("a text, a number or a list", |value| !value.is_boolean());

/// What the page tells of every figure.
const NEEDED: [(&str, Form); 12] = [
    ("program", TEXT),
    ("libtorch", TEXT),
    ("ended", TEXT),
    ("commit", LISTED),
    ("device", LISTED),
    ("processor", LISTED),
    ("threads", LISTED),
    ("training_data", TEXT),
    ("test_data", TEXT),
    ("training_seconds", SECONDS),
    ("runs", NAMES),
    ("seconds_of_runs", TIMES),
];

/// What need not be known, or is not there in results of older programs.
const OPTIONAL: [(&str, Form); 3] = [
    ("dirty", ("true or false", Value::is_boolean)),
    ("missing", NAMES),
    ("runs_by_device", ("a list of devices with their runs", |value| is_list(value, is_device))),
];

fn is_list(value: &Value, is_one: fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|values| values.iter().all(is_one))
}

fn is_seconds(value: &Value) -> bool {
    value.as_f64().is_some_and(|seconds| seconds >= 0.0)
}

fn is_device(entry: &Value) -> bool {
    let is_named = ["device", "processor"].iter().all(|key| entry[*key].is_string());
    is_named && entry["runs"].is_u64() && entry["seeds"].is_array()
}

/// Refuses a `run.json` of which the page would tell nothing, or something else.
pub(super) fn check(run: &Value) -> Result<()> {
    let is_there = |row: &&(&str, Form)| !run[row.0].is_null();
    for (key, (form, is_right)) in NEEDED.iter().chain(OPTIONAL.iter().filter(is_there)) {
        let value = &run[*key];
        ensure!(!value.is_null(), "run.json: key `{key}` is missing");
        ensure!(is_right(value), "run.json: key `{key}` is not {form}");
    }
    let count = |key: &str| run[key].as_array().map_or(0, Vec::len);
    let (runs, times) = (count("runs"), count("seconds_of_runs"));
    ensure!(
        runs == times,
        "run.json: key `seconds_of_runs` has {times} of {}",
        plural(runs, "run")
    );
    Ok(())
}
