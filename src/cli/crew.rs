//! How many processes train side by side.

use tch::{Cuda, Device};

/// As many as asked for; else one a GPU, one alone where threads were asked for, or one a core.
///
/// `threads` is what was asked for: 0 = nothing.
pub fn crew(workers: Option<usize>, threads: usize, device: Device) -> usize {
    match (workers, device) {
        (Some(workers), _) => workers.max(1),
        (None, Device::Cuda(_)) => usize::try_from(Cuda::device_count()).unwrap_or(1).max(1),
        (None, _) if threads > 0 => 1,
        (None, _) => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}
