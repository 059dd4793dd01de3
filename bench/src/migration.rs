//! What moving slots costs those who use them: requests per second and latencies, and how long the
//! requests of a slot wait at its transitions.
//!
//! Keyway runs alone, with two workers, over two Redis servers. Clients read and write random
//! keys, each one request at a time or in pipelines; first nothing moves, then all slots go, one
//! after the other, from one server to the other and back, as a dashboard moves them:
//!
//! ```text
//!   prepare ─► migrate ─► MIGRATE of the slot's keys, batch by batch ─► finish ─► the next slot
//! ```
//!
//! The mover never pauses, so this is the most that a move costs; a rate limit makes it less. Two
//! times are told of each move: for how long its slot was locked, from the beginning of the order
//! to prepare to the end of the order to migrate, which no request can wait longer for; and for how
//! long the order to finish held the slot, which is what the proxy logs.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use routing::slot_of;

use crate::client::{AdminClient, Client};
use crate::fills::{columns, parse_held, timed};
use crate::machine::Machine;
use crate::processes::Processes;
use crate::programs::Programs;
use crate::targets::{Rig, TargetKind};

const SLOTS: usize = 1024;

const KEYS: usize = 50_000;
const VALUE_BYTES: usize = 64;

/// Keys in one `MIGRATE` of the mover.
const KEYS_PER_MOVE: usize = 16;

const CLIENTS: usize = 16;

/// Requests that a client sends before it reads a reply.
const PIPELINES: [usize; 2] = [1, 16];

/// Every so many requests one writes.
const READS_PER_WRITE: usize = 4;

/// What the clients and the mover have measured.
#[derive(Default)]
struct Phase {
    pipeline: usize,
    is_moving: bool,
    took: Duration,
    /// Of each pipeline, from its first byte to its last reply.
    latencies: Vec<Duration>,
    moves: usize,
    locked: Vec<Duration>,
    held: Vec<Duration>,
}

/// Measures everything; gives the report as Markdown.
pub(crate) fn measure(processes: &Processes, programs: &Programs, seconds: u32) -> Result<String> {
    let machine = Machine::look()?;
    let rig = Rig::start_for_fills(processes, programs)?;
    let mut mover = Mover::new(&rig)?;
    mover.settle_all()?;
    let proxy = rig.target(TargetKind::Keyway)?.addr;
    Client::connect(proxy)?.fill(keys().into_iter(), &"x".repeat(VALUE_BYTES))?;
    let mut phases = Vec::new();
    for pipeline in PIPELINES {
        for is_moving in [false, true] {
            let mut phase = Phase { pipeline, is_moving, ..Phase::default() };
            run(processes, &mut mover, proxy, seconds, &mut phase)?;
            if is_moving {
                phase.held = mover.held_by_finish(phase.moves)?;
            }
            phases.push(phase);
        }
    }
    Ok(report(&machine, &phases))
}

fn keys() -> Vec<String> {
    (0..KEYS).map(|number| format!("key:{number:012}")).collect()
}

/// Runs the clients for some seconds; the slots move meanwhile, or nothing happens.
fn run(
    processes: &Processes,
    mover: &mut Mover<'_>,
    proxy: SocketAddr,
    seconds: u32,
    phase: &mut Phase,
) -> Result<()> {
    let has_ended = AtomicBool::new(false);
    let keys = keys();
    let pipeline = phase.pipeline;
    let ((), took) = timed(|| {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|index| {
                    let (keys, has_ended) = (&keys, &has_ended);
                    scope.spawn(move || use_keys(proxy, keys, index, pipeline, has_ended))
                })
                .collect();
            let limit = Duration::from_secs(seconds.into());
            let worked =
                if phase.is_moving { mover.move_for(limit, phase) } else { processes.pause(limit) };
            has_ended.store(true, Ordering::Relaxed);
            for client in clients {
                let latencies = client.join().map_err(|_| anyhow!("a client panicked"))?;
                phase.latencies.extend(latencies.context("use keys while slots move")?);
            }
            worked
        })
    })?;
    phase.took = took;
    Ok(())
}

/// A client. An error reply ends it: there is none while slots move and all is well.
fn use_keys(
    proxy: SocketAddr,
    keys: &[String],
    index: usize,
    pipeline: usize,
    has_ended: &AtomicBool,
) -> Result<Vec<Duration>> {
    let mut client = Client::connect(proxy)?;
    let value = "y".repeat(VALUE_BYTES);
    let mut latencies = Vec::new();
    // Steps that are prime to the number of keys visit all of them in no order to speak of.
    let mut place = index * 3_001;
    let mut count = index;
    while !has_ended.load(Ordering::Relaxed) {
        let mut commands = Vec::new();
        for _ in 0..pipeline {
            place = (place + 7_919) % keys.len();
            count += 1;
            let key = keys.get(place).map_or("", String::as_str);
            commands.push(match count % (READS_PER_WRITE + 1) {
                0 => vec!["SET", key, &value],
                _ => vec!["GET", key],
            });
        }
        let ((), took) = timed(|| client.call_all(&commands))?;
        latencies.push(took);
    }
    Ok(latencies)
}

