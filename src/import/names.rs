//! Which of a file's state dicts is meant, and what stands before its names.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Result, bail};
use tch::Tensor;

/// A dictionary of tensors in a file.
#[derive(Debug)]
pub struct State {
    /// The key that leads to it, such as `state_dict`; empty for the file's outermost dictionary.
    pub key: String,
    /// Its tensors by name.
    pub tensors: Vec<(String, Tensor)>,
}

/// Parts of names that wrappers add: data-parallel training, `torch.compile`, sharded training and
/// activation checkpointing.
const WRAPPERS: [&str; 4] =
    ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Number of updates of an average of weights, kept beside them by `torch.optim.swa_utils`.
const AVERAGED: &str = "n_averaged";

/// Prefixes that are tried.
const TRIED: usize = 16;

/// The state dict that is taken.
pub struct Chosen {
    /// Its key.
    key: String,
    /// Keys of the others.
    others: Vec<String>,
    /// What stood before the names, wrappers aside.
    prefix: String,
    /// Tensors by bare names.
    pub tensors: Vec<(String, Tensor)>,
    /// Names that do not begin with the prefix.
    pub left_over: Vec<String>,
}

impl Chosen {
    /// What is taken, where that is not all of the file.
    pub fn describe(&self) -> Option<String> {
        let others = self.others.iter().filter(|key| !key.is_empty());
        let quoted: Vec<String> = others.map(|key| shown(key)).collect();
        let (key, others) = (shown(&self.key), quoted.join(", "));
        let which = (!quoted.is_empty())
            .then(|| format!("of the tensors under {key}; also there: {others}"));
        let prefix = (!self.prefix.is_empty())
            .then(|| format!("without the prefix `{}` of their names", self.prefix));
        let passed = (!self.left_over.is_empty()).then(|| {
            let names = few(self.left_over.iter().map(String::as_str));
            format!("without others beside them ({names})")
        });
        let told: Vec<String> = [which, prefix, passed].into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

fn shown(key: &str) -> String {
    if key.is_empty() { "no key".to_string() } else { format!("`{key}`") }
}

/// The state dict that holds most of the `wanted` names. Of equals one that is not called an
/// average, and then the first.
///
/// # Errors
/// When no name is wanted; shows what the file has in their place.
pub fn choose(wanted: &[String], states: Vec<State>) -> Result<Chosen> {
    let known: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let mut best: Option<(usize, String, (usize, bool))> = None;
    for (place, state) in states.iter().enumerate() {
        let names: Vec<String> = state.tensors.iter().map(|(name, _)| unwrapped(name)).collect();
        let (prefix, found) = best_prefix(wanted, &known, &names);
        let score = (found, !state.key.contains("ema"));
        if best.as_ref().is_none_or(|(_, _, least)| score > *least) {
            best = Some((place, prefix, score));
        }
    }
    let (place, prefix) = match best {
        Some((place, prefix, (1.., _))) => (place, prefix),
        _ => bail!(no_name(wanted, &states)),
    };
    let keys: Vec<String> = states.iter().map(|state| state.key.clone()).collect();
    let others = keys.iter().enumerate().filter(|(at, _)| *at != place);
    let others = others.map(|(_, key)| key.clone()).collect();
    let (mut tensors, mut left_over) = (Vec::new(), Vec::new());
    for (name, tensor) in states.into_iter().nth(place).into_iter().flat_map(|s| s.tensors) {
        match unwrapped(&name).strip_prefix(&prefix) {
            Some(bare) => tensors.push((bare.to_string(), tensor)),
            None if name == AVERAGED => {}
            None => left_over.push(name),
        }
    }
    tensors.retain(|(name, _)| name != AVERAGED || known.contains(AVERAGED));
    Ok(Chosen { key: keys[place].clone(), others, prefix, tensors, left_over })
}

/// A name without the parts that wrappers add, wherever they are.
fn unwrapped(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    parts.join(".")
}

/// What stands before most of the wanted names, and how many they are.
fn best_prefix(wanted: &[String], known: &HashSet<&str>, names: &[String]) -> (String, usize) {
    let mut prefixes = BTreeSet::from([(0, "")]);
    for last in wanted.iter().take(3) {
        for name in names {
            if let Some(before) = name.strip_suffix(last.as_str())
                && before.ends_with('.')
            {
                prefixes.insert((before.len(), before));
            }
        }
    }
    let mut best = ("", (0, false));
    for (_, prefix) in prefixes.into_iter().take(TRIED) {
        let bare = names.iter().filter_map(|name| name.strip_prefix(prefix));
        let found = bare.filter(|name| known.contains(name)).count();
        // Of equals one that is not called an average, and then the shortest.
        let score = (found, !prefix.contains("ema"));
        if found > 0 && score > best.1 {
            best = (prefix, score);
        }
    }
    let (prefix, (found, _)) = best;
    (prefix.to_string(), found)
}

fn no_name(wanted: &[String], states: &[State]) -> String {
    if states.iter().all(|state| state.tensors.is_empty()) {
        return "the file holds no tensors of a floating-point or integer type that is read"
            .to_string();
    }
    let named = states.iter().map(|state| {
        let names = state.tensors.iter().map(|(name, _)| name.as_str());
        let of =
            if state.key.is_empty() { String::new() } else { format!(" under `{}`", state.key) };
        format!("{}{of}", few(names))
    });
    let here: Vec<String> = named.take(3).collect();
    format!(
        "no tensor has a name of the network's, such as {}; the file has {}",
        few(wanted.iter().map(String::as_str)),
        here.join(" and ")
    )
}

/// What is missing and what is left over in one line; none where nothing is missing or nothing is left over.
pub fn difference(
    wanted: &[String],
    named: &[(String, Tensor)],
    other: &[String],
) -> Option<String> {
    let known: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let given: HashSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|name| !given.contains(name)).collect();
    let mut left: Vec<&str> =
        named.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    left.extend(other.iter().map(String::as_str));
    if left.is_empty() || missing.is_empty() {
        return None;
    }
    let (count, of) = (missing.len(), wanted.len());
    let common = common_prefix(&left);
    // What the missing names begin with too is no prefix of the file's own.
    let is_own = !common.is_empty() && !missing.iter().all(|name| name.starts_with(common));
    let mut line = format!(
        "{count} of {of} tensors {} missing ({}), {} {} left over ({})",
        are(count),
        few(missing.into_iter()),
        left.len(),
        are(left.len()),
        few(left.iter().copied())
    );
    if is_own {
        let names = if left.len() == 1 { "name left over begins" } else { "names left over begin" };
        line += &format!("; the {names} with `{common}`");
    }
    Some(line)
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// The first names of many.
fn few<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(3);
    let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// What all names begin with, up to a point.
fn common_prefix<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, rest)) = names.split_first() else { return "" };
    let ends = first.match_indices('.').map(|(at, _)| &first[..=at]);
    let shared = ends.take_while(|start| rest.iter().all(|name| name.starts_with(start)));
    if rest.is_empty() { "" } else { shared.last().unwrap_or("") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(key: &str, names: &[&str]) -> State {
        let tensors = names.iter().map(|name| (name.to_string(), Tensor::from(0i64)));
        State { key: key.to_string(), tensors: tensors.collect() }
    }

    fn wanted() -> Vec<String> {
        ["blocks.0.weight", "blocks.0.bias", "fc.weight"].map(String::from).to_vec()
    }

    fn chosen(states: Vec<State>) -> Chosen {
        choose(&wanted(), states).unwrap_or_else(|error| panic!("{error}"))
    }

    fn bare(chosen: &Chosen) -> Vec<&str> {
        chosen.tensors.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn any_prefix_and_any_order_of_wrappers_is_taken_off() {
        let prefixes = [
            "",
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "_orig_mod.module.",
            "model.",
            "model._orig_mod.",
            "net.module.",
            "backbone.encoder.",
            "_fsdp_wrapped_module.",
        ];
        for prefix in prefixes {
            let names: Vec<String> = wanted().iter().map(|n| format!("{prefix}{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let chosen = chosen(vec![state("", &names)]);
            assert_eq!(bare(&chosen), wanted(), "{prefix}");
        }
        let inside = ["blocks._orig_mod.0.weight", "blocks._orig_mod.0.bias", "fc.module.weight"];
        assert_eq!(bare(&chosen(vec![state("", &inside)])), wanted());
        let averaged =
            ["n_averaged", "module.blocks.0.weight", "module.blocks.0.bias", "module.fc.weight"];
        assert_eq!(bare(&chosen(vec![state("", &averaged)])), wanted());
    }

    #[test]
    fn the_dictionary_whose_names_fit_is_taken_and_an_average_only_where_it_is_alone() {
        let all = ["blocks.0.weight", "blocks.0.bias", "fc.weight"];
        let found = chosen(vec![
            state("model_ema", &all),
            state("discriminator", &["fc.weight"]),
            state("net", &all),
        ]);
        let told = found.describe().unwrap();
        assert!(told.contains("under `net`; also there: `model_ema`, `discriminator`"), "{told}");
        assert_eq!(chosen(vec![state("ema", &all)]).describe(), None);
    }

    #[test]
    fn what_stands_beside_the_network_is_passed_over_and_told() {
        let names = |prefix: &str| wanted().iter().map(|n| format!("{prefix}{n}")).collect();
        let all: [Vec<String>; 3] =
            [names("ema.module."), names("model."), vec!["criterion.weight".to_string()]];
        let all: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
        let found = chosen(vec![state("", &all)]);
        assert_eq!(bare(&found), wanted());
        assert_eq!(difference(&wanted(), &found.tensors, &found.left_over), None);
        let told = found.describe().unwrap();
        assert!(told.contains("the prefix `model.`"), "{told}");
        assert!(
            told.contains("without others beside them (`ema.module.blocks.0.weight`"),
            "{told}"
        );
    }

    #[test]
    fn what_is_missing_and_left_over_is_one_line_with_the_likely_prefix() {
        let found = chosen(vec![state("", &["blocks.0.weight", "head.a.bias", "head.a.weight"])]);
        let line = difference(&wanted(), &found.tensors, &found.left_over).unwrap();
        assert!(!line.contains('\n') && line.contains("2 of 3 tensors are missing"), "{line}");
        assert!(
            line.contains("2 are left over") && line.contains("begin with `head.a.`"),
            "{line}"
        );
        // All names begin so, in the network too.
        let other = chosen(vec![state("", &["fc.weight", "blocks.1.weight", "blocks.2.bias"])]);
        let line = difference(&wanted(), &other.tensors, &other.left_over).unwrap();
        assert!(line.ends_with("2 are left over (`blocks.1.weight`, `blocks.2.bias`)"), "{line}");
        let error = choose(&wanted(), vec![state("net", &["conv1.weight", "conv1.bias"])]).err();
        let error = error.unwrap().to_string();
        assert!(!error.contains('\n') && error.contains("`conv1.weight`"), "{error}");
        assert!(error.contains("under `net`") && error.contains("`blocks.0.weight`"), "{error}");
    }
}
