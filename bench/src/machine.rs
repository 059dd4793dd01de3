//! What a reader has to know about the machine to judge the figures.

#[cfg(test)]
mod tests;

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

/// The machine and the day.
pub(crate) struct Machine {
    pub(crate) cpu_model: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) date: String,
}

impl Machine {
    /// Asks the kernel.
    pub(crate) fn look() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo").context("read `/proc/cpuinfo`")?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("read the kernel")?;
        let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("run `date`")?;
        Ok(Self {
            // Some architectures do not tell the model.
            cpu_model: parse_cpu_model(&cpus).unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: thread::available_parallelism().context("count the cores")?.get(),
            kernel: kernel.trim().to_owned(),
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        })
    }
}

fn parse_cpu_model(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}
