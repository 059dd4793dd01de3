//! The commands that the session answers itself, as a Redis that is alone in the world would.

use std::time::{SystemTime, UNIX_EPOCH};

use command::{
    Args, ClientCommand, Command, LatencyCommand, LocalCommand, Protocol, SlowLogCommand,
};
use resp::encode;

use super::manners::{PingArgument, WrongPassword};
use super::{Phase, ReplyMode, SessionActor, access};
use crate::client_error::{CloseReason, text};
use crate::session::window::Ticket;
use crate::slow_log::Stamps;

impl SessionActor {
    /// Answers a local command. Its arity is already checked.
    pub(super) fn answer(
        &mut self,
        local: LocalCommand,
        ticket: Ticket,
        args: &Args<'_>,
        command: Option<&Command>,
    ) {
        match local {
            LocalCommand::Ping => self.ping(ticket, args),
            LocalCommand::Echo => {
                self.settle_with(ticket, |out| {
                    encode::bulk(out, args.get(1).unwrap_or_default());
                });
            }
            LocalCommand::Quit => {
                self.settle_ok(ticket);
                self.drain(CloseReason::AfterReply);
            }
            LocalCommand::Reset => self.reset(ticket),
            LocalCommand::Select => self.select(ticket, args),
            LocalCommand::Auth => self.auth(ticket, args),
            LocalCommand::Hello => self.hello(ticket, args),
            LocalCommand::Time => self.settle_with(ticket, encode_time),
            LocalCommand::Role => self.settle_with(ticket, |out| {
                encode::array_header(out, 3);
                encode::bulk(out, b"master");
                encode::integer(out, 0);
                encode::array_header(out, 0);
            }),
            LocalCommand::Lolwut => self.settle_with(ticket, |out| {
                encode::bulk(
                    out,
                    concat!("Keyway ver. ", env!("CARGO_PKG_VERSION"), "\n").as_bytes(),
                );
            }),
            LocalCommand::SlotsMapping => self.slots_mapping(ticket, args),
            LocalCommand::Info => self.info(ticket, args),
            LocalCommand::ConfigGet => self.config_get(ticket, args),
            LocalCommand::Command => {
                let commands = std::sync::Arc::clone(&self.worker.commands);
                self.settle_with(ticket, |out| {
                    commands.answer_command(args, Protocol::Resp2, out);
                });
            }
            LocalCommand::ConfigHelp
            | LocalCommand::Client(ClientCommand::Help)
            | LocalCommand::SlowLog(SlowLogCommand::Help)
            | LocalCommand::Latency(LatencyCommand::Help) => {
                let commands = std::sync::Arc::clone(&self.worker.commands);
                self.settle_with(ticket, |out| {
                    if let Some(command) = command {
                        commands.answer_help(command, out);
                    }
                });
            }
            LocalCommand::Client(client) => self.client(client, ticket, args),
            LocalCommand::SlowLog(slow_log) => self.slow_log(slow_log, ticket, args),
            LocalCommand::Latency(latency) => self.latency(latency, ticket, args),
        }
    }

    pub(super) fn settle_with(&mut self, ticket: Ticket, encode: impl FnOnce(&mut Vec<u8>)) {
        self.window.stamp(Stamps::unsent(self.worker.clock.now_us()));
        self.window.settle_local(ticket, &mut self.out, encode);
    }

    pub(super) fn settle_ok(&mut self, ticket: Ticket) {
        self.settle_with(ticket, |out| encode::simple_string(out, "OK"));
    }

    /// Takes no further requests and closes the client once everything is answered.
    pub(super) fn drain(&mut self, reason: CloseReason) {
        self.close_reason = reason;
        self.phase = Phase::Draining;
    }

    /// The arity in the table has no upper end, and yet Redis refuses a second message.
    fn ping(&mut self, ticket: Ticket, args: &Args<'_>) {
        match (self.manners().ping, args.get(1)) {
            (PingArgument::Ignored, _) | (_, None) => {
                self.settle_with(ticket, |out| encode::simple_string(out, "PONG"));
            }
            (PingArgument::Message, Some(message)) if args.len() == 2 => {
                self.settle_with(ticket, |out| encode::bulk(out, message));
            }
            (PingArgument::Message | PingArgument::Backend | PingArgument::Refused, Some(_)) => {
                self.worker.counters.rejected_total.add(1);
                self.settle_error(ticket, text::PING_ARITY);
            }
        }
    }

