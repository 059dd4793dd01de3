//! The figures as gauges for a StatsD, over UDP.
//!
//! ```text
//! prefix.product.127_0_0_1_11080.127_0_0_1_19000.ops_total:197|g
//! ```
//!
//! The name of the target is looked up for each report, and each report has its own socket: a
//! StatsD that is not there yet, comes back or moves is found by the next report.
//!
//! UDP tells nothing but that a machine has nobody at that port, and that only after the datagram
//! is away. [`REFUSAL_WAIT`] is how long each report listens for it: without that, every second
//! report into the void would look like a success.
//!
//! Bounds: a datagram of [`DATAGRAM_BYTES_MAX`], which passes every Ethernet in one piece.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use config::Config;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use super::figures::figures;
use crate::model::Model;
use crate::stats::Stats;

/// The most bytes of a datagram, unless one gauge alone is longer.
const DATAGRAM_BYTES_MAX: usize = 1432;

/// How long the news that nobody listens may take to arrive.
const REFUSAL_WAIT: Duration = Duration::from_millis(100);

/// How many addresses of a name are tried: `localhost` has two, and a StatsD often one of them.
const ADDRESSES_MAX: usize = 4;

/// See the module.
pub(super) struct Statsd {
    server: String,
    prefix: String,
}

impl Statsd {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            server: config.metrics_report_statsd_server.clone(),
            prefix: config.metrics_report_statsd_prefix.clone(),
        }
    }

    pub(super) async fn send(&self, model: &Model, stats: &Stats) -> Result<(), String> {
        let datagrams = datagrams(&gauges(&self.prefix, model, stats));
        self.send_all(&datagrams).await.map_err(|error| error.to_string())
    }

    /// Sends to the first address of the name that does not refuse.
    async fn send_all(&self, datagrams: &[String]) -> io::Result<()> {
        let mut last = Err(io::Error::other("the name has no address"));
        for server in lookup_host(&self.server).await?.take(ADDRESSES_MAX) {
            last = send_to(server, datagrams).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }
}

async fn send_to(server: SocketAddr, datagrams: &[String]) -> io::Result<()> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    for datagram in datagrams {
        socket.send(datagram.as_bytes()).await?;
    }
    // A StatsD says nothing; whatever comes nevertheless comes from one that is there.
    match timeout(REFUSAL_WAIT, socket.recv(&mut [0])).await {
        Ok(Err(refused)) => Err(refused),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// A line per figure.
fn gauges(prefix: &str, model: &Model, stats: &Stats) -> Vec<String> {
    let admin = model.admin_addr.replace(['.', ':'], "_");
    let proxy = model.proxy_addr.replace(['.', ':'], "_");
    let proxy = format!("{}.{admin}.{proxy}", model.product_name);
    let place = match prefix.trim_end_matches('.') {
        "" => proxy,
        prefix => format!("{prefix}.{proxy}"),
    };
    let gauge = |(name, figure)| format!("{place}.{name}:{figure}|g\n");
    figures(stats).map(gauge).into()
}

/// As many gauges per datagram as fit, none of them split.
fn datagrams(gauges: &[String]) -> Vec<String> {
    let mut datagrams: Vec<String> = Vec::new();
    for gauge in gauges {
        match datagrams.last_mut() {
            Some(last) if last.len() + gauge.len() <= DATAGRAM_BYTES_MAX => last.push_str(gauge),
            _ => datagrams.push(gauge.clone()),
        }
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::super::figures::samples;
    use super::*;

    #[test]
    fn gauges_have_the_names_of_codis() {
        let place = "codis.lab.127_0_0_1_21081.127_0_0_1_29000";
        let expected = [
            "ops_total:197",
            "ops_fails:1",
            "ops_redis_errors:71",
            "ops_qps:5",
            "sessions_total:204",
            "sessions_alive:3",
            "rusage_mem:34127872",
            "rusage_cpu:0.25",
            "runtime_gc_num:0",
            "runtime_gc_total_pausems:0",
            "runtime_num_procs:2",
            "runtime_num_goroutines:9",
            "runtime_num_cgo_call:0",
            "runtime_num_mem_offheap:77",
        ]
        .map(|gauge| format!("{place}.{gauge}|g\n"));
        assert_eq!(gauges("codis", &samples::model(), &samples::stats()), expected);
        assert_eq!(gauges("codis.", &samples::model(), &samples::stats()), expected);
    }

    #[test]
    fn without_a_prefix_names_begin_with_the_product() {
        let gauges = gauges("", &samples::model(), &samples::stats());
        let expected = "lab.127_0_0_1_21081.127_0_0_1_29000.ops_total:197|g\n";
        assert_eq!(gauges.first().map(String::as_str), Some(expected));
    }

    #[test]
    fn a_datagram_holds_whole_gauges_up_to_its_limit() {
        let gauge = |length: usize| "x".repeat(length);
        let check = |lengths: &[usize], expected: &[usize]| {
            let gauges: Vec<String> = lengths.iter().map(|length| gauge(*length)).collect();
            let lengths: Vec<usize> = datagrams(&gauges).iter().map(String::len).collect();
            assert_eq!(lengths, expected);
        };
        check(&[], &[]);
        check(&[716, 716, 1], &[1432, 1]);
        check(&[716, 717], &[716, 717]);
        check(&[2000, 1, 1], &[2000, 2]);
    }
}
