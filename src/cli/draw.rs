//! `repro draw`

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::options::NetworkArgs;
use super::output::print_path;
use crate::look::draw::diagram;
use crate::look::watch::with_ending;
use crate::results::atomic::create_folder_of;

/// Draw a network: scales as rows, layers as columns, exits with their cost.
#[derive(Debug, clap::Args)]
pub struct DrawArgs {
    #[command(flatten)]
    networks: NetworkArgs,
    /// Where to: NAME.svg and NAME.png; of an experiment's networks NAME-1.svg and on [default:
    /// the network's name]
    #[arg(short, long, value_name = "NAME")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &DrawArgs) -> Result<()> {
    let (networks, input) = args.networks.read()?;
    ensure!(!networks.is_empty(), "{} holds no network", args.networks.file);
    let own = file_names(networks.iter().map(|(name, _)| name.as_str()));
    for ((place, (name, config)), own) in (1..).zip(&networks).zip(own) {
        let picture = match &args.output {
            Some(output) if networks.len() == 1 => output.clone(),
            Some(output) => {
                let stem = with_ending(output, "").display().to_string();
                PathBuf::from(format!("{}-{place}", stem.trim_end_matches('.')))
            }
            None => PathBuf::from(own),
        };
        let (svg, png) = (with_ending(&picture, "svg"), with_ending(&picture, "png"));
        create_folder_of(&picture)?;
        diagram(name, config, input)?.draw(&svg, &png)?;
        print_path(&svg);
        print_path(&png);
    }
    Ok(())
}

/// Names as those of files, each once: where two would be the same, numbers tell them apart.
fn file_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let own: Vec<String> = names.map(file_name).collect();
    let is_single = |name: &String| own.iter().filter(|other| *other == name).count() == 1;
    let mut taken: HashSet<String> = own.iter().filter(|name| is_single(name)).cloned().collect();
    let mut numbered = |name: &String| {
        let mut candidates = (1..).map(|number| format!("{name}-{number}"));
        let free = candidates.find(|name| taken.insert(name.clone()));
        free.unwrap_or_default()
    };
    own.iter().map(|name| if is_single(name) { name.clone() } else { numbered(name) }).collect()
}

/// A name as a file's: words and numbers, joined by dashes; `network` where there are none.
fn file_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric() && c != '.');
    let words: Vec<String> = words.filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    let joined = words.join("-");
    // What hides a file, and what is taken for an ending.
    let mut bare = joined.trim_start_matches(['.', '-']);
    while let Some(rest) = bare.strip_suffix(".svg").or(bare.strip_suffix(".png")) {
        bare = rest;
    }
    if bare.is_empty() { "network".to_string() } else { bare.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_gives_a_plain_file_name() {
        assert_eq!(file_name("ResNet (6 classifiers)"), "resnet-6-classifiers");
        assert_eq!(file_name("../a b/c"), "a-b-c");
        assert_eq!(file_name(".."), "network");
        assert_eq!(file_name("***"), "network");
    }

    #[test]
    fn every_network_has_a_file_of_its_own() {
        let names = |names: &[&str]| file_names(names.iter().copied());
        assert_eq!(names(&["N", "n", "n 1"]), ["n-2", "n-3", "n-1"]);
        assert_eq!(names(&["N", "N.svg.png"]), ["n-1", "n-2"]);
        assert_eq!(names(&["a", "b"]), ["a", "b"]);
    }
}
