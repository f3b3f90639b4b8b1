//! Large pages for large memory: walking through feature maps then misses the address cache less.

/// Asks for huge pages in `bytes` of memory from `start`, where the system gives them on request
/// (Linux). What is asked is a hint: contents and addresses stay, and a refusal changes nothing.
pub fn prefer_huge_pages(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::{c_int, c_void};
        unsafe extern "C" {
            fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
        }
        const MADV_HUGEPAGE: c_int = 14;
        const PAGE: usize = 4096;
        let skipped = start.align_offset(PAGE);
        if skipped < bytes {
            unsafe { madvise(start.add(skipped).cast(), bytes - skipped, MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}
