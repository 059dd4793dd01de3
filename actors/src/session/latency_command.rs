//! LATENCY: what made requests of this proxy slow, in the forms of a Redis server's monitor.
//!
//! The events are the parts of a request's time (`slow_log`); the threshold is that of the slow
//! log. HISTOGRAM reads the workers' counters as they stand; for the rest the workers are asked
//! through the StatsActor, within a deadline.

use std::fmt::Write as _;

use command::{Args, LatencyCommand, Protocol};
use resp::encode;

use super::SessionActor;
use crate::latency::{Histogram, Snapshot};
use crate::session::window::Ticket;
use crate::slow_log::{Event, Events};
use crate::stats::{ForgetEvents, QueryEvents};
use crate::worker::Shared;

impl SessionActor {
    pub(super) fn latency(&mut self, command: LatencyCommand, ticket: Ticket, args: &Args<'_>) {
        let protocol = Protocol::Resp2;
        match command {
            LatencyCommand::Latest => self.ask_events(ticket, encode_latest),
            LatencyCommand::History => {
                let event = Event::of_name(args.get(2).unwrap_or_default());
                self.ask_events(ticket, move |events, out| encode_history(events, event, out));
            }
            LatencyCommand::Doctor => {
                let slower_than = self.worker.settings.config.slowlog_log_slower_than;
                self.ask_events(ticket, move |events, out| {
                    encode_text(&advice(events, slower_than), protocol, out);
                });
            }
            LatencyCommand::Reset => self.reset_events(ticket, args),
            LatencyCommand::Histogram => {
                let shared = std::sync::Arc::clone(&self.worker.shared);
                let wanted: Vec<_> = args.iter().skip(2).map(<[u8]>::to_ascii_lowercase).collect();
                self.settle_with(ticket, |out| {
                    encode_histograms(&histograms(&shared, &wanted), protocol, out);
                });
            }
            // Answered by the caller.
            LatencyCommand::Help => {}
        }
    }

    fn ask_events(&self, ticket: Ticket, encode: impl FnOnce(&Events, &mut Vec<u8>) + 'static) {
        let stats = self.links.stats.clone();
        self.ask(ticket, async move {
            let events = stats.send(QueryEvents).await.ok()?;
            let mut reply = Vec::new();
            encode(&events, &mut reply);
            Some(reply)
        });
    }

    fn reset_events(&self, ticket: Ticket, args: &Args<'_>) {
        let events = match args.len() {
            2 => Event::ALL.into(),
            _ => args.iter().skip(2).filter_map(Event::of_name).collect(),
        };
        let stats = self.links.stats.clone();
        self.ask(ticket, async move {
            let forgotten = stats.send(ForgetEvents { events }).await.ok()?;
            let mut reply = Vec::new();
            encode::integer(&mut reply, i64::try_from(forgotten).unwrap_or(0));
            Some(reply)
        });
    }
}

/// Of each event that has happened: its name, when it last did, how long it then took, and how
/// long it took at worst.
fn encode_latest(events: &Events, out: &mut Vec<u8>) {
    let happened = Event::ALL.into_iter().filter_map(|event| {
        let series = events.of(event);
        series.samples.back().map(|latest| (event, *latest, series.worst_ms))
    });
    let happened: Vec<_> = happened.collect();
    encode::array_header(out, happened.len());
    for (event, latest, worst_ms) in happened {
        encode::array_header(out, 4);
        encode::bulk(out, event.name().as_bytes());
        encode::integer(out, i64::try_from(latest.unix_s).unwrap_or(i64::MAX));
        encode::integer(out, latest.time_ms.into());
        encode::integer(out, worst_ms.into());
    }
}

/// The samples of an event; none of one that does not exist, as in Redis.
fn encode_history(events: &Events, event: Option<Event>, out: &mut Vec<u8>) {
    let Some(event) = event else {
        return encode::array_header(out, 0);
    };
    let samples = &events.of(event).samples;
    encode::array_header(out, samples.len());
    for sample in samples {
        encode::array_header(out, 2);
        encode::integer(out, i64::try_from(sample.unix_s).unwrap_or(i64::MAX));
        encode::integer(out, sample.time_ms.into());
    }
}

