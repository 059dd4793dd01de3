//! How fast whole slots move: Keyway's mover beside the loop that `redis-cli --cluster reshard` has.
//!
//! ```text
//!   loop:    SCAN, then MIGRATE of 10 keys, one after the other, by this program
//!   keyway:  an order to the proxy, with 64 slots at a time and with all of them
//! ```
//!
//! Both move every key of one server to another, back and forth, for several sizes of values. While
//! they do, another client sends PING to the source as fast as it answers: its latency is what
//! clients of the source pay.
//!
//! A loop over a Redis Cluster asks for the keys of a slot by `CLUSTER GETKEYSINSLOT`, which servers
//! without cluster mode do not have; SCAN costs the same here, since all keys are moved.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::client::{AdminClient, Client};
use crate::fills::timed;
use crate::machine::Machine;
use crate::processes::Processes;
use crate::programs::Programs;
use crate::targets::Rig;

/// Keys and the bytes of their values.
const DATA: [(u32, usize); 3] = [(200_000, 64), (50_000, 4096), (4_000, 65_536)];

/// As `redis-cli` has it.
const LOOP_KEYS: usize = 10;

/// How often the end of a move is looked for.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// The longest a move may take.
const LOOKS_MAX: u32 = 60_000;

/// One measured way.
struct Sample {
    way: String,
    bytes: usize,
    keys: u32,
    time: Duration,
    pings: Vec<Duration>,
}

/// Measures everything; gives the report as Markdown.
pub(crate) fn measure(processes: &Processes, programs: &Programs) -> Result<String> {
    let machine = Machine::look()?;
    let rig = Rig::start_for_moves(processes, programs)?;
    let [one, two] = rig.backends.as_slice() else {
        return Err(anyhow!("the rig has not two servers"));
    };
    let (one, two) = (one.addr, two.addr);
    let mut admin = AdminClient::connect(rig.admin()?)?;
    let mut samples = Vec::new();
    for (keys, bytes) in DATA {
        fill(one, keys, bytes)?;
        let way = format!("loop, {LOOP_KEYS} keys each");
        let mut take = |way: String, source, work: &mut dyn FnMut() -> Result<()>| {
            let (time, pings) = with_pings(source, work)?;
            samples.push(Sample { way, bytes, keys, time, pings });
            anyhow::Ok(())
        };
        take(way, one, &mut || move_by_loop(one, two))?;
        check_all_on(two, keys)?;
        fill_slots(&mut admin, two)?;
        for (slots_at_once, verify) in [(64, "sample"), (1024, "sample"), (1024, "none")] {
            let (source, target) = if count(two)? > 0 { (two, one) } else { (one, two) };
            let way = format!("keyway, {slots_at_once} slots at once, verify {verify}");
            let options = format!(r#"{{"slots_at_once":{slots_at_once},"verify":"{verify}"}}"#);
            let order = format!(r#"{{"slots":"0-1023","to":"{target}","options":{options}}}"#);
            take(way, source, &mut || move_by_keyway(processes, &mut admin, &order))?;
            check_all_on(target, keys)?;
        }
        for server in [one, two] {
            Client::connect(server)?.call(&["FLUSHALL"])?;
        }
    }
    Ok(report(&machine, &samples))
}

fn fill(server: SocketAddr, keys: u32, bytes: usize) -> Result<()> {
    let names = (0..keys).map(|number| format!("key:{number:012}"));
    Client::connect(server)?.fill(names, &"x".repeat(bytes))
}

fn count(server: SocketAddr) -> Result<u32> {
    Client::connect(server)?.call(&["DBSIZE"])?.parse().context("read the number of keys")
}

fn check_all_on(server: SocketAddr, keys: u32) -> Result<()> {
    let seen = count(server)?;
    ensure!(seen == keys, "{seen} of {keys} keys are on `{server}`");
    Ok(())
}

fn fill_slots(admin: &mut AdminClient, server: SocketAddr) -> Result<()> {
    let form = |slot| format!(r#"{{"id":{slot},"backend_addr":"{server}"}}"#);
    let slots: Vec<String> = (0..1024).map(form).collect();
    admin.fill(&format!("[{}]", slots.join(","))).map(drop)
}

fn move_by_loop(source: SocketAddr, target: SocketAddr) -> Result<()> {
    let mut client = Client::connect(source)?;
    let (host, port) = (target.ip().to_string(), target.port().to_string());
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys) = client.scan(&cursor)?;
        for keys in keys.chunks(LOOP_KEYS) {
            let mut command = vec!["MIGRATE", &host, &port, "", "0", "60000", "REPLACE", "KEYS"];
            command.extend(keys.iter().map(String::as_str));
            client.call(&command)?;
        }
        if next == "0" {
            return Ok(());
        }
        cursor = next;
    }
}

fn move_by_keyway(processes: &Processes, admin: &mut AdminClient, order: &str) -> Result<()> {
    let id = admin.start_move(order)?;
    for _ in 0..LOOKS_MAX {
        match admin.end_of_move(id)?.as_deref() {
            Some("done") => return Ok(()),
            Some(other) => return Err(anyhow!("the move has ended {other}")),
            None => processes.pause(LOOK_PAUSE)?,
        }
    }
    Err(anyhow!("the move does not end"))
}

/// Does some work while a client sends PING to a server; gives its time and theirs.
fn with_pings(
    server: SocketAddr,
    work: &mut dyn FnMut() -> Result<()>,
) -> Result<(Duration, Vec<Duration>)> {
    let must_stop = Arc::new(AtomicBool::new(false));
    let pinger = start_pings(server, Arc::clone(&must_stop));
    let worked = timed(work);
    must_stop.store(true, Ordering::Relaxed);
    let pings = pinger.join().map_err(|_| anyhow!("the client with PING has panicked"))??;
    Ok((worked?.1, pings))
}

fn start_pings(
    server: SocketAddr,
    must_stop: Arc<AtomicBool>,
) -> JoinHandle<Result<Vec<Duration>>> {
    std::thread::spawn(move || {
        let mut client = Client::connect(server)?;
        let mut times = Vec::new();
        while !must_stop.load(Ordering::Relaxed) {
            times.push(timed(|| client.call(&["PING"]))?.1);
        }
        Ok(times)
    })
}

fn report(machine: &Machine, samples: &[Sample]) -> String {
    let mut text = format!(
        "{}, {} cores, Linux {}, {}\n\n\
         | value | keys | way | time | keys/s | MB/s | PING p50 | p99 | max |\n\
         |--:|--:|---|--:|--:|--:|--:|--:|--:|\n",
        machine.cpu_model, machine.cores, machine.kernel, machine.date
    );
    for sample in samples {
        let seconds = sample.time.as_secs_f64();
        let keys = f64::from(sample.keys) / seconds;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let megabytes = keys * sample.bytes as f64 / 1e6;
        let mut pings = sample.pings.clone();
        pings.sort_unstable();
        let at = |percent: usize| {
            let index = (pings.len() * percent / 100).min(pings.len().saturating_sub(1));
            pings.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| {} B | {} | {} | {seconds:.2} s | {keys:.0} | {megabytes:.1} | {:.2} | {:.2} | {:.2} |",
            sample.bytes,
            sample.keys,
            sample.way,
            at(50),
            at(99),
            at(100)
        );
    }
    text.push_str("\nPING in milliseconds, at the source, during the move.\n");
    text
}
