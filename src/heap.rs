//! How glibc's allocator keeps the memory of tensors. By default it gives every large block back
//! to the kernel as soon as it is freed; a training step then spends as long on page faults as on
//! sums (half of the processor's time was the kernel's). Here freed blocks stay in one heap, in
//! huge pages, and the next step finds them there. `benches/heap.sh` measures what it brings.

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
    const HUGE_PAGE: usize = 2 << 20;
    const STEP: libc::c_int = 64 << 20;
    // SAFETY: `mallopt`, `sysconf`, `sbrk(0)`, `malloc` and `free` have no preconditions here; the
    // range given to `madvise` lies in the heap that `malloc` has just made, and the advice
    // changes no contents. A heap that cannot be made is no error: then there is only no advice.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        libc::mallopt(libc::M_TOP_PAD, STEP);
        let pages = usize::try_from(libc::sysconf(libc::_SC_PHYS_PAGES)).unwrap_or(0);
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(0);
        // Address space alone: a page costs memory when it is written for the first time.
        let size = pages * page / 2;
        let begin = libc::sbrk(0) as usize;
        let block = libc::malloc(size);
        if block.is_null() {
            return;
        }
        let end = libc::sbrk(0) as usize;
        let from = begin.next_multiple_of(HUGE_PAGE);
        let to = end - end % HUGE_PAGE;
        if (begin..end).contains(&(block as usize)) && from < to {
            libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE);
        }
        libc::free(block);
    }
}
