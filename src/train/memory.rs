//! How the allocator treats what a step frees.

/// Keeps freed memory for the next step. Feature maps are large, and glibc gives large pieces back
/// to the system as they are freed: each step would then take every page afresh, one fault a page.
/// Elsewhere nothing is changed.
pub(super) fn keep_freed_memory() {
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
