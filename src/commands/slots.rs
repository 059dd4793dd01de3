//! `keyway admin slots move` and its kin: moves of slots.
//!
//! The proxy runs the move; this only orders it and looks on. Whoever waits may be interrupted and
//! look again with `slots status`.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use mover::{MoveOptions, MoveRequest};
use serde_json::Value;

use crate::admin::client::SignedIn;
use crate::admin::moves;
use crate::cli::{AdminArgs, MoveArgs, SlotsOrder};
use crate::output::{self, Failure};

/// The pause between two looks at a move.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// How many looks in a row may fail, while a proxy is started again perhaps: two minutes.
const FAILED_LOOKS_MAX: u32 = 240;

/// Of so many looks one is a line where there is no terminal.
const LOOKS_PER_LINE: u32 = 10;

/// The exit status of a move that has left keys on purpose.
const STATUS_INCOMPLETE: u8 = 3;

/// The exit status of a move that was cancelled.
const STATUS_CANCELLED: u8 = 4;

/// Carries out an order about slots.
pub(crate) fn run(
    client: &SignedIn,
    addr: &str,
    args: &AdminArgs,
    order: &SlotsOrder,
) -> Result<(), Failure> {
    let has_colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match order {
        SlotsOrder::Move(move_args) => return start(client, addr, args, move_args),
        SlotsOrder::Status { id } => {
            let answer = list(client)?;
            let text = match (id, args.json) {
                (None, true) => answer.to_string(),
                (None, false) => moves::table(&answer, has_colours),
                (Some(id), true) => find(&answer, *id, addr)?.to_string(),
                (Some(id), false) => moves::details(find(&answer, *id, addr)?, has_colours),
            };
            print(&text)?;
        }
        SlotsOrder::Pause { id } => steer(client, addr, args, *id, "pause")?,
        SlotsOrder::Resume { id } => steer(client, addr, args, *id, "resume")?,
        SlotsOrder::Cancel { id } => steer(client, addr, args, *id, "cancel")?,
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(output::print(format!("{text}{end}").as_bytes())?)
}

fn list(client: &SignedIn) -> Result<Value> {
    let answer = client.get("slots/moves/{x}")?;
    serde_json::from_str(&answer).context("read the answer about moves")
}

fn find<'a>(answer: &'a Value, id: u64, addr: &str) -> Result<&'a Value> {
    let found = moves::all(answer).find(|one| moves::id(one) == Some(id));
    found.with_context(|| format!("{addr} knows of no move {id}"))
}

fn steer(
    client: &SignedIn,
    addr: &str,
    args: &AdminArgs,
    id: Option<u64>,
    wish: &str,
) -> Result<()> {
    let id = match id {
        Some(id) => id,
        None => only_open(&list(client)?, addr)?,
    };
    let answer = client.put(&format!("slots/move/{id}/{wish}/{{x}}"), b"")?;
    if args.json {
        return print(&answer);
    }
    print(&match wish {
        "pause" => format!("move {id} rests: its slots are served, no more keys are moved"),
        "resume" => format!("move {id} goes on"),
        _ => format!("move {id} goes back: see `slots status {id}`"),
    })
}

/// The number of the only move that has not ended.
fn only_open(answer: &Value, addr: &str) -> Result<u64> {
    let open = moves::all(answer).filter(|one| !moves::has_ended(one));
    let ids: Vec<u64> = open.filter_map(moves::id).collect();
    match ids.as_slice() {
        [id] => Ok(*id),
        [] => bail!("{addr} has no move that has not ended"),
        several => bail!("{addr} has several moves, name one of {several:?}"),
    }
}

fn start(
    client: &SignedIn,
    addr: &str,
    args: &AdminArgs,
    move_args: &MoveArgs,
) -> Result<(), Failure> {
    let others = args.proxy.iter().skip(1).map(ToString::to_string).collect();
    let body = serde_json::to_vec(&request(move_args, others)).context("write the order")?;
    let answer = client.post("slots/move/{x}", &body)?;
    let id: Option<u64> =
        serde_json::from_str(&answer).ok().and_then(|answer: Value| answer.get("id")?.as_u64());
    let id = id.with_context(|| format!("{addr} has taken the order, but gives it no number"))?;
    if move_args.wait {
        return wait(client, addr, args, id);
    }
    if args.json {
        print(&answer)?;
    } else {
        print(&format!("move {id} has begun; `slots status {id}` tells how far it is"))?;
    }
    Ok(())
}

fn request(args: &MoveArgs, proxies: Vec<String>) -> MoveRequest {
    MoveRequest {
        slots: args.slots.clone(),
        to: args.to.to_string(),
        group: args.group,
        proxies,
        options: MoveOptions {
            slots_at_once: args.slots_at_once,
            concurrency: args.concurrency,
            keys_per_second: args.keys_per_second,
            bytes_per_second: args.bytes_per_second,
            batch_time_ms: args.batch_time,
            batch_keys_max: args.batch_keys,
            batch_bytes_max: args.batch_bytes,
            big_key_bytes: args.big_key_bytes,
            max_key_bytes: args.max_key_bytes,
            verify: args.verify,
            method: args.method,
        },
    }
}

/// Looks at a move until it has ended. How far it is goes to standard error, what has become of it
/// to standard output.
fn wait(client: &SignedIn, addr: &str, args: &AdminArgs, id: u64) -> Result<(), Failure> {
    let is_terminal = io::stderr().is_terminal();
    let (mut failed, mut looks, mut last) = (0, 0_u32, String::new());
    let ended = loop {
        match list(client).and_then(|answer| find(&answer, id, addr).cloned()) {
            Ok(report) => {
                failed = 0;
                let state = moves::state(&report).to_owned();
                let is_line = looks.is_multiple_of(LOOKS_PER_LINE) || state != last;
                if is_terminal {
                    show(&format!("\r\x1b[K{}", moves::bar(&report)));
                } else if is_line && !args.json {
                    show(&format!("{}\n", moves::line(&report)));
                }
                last = state;
                if moves::has_ended(&report) {
                    break report;
                }
            }
            Err(error) if failed >= FAILED_LOOKS_MAX => {
                let text = format!("the move may go on without anybody looking: {error:#}");
                return Err(Failure::Other(anyhow!(text)));
            }
            Err(_) => failed += 1,
        }
        looks = looks.wrapping_add(1);
        pause();
    };
    if is_terminal {
        show("\r\x1b[K");
    }
    if args.json {
        print(&ended.to_string())?;
    } else {
        let has_colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(&moves::details(&ended, has_colours))?;
    }
    match moves::state(&ended) {
        "incomplete" => Err(Failure::Status(STATUS_INCOMPLETE)),
        "cancelled" => Err(Failure::Status(STATUS_CANCELLED)),
        _ => Ok(()),
    }
}

fn show(text: &str) {
    let mut stderr = io::stderr().lock();
    // There is nowhere left to tell of a failure to write to standard error.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[expect(clippy::disallowed_methods, reason = "a program of one thread that looks now and then")]
fn pause() {
    std::thread::sleep(LOOK_PAUSE);
}
