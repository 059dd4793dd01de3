//! The names that proxies before Codis 3 have for settings, in their files and flags.
//!
//! One table for Codis 1.9, Codis 2.0 and RebornDB: no name means different things to two of them.
//! A value is read as the setting of ours reads it, which takes a bare number for seconds as they
//! do; [`Form`] says where theirs is written in another way.

use std::borrow::Cow;

/// A name of theirs.
#[derive(Debug)]
pub(crate) struct EarlierKey {
    pub(crate) name: &'static str,
    /// The settings that it stands for; none when it has no counterpart here.
    pub(crate) settings: &'static [&'static str],
    form: Form,
}

/// How their value becomes one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It is one.
    Same,
    /// An address to listen on; without a host, every interface is meant.
    Listen,
    /// Milliseconds; a number up to [`SECONDS_MAX`] is one of seconds.
    Milliseconds,
}

/// What no session of a coordinator lasts in milliseconds must be seconds.
const SECONDS_MAX: u64 = 100;

/// The interfaces of a host: as these proxies know no IPv6, those with an IPv4 address.
const EVERY_INTERFACE: &str = "0.0.0.0";

const KEYS: &[EarlierKey] = &[
    same("product", &["product_name"]),
    same("zk", &["coordinator_addr"]),
    same("coordinator", &["coordinator_name"]),
    // To dial, for the reply to the last request, and to write.
    same(
        "net_timeout",
        &["backend_connect_timeout", "backend_recv_timeout", "backend_send_timeout"],
    ),
    same("proto", &["proto_type"]),
    // Of Codis 2.0, where clients give the same password as the servers take.
    same("password", &["session_auth", "product_auth"]),
    same("store_auth", &["product_auth"]),
    same("proxy_auth", &["session_auth"]),
    EarlierKey { name: "addr", settings: &["proxy_addr"], form: Form::Listen },
    EarlierKey { name: "http_addr", settings: &["admin_addr"], form: Form::Listen },
    same("session_max_timeout", &["session_recv_timeout"]),
    same("session_max_bufsize", &[]),
    EarlierKey {
        name: "zk_session_timeout",
        settings: &["coordinator_session_timeout"],
        form: Form::Milliseconds,
    },
];

const fn same(name: &'static str, settings: &'static [&'static str]) -> EarlierKey {
    EarlierKey { name, settings, form: Form::Same }
}

/// What a name of theirs stands for.
pub(crate) fn key(name: &str) -> Option<&'static EarlierKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Every name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

impl EarlierKey {
    /// A value of theirs as ours has it.
    pub(crate) fn value<'v>(&self, value: &'v str) -> Cow<'v, str> {
        match self.form {
            Form::Listen if value.starts_with(':') => format!("{EVERY_INTERFACE}{value}").into(),
            Form::Milliseconds => match value.parse::<u64>() {
                Ok(number) if number > SECONDS_MAX => format!("{number}ms").into(),
                _ => value.into(),
            },
            Form::Same | Form::Listen => value.into(),
        }
    }
}

#[cfg(test)]
mod tests;
