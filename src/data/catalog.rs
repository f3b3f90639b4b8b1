//! The data sets that the program knows, and the facts about each that a network depends on.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::folder;
use super::names;

/// Which data set an experiment reads. In YAML a name, or `{folder: PATH}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dataset {
    /// The first 10,000 and 2,000 images of Fashion-MNIST; compiled into the program.
    FashionMnistMini,
    /// All of Fashion-MNIST.
    FashionMnist,
    /// CIFAR-10.
    Cifar10,
    /// CIFAR-100 with its 100 fine labels.
    Cifar100,
    /// CIFAR-100 with its 20 coarse labels.
    Cifar100Coarse,
    /// ImageNet as an image folder.
    Imagenet,
    /// Seeded, learnable images for tests.
    Synthetic,
    /// A folder with `train/` and `test/` (or `val/`), each with one folder a class.
    Folder(PathBuf),
}

/// What a network and its training need to know of a data set before any image is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Number of classes.
    pub classes: usize,
    /// Channels of an image: 3, or 1 for grey.
    pub channels: usize,
    /// Height and width of an image as the network sees it, in pixels.
    pub side: usize,
    /// Mean of each channel over the training images, pixels from 0 to 1.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, likewise.
    pub std: Vec<f64>,
    /// Training images held out when an experiment does not say.
    pub default_validation: usize,
}

/// Mean and standard deviation that every ImageNet network uses (torchvision's constants).
const IMAGENET_NORM: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

impl Dataset {
    /// Every data set that has a name, in the order in which lists show them.
    pub fn named() -> [Dataset; 7] {
        [
            Dataset::FashionMnistMini,
            Dataset::FashionMnist,
            Dataset::Cifar10,
            Dataset::Cifar100,
            Dataset::Cifar100Coarse,
            Dataset::Imagenet,
            Dataset::Synthetic,
        ]
    }

    /// The data set in a folder: `pets`, `pets/` and `./pets` are one. What `..` and links lead to is
    /// not looked up.
    pub fn folder(path: &Path) -> Dataset {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        let path: PathBuf = parts.collect();
        let is_here = path.as_os_str().is_empty();
        Dataset::Folder(if is_here { PathBuf::from(".") } else { path })
    }

    /// The facts. Only a folder is looked at, for its classes; `data_dir` is where relative data lies.
    ///
    /// # Errors
    /// A folder that is missing or has no class.
    pub fn facts(&self, data_dir: &Path) -> Result<Facts> {
        let _ = data_dir; // a folder's path is relative to the working directory, as in a shell
        Ok(match self {
            Dataset::FashionMnistMini => grey(1_000),
            Dataset::FashionMnist => grey(5_000),
            Dataset::Cifar10 => {
                colour(10, 32, ([0.4914, 0.4824, 0.4467], [0.2471, 0.2435, 0.2616]), 5_000)
            }
            Dataset::Cifar100 => cifar100(100),
            Dataset::Cifar100Coarse => cifar100(20),
            Dataset::Imagenet => colour(1000, 224, IMAGENET_NORM, 50_000),
            Dataset::Synthetic => colour(10, 32, ([0.5; 3], [0.22; 3]), 200),
            Dataset::Folder(path) => {
                let classes = folder::classes(path)?.len();
                colour(classes, 224, IMAGENET_NORM, folder::training_images(path)? / 10)
            }
        })
    }

    /// Where the files lie; `None` for what is compiled in or made up.
    pub fn place(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Dataset::FashionMnistMini | Dataset::Synthetic => None,
            Dataset::FashionMnist => Some(data_dir.join("fashion-mnist")),
            Dataset::Cifar10 => Some(data_dir.join("cifar-10-batches-bin")),
            Dataset::Cifar100 | Dataset::Cifar100Coarse => Some(data_dir.join("cifar-100-binary")),
            Dataset::Imagenet => Some(data_dir.join("imagenet")),
            Dataset::Folder(path) => Some(path.clone()),
        }
    }

    /// One line for people.
    pub fn describe(&self) -> &'static str {
        match self {
            Dataset::FashionMnistMini => "10,000 + 2,000 grey images of clothes, compiled in",
            Dataset::FashionMnist => "60,000 + 10,000 grey images of clothes",
            Dataset::Cifar10 => "50,000 + 10,000 images, 10 classes",
            Dataset::Cifar100 => "50,000 + 10,000 images, 100 fine classes",
            Dataset::Cifar100Coarse => "the images of cifar100, 20 coarse classes",
            Dataset::Imagenet => "1.28 M + 50,000 images, 1,000 classes, as an image folder",
            Dataset::Synthetic => "2,000 + 500 made-up images for tests",
            Dataset::Folder(_) => "a folder with train/ and test/ or val/, one folder a class",
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Dataset::FashionMnistMini => "fashion-mnist-mini",
            Dataset::FashionMnist => "fashion-mnist",
            Dataset::Cifar10 => "cifar10",
            Dataset::Cifar100 => "cifar100",
            Dataset::Cifar100Coarse => "cifar100-coarse",
            Dataset::Imagenet => "imagenet",
            Dataset::Synthetic => "synthetic",
            Dataset::Folder(_) => "folder",
        }
    }
}

