//! CLIENT: what a client says and asks about connections, its own and others'.
//!
//! Everything is answered here, about connections of clients to this proxy; nothing reaches a
//! backend, whose connections are shared. LIST and KILL ask the other workers through the
//! StatsActor, within a deadline.

use std::sync::Arc;
use std::time::Duration;

use command::{Args, ClientCommand};
use resp::encode;

use super::{LocalAnswered, ReplyMode, SessionActor};
use crate::client_error::{CloseReason, RequestFailure, text};
use crate::session::local::parse_integer;
use crate::session::window::Ticket;
use crate::stats::{ClientFilter, KillClients, QueryClients};

/// How long the workers may take to answer a question about clients.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

impl SessionActor {
    pub(super) fn client(&mut self, command: ClientCommand, ticket: Ticket, args: &Args<'_>) {
        match command {
            ClientCommand::Id => {
                let id = i64::try_from(self.record.id).unwrap_or(i64::MAX);
                self.settle_with(ticket, |out| encode::integer(out, id));
            }
            ClientCommand::SetName => self.set_name(ticket, args.get(2).unwrap_or_default()),
            ClientCommand::GetName => {
                let record = std::rc::Rc::clone(&self.record);
                self.settle_with(ticket, |out| match &**record.name.borrow() {
                    "" => encode::null_bulk(out),
                    name => encode::bulk(out, name.as_bytes()),
                });
            }
            ClientCommand::SetInfo => self.set_info(ticket, args),
            ClientCommand::Info => {
                let line = self.record.line(self.worker.clock.now_ms(), &self.worker.commands);
                self.settle_with(ticket, |out| {
                    encode::bulk(out, format!("{line}\n").as_bytes());
                });
            }
            ClientCommand::List => self.list_clients(ticket, args),
            ClientCommand::Kill => self.kill_clients(ticket, args),
            ClientCommand::Reply => self.set_reply_mode(ticket, args),
            ClientCommand::NoEvict | ClientCommand::NoTouch => {
                // Both change how a server treats this one connection; backends see only shared
                // connections, on which neither is ever on.
                let is_switch = args.get(2).is_some_and(|mode| {
                    mode.eq_ignore_ascii_case(b"ON") || mode.eq_ignore_ascii_case(b"OFF")
                });
                if is_switch {
                    self.settle_ok(ticket);
                } else {
                    self.settle_error(ticket, text::SYNTAX);
                }
            }
            ClientCommand::Help => {}
        }
    }

    fn set_name(&mut self, ticket: Ticket, name: &[u8]) {
        match is_client_text(name) {
            Some(name) => {
                *self.record.name.borrow_mut() = name.into();
                self.settle_ok(ticket);
            }
            None => self.settle_error(ticket, text::CLIENT_NAME),
        }
    }

    fn set_info(&mut self, ticket: Ticket, args: &Args<'_>) {
        let attribute = args.get(2).unwrap_or_default();
        let field = if attribute.eq_ignore_ascii_case(b"LIB-NAME") {
            &self.record.lib_name
        } else if attribute.eq_ignore_ascii_case(b"LIB-VER") {
            &self.record.lib_version
        } else {
            let shown = String::from_utf8_lossy(attribute).into_owned();
            self.settle_error(ticket, &format!("ERR Unrecognized option '{shown}'"));
            return;
        };
        if let Some(value) = is_client_text(args.get(3).unwrap_or_default()) {
            *field.borrow_mut() = value.into();
            self.settle_ok(ticket);
        } else {
            let shown = String::from_utf8_lossy(attribute).to_ascii_lowercase();
            let error =
                format!("ERR {shown} cannot contain spaces, newlines or special characters.");
            self.settle_error(ticket, &error);
        }
    }

    fn set_reply_mode(&mut self, ticket: Ticket, args: &Args<'_>) {
        let mode = args.get(2).unwrap_or_default();
        if mode.eq_ignore_ascii_case(b"ON") {
            self.reply_mode = ReplyMode::On;
            self.window.unmute(ticket);
            self.settle_ok(ticket);
        } else if mode.eq_ignore_ascii_case(b"OFF") {
            self.reply_mode = ReplyMode::Off;
            self.window.mute(ticket);
            self.settle_ok(ticket);
        } else if mode.eq_ignore_ascii_case(b"SKIP") {
            if self.reply_mode != ReplyMode::Off {
                self.reply_mode = ReplyMode::SkipNext;
            }
            self.window.mute(ticket);
            self.settle_ok(ticket);
        } else {
            self.settle_error(ticket, text::SYNTAX);
        }
    }

    fn list_clients(&mut self, ticket: Ticket, args: &Args<'_>) {
        let filter = match list_filter(args) {
            Ok(filter) => filter,
            Err(error) => return self.settle_error(ticket, &error),
        };
        let stats = self.links.stats.clone();
        self.ask(ticket, async move {
            let lines = stats.send(QueryClients { filter }).await.ok()?;
            let mut reply = Vec::new();
            let text: String = lines.into_iter().map(|line| line + "\n").collect();
            encode::bulk(&mut reply, text.as_bytes());
            Some(reply)
        });
    }

