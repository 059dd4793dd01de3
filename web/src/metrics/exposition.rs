//! The text format of Prometheus, version 0.0.4.
//!
//! ```text
//! # HELP name what it is
//! # TYPE name counter
//! name{label="value"} 1
//! ```
//!
//! A [`Family`] is written as one, so its head stands before its samples and nowhere else.

use std::fmt::{Display, Write as _};

use actors::latency::Snapshot;

use super::table::{Kind, Metric};

/// The bounds of histograms, as powers of two of a microsecond: 16 µs to 16.8 s.
const BOUNDS_LOG2: std::ops::RangeInclusive<u32> = 4..=24;

/// A text of metrics.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a metric.
    pub(super) fn family<'a>(&'a mut self, metric: &'a Metric) -> Family<'a> {
        let Metric { name, help, kind, .. } = metric;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        write(&mut self.text, format_args!("# HELP {name} {help}\n"));
        write(&mut self.text, format_args!("# TYPE {name} {}\n", kind.label()));
        Family { text: &mut self.text, metric }
    }

    /// Writes a metric that has no labels.
    pub(super) fn single(&mut self, metric: &Metric, value: impl Display) {
        self.family(metric).sample(&[], value);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A metric whose samples are being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    metric: &'a Metric,
}

impl Family<'_> {
    /// Writes a sample; the values are those of the metric's labels, in their order.
    pub(super) fn sample(&mut self, labels: &[&str], value: impl Display) {
        debug_assert_ne!(self.metric.kind, Kind::Histogram, "{}", self.metric.name);
        self.line("", labels, None, value);
    }

    /// Writes a histogram.
    pub(super) fn histogram(&mut self, labels: &[&str], latency: &Snapshot) {
        debug_assert_eq!(self.metric.kind, Kind::Histogram, "{}", self.metric.name);
        let mut bins = latency.cumulative().peekable();
        let mut up_to = 0;
        for log2 in BOUNDS_LOG2 {
            let bound_us = 1_u64 << log2;
            // A bin's bound is its largest whole microsecond, so it stays below this one.
            while let Some((_, seen)) = bins.next_if(|(upper_us, _)| *upper_us < bound_us) {
                up_to = seen;
            }
            self.line("_bucket", labels, Some(&seconds(bound_us).to_string()), up_to);
        }
        self.line("_bucket", labels, Some("+Inf"), latency.count());
        self.line("_sum", labels, None, seconds(latency.sum_us()));
        self.line("_count", labels, None, latency.count());
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<&str>, number: impl Display) {
        debug_assert_eq!(self.metric.labels.len(), values.len(), "{}", self.metric.name);
        let labels = self.metric.labels.iter().copied().zip(values.iter().copied());
        let labels = labels.chain(bound.map(|bound| ("le", bound)));
        let labels: Vec<_> =
            labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        write(self.text, format_args!("{}{suffix}", self.metric.name));
        if !labels.is_empty() {
            write(self.text, format_args!("{{{}}}", labels.join(",")));
        }
        write(self.text, format_args!(" {number}\n"));
    }
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact below 285 years")]
pub(super) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(arguments);
}
