//! A redis server as given on the command line: `host:port` or a `redis://` URL.
//!
//! ```text
//! 127.0.0.1:6379          redis://10.0.0.1            redis://:password@10.0.0.1:6379/2
//! [::1]:6379              redis://10.0.0.1:6379/2     redis://user:p%40ss@redis-1.internal
//! ```
//!
//! User and password are percent-decoded. No error repeats what was given in full, since it may
//! hold a password: errors quote the part after the `@` only.

use thiserror::Error;

use crate::addr::{self, AddrError};
use crate::secret::Secret;
use crate::settings::Config;

const PORT_DEFAULT: u16 = 6379;

/// A redis server with what is needed to enter it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendUrl {
    /// The server as `host:port`, an IPv6 host in brackets.
    pub addr: String,
    /// The user; `None` means the server's default user.
    pub user: Option<String>,
    /// The password; empty means that none is sent.
    pub password: Secret,
    /// The database in which new sessions start.
    pub database: u32,
}

/// A text that names no redis server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackendUrlError {
    /// What was given is no address.
    #[error(transparent)]
    Address(#[from] AddrError),
    /// The address part of a URL cannot be used; not quoted, since a URL without its `@` may show
    /// a password in this place.
    #[error("this is not a redis URL, write `redis://[user:password@]host[:port][/database]`")]
    UrlAddress,
    /// The URL asks for TLS.
    #[error("TLS is not supported yet, give `redis://` or `host:port`")]
    Tls,
    /// The URL is of another kind.
    #[error("`{scheme}://` is not supported, give `redis://` or `host:port`")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// The part before the `@` cannot be decoded.
    #[error("user or password is badly encoded, write special characters as %XX: `%40` for `@`")]
    Credentials,
    /// A user without a password.
    #[error("a user needs a password: `redis://user:password@host:port`")]
    UserWithoutPassword,
    /// A user or password outside a `redis://` URL.
    #[error("user and password need a URL: `redis://user:password@host:port`")]
    CredentialsWithoutScheme,
    /// What stands after the `/` is no database.
    #[error("`{text}` is not a database, give a number: `redis://host:port/0`")]
    Database {
        /// What was given.
        text: String,
    },
    /// The URL has a query or a fragment.
    #[error("options (`?...`, `#...`) are not supported after the address")]
    Options,
    /// The servers name different databases.
    #[error(
        "all servers must name the same database, \
         `{first}` names {first_database} and `{other}` names {other_database}"
    )]
    DatabasesDiffer {
        /// The address of the first server.
        first: String,
        /// Its database.
        first_database: u32,
        /// The address of a server with another database.
        other: String,
        /// Its database.
        other_database: u32,
    },
    /// The same server twice.
    #[error("`{addr}` is given twice")]
    Duplicate {
        /// Its address.
        addr: String,
    },
    /// The database is beyond what the configuration says the servers have.
    #[error(
        "database {database} does not exist, `backend_number_databases` is {databases}: \
         give a lower database or raise that key"
    )]
    NoSuchDatabase {
        /// The database that was asked for.
        database: u32,
        /// How many there are.
        databases: usize,
    },
}

impl std::str::FromStr for BackendUrl {
    type Err = BackendUrlError;

    fn from_str(text: &str) -> Result<Self, BackendUrlError> {
        match text.split_once("://") {
            None if text.contains('@') => Err(BackendUrlError::CredentialsWithoutScheme),
            None => Ok(Self {
                addr: addr::check_connectable(text)?.to_owned(),
                user: None,
                password: Secret::default(),
                database: 0,
            }),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("redis") => from_url_rest(rest),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("rediss") => Err(BackendUrlError::Tls),
            // A scheme is a word; anything else may be part of a password.
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Err(BackendUrlError::Scheme { scheme: scheme.to_owned() })
            }
            Some(_) => Err(BackendUrlError::CredentialsWithoutScheme),
        }
    }
}

impl Config {
    /// Checks that the servers of one proxy fit together and gives the database of new sessions.
    ///
    /// # Errors
    /// When a server is named twice, when the servers name different databases, or one beyond
    /// [`Config::backend_number_databases`].
    pub fn check_backends(&self, backends: &[BackendUrl]) -> Result<u32, BackendUrlError> {
        let Some(first) = backends.first() else {
            return Ok(0);
        };
        let mut seen = std::collections::BTreeSet::new();
        for other in backends {
            if !seen.insert(&other.addr) {
                return Err(BackendUrlError::Duplicate { addr: other.addr.clone() });
            }
            if other.database != first.database {
                return Err(BackendUrlError::DatabasesDiffer {
                    first: first.addr.clone(),
                    first_database: first.database,
                    other: other.addr.clone(),
                    other_database: other.database,
                });
            }
        }
        let is_known = usize::try_from(first.database)
            .is_ok_and(|database| database < self.backend_number_databases);
        if is_known {
            Ok(first.database)
        } else {
            Err(BackendUrlError::NoSuchDatabase {
                database: first.database,
                databases: self.backend_number_databases,
            })
        }
    }
}

/// Reads what follows `redis://`.
fn from_url_rest(rest: &str) -> Result<BackendUrl, BackendUrlError> {
    // The last `@`, since a password that is not encoded may hold one: nothing of it may end up
    // in the address, which errors quote.
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, rest),
    };
    if place.contains(['?', '#']) {
        return Err(BackendUrlError::Options);
    }
    let (host_port, database) = place.split_once('/').unwrap_or((place, ""));
    let (user, password) = credentials.map_or(Ok((None, Secret::default())), read_credentials)?;
    Ok(BackendUrl {
        addr: addr::with_default_port(host_port, PORT_DEFAULT)
            .map_err(|_| BackendUrlError::UrlAddress)?,
        user,
        password,
        database: read_database(database)?,
    })
}

fn read_credentials(text: &str) -> Result<(Option<String>, Secret), BackendUrlError> {
    let (user, password) = text.split_once(':').ok_or(BackendUrlError::UserWithoutPassword)?;
    let user = percent_decode(user).ok_or(BackendUrlError::Credentials)?;
    let password = percent_decode(password).ok_or(BackendUrlError::Credentials)?;
    if !user.is_empty() && password.is_empty() {
        return Err(BackendUrlError::UserWithoutPassword);
    }
    Ok((Some(user).filter(|user| !user.is_empty()), Secret::new(password)))
}

fn read_database(text: &str) -> Result<u32, BackendUrlError> {
    let refused = || BackendUrlError::Database { text: text.to_owned() };
    match text {
        "" => Ok(0),
        _ if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|_| refused()),
        _ => Err(refused()),
    }
}

/// Replaces each `%XX` by its byte; none if an escape is broken or the bytes are not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests;
