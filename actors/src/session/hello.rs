//! HELLO: the first thing that modern clients say.
//!
//! The proxy speaks RESP2 to its clients; a client that asks for RESP3 gets Redis' own NOPROTO
//! error, upon which clients fall back.

use command::Args;
use resp::encode;

use super::SessionActor;
use crate::client_error::text;
use crate::session::client_command::is_client_text;
use crate::session::local::parse_integer;
use crate::session::window::Ticket;

/// The version of RESP that the proxy speaks to clients.
const PROTOCOL: i64 = 2;

/// What stands behind the version.
#[derive(Default)]
struct Options<'a> {
    auth: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a str>,
}

impl SessionActor {
    pub(super) fn hello(&mut self, ticket: Ticket, args: &Args<'_>) {
        match self.say_hello(args) {
            Ok(()) => self.greet(ticket),
            Err(text) => self.settle_error(ticket, &text),
        }
    }

    fn say_hello(&mut self, args: &Args<'_>) -> Result<(), String> {
        if let Some(version) = args.get(1) {
            let version = parse_integer(version).ok_or(text::PROTO_NOT_INTEGER)?;
            if version != PROTOCOL {
                return Err(text::NO_PROTO.to_owned());
            }
        }
        let options = Options::parse(args)?;
        if let Some((user, password)) = options.auth
            && !self.log_in(Some(user), password)
        {
            return Err(text::WRONG_PASS.to_owned());
        }
        if !self.is_authenticated {
            return Err(text::HELLO_NO_AUTH.to_owned());
        }
        if let Some(name) = options.name {
            *self.record.name.borrow_mut() = name.into();
        }
        Ok(())
    }

    fn greet(&mut self, ticket: Ticket) {
        let id = i64::try_from(self.record.id).unwrap_or(i64::MAX);
        let settings = std::sync::Arc::clone(&self.worker.settings);
        self.settle_with(ticket, |out| {
            encode::array_header(out, 14);
            encode::bulk(out, b"server");
            encode::bulk(out, b"redis");
            encode::bulk(out, b"version");
            encode::bulk(out, settings.redis_version.as_bytes());
            encode::bulk(out, b"proto");
            encode::integer(out, PROTOCOL);
            encode::bulk(out, b"id");
            encode::integer(out, id);
            encode::bulk(out, b"mode");
            encode::bulk(out, b"standalone");
            encode::bulk(out, b"role");
            encode::bulk(out, b"master");
            encode::bulk(out, b"modules");
            encode::array_header(out, 0);
        });
    }
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut index = 2;
        while let Some(option) = args.get(index) {
            let (first, second) = (args.get(index + 1), args.get(index + 2));
            if option.eq_ignore_ascii_case(b"AUTH")
                && let (Some(user), Some(password)) = (first, second)
            {
                options.auth = Some((user, password));
                index += 3;
            } else if option.eq_ignore_ascii_case(b"SETNAME")
                && let Some(name) = first
            {
                let name = is_client_text(name).ok_or(text::CLIENT_NAME)?;
                options.name = Some(name);
                index += 2;
            } else {
                let shown = String::from_utf8_lossy(option);
                return Err(format!("ERR Syntax error in HELLO option '{shown}'"));
            }
        }
        Ok(options)
    }
}
