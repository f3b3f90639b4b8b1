//! Whether there is memory to spare.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether a quarter of the memory can still be had: of the machine's, and of what the group of this process may
/// have, as in a container or a Slurm job. True where the system does not say.
pub fn is_spare() -> bool {
    static LAST: Mutex<Option<(Instant, bool)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // It is asked for every image.
    match *last {
        Some((when, spare)) if when.elapsed() < FRESH => spare,
        _ => {
            let spare = is_spare_now();
            *last = Some((Instant::now(), spare));
            spare
        }
    }
}

/// How long an answer holds.
const FRESH: Duration = Duration::from_millis(50);

fn is_spare_now() -> bool {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| share(&text));
    let group = read("/proc/self/cgroup")
        .and_then(|text| share_of_groups(&text, Path::new("/sys/fs/cgroup")));
    [machine, group].into_iter().flatten().all(|left| left > 0.25)
}

/// The share of the memory that can be had, as Linux says.
fn share(text: &str) -> Option<f64> {
    let kilobytes = |key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(kilobytes("MemAvailable:")? / kilobytes("MemTotal:")?)
}

/// The smallest share that the groups of a process, and those around them, have left of their limits; none where no
/// limit is set. `text` is that of `/proc/self/cgroup`.
fn share_of_groups(text: &str, root: &Path) -> Option<f64> {
    let mut least: Option<f64> = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, limit, used) = match controllers {
            "" => (root.to_path_buf(), "memory.max", "memory.current"),
            own if own.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        for place in around(&root, group) {
            let bytes = |file: &str| -> Option<f64> {
                std::fs::read_to_string(place.join(file)).ok()?.trim().parse().ok()
            };
            // `max` is no number, and no limit.
            if let (Some(limit), Some(used)) = (bytes(limit), bytes(used)) {
                let left = 1.0 - (used - reclaimable(&place)) / limit;
                least = Some(least.map_or(left, |least| least.min(left)));
            }
        }
    }
    least
}

/// Bytes of files that the system lets go when a group needs memory.
fn reclaimable(place: &Path) -> f64 {
    let text = std::fs::read_to_string(place.join("memory.stat")).unwrap_or_default();
    let bytes = |key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    };
    // The first is a tree's sum in the older version of groups.
    bytes("total_inactive_file").or_else(|| bytes("inactive_file")).unwrap_or(0.0)
}

/// The folder of a group and those around it. In a container the group's own path may not be there, and the
/// root's files are the container's.
fn around(root: &Path, group: &str) -> Vec<PathBuf> {
    let own = root.join(group.trim_start_matches('/'));
    own.ancestors().take_while(|place| place.starts_with(root)).map(Path::to_path_buf).collect()
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

    #[test]
    fn the_tightest_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let left = |text: &str| share_of_groups(text, dir.path());
        assert_eq!(left("0::/job/step\n"), None);
        write("job/step/memory.max", "max\n");
        write("job/step/memory.current", "100\n");
        assert_eq!(left("0::/job/step\n"), None);
        write("job/memory.max", "1000\n");
        write("job/memory.current", "900\n");
        assert!(left("0::/job/step\n").is_some_and(|left| (left - 0.1).abs() < 1e-9));
        write("job/memory.stat", "anon 1\ninactive_file 400\n");
        assert_eq!(left("0::/job/step\n"), Some(0.5));
        assert_eq!(left("0::/elsewhere\n"), None);
        write("memory/memory.limit_in_bytes", "1000\n");
        write("memory/memory.usage_in_bytes", "500\n");
        assert_eq!(left("3:cpu,memory:/docker/x\n1:cpu:/x\n"), Some(0.5));
    }
}
