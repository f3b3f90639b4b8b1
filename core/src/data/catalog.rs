//! The data sets that the program knows: a table with a row for each.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::cifar::Labels;
use super::folder;
use super::names::{CIFAR10, CIFAR100_COARSE, CIFAR100_FINE, FASHION, nearest};

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

/// All that is known of a data set with a name.
pub(super) struct Row {
    dataset: Dataset,
    name: &'static str,
    about: &'static str,
    /// Training and test images.
    pub(super) images: [usize; 2],
    pub(super) classes: usize,
    /// Names of the classes by label, with ", " between them; empty where their numbers serve.
    class_names: &'static str,
    pixels: &'static Pixels,
    default_validation: usize,
    /// Folder below `--data`; none for what is compiled in or made up.
    folder: Option<&'static str>,
    pub(super) reader: Reader,
    pub(super) published: Option<Published>,
}

/// Side, means and standard deviations of images.
struct Pixels {
    side: usize,
    mean: &'static [f64],
    std: &'static [f64],
}

/// How the images are read.
pub(super) enum Reader {
    Embedded,
    Idx,
    Cifar(Labels),
    Synthetic,
    Folder,
}

/// Files that anybody may download: an address, and each file's name and MD5 checksum. A single
/// file is an archive of the data set's folder.
pub(super) struct Published {
    pub(super) address: &'static str,
    pub(super) files: &'static [(&'static str, &'static str)],
}

/// Fashion-MNIST, padded to 32x32; measured on the mini training set.
const GREY: Pixels = Pixels { side: 32, mean: &[0.2192], std: &[0.3327] };
const OF_CIFAR10: Pixels =
    Pixels { side: 32, mean: &[0.4914, 0.4824, 0.4467], std: &[0.2471, 0.2435, 0.2616] };
const OF_CIFAR100: Pixels =
    Pixels { side: 32, mean: &[0.5071, 0.4867, 0.4408], std: &[0.2675, 0.2565, 0.2761] };
/// What every ImageNet network uses (torchvision's constants).
const OF_IMAGENET: Pixels =
    Pixels { side: 224, mean: &[0.485, 0.456, 0.406], std: &[0.229, 0.224, 0.225] };
const MADE_UP: Pixels = Pixels { side: 32, mean: &[0.5; 3], std: &[0.22; 3] };

const CIFAR_ADDRESS: &str = "https://www.cs.toronto.edu/~kriz";
const CIFAR100_ARCHIVE: &[(&str, &str)] =
    &[("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8")];

/// In the order in which lists show them.
static TABLE: [Row; 7] = [
    Row {
        dataset: Dataset::FashionMnistMini,
        name: "fashion-mnist-mini",
        about: "10,000 + 2,000 grey images of clothes, compiled in",
        images: [10_000, 2_000],
        classes: 10,
        class_names: FASHION,
        pixels: &GREY,
        default_validation: 1_000,
        folder: None,
        reader: Reader::Embedded,
        published: None,
    },
    Row {
        dataset: Dataset::FashionMnist,
        name: "fashion-mnist",
        about: "60,000 + 10,000 grey images of clothes",
        images: [60_000, 10_000],
        classes: 10,
        class_names: FASHION,
        pixels: &GREY,
        default_validation: 5_000,
        folder: Some("fashion-mnist"),
        reader: Reader::Idx,
        published: Some(Published {
            address: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            files: &[
                ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
                ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
                ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
            ],
        }),
    },
    Row {
        dataset: Dataset::Cifar10,
        name: "cifar10",
        about: "50,000 + 10,000 images, 10 classes",
        images: [50_000, 10_000],
        classes: 10,
        class_names: CIFAR10,
        pixels: &OF_CIFAR10,
        default_validation: 5_000,
        folder: Some("cifar-10-batches-bin"),
        reader: Reader::Cifar(Labels::Ten),
        published: Some(Published {
            address: CIFAR_ADDRESS,
            files: &[("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")],
        }),
    },
    Row {
        dataset: Dataset::Cifar100,
        name: "cifar100",
        about: "50,000 + 10,000 images, 100 fine classes",
        images: [50_000, 10_000],
        classes: 100,
        class_names: CIFAR100_FINE,
        pixels: &OF_CIFAR100,
        default_validation: 5_000,
        folder: Some("cifar-100-binary"),
        reader: Reader::Cifar(Labels::Fine),
        published: Some(Published { address: CIFAR_ADDRESS, files: CIFAR100_ARCHIVE }),
    },
    Row {
        dataset: Dataset::Cifar100Coarse,
        name: "cifar100-coarse",
        about: "the images of cifar100, 20 coarse classes",
        images: [50_000, 10_000],
        classes: 20,
        class_names: CIFAR100_COARSE,
        pixels: &OF_CIFAR100,
        default_validation: 5_000,
        folder: Some("cifar-100-binary"),
        reader: Reader::Cifar(Labels::Coarse),
        published: Some(Published { address: CIFAR_ADDRESS, files: CIFAR100_ARCHIVE }),
    },
    Row {
        dataset: Dataset::Imagenet,
        name: "imagenet",
        about: "1.28 M + 50,000 images, 1,000 classes, as an image folder",
        images: [1_281_167, 50_000], // ILSVRC 2012
        classes: 1_000,
        class_names: "",
        pixels: &OF_IMAGENET,
        default_validation: 50_000,
        folder: Some("imagenet"),
        reader: Reader::Folder,
        published: None,
    },
    Row {
        dataset: Dataset::Synthetic,
        name: "synthetic",
        about: "2,000 + 500 made-up images for tests",
        images: [2_000, 500],
        classes: 10,
        class_names: "",
        pixels: &MADE_UP,
        default_validation: 200,
        folder: None,
        reader: Reader::Synthetic,
        published: None,
    },
];

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