/// The latencies of the commands that were called: of all, or of those that are wanted, where a
/// container stands for its sub-commands.
fn histograms<'s>(shared: &'s Shared, wanted: &[Vec<u8>]) -> Vec<(&'s str, Snapshot)> {
    let is_wanted = |name: &str| {
        let container = name.split_once('|').map_or(name, |(container, _)| container);
        wanted.is_empty()
            || wanted.iter().any(|wanted| *wanted == name.as_bytes())
            || wanted.iter().any(|wanted| *wanted == container.as_bytes())
    };
    let commands = shared.commands.commands().filter(|command| is_wanted(command.name()));
    let snapshots = commands.filter_map(|command| {
        let mut sum = Snapshot::default();
        for counters in &shared.counters {
            let counters = counters.commands.get(command.id().index());
            if let Some(latency) = counters.and_then(|counters| counters.latency()) {
                sum.add(&Histogram::snapshot(latency));
            }
        }
        (sum.count() > 0).then(|| (command.name(), sum))
    });
    snapshots.collect()
}

/// A map from the command to its number of calls, and to how many of them took at most how many
/// microseconds.
fn encode_histograms(commands: &[(&str, Snapshot)], protocol: Protocol, out: &mut Vec<u8>) {
    map_header(commands.len(), protocol, out);
    for (name, latency) in commands {
        encode::bulk(out, name.as_bytes());
        map_header(2, protocol, out);
        encode::bulk(out, b"calls");
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        encode::integer(out, count(latency.count()));
        encode::bulk(out, b"histogram_usec");
        let mut counted = 0;
        let bins: Vec<_> = latency
            .cumulative()
            .filter(|(_, up_to)| std::mem::replace(&mut counted, *up_to) != *up_to)
            .collect();
        map_header(bins.len(), protocol, out);
        for (bound_us, up_to) in bins {
            encode::integer(out, count(bound_us));
            encode::integer(out, count(up_to));
        }
    }
}

fn map_header(pairs: usize, protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Resp2 => encode::array_header(out, pairs * 2),
        Protocol::Resp3 => encode::map_header(out, pairs),
    }
}

fn encode_text(text: &str, protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Resp2 => encode::bulk(out, text.as_bytes()),
        Protocol::Resp3 => encode::verbatim_text(out, text),
    }
}

/// What was slow, in words, and where to look.
fn advice(events: &Events, slower_than: i64) -> String {
    if slower_than < 0 {
        return "Nothing is watched: `slowlog_log_slower_than` is -1. Set it to a number of \
                microseconds, and requests that take longer will show here.\n"
            .to_owned();
    }
    let mut text = String::new();
    for event in Event::ALL {
        let series = events.of(event);
        let count = series.samples.len() as u64;
        if count == 0 {
            continue;
        }
        let sum: u64 = series.samples.iter().map(|sample| u64::from(sample.time_ms)).sum();
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{}: slow in {count} seconds, {} ms on average, {} ms at worst. {}",
            event.name(),
            sum / count,
            series.worst_ms,
            hint(event)
        );
    }
    if text.is_empty() {
        let _ = writeln!(text, "No request has taken {slower_than} microseconds or longer.");
    } else {
        text.push_str("SLOWLOG GET 128 PARTS shows the requests and where their time went.\n");
    }
    text
}

/// Where to look when an event has happened.
fn hint(event: Event) -> &'static str {
    match event {
        Event::Command => "These are whole requests; the lines below say which part was slow.",
        Event::Queue => {
            "Requests waited for locked slots, for a backend to come back or for one that took \
             nothing more: look at the slots and at the state of the backends."
        }
        Event::Backend => {
            "A backend took long, or the network to it: look at SLOWLOG, LATENCY and the load of \
             the servers that SLOWLOG GET 128 PARTS names here."
        }
        Event::Write => {
            "Replies waited for earlier ones of the same pipeline, or the proxy lacked processor \
             time: look at its CPU, and at what slow clients pipeline."
        }
    }
}

#[cfg(test)]
mod tests;
