//! Reading YAML so that a mistake is named with its key, its line and the nearest right word.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::builtin::BUILT_IN;
use super::entry::{Bare, Member};
use super::explain::explain;
use super::file::Experiment;
use super::repeats::check_repeats;
use super::tree::{self, MERGE};
use crate::data::{Dataset, did_you_mean};
use crate::models::{KEYS, NetworkConfig};

/// An experiment by path or by the name of a built-in one, with `key=value` changes applied; and
/// its name.
///
/// # Errors
/// Names the file, and the key and line in it.
pub fn load(which: &str, changes: &[String]) -> Result<(String, Experiment)> {
    let (name, text) = find(which)?;
    let experiment =
        parse_changed(&text, changes).with_context(|| format!("in experiment {which}"))?;
    experiment
        .validate()
        .and_then(|()| check_beside(&name, &experiment))
        .with_context(|| format!("in experiment {which}"))?;
    Ok((name, experiment))
}

/// What the experiment called `name` stands beside is another one, of the same figure where it is built in. Any
/// other name may be that of somebody's own results.
fn check_beside(name: &str, experiment: &Experiment) -> Result<()> {
    let Some(judge) = experiment.beside.as_deref() else {
        return Ok(());
    };
    ensure!(
        judge != name,
        "beside: \"{judge}\" is this experiment itself; name the one that judges the claims, or leave the key out"
    );
    let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == judge) else {
        return Ok(());
    };
    let (other, own) = (parse::<Experiment>(text)?.figure, experiment.figure);
    ensure!(
        other == own,
        "beside: \"{judge}\" is an experiment for {other}, and this one is for {own}; name one for {own}"
    );
    Ok(())
}

/// The file that `which` names: a path, or a name in `experiments/`; none for a built-in experiment.
pub fn file_of(which: &str) -> Option<PathBuf> {
    let looks_like_path =
        which.contains('/') || which.ends_with(".yaml") || which.ends_with(".yml");
    if looks_like_path {
        return Some(which.into());
    }
    let beside = Path::new("experiments").join(format!("{which}.yaml"));
    let is_built_in = BUILT_IN.iter().any(|(name, _)| *name == which);
    // Any other file can be meant by its name alone.
    let files = [Some(beside), (!is_built_in).then(|| which.into())];
    files.into_iter().flatten().find(|file| file.is_file())
}

fn find(which: &str) -> Result<(String, String)> {
    if let Some(file) = file_of(which) {
        let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or("experiment").to_string();
        ensure!(
            ![".", ".."].contains(&&*name),
            "{which}: results lie in a folder of the file's name without its ending, and \"{name}\" is no folder's name"
        );
        return Ok((name, read_text(&file.display().to_string())?));
    }
    let found = BUILT_IN.iter().find(|(name, _)| *name == which);
    match found {
        Some((name, text)) => Ok(((*name).to_string(), (*text).to_string())),
        None => {
            let names = BUILT_IN.iter().map(|(name, _)| *name);
            let hint = did_you_mean(which, names);
            bail!(
                "no experiment is called \"{which}\"{hint} (`repro experiments list` shows all; a path works too)"
            )
        }
    }
}