/// Fashion-MNIST, padded to 32x32; measured on the mini training set.
fn grey(default_validation: usize) -> Facts {
    Facts {
        classes: 10,
        channels: 1,
        side: 32,
        mean: vec![0.2192],
        std: vec![0.3327],
        default_validation,
    }
}

fn cifar100(classes: usize) -> Facts {
    let norm = ([0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761]);
    colour(classes, 32, norm, 5_000)
}

fn colour(
    classes: usize,
    side: usize,
    (mean, std): ([f64; 3], [f64; 3]),
    default_validation: usize,
) -> Facts {
    Facts { classes, channels: 3, side, mean: mean.to_vec(), std: std.to_vec(), default_validation }
}

/// The names of a data set's classes, by label; numbers where no name is known.
pub fn class_names(dataset: &Dataset, data_dir: &Path) -> Vec<String> {
    let known = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect();
    match dataset {
        Dataset::FashionMnistMini | Dataset::FashionMnist => known(&names::FASHION),
        Dataset::Cifar10 => known(&names::CIFAR10),
        Dataset::Cifar100 => known(&names::CIFAR100_FINE),
        Dataset::Cifar100Coarse => known(&names::CIFAR100_COARSE),
        Dataset::Synthetic => numbers(10),
        Dataset::Imagenet => {
            let found = folder::classes(&data_dir.join("imagenet")).unwrap_or_default();
            if found.len() == 1000 { found } else { numbers(1000) }
        }
        Dataset::Folder(path) => folder::classes(path).unwrap_or_default(),
    }
}

fn numbers(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Dataset::Folder(path) => write!(f, "folder:{}", path.display()),
            _ => f.write_str(self.name()),
        }
    }
}

/// A name that is no data set; the message lists the right ones and the nearest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDataset(String);

impl std::error::Error for UnknownDataset {}

impl fmt::Display for UnknownDataset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = Dataset::named().map(|dataset| dataset.name());
        write!(f, "unknown dataset '{}'", self.0)?;
        let wrong = self.0.to_lowercase();
        let near = |name: &&str| strsim::jaro_winkler(&wrong, name);
        let alike = names.into_iter().filter(|name| near(name) > 0.7);
        let alike = alike.max_by(|a, b| near(a).total_cmp(&near(b)));
        let holds = names.into_iter().find(|name| name.contains(&wrong));
        if wrong.contains('/') {
            write!(f, ", did you mean '{{folder: {}}}'?", self.0)?;
        } else if let Some(best) = alike.or(holds) {
            write!(f, ", did you mean '{best}'?")?;
        }
        write!(f, " (one of {}, or {{folder: PATH}})", names.join(", "))
    }
}

impl FromStr for Dataset {
    type Err = UnknownDataset;

    /// A name, or `folder:PATH`.
    fn from_str(text: &str) -> std::result::Result<Self, UnknownDataset> {
        if let Some(path) = text.strip_prefix("folder:").map(str::trim)
            && !path.is_empty()
        {
            return Ok(Dataset::folder(Path::new(path)));
        }
        Dataset::named()
            .into_iter()
            .find(|dataset| dataset.name() == text)
            .ok_or_else(|| UnknownDataset(text.to_string()))
    }
}

impl Serialize for Dataset {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Dataset::Folder(path) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("folder", path)?;
                map.end()
            }
            _ => serializer.serialize_str(self.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Dataset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(DatasetVisitor)
    }
}

struct DatasetVisitor;

impl<'de> Visitor<'de> for DatasetVisitor {
    type Value = Dataset;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a dataset or {folder: PATH}")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Dataset, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Dataset, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom("an empty mapping; expected {folder: PATH}"));
        };
        if key != "folder" {
            return Err(A::Error::unknown_field(&key, &["folder"]));
        }
        let path: PathBuf = map.next_value()?;
        if path.as_os_str().is_empty() {
            return Err(A::Error::custom("folder: an empty path"));
        }
        match map.next_key::<String>()? {
            Some(key) => Err(A::Error::unknown_field(&key, &["folder"])),
            None => Ok(Dataset::folder(&path)),
        }
    }
}

