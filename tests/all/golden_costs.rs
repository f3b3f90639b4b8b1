//! Costs and parameters against the reference port's, to the unit.

use repro::cost;
use serde_json::Value;

use super::golden::{counted, json_files, network_of};

#[test]
fn golden_costs_of_every_exit_are_the_references_to_the_unit() {
    let mut checked = 0;
    for (file, golden) in json_files() {
        let Some(entries) = golden.as_object() else {
            continue;
        };
        for (name, entry) in entries {
            if entry.get("config").is_some() && entry["exits"][0].get("peer_ops").is_some() {
                check(entry, &format!("{}, {name}", file.display()));
                checked += 1;
            }
        }
    }
    counted("costs of networks", checked);
}

fn check(golden: &Value, context: &str) {
    let (config, input) = network_of(&golden["config"]);
    let network = config.build(input).unwrap_or_else(|e| panic!("{context}: {e:#}"));
    assert_eq!(config.depth().unwrap() as u64, golden["layers"].as_u64().unwrap(), "{context}");
    let ours = cost::table(&network);
    let exits = golden["exits"].as_array().unwrap();
    assert_eq!(ours.len(), exits.len(), "{context}: number of exits");
    for (exit, (ours, golden)) in ours.iter().zip(exits).enumerate() {
        let pairs = [
            ("params_cumulative", ours.parameters),
            ("conv_linear_macs", ours.multiply_adds_eager),
            ("lazy_macs_anytime", ours.multiply_adds),
            ("lazy_macs_single", ours.multiply_adds_single),
            ("lazy_peer_ops_anytime", cost::port_operations(&network, exit)),
        ];
        for (key, value) in pairs {
            assert_eq!(value, golden[key].as_u64().unwrap(), "{context}, exit {}, {key}", exit + 1);
        }
    }
    let total = ours.last().unwrap().parameters;
    assert_eq!(total, golden["total_params"].as_u64().unwrap(), "{context}: parameters");
}