    /// Back to the state of a new connection.
    fn reset(&mut self, ticket: Ticket) {
        let settings = std::sync::Arc::clone(&self.worker.settings);
        self.set_authenticated(settings.session_credentials.password.is_empty());
        self.change_database(settings.database_initial);
        *self.record.name.borrow_mut() = "".into();
        self.reply_mode = ReplyMode::On;
        self.window.unmute(ticket);
        self.settle_with(ticket, |out| encode::simple_string(out, "RESET"));
    }

    fn change_database(&mut self, database: u16) {
        // ORDER: each database has backend connections of its own, and MOVE and COPY write to
        // another one than they are sent on. What follows waits until all before it is answered.
        if self.record.database.replace(database) != database {
            self.waits_for_replies = true;
        }
    }

    fn select(&mut self, ticket: Ticket, args: &Args<'_>) {
        let databases = self.worker.settings.config.backend_number_databases;
        let has_databases = self.manners().has_databases;
        let index = args.get(1).and_then(parse_integer);
        let Some(index) = index else {
            return self.settle_error(ticket, text::NOT_INTEGER);
        };
        if i32::try_from(index).is_err() {
            return self.settle_error(ticket, text::NOT_INTEGER_32);
        }
        match u16::try_from(index) {
            // There is one, and the client is in it.
            Ok(0) if !has_databases => self.settle_ok(ticket),
            Ok(database) if has_databases && usize::from(database) < databases => {
                self.change_database(database);
                self.settle_ok(ticket);
            }
            _ => self.settle_error(ticket, text::DB_OUT_OF_RANGE),
        }
    }

    fn auth(&mut self, ticket: Ticket, args: &Args<'_>) {
        let manners = self.manners();
        let has_password = !self.worker.settings.session_credentials.password.is_empty();
        if !has_password && manners.grants_without_password {
            return self.settle_ok(ticket);
        }
        let given = match (args.get(1), args.get(2)) {
            (_, Some(_)) if args.len() > 3 && manners.knows_users => Err(text::SYNTAX),
            (_, Some(_)) if !manners.knows_users => Err(text::AUTH_ARITY),
            (Some(_), None) if !has_password => Err(text::NO_PASSWORD_SET),
            (Some(password), None) => Ok(self.log_in(None, password)),
            (Some(user), Some(password)) => Ok(self.log_in(Some(user), password)),
            (None, _) => Ok(false),
        };
        match given {
            Ok(true) => self.settle_ok(ticket),
            Ok(false) => {
                if manners.wrong_password != WrongPassword::ChangesNothing {
                    self.set_authenticated(false);
                }
                self.refuse_auth(ticket, text::WRONG_PASS);
            }
            Err(text) => self.refuse_auth(ticket, text),
        }
    }

    fn refuse_auth(&mut self, ticket: Ticket, text: &str) {
        self.settle_error(ticket, text);
        if self.manners().wrong_password == WrongPassword::Closes {
            self.drain(CloseReason::AfterReply);
        }
    }

    /// Checks a password; without a user it is that of the configured one. A wrong one changes
    /// nothing, as in Redis.
    pub(super) fn log_in(&mut self, user: Option<&[u8]>, password: &[u8]) -> bool {
        let settings = std::sync::Arc::clone(&self.worker.settings);
        let credentials = &settings.session_credentials;
        let configured = match credentials.user.as_str() {
            "" => "default",
            user => user,
        };
        let is_valid =
            access::is_valid(credentials, user.unwrap_or(configured.as_bytes()), password);
        if is_valid {
            *self.record.user.borrow_mut() = configured.into();
            self.set_authenticated(true);
        }
        is_valid
    }

    fn set_authenticated(&mut self, is_authenticated: bool) {
        if self.is_authenticated != is_authenticated {
            self.is_authenticated = is_authenticated;
            let limits = access::request_limits(&self.worker.settings, is_authenticated);
            self.framer = resp::request::RequestFramer::new(limits);
        }
    }
}

/// A number as Redis reads it: no sign but minus, no leading zeros.
pub(super) fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_canonical = digits == "0" && text == "0"
        || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    if is_canonical { text.parse().ok() } else { None }
}

fn encode_time(out: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    encode::array_header(out, 2);
    encode::bulk(out, now.as_secs().to_string().as_bytes());
    encode::bulk(out, now.subsec_micros().to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_integer(text.as_bytes()), expected, "`{text}`");
    }

    #[test]
    fn integers_are_read_as_redis_does() {
        check("0", Some(0));
        check("15", Some(15));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        for text in ["", "-", "+1", "01", "-0", "1 ", " 1", "1x", "9223372036854775808", "é"] {
            check(text, None);
        }
    }
}