    fn kill_clients(&mut self, ticket: Ticket, args: &Args<'_>) {
        let configured_user = &self.worker.settings.session_credentials.user;
        let (filter, is_old_form) = match kill_filter(args, self.record.id, configured_user) {
            Ok(parsed) => parsed,
            Err(error) => return self.settle_error(ticket, &error),
        };
        let stats = self.links.stats.clone();
        let own_id = self.record.id;
        let is_own = filter.matches(&self.record);
        if is_own {
            // As in Redis, a client that kills itself still gets the reply.
            self.drain(CloseReason::Killed);
        }
        self.ask(ticket, async move {
            let others = stats.send(KillClients { filter, except: own_id }).await.ok()?;
            let killed = others + u64::from(is_own);
            let mut reply = Vec::new();
            match (is_old_form, killed) {
                (true, 0) => encode::error(&mut reply, text::NO_SUCH_CLIENT),
                (true, _) => encode::simple_string(&mut reply, "OK"),
                (false, _) => encode::integer(&mut reply, i64::try_from(killed).unwrap_or(0)),
            }
            Some(reply)
        });
    }

    /// Settles a request with what a question to other actors brings, or with an error when that
    /// takes too long. Later requests go on meanwhile; the window keeps the order of replies.
    pub(super) fn ask(
        &self,
        ticket: Ticket,
        question: impl Future<Output = Option<Vec<u8>>> + 'static,
    ) {
        let Some(me) = self.me.as_ref().map(Arc::clone) else {
            return;
        };
        let dialect = self.worker.commands.dialect();
        actix_rt::spawn(async move {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, question).await.ok().flatten();
            let reply = answer.unwrap_or_else(|| {
                let mut error = Vec::new();
                encode::error(&mut error, RequestFailure::ProxyTimeout.to_client(dialect));
                error
            });
            #[expect(clippy::disallowed_methods, reason = "BOUND: one answer per entered request")]
            me.do_send(LocalAnswered { ticket, reply });
        });
    }
}

/// A name that may stand in a line of CLIENT LIST: printable ASCII without spaces.
pub(super) fn is_client_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(text)
}

/// `CLIENT LIST [TYPE type] [ID id...]`
fn list_filter(args: &Args<'_>) -> Result<ClientFilter, String> {
    let mut filter = ClientFilter::default();
    let Some(option) = args.get(2) else {
        return Ok(filter);
    };
    if option.eq_ignore_ascii_case(b"TYPE") && args.len() == 4 {
        filter.is_normal_type = Some(is_normal_type(args.get(3).unwrap_or_default())?);
    } else if option.eq_ignore_ascii_case(b"ID") && args.len() > 3 {
        for id in args.iter().skip(3) {
            let id = parse_integer(id).and_then(|id| u64::try_from(id).ok());
            filter.ids.push(id.ok_or("ERR Invalid client ID")?);
        }
    } else {
        return Err(text::SYNTAX.to_owned());
    }
    Ok(filter)
}

/// `CLIENT KILL addr`, or `CLIENT KILL filter value...`. Says which form it is.
fn kill_filter(
    args: &Args<'_>,
    own_id: u64,
    configured_user: &str,
) -> Result<(ClientFilter, bool), String> {
    let mut filter = ClientFilter::default();
    let as_text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if args.len() == 3 {
        filter.peer = Some(as_text(args.get(2).unwrap_or_default()));
        return Ok((filter, true));
    }
    // The new form spares the caller unless it says otherwise.
    let mut is_sparing = true;
    for index in (2..args.len()).step_by(2) {
        let name = args.get(index).unwrap_or_default();
        let value = args.get(index + 1).ok_or(text::SYNTAX)?;
        if name.eq_ignore_ascii_case(b"ID") {
            let id = parse_integer(value).and_then(|id| u64::try_from(id).ok());
            let id = id.filter(|id| *id > 0).ok_or(text::CLIENT_ID)?;
            filter.ids.push(id);
        } else if name.eq_ignore_ascii_case(b"TYPE") {
            filter.is_normal_type = Some(is_normal_type(value)?);
        } else if name.eq_ignore_ascii_case(b"ADDR") {
            filter.peer = Some(as_text(value));
        } else if name.eq_ignore_ascii_case(b"LADDR") {
            filter.local = Some(as_text(value));
        } else if name.eq_ignore_ascii_case(b"USER") {
            let user = as_text(value);
            if user.is_empty() || !["default", configured_user].contains(&user.as_str()) {
                return Err(format!("ERR No such user '{user}'"));
            }
            filter.user = Some(user);
        } else if name.eq_ignore_ascii_case(b"SKIPME") {
            is_sparing = value.eq_ignore_ascii_case(b"yes");
            if !is_sparing && !value.eq_ignore_ascii_case(b"no") {
                return Err(text::SYNTAX.to_owned());
            }
        } else {
            return Err(text::SYNTAX.to_owned());
        }
    }
    filter.spared_id = is_sparing.then_some(own_id);
    Ok((filter, false))
}

fn is_normal_type(name: &[u8]) -> Result<bool, String> {
    let known = [&b"normal"[..], b"master", b"slave", b"replica", b"pubsub"];
    if known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Ok(name.eq_ignore_ascii_case(b"normal"));
    }
    Err(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(name)))
}