/// Moves slots as a dashboard does.
struct Mover<'a> {
    rig: &'a Rig,
    admin: AdminClient,
    servers: [SocketAddr; 2],
    /// The keys of each slot.
    keys: Vec<Vec<String>>,
    /// The slot that moves next, and the server that it is on.
    next: usize,
    source: usize,
}

impl<'a> Mover<'a> {
    fn new(rig: &'a Rig) -> Result<Self> {
        let mut slots = vec![Vec::new(); SLOTS];
        for key in keys() {
            if let Some(slot) = slots.get_mut(slot_of(key.as_bytes()).index()) {
                slot.push(key);
            }
        }
        let servers: Vec<SocketAddr> = rig.backends.iter().map(|backend| backend.addr).collect();
        let servers = servers.try_into().map_err(|_| anyhow!("the rig has not two servers"))?;
        let admin = AdminClient::connect(rig.admin()?)?;
        Ok(Self { rig, admin, servers, keys: slots, next: 0, source: 0 })
    }

    /// Puts all slots on the first server.
    fn settle_all(&mut self) -> Result<()> {
        let [addr, _] = self.servers;
        let slot = |slot| format!(r#"{{"id":{slot},"backend_addr":"{addr}"}}"#);
        let slots: Vec<String> = (0..SLOTS).map(slot).collect();
        self.admin.fill(&format!("[{}]", slots.join(",")))?;
        Ok(())
    }

    fn move_for(&mut self, limit: Duration, phase: &mut Phase) -> Result<()> {
        let mut took = Duration::ZERO;
        while took < limit {
            let (locked, time) = timed(|| self.move_one())?;
            phase.locked.push(locked);
            phase.moves += 1;
            took += time;
        }
        Ok(())
    }

    /// Moves the next slot; tells for how long it was locked.
    fn move_one(&mut self) -> Result<Duration> {
        let [first, second] = self.servers;
        let (source, target) = if self.source == 0 { (first, second) } else { (second, first) };
        let slot = self.next;
        let form = |is_locked: bool| {
            format!(r#"[{{"id":{slot},"backend_addr":"{target}","migrate_from":"{source}","#)
                + &format!(r#""locked":{is_locked}}}]"#)
        };
        let ((), locked) = timed(|| {
            self.admin.fill(&form(true))?;
            self.admin.fill(&form(false))?;
            Ok(())
        })?;
        let mut client = Client::connect(source)?;
        let (host, port) = (target.ip().to_string(), target.port().to_string());
        let keys = self.keys.get(slot).map(Vec::as_slice).unwrap_or_default();
        for keys in keys.chunks(KEYS_PER_MOVE) {
            let mut command = vec!["MIGRATE", &host, &port, "", "0", "3000", "REPLACE", "KEYS"];
            command.extend(keys.iter().map(String::as_str));
            client.call(&command)?;
        }
        self.admin.fill(&format!(r#"[{{"id":{slot},"backend_addr":"{target}"}}]"#))?;
        self.next = (slot + 1) % SLOTS;
        if self.next == 0 {
            self.source = 1 - self.source;
        }
        Ok(locked)
    }

    /// For how long the orders to finish have held their slots, of the last moves: every third line
    /// of the proxy's log.
    fn held_by_finish(&self, moves: usize) -> Result<Vec<Duration>> {
        let path = self.rig.keyway_log();
        let log =
            fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        let held: Vec<Duration> = log.lines().filter_map(parse_held).collect();
        // The log is written a little later than what it tells of: the last move may be missing.
        let whole = held.len().saturating_sub(1) / 3 * 3;
        let finished: Vec<Duration> =
            held.into_iter().skip(1).take(whole).skip(2).step_by(3).collect();
        ensure!(finished.len() + 1 >= moves, "the proxy's log has not three lines for each move");
        Ok(finished.into_iter().rev().take(moves).collect())
    }
}

fn report(machine: &Machine, phases: &[Phase]) -> String {
    let mut text = format!(
        "{}, {} cores, Linux {}, {}\n\n\
         | {CLIENTS} clients | slots moved/s | requests/s | latency p50 | p99 | max |\n\
         |---|--:|--:|--:|--:|--:|\n",
        machine.cpu_model, machine.cores, machine.kernel, machine.date
    );
    for phase in phases {
        let seconds = phase.took.as_secs_f64();
        let per_second = |count: usize| count as f64 / seconds;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| pipeline {}, {} | {:.0} | {:.0} | {} |",
            phase.pipeline,
            if phase.is_moving { "slots move" } else { "nothing moves" },
            per_second(phase.moves),
            per_second(phase.latencies.len() * phase.pipeline),
            columns(&phase.latencies)
        );
    }
    text.push_str("\n| a slot waits | p50 | p99 | max |\n|---|--:|--:|--:|\n");
    for phase in phases.iter().filter(|phase| phase.is_moving) {
        let _ = writeln!(
            text,
            "| pipeline {}: prepare and migrate, at most | {} |\n| pipeline {}: finish | {} |",
            phase.pipeline,
            columns(&phase.locked),
            phase.pipeline,
            columns(&phase.held)
        );
    }
    text.push_str("\nTimes in milliseconds; the latency is that of a whole pipeline.\n");
    text
}
