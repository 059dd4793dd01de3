//! The command line: what can be given, and how it is explained.
//!
//! Flags that set a setting are texts here; `config` reads and checks them, so that a flag, a
//! variable and a line of the file are judged alike.

mod admin;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use admin::{AdminArgs, MoveArgs, Order, SlotsOrder};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  keyway proxy 127.0.0.1:6379 127.0.0.1:6380    one endpoint over two servers, no file needed
  keyway proxy --config proxy.toml --fillslots slots.json    as `codis-proxy` was started
  keyway proxy --config config.ini --topology codis1 --cpu 4 --addr :9000    as that of Codis 1.9
  keyway admin --proxy 127.0.0.1:11080 stats    what a running proxy does";

/// Keyway: many Redis or Valkey servers behind one address
///
/// A proxy that spreads keys over 1024 slots on plain Redis or Valkey servers. Clients see one
/// server; settings, slot files and flags of Codis are understood.
#[derive(Parser)]
#[command(
    name = "keyway",
    verbatim_doc_comment,
    version,
    styles = STYLES,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    /// Print a commented configuration file with every setting, and exit
    #[arg(long)]
    pub(crate) default_config: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Proxy(Box<ProxyArgs>),
    Admin(Box<AdminArgs>),
    /// Check a configuration file and say what is wrong, and where
    ///
    /// Exits with 0 when the file can be used, with 1 when it cannot. Only the file counts, not
    /// the environment.
    Check {
        /// The file; `-` reads standard input
        file: PathBuf,
    },
    /// Tell what the metrics of a proxy mean
    ///
    /// A running proxy gives them to Prometheus under /metrics of its admin API.
    Metrics {
        /// Print name, kind, labels and meaning of every metric, as a Markdown document
        #[arg(long, required = true)]
        describe: bool,
    },
    /// Print the completion script of a shell
    ///
    /// For bash: keyway completions bash > /etc/bash_completion.d/keyway
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    ///
    /// To read it at once: keyway man proxy | man -l -
    Man {
        /// The command to print the page of; without it, the page of keyway itself
        command: Option<Page>,
    },
}

/// The commands that have a manual page of their own.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Page {
    Proxy,
    Admin,
    Check,
    Metrics,
    Completions,
    Man,
}

/// Run the proxy
///
/// Every setting can be given in a file, as an environment variable (KEYWAY_ and the setting's
/// name in capitals, like KEYWAY_SESSION_AUTH) and, where there is one, by a flag. A flag wins
/// over the environment, the environment over the file, the file over the defaults.
///
/// Passwords on a command line can be seen by every user of the machine: prefer the file or the
/// environment.
#[derive(Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct ProxyArgs {
    #[arg(
        value_name = "SERVER",
        help = "Servers to spread the 1024 slots over evenly, in this order: host:port or\n\
                redis://[user:password@]host[:port][/database]. Needed where nothing else says\n\
                which server has each slot"
    )]
    pub(crate) servers: Vec<String>,
    /// File that says which server has each slot: a JSON array in the slot form of Codis
    #[arg(long, value_name = "FILE", conflicts_with = "servers")]
    pub(crate) fillslots: Option<PathBuf>,
    /// Dashboard of Codis to bring the proxy online; after 10 tries in vain the proxy exits
    #[arg(
        long, value_name = "ADDR", conflicts_with_all = ["servers", "fillslots", "filesystem"],
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) dashboard: Option<String>,
    /// Folder of a filesystem coordinator that knows that dashboard; 30 tries
    #[arg(long, value_name = "DIR", conflicts_with_all = ["servers", "fillslots"])]
    pub(crate) filesystem: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) stored_dashboard: StoredDashboardArgs,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", env = "KEYWAY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print a commented configuration file with every setting, and exit
    #[arg(long)]
    pub(crate) default_config: bool,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    #[command(flatten)]
    pub(crate) earlier: EarlierArgs,
    /// Ignored with a notice: the number of workers does not change while the proxy runs
    #[arg(long, value_name = "N", help_heading = "Codis")]
    pub(crate) max_ncpu: Option<usize>,
    /// Ignored with a notice: the proxy does not rotate its log
    #[arg(long, value_name = "SIZE", help_heading = "Codis")]
    pub(crate) log_filesize: Option<String>,
    /// Ignored with a notice: the proxy writes no dumps of itself
    #[arg(long, value_name = "DIR", help_heading = "Codis")]
    pub(crate) dump_path: Option<PathBuf>,
}

