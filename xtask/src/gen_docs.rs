//! Writes `docs/commands.md`: every command and what the proxy does with it.
//!
//! `--check` writes nothing and fails when the document is not what would be written.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use command::CommandTable;
use command::Policy;

/// Options of `gen-docs`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only check that the document is up to date.
    #[arg(long)]
    check: bool,
}

/// Writes or checks the document.
pub(crate) fn run(options: &Options) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let document = expected()?;
    if !options.check {
        return fs::write(&path, document).context("write docs/commands.md");
    }
    if fs::read_to_string(&path).context("read docs/commands.md")? != document {
        bail!("docs/commands.md is out of date: run `cargo run -p xtask -- gen-docs`");
    }
    Ok(())
}

/// What the document should be.
pub(crate) fn expected() -> Result<String> {
    document(&CommandTable::load()?)
}

fn document(table: &CommandTable) -> Result<String> {
    let mut text = String::from(INTRODUCTION);
    writeln!(text, "The commands are those of Redis {}.\n", table.server_version())?;
    text.push_str("| command | since | policy |\n|---|---|---|\n");
    for command in table.commands().filter(|command| command.policy() != Policy::Container) {
        let name = command.name().replace('|', " ").to_uppercase();
        writeln!(text, "| {name} | {} | {} |", command.since(), command.policy().describe())?;
    }
    Ok(text)
}

const INTRODUCTION: &str = "\
# Commands

<!-- Written by `cargo run -p xtask -- gen-docs`. Do not edit by hand. -->

What the proxy does with each command:

* **forwarded**: the request goes unchanged to the backend of its slot. All of its keys must lie in
  one slot, which a common hash tag ensures (`{user1}:name`, `{user1}:mail`); otherwise the reply is
  `CROSSSLOT`.
* **split**: the keys may lie in any slots. The request is not atomic over several backends, and
  when one backend fails the whole reply is an error, though others may have done their part.
* **forwarded to the slot or the backend that it names**: commands of Codis, see
  [coming-from-codis.md](coming-from-codis.md).
* **answered by the proxy**: the command is about the connection, which is the proxy's.
* **not supported yet**, **refused**: the reply is an error that says why.

A command that is not listed is unknown to the proxy and never forwarded.

## SLOWLOG and LATENCY

They tell of the requests of this proxy, whichever server served them; the servers have logs of their own. A request is
slow when it took `slowlog_log_slower_than` microseconds or longer, from the read that brought it until its reply was
written. Its time has three parts:

| part | from | until | what can make it long |
|---|---|---|---|
| queue | the read that brought the request | it was written to the backend | a locked slot, a connection that is being made or is full, a backend that takes nothing |
| backend | then | its reply was read | the server, the network |
| write | then | the reply was written to the client's socket | replies of earlier requests of the same pipeline, the proxy itself |

* `SLOWLOG GET [count]` answers as a Redis server does: id, unix time, microseconds, arguments (32 of them at most, 128
  bytes each), address and name of the client.
* `SLOWLOG GET [count] PARTS` adds four elements to each entry: the backend, and the microseconds of queue, backend and
  write. They have to be asked for because there are client libraries that break on an entry of more than six elements.
* Of a request that was split over backends, the part that was answered last is shown. A request without a backend (PING, a
  slot that stayed locked) has an empty one, and its time is in the queue and in the write.
* Of commands with secrets (AUTH, HELLO, MIGRATE, CONFIG SET and others) only the name is kept, never an argument. Requests
  that are refused for what they are, such as unknown commands, are not kept at all, nor are those whose client has left
  before their reply.
* Ids are unique and grow over all workers. `slowlog_max_len` entries are kept. `CONFIG GET slowlog*` tells both settings;
  they are changed in the file.
* `LATENCY LATEST`, `HISTORY` and `RESET` know the events `command` (whole requests), `queue`, `backend` and `write`: one
  sample for each second in which that was at least the threshold and a millisecond. `LATENCY DOCTOR` says where to look.
* `LATENCY HISTOGRAM [command...]` tells how long all calls of each command took, slow or not, with four bins per doubling.

## All commands

";