/// The text of a file, or of standard input for `-`.
///
/// # Errors
/// Names the file.
pub fn read_text(path: &str) -> Result<String> {
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin().read_to_end(&mut bytes).context("reading standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    }
    let shown = if path == "-" { "standard input" } else { path };
    text_of(bytes).with_context(|| format!("{shown} is not text"))
}

/// Text of UTF-8 with or without a byte order mark.
fn text_of(mut bytes: Vec<u8>) -> Result<String> {
    ensure!(
        !bytes.starts_with(&[0xff, 0xfe]) && !bytes.starts_with(&[0xfe, 0xff]),
        "it is UTF-16, as its byte order mark says; save it as UTF-8"
    );
    if bytes.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes)
        .map_err(|e| anyhow!("byte {} is not UTF-8", e.utf8_error().valid_up_to()))
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

fn parse_changed(text: &str, changes: &[String]) -> Result<Experiment> {
    // Checked first as it stands, so that the error about a mistake in the file has its line.
    let unchanged: Experiment = parse(text)?;
    if changes.is_empty() {
        return Ok(unchanged);
    }
    let mut tree = tree::read(text)?;
    for change in changes {
        let context = || format!("--set {change}");
        let (key, new) = change.split_once('=').with_context(|| {
            format!("--set {change}: expected key=value, such as training.epochs=3")
        })?;
        ensure!(
            !new.trim().is_empty() || key.ends_with(".name"),
            "--set {change}: there is no value (is a variable unset?); {key}=null takes the key away"
        );
        check_repeats(new).with_context(context)?;
        tree::set(&mut tree, key, new).with_context(context)?;
    }
    tree::to(&tree).map_err(|mistake| {
        anyhow!("after --set {}: {}", changes.join(" --set "), explain(&mistake.to_string()))
    })
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    ensure!(!text.trim().is_empty(), "the file is empty");
    check_repeats(text)?;
    // Only where there are merge keys, since a tree does not know its lines.
    let read = if text.contains(MERGE) {
        tree::read(text).and_then(|tree| tree::to(&tree))
    } else {
        serde_yaml::from_str(text).map_err(anyhow::Error::from)
    };
    read.map_err(|error| anyhow!("{}", explain(&with_tab(error.to_string(), text))))
}

/// The parser does not say that what it cannot read is a tab.
fn with_tab(message: String, text: &str) -> String {
    let begins_with_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let line = text.lines().position(begins_with_tab);
    match line.filter(|_| message.contains("cannot start any token")) {
        Some(line) => format!("line {} begins with a tab; YAML is indented by spaces", line + 1),
        None => message,
    }
}

/// Networks with their names.
pub type NamedNetworks = Vec<(String, NetworkConfig)>;

/// The networks of `path`, which holds one network, a list of them or an experiment; `-` = standard
/// input. Also the data set, if it names one.
///
/// # Errors
/// Names the file, and the key and line in it.
pub fn load_networks(path: &str) -> Result<(NamedNetworks, Option<Dataset>)> {
    networks_of(&network_text(path)?).with_context(|| format!("in {path}"))
}

/// The text of a file, of standard input (`-`), or of a built-in experiment.
///
/// # Errors
/// Names what cannot be read.
pub fn network_text(path: &str) -> Result<String> {
    let is_file = path == "-" || Path::new(path).is_file() || path.contains(['/', '.']);
    if is_file { read_text(path) } else { Ok(find(path)?.1) }
}

/// As [`load_networks`], from the text itself.
///
/// # Errors
/// Names the key and line.
pub fn networks_of(text: &str) -> Result<(NamedNetworks, Option<Dataset>)> {
    let value: Value = parse(text)?;
    let Value::Mapping(map) = &value else {
        bail!("expected a network (one of {}) or an experiment", KEYS.join(", "))
    };
    let is_list = map.keys().all(|key| matches!(key.as_str(), Some("dataset" | "networks")));
    if is_list && map.contains_key("networks") {
        return list(text);
    }
    if map.contains_key("figure") || map.contains_key("networks") {
        let experiment: Experiment = parse(text)?;
        experiment.validate()?;
        let named = experiment.members()?;
        let networks = named.into_iter().filter_map(|n| match n.member {
            Member::Network(config) => Some((n.name, config)),
            _ => None,
        });
        return Ok((networks.collect(), Some(experiment.dataset)));
    }
    Ok((vec![named(parse(text)?)?], None))
}

/// Networks without a figure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    dataset: Option<Dataset>,
    networks: Vec<Bare>,
}

fn list(text: &str) -> Result<(NamedNetworks, Option<Dataset>)> {
    let List { dataset, networks } = parse(text)?;
    ensure!(!networks.is_empty(), "networks: there is none");
    let mut all = NamedNetworks::new();
    for (number, bare) in networks.into_iter().enumerate() {
        let one = named(bare).with_context(|| format!("in network {}", number + 1))?;
        let is_new = all.iter().all(|(name, _)| *name != one.0);
        ensure!(is_new, "networks: two are called \"{}\"; give each a `name` of its own", one.0);
        all.push(one);
    }
    Ok((all, dataset))
}

/// A network and its name, or what tells its kind and size.
fn named(bare: Bare) -> Result<(String, NetworkConfig)> {
    ensure!(
        bare.name.as_ref().is_none_or(|name| !name.trim().is_empty()),
        "name: it is empty; leave the key out, or name the network"
    );
    let config = bare.network()?;
    let config = config.with_context(|| {
        format!("expected one of {} (with nothing to set: `mobilenet: {{}}`)", KEYS.join(", "))
    })?;
    Ok((bare.name.unwrap_or_else(|| config.short_name()), config))
}

