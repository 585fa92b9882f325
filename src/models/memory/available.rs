//! The memory that a process can still have, where Linux says so: the least of what the machine,
//! its control groups and its limit of address space leave.

use std::fs::read_to_string;
use std::path::{Component, Path};

/// What can be had without swapping.
pub(in crate::models) fn available_bytes() -> Option<u64> {
    let read = |path: &str| read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:"));
    let groups = read("/proc/self/cgroup").and_then(|text| left_by_groups(&text, Path::new("/sys/fs/cgroup")));
    let taken = read("/proc/self/status").and_then(|text| kilobytes(&text, "VmSize:"));
    let limit = read("/proc/self/limits").and_then(|text| address_space(&text));
    let space = limit.map(|limit| limit.saturating_sub(taken.unwrap_or(0)));
    [machine, groups, space].into_iter().flatten().min()
}

/// Reads a line `MemAvailable: 123 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of `ulimit -v`, from a line `Max address space  4096000  unlimited  bytes`;
/// nothing where there is no limit.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The files of a control group, of the second or the first version.
struct Group {
    /// Where its tree lies below `/sys/fs/cgroup`.
    tree: &'static str,
    limit: &'static str,
    used: &'static str,
    /// Of what is used, what the system takes back when asked: a line of `memory.stat`.
    cache: &'static str,
}

const SECOND: Group = Group { tree: "", limit: "memory.max", used: "memory.current", cache: "inactive_file " };
const FIRST: Group = Group {
    tree: "memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: "total_inactive_file ",
};

impl Group {
    /// What the group at this place leaves; nothing where it has no limit: `max` is no number.
    fn left(&self, at: &Path) -> Option<u64> {
        let number = |name: &str| read_to_string(at.join(name)).ok()?.trim().parse::<u64>().ok();
        let limit = number(self.limit)?;
        let stat = read_to_string(at.join("memory.stat")).unwrap_or_default();
        let cache = stat.lines().find_map(|line| line.strip_prefix(self.cache)?.trim().parse::<u64>().ok());
        let used = number(self.used).unwrap_or(0).saturating_sub(cache.unwrap_or(0));
        Some(limit.saturating_sub(used))
    }
}

/// What the groups of a process leave, and those around them: a limit holds for all below it.
/// `cgroup` is `/proc/self/cgroup`. In a container the path may be that of the machine outside;
/// then its own group is the root of what it sees.
fn left_by_groups(cgroup: &str, root: &Path) -> Option<u64> {
    let left = |line: &str| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let group = match (number, controllers) {
            ("0", "") => SECOND,
            (_, controllers) if controllers.split(',').any(|name| name == "memory") => FIRST,
            _ => return None,
        };
        let path = Path::new(path.trim_start_matches('/'));
        let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let path = if is_inside { path } else { Path::new("") };
        path.ancestors().filter_map(|at| group.left(&root.join(group.tree).join(at))).min()
    };
    cgroup.lines().filter_map(left).min()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_available_memory_is_read_in_kilobytes() {
        let text = "MemTotal:  9 kB\nMemAvailable:    2048 kB\nSwap: 1 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(2048 * 1024));
        assert_eq!(kilobytes("MemTotal:  9 kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn the_limit_of_address_space_is_the_soft_one() {
        let limits =
            |soft: &str| format!("Limit  Soft Limit  Hard Limit  Units\nMax address space  {soft}  unlimited  bytes\n");
        assert_eq!(address_space(&limits("4096000")), Some(4_096_000));
        assert_eq!(address_space(&limits("unlimited")), None);
    }

    fn put(root: &Path, group: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(root.join(group)).unwrap();
        files.iter().for_each(|(name, text)| fs::write(root.join(group).join(name), text).unwrap());
    }

    #[test]
    fn the_tightest_of_nested_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        // The outer group leaves 1000 - (700 - 200) = 500, the inner one has no limit.
        let stat = "anon 1\ninactive_file 200\nactive_file 9\n";
        put(root, "outer", &[("memory.max", "1000\n"), ("memory.current", "700\n"), ("memory.stat", stat)]);
        put(root, "outer/inner", &[("memory.max", "max\n"), ("memory.current", "600\n")]);
        assert_eq!(left_by_groups("0::/outer/inner\n", root), Some(500));
        put(root, "outer/inner", &[("memory.max", "650\n"), ("memory.current", "600\n")]);
        assert_eq!(left_by_groups("0::/outer/inner\n", root), Some(50));
        // A path of the machine outside: the root of what is seen is the own group.
        put(root, "", &[("memory.max", "300\n")]);
        assert_eq!(left_by_groups("0::/../elsewhere\n", root), Some(300));
        assert_eq!(left_by_groups("0::/elsewhere\n", root), Some(300));
    }

    #[test]
    fn groups_of_the_first_version_are_read_too() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let cgroup = "7:cpu,cpuacct:/job\n6:blkio,memory:/job\n0::/\n";
        put(root, "memory/job", &[("memory.limit_in_bytes", "800\n"), ("memory.usage_in_bytes", "100\n")]);
        put(root, "memory", &[("memory.limit_in_bytes", "9223372036854771712\n")]);
        assert_eq!(left_by_groups(cgroup, root), Some(700));
        assert_eq!(left_by_groups("7:cpu:/job\n", root), None);
    }
}
