//! `keyway admin`: asks a running proxy, or gives it an order, and shows its answer.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use config::{Config, Secret};
use serde_json::Value;

use crate::admin::client::{Client, SignedIn};
use crate::admin::tables;
use crate::cli::{AdminArgs, Order, SlotsOrder};
use crate::output::{self, Failure};
use crate::settings;

/// The largest slot file that is sent: the most that a proxy takes.
const SLOT_FILE_BYTES_MAX: u64 = 8 << 20;

/// The parts of the stats that are asked for: numbers per command, and memory and threads.
const STATS_PARTS: u8 = 1 | 4;

/// Asks or orders.
pub(crate) fn run(args: &AdminArgs) -> Result<(), Failure> {
    let file = args.config.as_deref().map(load).transpose()?;
    // A file that cannot be sent is told of before anybody is asked.
    let order = match &args.order {
        Order::Fill { file } => Some(SlotFile::read(file)?),
        _ => None,
    };
    let is_move = matches!(&args.order, Order::Slots { order: Some(SlotsOrder::Move(_)) });
    if args.proxy.len() > 1 && !is_move {
        let text = "only `slots move` takes several proxies: name the one that is meant";
        return Err(Failure::Other(anyhow!(text)));
    }
    let addr = match (args.proxy.first(), &file) {
        (Some(addr), _) => addr.to_string(),
        (None, Some(file)) => file.admin_addr.clone(),
        (None, None) => Config::default().admin_addr,
    };
    let client = Client::new(&addr);
    if let Order::Slots { order: Some(order) } = &args.order {
        let client = sign_in(client, args, file.as_ref())?;
        return super::slots::run(&client, &addr, args, order);
    }
    let body = match &args.order {
        Order::Model => client.model()?,
        _ => ask(&sign_in(client, args, file.as_ref())?, &args.order, order.as_ref())?,
    };
    let text = if args.json { body } else { shown(&args.order, &body, order.as_ref(), &addr)? };
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(output::print(format!("{text}{end}").as_bytes())?)
}

fn load(path: &Path) -> Result<Config, Failure> {
    let text = settings::read(path)?;
    // Its warnings are told when the proxy starts.
    Ok(settings::load_text(&path.display().to_string(), &text)?.config)
}

fn sign_in(client: Client, args: &AdminArgs, file: Option<&Config>) -> Result<SignedIn> {
    let product_name = args.product_name.as_deref().or(file.map(|file| &*file.product_name));
    let auth = match (&args.product_auth, file) {
        (Some(auth), _) => Secret::new(auth),
        (None, Some(file)) => file.product_auth.clone(),
        (None, None) => Secret::default(),
    };
    client.sign_in(product_name, &auth)
}

fn ask(client: &SignedIn, order: &Order, slots: Option<&SlotFile>) -> Result<String> {
    match order {
        Order::Ping => client.get("xping/{x}"),
        Order::Model => client.get("model"),
        Order::Stats => client.get(&format!("stats/{{x}}/{STATS_PARTS}")),
        Order::Slots { .. } => client.get("slots/{x}"),
        Order::Fill { .. } => client.put("fillslots/{x}", slots.map_or(b"", |file| &file.bytes)),
        Order::Start => client.put("start/{x}", b""),
        Order::Shutdown => client.put("shutdown/{x}", b""),
        // Codis knows its levels in capitals.
        Order::Loglevel { level } => {
            client.put(&format!("loglevel/{{x}}/{}", level.to_ascii_uppercase()), b"")
        }
        Order::Reset => client.put("stats/reset/{x}", b""),
    }
}

/// An answer for people.
fn shown(order: &Order, body: &str, file: Option<&SlotFile>, addr: &str) -> Result<String> {
    let has_colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let no_answer = || format!("read the answer of {addr}");
    let json = || serde_json::from_str::<Value>(body).with_context(no_answer);
    Ok(match order {
        Order::Ping => format!("{addr} is there"),
        Order::Model => tables::model(&json()?, has_colours),
        Order::Stats => tables::stats(&json()?, has_colours),
        Order::Slots { .. } => {
            let slots = tables::read_slots("answer", body).with_context(no_answer)?;
            tables::slots(&slots, has_colours)
        }
        Order::Fill { .. } => match file.map_or(0, |file| file.slots) {
            1 => format!("{addr} has filled 1 slot"),
            slots => format!("{addr} has filled {slots} slots"),
        },
        Order::Start => format!("{addr} serves clients"),
        Order::Shutdown => format!("{addr} finishes what is under way, and ends"),
        Order::Loglevel { level } => format!("{addr} logs at level {level}"),
        Order::Reset => format!("{addr} counts from zero"),
    })
}

/// A file with slots, in the form in which it is sent.
struct SlotFile {
    bytes: Vec<u8>,
    slots: usize,
}

impl SlotFile {
    /// Reads and checks a file, so that a mistake is told with its place in it.
    fn read(path: &Path) -> Result<Self> {
        let (name, input): (String, Box<dyn io::Read>) = if path == Path::new("-") {
            ("<stdin>".to_owned(), Box::new(io::stdin()))
        } else {
            let name = path.display().to_string();
            let file = std::fs::File::open(path).with_context(|| format!("read `{name}`"))?;
            (name, Box::new(file))
        };
        let mut text = String::new();
        let read = input.take(SLOT_FILE_BYTES_MAX + 1).read_to_string(&mut text);
        let read = read.with_context(|| format!("read `{name}`"))?;
        if u64::try_from(read).is_ok_and(|read| read > SLOT_FILE_BYTES_MAX) {
            bail!("{name} has more than {SLOT_FILE_BYTES_MAX} bytes, no proxy takes it");
        }
        let slots = tables::read_slots(&name, &text)?.len();
        Ok(Self { bytes: text.into_bytes(), slots })
    }
}