/// Whether a text gives `key` of a network of the family `family`, itself or by a merge.
///
/// # Errors
/// When the text is no YAML.
pub fn gives(text: &str, family: &str, key: &str) -> Result<bool> {
    fn found(value: &Value, family: &str, key: &str) -> bool {
        match value {
            Value::Mapping(pairs) => pairs.iter().any(|(name, inner)| {
                let is_own = name.as_str() == Some(family) && inner.get(key).is_some();
                is_own || found(inner, family, key)
            }),
            Value::Sequence(items) => items.iter().any(|item| found(item, family, key)),
            _ => false,
        }
    }
    Ok(found(&parse(text)?, family, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_passed_over_and_other_encodings_are_told() {
        assert_eq!(text_of(b"\xef\xbb\xbfa: 1".to_vec()).unwrap(), "a: 1");
        let wide = text_of(b"\xff\xfea\0:\0".to_vec()).unwrap_err().to_string();
        assert!(wide.contains("UTF-16") && wide.contains("save it as UTF-8"), "{wide}");
        assert!(text_of(vec![b'a', 0xe4]).unwrap_err().to_string().contains("byte 1"));
    }

    #[test]
    fn a_key_is_found_where_its_family_has_it_and_nowhere_else() {
        let gives = |text: &str| gives(text, "mobilenet", "stem").unwrap();
        assert!(gives("mobilenet: { stem: cifar }"));
        assert!(gives("networks: [{ name: a, mobilenet: { stem: imagenet } }]"));
        assert!(gives("x: &x { stem: imagenet }\nmobilenet: { <<: *x, width: 0.5 }"));
        for other in
            ["# stem\nmobilenet: {}", "name: system\nmobilenet: {}", "msdnet: { stem: cifar }"]
        {
            assert!(!gives(other), "{other}");
        }
    }

    #[test]
    fn a_list_of_networks_needs_no_figure_and_tells_its_mistakes() {
        let of = |text: &str| {
            networks_of(text).map(|(all, dataset)| {
                let names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
                (names, dataset)
            })
        };
        let two = "networks: [{ name: A, mobilenet: {} }, { resnet: { blocks_per_stage: 1 } }]";
        let names = vec!["A".to_string(), "resnet-8-1exits-c16".to_string()];
        assert_eq!(of(two).unwrap(), (names.clone(), None));
        let with = of(&format!("dataset: cifar10\n{two}")).unwrap();
        assert_eq!(with, (names, Some("cifar10".parse().unwrap())));
        let said = |text: &str| format!("{:#}", of(text).unwrap_err());
        let twins = said("networks: [{ mobilenet: {} }, { mobilenet: {} }]");
        assert!(twins.contains("two are called") && twins.contains("`name`"), "{twins}");
        assert!(said("networks: []").contains("there is none"));
        assert!(said("networks: [{ name: A }]").contains("in network 1: expected one of msdnet"));
        // Any other key is an experiment's, which has a figure.
        let other = said("seeds: [0]\nnetworks: [{ name: A, mobilenet: {} }]");
        assert!(other.contains("missing field `figure`"), "{other}");
    }

    const NAMED: &str = "figure: anytime
dataset: synthetic
training: &t { epochs: 1 }
networks:
  - { name: 0.5, resnet: &r { blocks_per_stage: 1, channels: 4, exits_after: [2] } }
  - { name: 0.50, resnet: { <<: *r, channels: 8 } }
  - { name: Both, joined: [0.5, 0.50] }
";

    fn names(changes: &[&str]) -> Vec<String> {
        let changes: Vec<String> = changes.iter().map(|c| c.to_string()).collect();
        let experiment = parse_changed(NAMED, &changes).unwrap();
        experiment.networks.into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_change_leaves_names_and_merged_keys_as_they_were_written() {
        assert_eq!(names(&[]), ["0.5", "0.50", "Both"]);
        assert_eq!(names(&["training.batch_size=64"]), ["0.5", "0.50", "Both"]);
        assert_eq!(names(&["seeds=[0, 1]", "networks.0.name=1e3"]), ["1e3", "0.50", "Both"]);
        let experiment = parse_changed(NAMED, &["networks.0.resnet.channels=6".into()]).unwrap();
        let channels = |at: usize| experiment.networks[at].resnet.clone().unwrap().channels;
        assert_eq!((channels(0), channels(1)), (6, 8));
        let both = experiment.networks[2].joined.as_deref();
        assert_eq!(both, Some(&["0.5".to_string(), "0.50".to_string()][..]));
    }

    #[test]
    fn an_experiment_stands_beside_another_one_of_its_figure() {
        let said = |judge: &str| {
            let experiment = parse::<Experiment>(&format!("beside: {judge}\n{NAMED}")).unwrap();
            check_beside("own", &experiment).err().map_or(String::new(), |e| e.to_string())
        };
        assert!(said("own").contains("\"own\" is this experiment itself"), "{}", said("own"));
        let other = said("fig-intermediate-quick");
        assert!(other.contains("is an experiment for fig-intermediate"), "{other}");
        assert!(other.contains("name one for anytime"), "{other}");
        for fine in ["smoke", "somebodys-own"] {
            assert_eq!(said(fine), "");
        }
    }

    #[test]
    fn tabs_are_explained_wherever_yaml_does_not_take_them() {
        for text in ["a:\n\tb: 1\n", "a:\n  - b: 1\n\t  c: 2\n", "a: {\n\tb: 1\n}\n", "\ta: 1\n"] {
            let read = parse::<Value>(text);
            let told = read.as_ref().is_err_and(|e| e.to_string().contains("indented by spaces"));
            assert!(read.is_ok() || told, "{text:?}: {read:?}");
        }
        assert!(parse::<Value>("a:\t1\n").is_ok());
    }
}
