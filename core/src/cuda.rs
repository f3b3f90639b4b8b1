//! What tch leaves out of CUDA: how convolutions compute, which GPU it is and how much of its memory is free, and
//! what its errors mean.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use tch::Device;

unsafe extern "C" {
    fn repro_cuda_numerics(tf32: bool, deterministic: bool, benchmark: bool);
    fn repro_cuda_device(index: i32, name: *mut c_char, room: i32, numbers: *mut i32) -> bool;
    fn repro_cuda_free(index: i32) -> u64;
}

/// How a GPU computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numerics {
    /// Whether convolutions of 32-bit numbers may round their factors to TF32 (10 bits of mantissa), as PyTorch
    /// lets them.
    pub tf32: bool,
    /// Whether only algorithms are taken that give the same bits every time.
    pub deterministic: bool,
    /// Whether algorithms are tried out for each new size; not together with `deterministic`.
    pub benchmark: bool,
}

impl Default for Numerics {
    fn default() -> Numerics {
        Numerics { tf32: true, deterministic: false, benchmark: false }
    }
}

impl Numerics {
    /// The command line's options that say the same.
    pub fn options(self) -> Vec<&'static str> {
        let mut options = vec!["--tf32", if self.tf32 { "on" } else { "off" }];
        options.extend(self.deterministic.then_some("--deterministic"));
        options.extend(self.benchmark.then_some("--cudnn-benchmark"));
        options
    }

    /// Makes this process compute so.
    pub fn set(self) {
        // SAFETY: it sets switches of LibTorch, behind its own lock.
        unsafe { repro_cuda_numerics(self.tf32, self.deterministic, self.benchmark) }
    }
}

/// A GPU, as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Name.
    pub name: String,
    /// Compute capability, such as 9.0.
    pub capability: (i32, i32),
    /// Newest CUDA version that the driver runs, such as 13.0.
    pub driver: (i32, i32),
}

impl Gpu {
    /// The GPU that `device` is; none on the CPU and where no driver answers. No memory of it is taken.
    pub fn of(device: Device) -> Option<Gpu> {
        let Device::Cuda(index) = device else {
            return None;
        };
        let (mut name, mut numbers) = ([0; 256], [0; 3]);
        // SAFETY: at most 256 bytes with their end and 3 numbers are written.
        let found = unsafe {
            repro_cuda_device(
                index as i32,
                name.as_mut_ptr(),
                name.len() as i32,
                numbers.as_mut_ptr(),
            )
        };
        // SAFETY: the text has an end.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        let [major, minor, version] = numbers;
        found.then_some(Gpu {
            name,
            capability: (major, minor),
            driver: (version / 1000, version % 1000 / 10),
        })
    }
}

/// Free bytes of `device`; none where that is unknown. Allocates nothing there.
pub fn free_memory(device: Device) -> Option<u64> {
    let Device::Cuda(index) = device else {
        return None;
    };
    // SAFETY: it reads.
    let free = unsafe { repro_cuda_free(index as i32) };
    (free > 0).then_some(free)
}

/// `cpu`, or `cuda` with the GPU's name and how it computes: what numbers were made with.
pub fn describe(device: Device, numerics: Numerics) -> String {
    if device == Device::Cpu {
        return "cpu".to_string();
    }
    let name = Gpu::of(device).map_or("unknown GPU".to_string(), |gpu| gpu.name);
    let tf32 = if numerics.tf32 { ", TF32" } else { "" };
    let deterministic = if numerics.deterministic { ", deterministic" } else { "" };
    format!("cuda: {name}{tf32}{deterministic}")
}

/// What an error of CUDA means to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The GPU's memory is too small.
    Memory,
    /// The GPU, or this process's use of it, is lost: nothing can be computed there by this process any more, and
    /// another one may go on.
    Lost,
    /// A mistake of a program for the GPU, which another process would make again; nothing can be computed there by
    /// this one any more.
    Fault,
}

/// The trouble that an error's text tells of.
pub fn trouble(text: &str) -> Option<Trouble> {
    let text = text.to_lowercase();
    // cuDNN and cuBLAS say it in their own words.
    let memory = ["cuda out of memory", "cuda error: out of memory", "_alloc_failed"];
    let lost = [
        "illegal memory access",
        "unspecified launch failure",
        "uncorrectable",
        "launch timed out",
        "cuda error: unknown error",
        "busy or unavailable",
        "is lost",
        "_execution_failed",
        "_internal_error",
    ];
    let fault = ["device-side assert", "misaligned address", "illegal instruction"];
    let of_gpu = ["cuda", "cudnn", "cublas"].iter().any(|name| text.contains(name));
    if memory.iter().any(|words| text.contains(words)) {
        Some(Trouble::Memory)
    } else if of_gpu && lost.iter().any(|words| text.contains(words)) {
        Some(Trouble::Lost)
    } else if of_gpu && fault.iter().any(|words| text.contains(words)) {
        Some(Trouble::Fault)
    } else {
        None
    }
}