impl Facts {
    fn new(classes: usize, pixels: &Pixels, default_validation: usize) -> Facts {
        let (mean, std) = (pixels.mean.to_vec(), pixels.std.to_vec());
        Facts { classes, channels: mean.len(), side: pixels.side, mean, std, default_validation }
    }

    /// The facts of an image folder with this many classes, whether or not it is on this machine. The
    /// default hold-out depends on the images, so it is 0 here.
    pub fn of_image_folder(classes: usize) -> Facts {
        Facts::new(classes, &OF_IMAGENET, 0)
    }
}

/// Whether a data set's folder holds anything but parts of downloads, which one that failed leaves.
pub fn holds_files(place: &Path) -> bool {
    let is_whole =
        |entry: std::fs::DirEntry| !entry.file_name().to_string_lossy().ends_with(".part");
    std::fs::read_dir(place).is_ok_and(|entries| entries.flatten().any(is_whole))
}

impl Dataset {
    /// Every data set that has a name, in the order in which lists show them.
    pub fn named() -> Vec<Dataset> {
        TABLE.iter().map(|row| row.dataset.clone()).collect()
    }

    /// The row of a data set that has a name.
    pub(super) fn row(&self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.dataset == *self)
    }

    /// The data set in a folder: `pets`, `pets/` and `./pets` are one. Links and `..` are not
    /// resolved.
    pub fn folder(path: &Path) -> Dataset {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        let path: PathBuf = parts.collect();
        let is_here = path.as_os_str().is_empty();
        Dataset::Folder(if is_here { PathBuf::from(".") } else { path })
    }

    /// The facts. Of a folder, which is relative to the working directory, the file names are
    /// looked at.
    ///
    /// # Errors
    /// A folder that is missing or has no class.
    pub fn facts(&self) -> Result<Facts> {
        if let Dataset::Folder(path) = self {
            let classes = folder::classes(path)?.len();
            return Ok(Facts::new(classes, &OF_IMAGENET, folder::training_images(path)? / 10));
        }
        let row = self.row().context("a data set without a row")?;
        Ok(Facts::new(row.classes, row.pixels, row.default_validation))
    }

    /// The names of the classes, by label, of `{folder: PATH}`; `None` where it is not here, and of a
    /// data set with a name.
    pub fn folder_classes(&self) -> Option<Vec<String>> {
        let Dataset::Folder(path) = self else { return None };
        folder::classes(path).ok()
    }

    /// Where the files lie; `None` for what is compiled in or made up.
    pub fn place(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Dataset::Folder(path) => Some(path.clone()),
            named => Some(data_dir.join(named.row()?.folder?)),
        }
    }

    /// The place of a data set that is an image folder.
    pub fn image_folder(&self, data_dir: &Path) -> Option<PathBuf> {
        let is_one = self.row().is_none_or(|row| matches!(row.reader, Reader::Folder));
        self.place(data_dir).filter(|_| is_one)
    }

    /// One line for people.
    pub fn describe(&self) -> &'static str {
        let folder = "a folder with train/ and test/ or val/, one folder a class";
        self.row().map_or(folder, |row| row.about)
    }

    /// Number of training images of a whole data set; no image is read.
    ///
    /// # Errors
    /// An image folder that cannot be listed.
    pub fn training_images(&self) -> Result<usize> {
        match self {
            Dataset::Folder(path) => folder::training_images(path),
            named => Ok(named.row().map_or(0, |row| row.images[0])),
        }
    }
}

