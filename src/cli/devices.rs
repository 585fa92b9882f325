//! `gcnrec devices`: where this build can compute.

use gcnrec::Result;
use gcnrec::internals::report::{Cell, Table};
use gcnrec_kernels::Device;
use gcnrec_kernels::probe::{Kind, probe};

use super::output::OutputArgs;
use super::settings;

/// List the devices that this build can compute on
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gcnrec devices\n  gcnrec devices --output json")]
pub(super) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints one row per kind of device.
pub(super) fn run(args: &Args) -> Result<()> {
    settings::settle_machine()?;
    let mut table = Table::new(["device", "state", "arithmetic", "threads", "memory_mb", "available_mb"]);
    let megabytes = |key: &str| memory_mb(key).map_or(Cell::Empty, Cell::Whole);
    table.row([
        Cell::from(Device::Cpu.name()),
        "available".into(),
        Device::Cpu.arithmetic().into_owned().into(),
        Cell::Whole(rayon::current_num_threads() as i64),
        megabytes("MemTotal"),
        megabytes("MemAvailable"),
    ]);
    for kind in Kind::ALL {
        match probe(kind) {
            Ok(found) => found.into_iter().for_each(|device| {
                let state = if device.software { "software: taken only by name" } else { "available" };
                let memory = device.memory_mb.map_or(Cell::Empty, |megabytes| Cell::Whole(megabytes as i64));
                table.row([Cell::from(device.name), state.into(), device.title.into(), Cell::Empty, memory]);
            }),
            Err(gcnrec_kernels::KernelError::Device { device, problem }) => {
                table.row([Cell::from(device), problem.into()]);
            }
            Err(error) => return Err(error.into()),
        }
    }
    args.output.print(&table)
}

/// A line of `/proc/meminfo` in MB (10^6 bytes); nothing where there is no such file.
fn memory_mb(key: &str) -> Option<i64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kibibytes: i64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024 / 1_000_000)
}