impl ProxyArgs {
    /// The flags that are taken for the sake of command lines of Codis, with what they would be
    /// about.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &'static str> {
        [
            (
                self.max_ncpu.is_some(),
                "--max-ncpu is ignored: the number of workers does not change, set --workers",
            ),
            (
                self.log_filesize.is_some(),
                "--log-filesize is ignored: the proxy does not rotate its log, use logrotate with \
                 copytruncate",
            ),
            (
                self.dump_path.is_some(),
                "--dump-path is ignored: the proxy writes no dumps of itself",
            ),
        ]
        .into_iter()
        .filter_map(|(is_given, notice)| is_given.then_some(notice))
    }

    /// The first argument that says which server has each slot, as its user wrote it.
    pub(crate) fn slots_argument(&self) -> Option<&'static str> {
        [
            (!self.servers.is_empty(), "SERVER"),
            (self.fillslots.is_some(), "--fillslots"),
            (self.dashboard.is_some(), "--dashboard"),
            (self.filesystem.is_some(), "--filesystem"),
            (self.stored_dashboard.zookeeper.is_some(), "--zookeeper"),
            (self.stored_dashboard.etcd.is_some(), "--etcd"),
        ]
        .into_iter()
        .find_map(|(is_given, argument)| is_given.then_some(argument))
    }
}

/// The flags of proxies before Codis 3 that set a setting.
#[derive(Args)]
#[command(next_help_heading = "Codis")]
pub(crate) struct EarlierArgs {
    /// As --listen; `:9000` is port 9000 of every interface
    #[arg(
        long, value_name = "ADDR", conflicts_with = "listen",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) addr: Option<String>,
    /// As --admin; `:9001` is port 9001 of every interface
    #[arg(
        long, value_name = "ADDR", conflicts_with = "admin",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) http_addr: Option<String>,
    /// Time to connect to a server, to write to it, and for its reply
    #[arg(long, value_name = "SECONDS", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) net_timeout: Option<String>,
    /// Family of the address for clients: tcp, tcp4 or tcp6 [default: tcp4]
    #[arg(long, value_name = "FAMILY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) proto: Option<String>,
    /// As --session_auth
    #[arg(
        long, value_name = "PASSWORD", conflicts_with = "session_auth",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) proxy_auth: Option<String>,
}

impl EarlierArgs {
    /// What was given: flag, key in the files of those proxies, value.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        [
            ("--addr", "addr", &self.addr),
            ("--http-addr", "http_addr", &self.http_addr),
            ("--net-timeout", "net_timeout", &self.net_timeout),
            ("--proto", "proto", &self.proto),
            ("--proxy-auth", "proxy_auth", &self.proxy_auth),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value.as_deref()?)))
    }
}

/// The coordinators that know a dashboard's address.
#[derive(Args)]
pub(crate) struct StoredDashboardArgs {
    /// ZooKeeper that knows that dashboard, `host:port,host:port`; 30 tries
    #[arg(
        long, value_name = "ADDRS", value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["servers", "fillslots", "dashboard", "filesystem"]
    )]
    pub(crate) zookeeper: Option<String>,
    /// `user:password` for that ZooKeeper
    #[arg(
        long, value_name = "AUTH", value_parser = NonEmptyStringValueParser::new(),
        requires = "zookeeper",
        conflicts_with_all = ["servers", "fillslots", "dashboard", "filesystem", "etcd"]
    )]
    pub(crate) zookeeper_auth: Option<String>,
    /// etcd (version 3) that knows that dashboard, `host:port,host:port`; 30 tries
    #[arg(
        long, value_name = "ADDRS", value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["servers", "fillslots", "dashboard", "filesystem", "zookeeper"]
    )]
    pub(crate) etcd: Option<String>,
    /// `user:password` for that etcd
    #[arg(
        long, value_name = "AUTH", value_parser = NonEmptyStringValueParser::new(),
        requires = "etcd",
        conflicts_with_all = ["servers", "fillslots", "dashboard", "filesystem", "zookeeper"]
    )]
    pub(crate) etcd_auth: Option<String>,
}

