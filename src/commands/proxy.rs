//! `keyway proxy`: prepares the process and runs the proxy.
//!
//! Everything that can be refused is refused before the first socket is opened.

use config::Loaded;
use slog::warn;

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
    for notice in args.ignored() {
        warn!(log, "{}", notice);
    }
    limits::raise_open_files(&config, &log)?;
    let _pidfile = config.pidfile.as_deref().map(PidFile::create).transpose()?;
    Ok(proxy::run(config, slots, dashboard, log, level)?)
}
