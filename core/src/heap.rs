//! How glibc's allocator keeps the memory of tensors. By default it gives every large block back
//! to the kernel as soon as it is freed, and a training step then spends part of its time on page
//! faults. Here freed blocks stay in one heap, in huge pages, and the next step finds them there.
//! `benches/heap.sh` measures what it brings.

#![allow(unsafe_code)]

/// Keeps freed memory for the next step, in huge pages where the kernel has them. To be called
/// once, before other threads start. It changes speed alone; where it cannot be had, nothing
/// happens. `REPRO_HEAP=default` leaves the allocator as it is.
pub fn keep() {
    if std::env::var_os("REPRO_HEAP").is_some_and(|value| value == "default") {
        return;
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_glibc();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_glibc() {
    const STEP: libc::c_int = 64 << 20;
    // SAFETY: none of these calls has preconditions. A heap that cannot be grown is no error.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        libc::mallopt(libc::M_TOP_PAD, STEP);
        if is_address_space_scarce() {
            return;
        }
        let pages = usize::try_from(libc::sysconf(libc::_SC_PHYS_PAGES)).unwrap_or(0);
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(0);
        // Address space alone: a page costs memory when it is written for the first time.
        let size = pages * page / 2;
        let begin = libc::sbrk(0) as usize;
        // A block that is only freed again would be left out by the compiler.
        let block = std::hint::black_box(libc::malloc(size));
        let end = libc::sbrk(0) as usize;
        // The block begins below the old end where memory was free there.
        if end > begin && (block as usize) < end {
            prefer_huge_pages(block.cast(), end - block as usize);
        }
        libc::free(block);
    }
}

/// Whether address space that is not used counts against a limit, as on many clusters.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn is_address_space_scarce() -> bool {
    let limited = |what| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a limit.
        let known = unsafe { libc::getrlimit(what, &raw mut limit) } == 0;
        !known || limit.rlim_cur != libc::RLIM_INFINITY
    };
    let overcommit = std::fs::read_to_string("/proc/sys/vm/overcommit_memory");
    limited(libc::RLIMIT_AS)
        || limited(libc::RLIMIT_DATA)
        || overcommit.is_ok_and(|text| text.trim() == "2")
}

/// Asks for huge pages in `bytes` of memory from `start`, where the system gives them on request
/// (Linux). It is a hint: contents and addresses stay, and a refusal changes nothing.
pub fn prefer_huge_pages(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let skipped = start.align_offset(PAGE);
        if skipped < bytes {
            let from = start.wrapping_add(skipped).cast();
            // SAFETY: the advice changes no contents, and the kernel checks the range.
            unsafe { libc::madvise(from, bytes - skipped, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}
