//! `keyway proxy`: prepares the process and runs the proxy.
//!
//! Everything that can be refused is refused before the first socket is opened.

use config::Loaded;
use slog::{Logger, warn};

use crate::auto_online::Source;
use crate::cli::ProxyArgs;
use crate::logging::Log;
use crate::output::Failure;
use crate::pidfile::PidFile;
use crate::{limits, logging, proxy, settings, slots};

/// Runs the proxy until it is told to stop.
pub(crate) fn run(args: &ProxyArgs) -> Result<(), Failure> {
    let Loaded { config, warnings } = settings::load(args)?;
    let slots = slots::load(args, &config)?;
    let dashboard = Source::of(args)?;
    // Declared before what logs, hence dropped after it: the last lines are still written.
    let Log { logger: log, level, _guard } = logging::start(&config)?;
    for warning in &warnings {
        warn!(log, "configuration"; "problem" => %warning.text, "place" => %warning.origin);
    }
    notify_of_ignored_flags(args, &log);
    limits::raise_open_files(&config, &log)?;
    let _pidfile = config.pidfile.as_deref().map(PidFile::create).transpose()?;
    Ok(proxy::run(config, slots, dashboard, log, level)?)
}

fn notify_of_ignored_flags(args: &ProxyArgs, log: &Logger) {
    if args.max_ncpu.is_some() {
        warn!(log, "--max-ncpu is ignored: the number of workers does not change, set --workers");
    }
}
