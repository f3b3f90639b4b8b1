//! How the allocator treats what a step frees.

use std::sync::Once;

use crate::nn::prefer_huge_pages;

/// Keeps freed memory for the next step. Feature maps are large, and glibc gives large pieces back
/// to the system as they are freed: each step would then take every page afresh, one fault a page.
/// The heap is also grown once, as address space and not as memory, and asked to be of huge pages.
/// Elsewhere nothing is changed.
pub(super) fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_thresholds();
        grow_heap();
    });
}

fn set_thresholds() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // From <malloc.h>.
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_TOP_PAD: c_int = -2;
        const M_MMAP_THRESHOLD: c_int = -3;
        // The largest mapping threshold that glibc takes: half of an arena.
        let settings = [
            (M_MMAP_THRESHOLD, 32 << 20),
            (M_TRIM_THRESHOLD, c_int::MAX),
            (M_TOP_PAD, 64 << 20),
        ];
        for (parameter, value) in settings {
            // A setting that is refused leaves the usual one.
            unsafe { mallopt(parameter, value) };
        }
    }
}

/// Takes pieces that come from the heap, advises on their pages and gives them back to it.
fn grow_heap() {
    if cfg!(not(all(target_os = "linux", target_env = "gnu"))) {
        return;
    }
    const PIECES: usize = 32;
    /// Below the mapping threshold.
    const PIECE: usize = 31 << 20;
    let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(PIECES);
    for _ in 0..PIECES {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(PIECE).is_err() {
            break;
        }
        prefer_huge_pages(piece.as_mut_ptr(), PIECE);
        pieces.push(piece);
    }
}
