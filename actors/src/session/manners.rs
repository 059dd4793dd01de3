//! What the commands of a connection do in each dialect: one row per dialect, read by the handlers
//! of these commands alone.
//!
//! The errors that go with it are in `client_error::text`, the commands that a dialect refuses in
//! `command::Dialect`; docs/dialects.md has all of it in one table, and what is other than in the
//! proxies of that name.

use command::Dialect;
use config::{Compat, Config};

use super::SessionActor;

/// What becomes of the argument of a PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PingArgument {
    /// It comes back; a second one is refused.
    Message,
    /// It names the backend that is asked.
    Backend,
    /// It is refused.
    Refused,
    /// Nothing, however many there are.
    Ignored,
}

/// What a wrong password does, apart from its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrongPassword {
    /// A client that has said the right one may go on.
    ChangesNothing,
    /// It also ends what a right one has given.
    Forgets,
    /// The client is closed, by every AUTH that fails.
    Closes,
}

/// How a client is treated that has not said its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is told what is wrong with its requests.
    ToldFaults,
    /// It is told nothing but that it is unknown.
    ToldNothing,
    /// With that it is closed, even by QUIT.
    Closed,
}

/// One dialect.
#[derive(Debug)]
pub(super) struct Manners {
    pub(super) ping: PingArgument,
    /// Whether SELECT takes other databases than 0.
    pub(super) has_databases: bool,
    /// Whether AUTH takes a user as well.
    pub(super) knows_users: bool,
    /// Whether every AUTH succeeds where no password is set.
    pub(super) grants_without_password: bool,
    pub(super) wrong_password: WrongPassword,
    pub(super) unknown: Unknown,
}

const REDIS: Manners = Manners {
    ping: PingArgument::Message,
    has_databases: true,
    knows_users: true,
    grants_without_password: false,
    wrong_password: WrongPassword::ChangesNothing,
    unknown: Unknown::ToldFaults,
};

const CODIS3: Manners = Manners {
    ping: PingArgument::Backend,
    has_databases: true,
    knows_users: false,
    grants_without_password: false,
    wrong_password: WrongPassword::Forgets,
    unknown: Unknown::ToldFaults,
};

const CODIS2: Manners = Manners {
    ping: PingArgument::Refused,
    has_databases: false,
    knows_users: false,
    grants_without_password: false,
    wrong_password: WrongPassword::Forgets,
    unknown: Unknown::ToldNothing,
};

/// Codis 1.9 has no passwords for clients; where one is set, it is asked for as in Codis 2.0.
const CODIS1: Manners =
    Manners { ping: PingArgument::Ignored, grants_without_password: true, ..CODIS2 };

const REBORN: Manners = Manners {
    ping: PingArgument::Ignored,
    has_databases: false,
    knows_users: false,
    grants_without_password: false,
    wrong_password: WrongPassword::Closes,
    unknown: Unknown::Closed,
};

impl Manners {
    /// The row of a dialect.
    pub(super) const fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Redis => &REDIS,
            Dialect::Codis3 => &CODIS3,
            Dialect::Codis2 => &CODIS2,
            Dialect::Codis1 => &CODIS1,
            Dialect::Reborn => &REBORN,
        }
    }
}

impl SessionActor {
    pub(super) fn manners(&self) -> &'static Manners {
        Manners::of(self.worker.commands.dialect())
    }
}

/// The dialect that the settings ask for.
pub(crate) fn dialect_of(config: &Config) -> Dialect {
    match config.compat {
        // The loader of settings leaves no `auto`.
        Compat::Auto | Compat::Redis => Dialect::Redis,
        Compat::Codis => Dialect::Codis3,
        Compat::Codis1 => Dialect::Codis1,
        Compat::Codis2 => Dialect::Codis2,
        Compat::Reborn => Dialect::Reborn,
    }
}
