//! Whether the machine has memory to spare.

/// Whether a quarter of the machine's memory can still be had. True where the system does not say.
pub fn is_spare() -> bool {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| share(&text))
        .is_none_or(|left| left > 0.25)
}

/// The share of the memory that can be had, as Linux says.
fn share(text: &str) -> Option<f64> {
    let kilobytes = |key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(kilobytes("MemAvailable:")? / kilobytes("MemTotal:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_whole_memory() {
        let text = "MemTotal:       8000 kB\nMemFree:         500 kB\nMemAvailable:   2000 kB\n";
        assert_eq!(share(text), Some(0.25));
        assert_eq!(share("MemTotal: 8000 kB\n"), None);
    }
}