/// An error's text as people read it: without the frames of LibTorch's own stack, and with the way out where the GPU
/// was lost or the machine's memory did not suffice.
pub fn plain(text: &str) -> String {
    let ends =
        ["Exception raised from", "\nframe #", "\nSearch for `cuda", "\nCUDA kernel errors might"];
    let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let text = text[..end].trim_end();
    if let Some(said) = out_of_memory(text).or_else(|| refused_thread(text)) {
        return said;
    }
    match trouble(text) {
        Some(Trouble::Lost) if !text.contains(LOST) => format!("{text}; {LOST}"),
        _ => text.to_string(),
    }
}

/// LibTorch's error where the machine, not the GPU, has too little memory, in plain words.
fn out_of_memory(text: &str) -> Option<String> {
    let (before, after) = text.split_once("DefaultCPUAllocator: ")?;
    // tch's words and LibTorch's own, whichever are there.
    let begin =
        ["Internal torch error: ", "[enforce fail"].iter().filter_map(|own| before.find(own));
    let before = &before[..begin.min().unwrap_or(before.len())];
    let bytes = after.split_once("tried to allocate ")?.1.split_once(" bytes")?.0;
    let megabytes = bytes.parse::<f64>().ok()? / 1e6;
    Some(format!(
        "{before}the memory is too small: {megabytes:.0} MB more were asked for; {SMALLER}"
    ))
}

/// What a panic says, as an error's text does.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    // In the words of `unwrap` an error's own lines are escaped.
    text.unwrap_or_default().replace("\\n", "\n")
}

/// Whether LibTorch, and not a mistake in this program, is what an error's or a panic's text tells of: LibTorch keeps
/// the error of a call without a result, such as freeing memory, and tch finds it in the next call, which may be one
/// that cannot return it.
pub fn is_of_the_machine(text: &str) -> bool {
    trouble(text).is_some() || out_of_memory(text).is_some() || refused_thread(text).is_some()
}

/// The panic of a thread that the system refuses, in plain words.
fn refused_thread(text: &str) -> Option<String> {
    let ours = ["failed to spawn thread", "ThreadPoolBuildError"];
    ours.iter().any(|own| text.contains(own)).then(|| refused("another thread").to_string())
}

/// The error of threads that the system refuses, with the way out.
pub fn refused(what: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "the system refuses {what}: `ulimit -u`, a container or a job limits them; fewer --threads or --workers need fewer"
    )
}

const SMALLER: &str = "a smaller batch, a smaller network or fewer --workers need less memory";

const LOST: &str =
    "the GPU was lost and what was saved is kept; run the same command again to go on from there";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_cuda_is_told_by_its_text() {
        let memory =
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB";
        assert_eq!(trouble(memory), Some(Trouble::Memory));
        assert_eq!(trouble("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), Some(Trouble::Memory));
        assert_eq!(
            trouble("CUDA error: an illegal memory access was encountered"),
            Some(Trouble::Lost)
        );
        assert_eq!(trouble("CUDA error: misaligned address"), Some(Trouble::Fault));
        assert_eq!(trouble("shape '[2, 3]' is invalid for input of size 5"), None);
    }

    #[test]
    fn frames_of_libtorch_are_cut_off() {
        let text = "A, seed 0: CUDA error: unspecified launch failure\n\nException raised from x at y:1 (most recent \
                    call first):\nframe #0: c10::Error::Error";
        let cut = plain(text);
        assert_eq!(cut, format!("A, seed 0: CUDA error: unspecified launch failure; {LOST}"));
        assert_eq!(plain(&cut), cut);
        let advice =
            "CUDA error: misaligned address\nSearch for `cudaErrorMisalignedAddress' in https://";
        assert_eq!(plain(advice), "CUDA error: misaligned address");
        assert_eq!(plain("no data"), "no data");
    }

    #[test]
    fn too_little_memory_is_said_with_a_way_out() {
        let text = "A, seed 0: Internal torch error: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: \
                    can't allocate memory: you tried to allocate 77313245312 bytes. Error code 12 (Cannot allocate \
                    memory)\nframe #0: c10::ThrowEnforceNotMet(char const*)\nframe #1: c10::alloc_cpu";
        let said = plain(text);
        assert!(said.starts_with("A, seed 0: the memory is too small: 77313 MB"), "{said}");
        assert!(said.ends_with(SMALLER), "{said}");
        assert_eq!(plain(&said), said);
        // As a panic of tch's has it.
        let escaped = text.replace("Internal torch error: ", "Torch(\"").replace('\n', "\\n");
        let text = panic_text(&escaped);
        assert!(is_of_the_machine(&text) && !is_of_the_machine("index out of range"), "{text}");
        assert_eq!(plain(&text).lines().count(), 1);
    }

    #[test]
    fn a_thread_that_is_refused_is_the_machines_fault() {
        let panic = "failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"Resource temporarily\" }";
        assert!(is_of_the_machine(panic));
        assert!(plain(panic).starts_with("the system refuses another thread: `ulimit -u`"));
        assert_eq!(plain(&plain(panic)), plain(panic));
    }

    #[test]
    fn the_processor_is_no_gpu() {
        assert_eq!(Gpu::of(Device::Cpu), None);
        assert_eq!(free_memory(Device::Cpu), None);
        assert_eq!(describe(Device::Cpu, Numerics::default()), "cpu");
    }
}