/// The flags that set a setting.
#[derive(Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingArgs {
    /// Address for clients [default: 127.0.0.1:19000]
    #[arg(long, value_name = "ADDR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) listen: Option<String>,
    /// Address of the admin API [default: 127.0.0.1:11080]
    #[arg(long, value_name = "ADDR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) admin: Option<String>,
    /// Threads that serve clients; 0: one per core [default: 0]
    #[arg(long, value_name = "N", visible_aliases = ["ncpu", "cpu"], value_parser = NonEmptyStringValueParser::new())]
    pub(crate) workers: Option<String>,
    /// File to append the log to [default: standard error]
    #[arg(
        short, long, value_name = "FILE", visible_short_alias = 'L',
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) log: Option<String>,
    /// error, warn, info, debug or none [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) log_level: Option<String>,
    /// term (for people) or json (one object per line) [default: term]
    #[arg(long, value_name = "FORMAT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) log_format: Option<String>,
    /// File to keep the process id in while the proxy runs
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) pidfile: Option<String>,
    /// Do not start with fewer open files allowed than this
    #[arg(long, value_name = "N", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) ulimit: Option<String>,
    /// Address of the admin API as told to others
    #[arg(long, value_name = "ADDR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) host_admin: Option<String>,
    /// Address for clients as told to others
    #[arg(long, value_name = "ADDR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) host_proxy: Option<String>,
    /// Name of the cluster [default: codis-demo]
    #[arg(
        long = "product_name", alias = "product-name", value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) product_name: Option<String>,
    /// Password of the servers
    #[arg(
        long = "product_auth", alias = "product-auth", value_name = "PASSWORD",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) product_auth: Option<String>,
    /// Password that clients must give
    #[arg(
        long = "session_auth", alias = "session-auth", value_name = "PASSWORD",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) session_auth: Option<String>,
    /// codis1, codis2 or reborn: a coordinator says which server has each slot [default: codis3]
    #[arg(long, value_name = "KIND", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) topology: Option<String>,
    /// Addresses of that coordinator, with commas between them
    #[arg(long, value_name = "ADDRS", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) coordinator: Option<String>,
    /// Name of this proxy in that coordinator
    #[arg(
        long, value_name = "NAME", visible_alias = "id",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) proxy_id: Option<String>,
}

impl SettingArgs {
    /// The settings that were given: flag, setting, value.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        [
            ("--listen", "proxy_addr", &self.listen),
            ("--admin", "admin_addr", &self.admin),
            ("--workers", "workers", &self.workers),
            ("--log", "log_file", &self.log),
            ("--log-level", "log_level", &self.log_level),
            ("--log-format", "log_format", &self.log_format),
            ("--pidfile", "pidfile", &self.pidfile),
            ("--ulimit", "open_files_min", &self.ulimit),
            ("--host-admin", "host_admin", &self.host_admin),
            ("--host-proxy", "host_proxy", &self.host_proxy),
            ("--product_name", "product_name", &self.product_name),
            ("--product_auth", "product_auth", &self.product_auth),
            ("--session_auth", "session_auth", &self.session_auth),
            ("--topology", "topology", &self.topology),
            ("--coordinator", "coordinator_addr", &self.coordinator),
            ("--proxy-id", "proxy_id", &self.proxy_id),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value.as_deref()?)))
    }
}
