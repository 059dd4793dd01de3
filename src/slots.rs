//! Which redis servers the slots are on, as the command line says.

use actors::worker::{Credentials, Settings};
use anyhow::Context as _;
use config::{BackendUrl, Config, SlotForm, fill_slots};
use routing::{BackendAddr, SlotTable};

use crate::cli::ProxyArgs;
use crate::output::Failure;
use crate::settings::{read, usage_error};

/// Where the slots of a proxy are at its start.
#[derive(Debug)]
pub(crate) enum Slots {
    /// Spread evenly over servers in the order they were given.
    Spread {
        /// The servers, at least one, each given once.
        servers: Vec<BackendUrl>,
        /// The database in which new sessions start: the one that all servers name.
        database: u32,
    },
    /// As a file says.
    Filled(Vec<SlotForm>),
    /// Nowhere: every slot is offline until someone fills it.
    Offline,
}

impl Slots {
    /// The settings of the actors and the table that they start with.
    pub(crate) fn apply(self, config: Config) -> anyhow::Result<(Settings, SlotTable)> {
        let mut settings = Settings {
            session_credentials: Credentials {
                user: config.session_user.clone(),
                password: config.session_auth.clone(),
            },
            product_credentials: Credentials {
                user: config.product_user.clone(),
                password: config.product_auth.clone(),
            },
            backend_credentials: Vec::new(),
            database_initial: 0,
            redis_version: String::new(),
            is_primary_only: config.backend_primary_only,
            config,
        };
        let table = match self {
            Self::Spread { servers, database } => {
                settings.database_initial = u16::try_from(database).context("use the database")?;
                spread(servers, &mut settings)?
            }
            Self::Filled(forms) => filled(&forms)?,
            Self::Offline => SlotTable::offline(),
        };
        Ok((settings, table))
    }
}

/// Spreads the slots over servers. Credentials in a URL win over those of the configuration.
fn spread(servers: Vec<BackendUrl>, settings: &mut Settings) -> anyhow::Result<SlotTable> {
    let mut primaries = Vec::with_capacity(servers.len());
    for server in servers {
        let addr: BackendAddr = server.addr.parse()?;
        if !server.password.is_empty() {
            let user = server.user.unwrap_or_default();
            let credentials = Credentials { user, password: server.password };
            settings.backend_credentials.push((addr.clone(), credentials));
        }
        primaries.push(addr);
    }
    Ok(SlotTable::spread(&primaries)?)
}

fn filled(forms: &[SlotForm]) -> anyhow::Result<SlotTable> {
    let mut table = SlotTable::offline();
    table.fill(1, web::slot_changes(forms)?)?;
    Ok(table)
}

/// Reads what was given. Errors name a server by its place, since its text may hold a password.
pub(crate) fn load(args: &ProxyArgs, config: &Config) -> Result<Slots, Failure> {
    check_source(args, config)?;
    if let Some(path) = &args.fillslots {
        let slots = fill_slots::parse(&path.display().to_string(), &read(path)?)?;
        return Ok(Slots::Filled(slots));
    }
    if args.servers.is_empty() {
        return Ok(Slots::Offline);
    }
    let mut servers = Vec::with_capacity(args.servers.len());
    for (index, text) in args.servers.iter().enumerate() {
        let server: BackendUrl = text.parse().map_err(|error| {
            let text = format!("server {}: {error}", index + 1);
            Failure::Usage(usage_error(&text))
        })?;
        servers.push(server);
    }
    let database = config
        .check_backends(&servers)
        .map_err(|error| Failure::Usage(usage_error(&error.to_string())))?;
    Ok(Slots::Spread { servers, database })
}

/// Exactly one place says which server has each slot: the coordinator of the product, or what the
/// command line names, or a dashboard that a file presumes.
fn check_source(args: &ProxyArgs, config: &Config) -> Result<(), Failure> {
    let topology = config.topology;
    match args.slots_argument() {
        Some(argument) if topology.is_in_coordinator() => {
            Err(Failure::Usage(usage_error(&format!(
                "{argument} cannot be used with topology `{topology}`: the slots come from the coordinator"
            ))))
        }
        None if !topology.is_in_coordinator() && args.config.is_none() => {
            Err(Failure::Usage(usage_error(
                "nothing says which server has each slot: name servers, or give --fillslots, \
                 --dashboard, --filesystem, --zookeeper, --etcd, --topology or --config",
            )))
        }
        _ => Ok(()),
    }
}
