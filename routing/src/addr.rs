//! The address of a backend: `host:port`, where the host is a name, an IPv4 or an IPv6 address.
//!
//! Two texts that mean one backend compare equal only when they are written alike; names are not
//! looked up here (pure). Cheap to clone: one shared string.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::RoutingError;

/// The `host:port` of a redis server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendAddr(Arc<str>);

impl BackendAddr {
    /// The address as `host:port`, an IPv6 host in brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }
}

impl FromStr for BackendAddr {
    type Err = RoutingError;

    fn from_str(text: &str) -> Result<Self, RoutingError> {
        let refused = || RoutingError::Address { text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
        let is_plain = !host.is_empty() && !host.contains([':', '[', ']']);
        let is_clean = host.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '@' | '/'));
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0)
            && port.bytes().all(|b| b.is_ascii_digit());
        if is_port && is_clean && (is_bracketed || is_plain) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for BackendAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BackendAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, u16)>) {
        let parsed = text.parse::<BackendAddr>();
        let got = parsed.as_ref().ok().map(|addr| (addr.host(), addr.port()));
        assert_eq!(got, expected, "`{text}`");
    }

    #[test]
    fn addresses_are_host_and_port() {
        check("127.0.0.1:6379", Some(("127.0.0.1", 6379)));
        check("redis-1.internal:1", Some(("redis-1.internal", 1)));
        check("[::1]:6379", Some(("::1", 6379)));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":", "host", "host:", ":6379", "host:0", "host:65536", "host:+1"] {
            check(text, None);
        }
        for text in ["::1:6379", "[]:6379", "[::1]", "a b:1", "user@host:1", "a/b:1"] {
            check(text, None);
        }
    }
}