impl schemars::JsonSchema for Dataset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dataset".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Dataset::named().map(|dataset| dataset.name());
        schemars::json_schema!({
            "description": "Which data set an experiment reads.",
            "oneOf": [
                { "type": "string", "enum": names },
                {
                    "type": "object",
                    "properties": { "folder": { "type": "string", "minLength": 1 } },
                    "required": ["folder"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for dataset in Dataset::named() {
            assert_eq!(dataset.to_string().parse::<Dataset>().unwrap(), dataset);
            let yaml = serde_yaml::to_string(&dataset).unwrap();
            assert_eq!(serde_yaml::from_str::<Dataset>(&yaml).unwrap(), dataset);
        }
    }

    #[test]
    fn a_folder_is_a_mapping_in_yaml_and_prefixed_on_a_command_line() {
        let folder = Dataset::Folder("my/flowers".into());
        assert_eq!(serde_yaml::from_str::<Dataset>("{folder: my/flowers}").unwrap(), folder);
        assert_eq!(serde_yaml::to_string(&folder).unwrap(), "folder: my/flowers\n");
        assert_eq!("folder:my/flowers".parse::<Dataset>().unwrap(), folder);
        assert_eq!(folder.to_string(), "folder:my/flowers");
    }

    #[test]
    fn a_folder_is_one_data_set_however_its_path_is_written() {
        for path in ["pets", "pets/", "./pets", "pets/.", ".//pets//"] {
            let yaml = format!("{{folder: {path}}}");
            let expected = Dataset::Folder("pets".into());
            assert_eq!(serde_yaml::from_str::<Dataset>(&yaml).unwrap(), expected, "{path}");
            assert_eq!(format!("folder:{path}").parse::<Dataset>().unwrap(), expected, "{path}");
        }
        for (path, tidy) in [("./", "."), (".", "."), ("/a/b/", "/a/b"), ("../a/", "../a")] {
            assert_eq!(Dataset::folder(Path::new(path)), Dataset::Folder(tidy.into()), "{path}");
        }
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones_and_the_nearest() {
        let error = "cifar-100".parse::<Dataset>().unwrap_err().to_string();
        assert!(error.contains("did you mean 'cifar100'?"), "{error}");
        assert!(error.contains("fashion-mnist-mini, fashion-mnist, cifar10"), "{error}");
        let error = serde_yaml::from_str::<Dataset>("Fashion-MNIST").unwrap_err().to_string();
        assert!(error.contains("did you mean 'fashion-mnist'?"), "{error}");
        let error = "xyz".parse::<Dataset>().unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn wrong_mappings_are_errors() {
        for yaml in ["{directory: x}", "{folder: x, name: y}", "{}", "{folder: ''}", "7", "folder:"]
        {
            assert!(serde_yaml::from_str::<Dataset>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn facts_agree_with_one_another() {
        for dataset in Dataset::named() {
            let facts = dataset.facts(Path::new("nowhere")).unwrap();
            assert_eq!(facts.mean.len(), facts.channels, "{dataset}");
            assert_eq!(facts.std.len(), facts.channels, "{dataset}");
            assert_eq!(
                class_names(&dataset, Path::new("nowhere")).len(),
                facts.classes,
                "{dataset}"
            );
        }
    }

    #[test]
    fn a_folder_has_the_classes_of_its_training_part() {
        let dir = tempfile::tempdir().unwrap();
        for class in ["tulip", "rose"] {
            let class = dir.path().join("train").join(class);
            std::fs::create_dir_all(&class).unwrap();
            for i in 0..10 {
                std::fs::write(class.join(format!("{i}.jpg")), "").unwrap();
            }
            std::fs::write(class.join("notes.txt"), "").unwrap();
            std::fs::write(class.join("._1.jpg"), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("train/.ipynb_checkpoints")).unwrap();
        let dataset = Dataset::Folder(dir.path().into());
        let facts = dataset.facts(Path::new("data")).unwrap();
        assert_eq!((facts.classes, facts.side, facts.default_validation), (2, 224, 2));
        assert_eq!(class_names(&dataset, Path::new("data")), ["rose", "tulip"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_its_name() {
        let error = Dataset::Folder("no/such".into()).facts(Path::new("data")).unwrap_err();
        assert!(format!("{error:#}").contains("no/such"), "{error:#}");
    }
}
