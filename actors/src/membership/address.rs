//! What the proxy's addresses are called in its node, where clients and dashboards look them up.
//!
//! ```text
//!                     codis1, reborn          codis2
//! given by setting    as it is                as it is
//! otherwise           the machine's name      the configured host, but the machine's name for
//!                                             0.0.0.0, 127.0.0.* and an empty one
//! ```
//!
//! Pure. The name of the fence is this address, so it has to be the same after a restart.

use config::Topology;

/// The address of a listener as told to others: `given` is the setting for that (empty: none),
/// `configured` the address that was listened on, `port` the one that it became.
#[must_use]
pub fn advertised(
    topology: Topology,
    given: &str,
    configured: &str,
    port: u16,
    hostname: &str,
) -> String {
    if !given.is_empty() {
        return given.to_owned();
    }
    let host = configured.rsplit_once(':').map_or("", |(host, _)| host);
    let is_known_elsewhere =
        !matches!(host, "" | "0.0.0.0" | "localhost") && !host.starts_with("127.0.0.");
    match topology {
        Topology::Codis2 if is_known_elsewhere => format!("{host}:{port}"),
        Topology::Codis1 | Topology::Codis2 | Topology::Codis3 | Topology::Reborn => {
            format!("{hostname}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topology: Topology, given: &str, configured: &str, expected: &str) {
        assert_eq!(advertised(topology, given, configured, 9000, "vm"), expected);
    }

    #[test]
    fn an_address_is_told_as_each_generation_does_it() {
        check(Topology::Codis1, "", "10.0.0.1:9000", "vm:9000");
        check(Topology::Reborn, "", "0.0.0.0:0", "vm:9000");
        check(Topology::Codis2, "", "10.0.0.1:9000", "10.0.0.1:9000");
        check(Topology::Codis2, "", ":9000", "vm:9000");
        check(Topology::Codis2, "", "127.0.0.1:9000", "vm:9000");
        for topology in [Topology::Codis1, Topology::Codis2, Topology::Reborn] {
            check(topology, "proxy.example:1", "0.0.0.0:9000", "proxy.example:1");
        }
    }
}
