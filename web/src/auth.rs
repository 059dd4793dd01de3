//! The two identities of the Codis admin protocol: the token of a proxy and the xauth of a caller.
//!
//! ```text
//! token = MD5("Codis-Token@[" MACs "]-{" product "}-{" data address "}-{" admin address "}")
//! xauth = first half of SHA-256("Codis-XAuth-[" product "]-[" product_auth "]-[" token "]")
//! ```
//!
//! The token names a proxy in the coordinator's store. It comes from the machine and the listeners,
//! so it is the same after a restart, and the same as that of a Codis proxy on the same addresses,
//! which therefore can be replaced without a trace of it left in the store.
//!
//! The xauth proves that the caller knows `product_auth`. It is constant and travels in URLs: it is
//! never logged and never compared byte by byte with an early end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use config::Secret;
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// Where Linux lists the network interfaces.
const INTERFACES: &str = "/sys/class/net";

/// An xauth is this many bytes of the hash, two digits each.
const XAUTH_BYTES: usize = 16;

/// What callers show to a proxy of this product that has this token: proof of its password.
#[must_use]
pub fn proxy_xauth(product_name: &str, product_auth: &Secret, token: &str) -> Secret {
    // An empty password keeps its brackets.
    let product_auth = product_auth.expose();
    xauth(&format!("Codis-XAuth-[{product_name}]-[{product_auth}]-[{token}]"))
}

/// The xauth of the callers of a dashboard, which proves nothing but the product's name.
pub(crate) fn dashboard_xauth(product_name: &str) -> Secret {
    xauth(&format!("Codis-XAuth-[{product_name}]"))
}

fn xauth(text: &str) -> Secret {
    let digest = Sha256::digest(text.as_bytes());
    Secret::new(hex(digest.iter().take(XAUTH_BYTES)))
}

/// The token of a proxy; the addresses are spelled as [`crate::addresses::codis_spelling`] does.
pub(crate) fn proxy_token(macs: &[String], product_name: &str, data: &str, admin: &str) -> String {
    let mut macs = macs.to_vec();
    macs.sort_unstable();
    let macs = macs.join(" ");
    let text = format!("Codis-Token@[{macs}]-{{{product_name}}}-{{{data}}}-{{{admin}}}");
    hex(Md5::digest(text.as_bytes()).iter())
}

/// The hardware addresses of this machine's interfaces, without those that have none.
pub(crate) fn mac_addresses() -> Vec<String> {
    mac_addresses_in(Path::new(INTERFACES))
}

fn mac_addresses_in(folder: &Path) -> Vec<String> {
    let Ok(interfaces) = fs::read_dir(folder) else {
        return Vec::new();
    };
    interfaces
        .filter_map(|interface| fs::read_to_string(interface.ok()?.path().join("address")).ok())
        .map(|address| address.trim().to_ascii_lowercase())
        .filter(|address| address.bytes().any(|byte| !matches!(byte, b'0' | b':')))
        .collect()
}

/// Compares a secret with what somebody sent, in a time that does not tell how much of it is right.
pub(crate) fn is_same(secret: &Secret, given: &str) -> bool {
    let secret = secret.expose();
    let difference = secret.bytes().zip(given.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b));
    secret.len() == given.len() && difference == 0
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