/// The names of a data set's classes, by label; numbers where no name is known.
pub fn class_names(dataset: &Dataset, data_dir: &Path) -> Vec<String> {
    let found = dataset.image_folder(data_dir).map(|place| folder::classes(&place));
    let found = found.and_then(Result::ok).unwrap_or_default();
    match dataset.row() {
        None => found,
        Some(row) if found.len() == row.classes => found,
        Some(row) if row.class_names.is_empty() => {
            (0..row.classes).map(|class| class.to_string()).collect()
        }
        Some(row) => row.class_names.split(", ").map(str::to_string).collect(),
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Dataset::Folder(path) => write!(f, "folder:{}", path.display()),
            named => f.write_str(named.row().map_or("", |row| row.name)),
        }
    }
}

/// A name that is no data set; the message lists the right ones and the nearest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDataset(String);

impl std::error::Error for UnknownDataset {}

impl fmt::Display for UnknownDataset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = TABLE.each_ref().map(|row| row.name);
        write!(f, "unknown dataset '{}'", self.0)?;
        if self.0.contains('/') {
            write!(f, ", did you mean 'folder:{}'?", self.0)?;
        } else if let Some(near) = nearest(&self.0.to_lowercase(), names.into_iter()) {
            write!(f, ", did you mean '{near}'?")?;
        }
        write!(f, " (one of {}, or folder:PATH; in a file {{folder: PATH}})", names.join(", "))
    }
}

impl FromStr for Dataset {
    type Err = UnknownDataset;

    /// A name, or `folder:PATH`, also in the braces of YAML.
    fn from_str(text: &str) -> std::result::Result<Self, UnknownDataset> {
        let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let folder = inside.unwrap_or(text).trim_start().strip_prefix("folder:");
        if let Some(path) = folder.map(str::trim)
            && !path.is_empty()
        {
            return Ok(Dataset::folder(Path::new(path)));
        }
        let row = TABLE.iter().find(|row| row.name == text);
        row.map(|row| row.dataset.clone()).ok_or_else(|| UnknownDataset(text.to_string()))
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
            _ => serializer.collect_str(self),
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
        let names = TABLE.each_ref().map(|row| row.name);
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
    fn wrong_mappings_are_errors() {
        for yaml in ["{directory: x}", "{folder: x, name: y}", "{}", "{folder: ''}", "7", "folder:"]
        {
            assert!(serde_yaml::from_str::<Dataset>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn facts_agree_with_one_another() {
        for dataset in Dataset::named() {
            let facts = dataset.facts().unwrap();
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
        let facts = dataset.facts().unwrap();
        assert_eq!((facts.classes, facts.side, facts.default_validation), (2, 224, 2));
        assert_eq!(class_names(&dataset, Path::new("data")), ["rose", "tulip"]);
        assert_eq!(dataset.folder_classes().unwrap(), ["rose", "tulip"]);
        let absent = Facts::of_image_folder(2);
        assert_eq!(Facts { default_validation: 2, ..absent }, facts);
        assert_eq!(Dataset::Folder("no/such".into()).folder_classes(), None);
        assert_eq!(Dataset::Cifar10.folder_classes(), None);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_its_name() {
        let error = Dataset::Folder("no/such".into()).facts().unwrap_err();
        assert!(format!("{error:#}").contains("no/such"), "{error:#}");
    }
}
