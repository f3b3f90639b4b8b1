//! What began a run: kept beside it so that numbers can be traced, and no part of what the run is.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::nn::Precision;

/// The program, the machine and the settings that began a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// Commit of the source that the program was built from, or `unknown`.
    pub commit: String,
    /// Whether that source had changes which were not committed; none = unknown.
    pub dirty: Option<bool>,
    /// The command line.
    pub command: String,
    /// When, UTC.
    pub date: String,
    /// Threads that it is trained with.
    #[serde(deserialize_with = "thread_count")]
    pub threads: usize,
    /// Whether it is trained without the images that cannot be read; it stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_broken: bool,
    /// `cpu`, or `cuda` with the GPU's name and how it computes.
    pub device: String,
    /// Element type of the convolutions.
    pub precision: Precision,
    /// The processor.
    pub processor: Processor,
    /// Multiply-adds a second of a 32-bit matrix product, on the device and with these threads.
    pub matmul_fp32: f64,
    /// The same in bfloat16.
    pub matmul_bf16: f64,
}

/// A number of threads that LibTorch takes.
fn thread_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let threads = usize::deserialize(deserializer)?;
    match (1..=MOST_THREADS).contains(&threads) {
        true => Ok(threads),
        false => Err(D::Error::custom(format!("threads: {threads} is not in 1 to {MOST_THREADS}"))),
    }
}

const MOST_THREADS: usize = 4096;

/// A processor as its operating system describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// Family (implementer on ARM).
    pub family: String,
    /// Model within it (part on ARM).
    pub model: String,
    /// Name for people.
    pub name: String,
    /// Those of its vector and matrix extensions that change speed or last digits.
    pub flags: Vec<String>,
}

/// Extensions worth recording.
const FLAGS: &str = "fma avx2 avx512f avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile amx_bf16 \
                     asimd sve sve2 bf16 i8mm";

impl Processor {
    /// This machine's.
    pub fn here() -> Processor {
        Processor::parse(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    }

    /// From the text of `/proc/cpuinfo`; what it does not say is `unknown`.
    fn parse(text: &str) -> Processor {
        let value = |keys: [&str; 2]| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            let found = fields.find(|(key, _)| keys.contains(&key.trim()));
            found.map_or("unknown".to_string(), |(_, value)| value.trim().to_string())
        };
        let all = value(["flags", "Features"]);
        let flags = FLAGS.split(' ').filter(|flag| all.split_whitespace().any(|f| f == *flag));
        Processor {
            family: value(["cpu family", "CPU implementer"]),
            model: value(["model", "CPU part"]),
            name: value(["model name", "CPU part"]),
            flags: flags.map(str::to_string).collect(),
        }
    }
}

impl std::fmt::Display for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} (family {}, model {})", self.name, self.family, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_read_from_what_linux_says_of_it() {
        let text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7763\n\
                    flags\t\t: fpu avx2 fma avx512f_not bf16x\nprocessor\t: 1\nmodel\t\t: 2\n";
        let found = Processor::parse(text);
        assert_eq!((found.family.as_str(), found.model.as_str()), ("25", "1"));
        assert_eq!(found.name, "AMD EPYC 7763");
        assert_eq!(found.flags, ["fma", "avx2"]);
        let arm = Processor::parse(
            "CPU implementer\t: 0x41\nFeatures\t: asimd bf16\nCPU part\t: 0xd49\n",
        );
        assert_eq!((arm.family.as_str(), arm.model.as_str()), ("0x41", "0xd49"));
        assert_eq!(arm.flags, ["asimd", "bf16"]);
        assert_eq!(Processor::parse("").name, "unknown");
    }

    #[test]
    fn no_threads_and_too_many_are_refused() {
        let of = |threads: u64| {
            let began = serde_json::json!({
                "commit": "", "dirty": null, "command": "", "date": "", "threads": threads, "device": "cpu",
                "precision": "fp32", "processor": Processor::parse(""), "matmul_fp32": 1.0, "matmul_bf16": 1.0,
            });
            serde_json::from_value::<Began>(began).map_err(|error| error.to_string())
        };
        assert_eq!(of(2).unwrap().threads, 2);
        for wrong in [0, 1 << 32] {
            assert!(of(wrong).unwrap_err().starts_with(&format!("threads: {wrong} is not")));
        }
    }
}
