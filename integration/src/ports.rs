//! Free ports for servers that cannot choose one themselves.
//!
//! The ports lie below the range from which Linux takes the source ports of outgoing connections
//! (32768 and up). A server that is down for a while would otherwise lose its port to somebody's
//! outgoing connection, and a client that reconnects to it in vain would, once in some ten
//! thousand attempts, connect to itself.
//!
//! Between the check and the start of the server another process can take the port: whoever
//! starts a server on it tries again with another one.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const PORT_FIRST: u32 = 20_000;
const PORTS: u32 = 12_000;

/// A port of 127.0.0.1 on which nobody listened just now; each call of a process tries another
/// one first.
///
/// # Panics
/// When all of them are taken.
#[must_use]
pub fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        // Test processes have adjacent ids; the factor keeps their first choices apart.
        let offset = std::process::id().wrapping_mul(37).wrapping_add(call) % PORTS;
        let Ok(port) = u16::try_from(PORT_FIRST + offset) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {PORTS} from {PORT_FIRST} on");
}

#[cfg(test)]
mod tests;
