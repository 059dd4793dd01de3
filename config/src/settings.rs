//! Every setting of the proxy: its name, kind, default and meaning, once.
//!
//! The table below is the only place that names a setting. From it come the fields of
//! [`Config`], its `Default`, the reader of files, environment and flags, the commented default
//! file and the text an operator reads there: a setting's documentation is the comment above it.
//!
//! The keys of a Codis 3.2 `proxy.toml` keep their names, defaults and forms, except that the
//! addresses bind the loopback. A key that Keyway reads only for the sake of such a file stands
//! in the last section.

use std::path::PathBuf;
use std::time::Duration;

use crate::choices::{
    Compat, CoordinatorName, LogFormat, LogLevel, MigrationMethod, ProtoType, Topology,
};
use crate::secret::Secret;

/// A text.
pub type Text = String;
/// A plain number.
pub type Count = usize;
/// A whole number that may be below zero.
pub type Integer = i64;
/// A number of bytes.
pub type ByteCount = usize;
/// A length of time.
pub type Period = Duration;
/// Yes or no.
pub type Switch = bool;
/// The path of a file; none when the key is empty.
pub type FilePath = Option<PathBuf>;

const KB: usize = 1024;
const MB: usize = 1024 * KB;
const GB: usize = 1024 * MB;

/// Where in a [`Config`] a setting lives, by its kind.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Text(fn(&mut Config) -> &mut Text),
    Secret(fn(&mut Config) -> &mut Secret),
    Count(fn(&mut Config) -> &mut Count),
    Integer(fn(&mut Config) -> &mut Integer),
    ByteCount(fn(&mut Config) -> &mut ByteCount),
    Period(fn(&mut Config) -> &mut Period),
    Switch(fn(&mut Config) -> &mut Switch),
    FilePath(fn(&mut Config) -> &mut FilePath),
    ProtoType(fn(&mut Config) -> &mut ProtoType),
    LogLevel(fn(&mut Config) -> &mut LogLevel),
    LogFormat(fn(&mut Config) -> &mut LogFormat),
    Compat(fn(&mut Config) -> &mut Compat),
    MigrationMethod(fn(&mut Config) -> &mut MigrationMethod),
    Topology(fn(&mut Config) -> &mut Topology),
    CoordinatorName(fn(&mut Config) -> &mut CoordinatorName),
}

/// One setting.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) field: Field,
}

/// Settings that belong together.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) keys: &'static [Key],
}

macro_rules! settings {
    ($(
        [$title:literal]
        $( $(#[doc = $doc:literal])+ $name:ident: $kind:ident = $default:expr; )+
    )+) => {
        /// The settings of one proxy, named as in its file.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($( $(#[doc = $doc])+ pub $name: $kind, )+)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($( $name: $default, )+)+ }
            }
        }

        /// Every setting, in the order of the default file.
        pub(crate) const SECTIONS: &[Section] = &[
            $(Section {
                title: $title,
                keys: &[$(Key {
                    name: stringify!($name),
                    doc: &[$($doc),+],
                    field: Field::$kind(|config| &mut config.$name),
                },)+],
            },)+
        ];
    };
}

settings! {
    ["Names and passwords"]

    /// Name of the cluster: letters, digits, `_`, `.` and `-`. Must not be empty.
    product_name: Text = "codis-demo".to_owned();
    /// User for the redis servers (ACL, redis 6). Empty: the password alone is sent.
    product_user: Text = String::new();
    /// Password for the redis servers, sent on every backend connection. Empty: none is sent.
    product_auth: Secret = Secret::default();
    /// User that clients may give in `AUTH user password`. Empty: `default`.
    session_user: Text = String::new();
    /// Password that clients must give. Empty: clients need none.
    session_auth: Secret = Secret::default();

    ["Addresses"]

    /// Address clients connect to, `host:port`; `0.0.0.0:19000` for every interface.
    proxy_addr: Text = "127.0.0.1:19000".to_owned();
    /// Family of `proxy_addr`: `tcp`, `tcp4` or `tcp6`.
    proto_type: ProtoType = ProtoType::Tcp4;
    /// Address of the admin API, `host:port`. Whoever reaches it controls the proxy.
    admin_addr: Text = "127.0.0.1:11080".to_owned();
    /// Token that readers of the admin API must give, as `Authorization: Bearer TOKEN`. Empty:
    /// everyone who reaches it may read. Orders always need the xauth of `product_auth`.
    admin_read_token: Secret = Secret::default();
    /// Address of clients as told to others, where `proxy_addr` is not what they can reach.
    /// Empty: `proxy_addr`.
    host_proxy: Text = String::new();
    /// Address of the admin API as told to others. Empty: `admin_addr`.
    host_admin: Text = String::new();
    /// Data centre of this proxy: a label, shown in its model.
    proxy_datacenter: Text = String::new();

    ["The process"]

    /// Threads that serve clients. 0: one per core.
    workers: Count = 0;
    /// Clients connected at once; a further one gets an error and is closed. 0: no client at all.
    proxy_max_clients: Count = 1000;
    /// Bytes of requests and replies that all clients together may have in the proxy. Beyond it the
    /// clients that hold the most are closed, never one that holds less than an equal share.
    proxy_max_offheap_size: ByteCount = GB;
    /// Open files the process must be allowed, after it has raised its own limit as far as it may;
    /// with fewer it does not start. 0: no demand.
    open_files_min: Count = 0;
    /// Time that running requests get to finish when the proxy stops. 0: none.
    shutdown_timeout: Period = Duration::from_secs(10);
    /// Pause between two tries to have a dashboard bring the proxy online (`--dashboard`, 10 tries;
    /// `--zookeeper`, `--etcd` and `--filesystem`, 30 tries; `dashboard_addr`, until it is online).
    dashboard_retry_delay: Period = Duration::from_secs(3);
    /// Folder in which the proxy keeps what must survive its end: its slots, which then win over
    /// those of the command line at the next start, and moves of slots. Empty: nothing is kept, and
    /// slots cannot be moved. One folder per proxy.
    state_dir: FilePath = None;
    /// File that holds the process id while the proxy runs. Empty: none.
    pidfile: FilePath = None;

    ["The product in a coordinator (ZooKeeper or etcd)"]

    /// Who says which server has which slot. `codis3`: a dashboard that calls the admin API, a file
    /// or the command line. `codis1`, `codis2`, `reborn`: nodes in a coordinator, as Codis 1.9,
    /// Codis 2.0 and RebornDB have them; the proxy registers there and obeys their dashboards.
    topology: Topology = Topology::Codis3;
    /// Kind of the coordinator that has the product: `zookeeper` or `etcd` (version 3).
    coordinator_name: CoordinatorName = CoordinatorName::ZooKeeper;
    /// Addresses of that coordinator, `host:port`, separated by commas. Needed with a `topology`
    /// other than `codis3`.
    coordinator_addr: Text = String::new();
    /// `user:password` for that coordinator. Empty: none is sent.
    coordinator_auth: Secret = Secret::default();
    /// Time without contact after which the coordinator takes the proxy for gone. The proxy stops
    /// using its slots then, too, until it has registered again.
    coordinator_session_timeout: Period = Duration::from_secs(30);
    /// Name of this proxy in the product; no two have the same. Needed with a `topology` other than
    /// `codis3`.
    proxy_id: Text = String::new();
    /// Dashboard that is asked to bring the proxy online, with `topology = "codis2"`. Empty: somebody
    /// else has to.
    dashboard_addr: Text = String::new();
    /// Longest time that a request waits for a slot that is about to migrate, or whose route must
    /// not be used because the session with the coordinator is over; then it gets a TRYAGAIN error.
    /// Counts with a `topology` other than `codis3` only. 0: no limit.
    pre_migrate_timeout: Period = Duration::from_secs(30);

    ["Announcing the proxy to Jodis clients"]

    /// Kind of the coordinator to register with: `zookeeper` or `etcd` (version 3). Needed with
    /// `jodis_addr`.
    jodis_name: Text = String::new();
    /// Addresses of that coordinator, `host:port`, separated by commas. Empty: the proxy does not
    /// register.
    jodis_addr: Text = String::new();
    /// `user:password` for that coordinator.
    jodis_auth: Secret = Secret::default();
    /// Time after which the coordinator forgets a silent proxy.
    jodis_timeout: Period = Duration::from_secs(20);
    /// Whether to register under the path of Codis 2.
    jodis_compatible: Switch = false;

    ["The log"]

    /// File to append the log to. Empty: standard error. Never rotated by the proxy: use
    /// logrotate with `copytruncate`.
    log_file: FilePath = None;
    /// Least important line to log: `error`, `warn`, `info`, `debug`, or `none` for no log.
    log_level: LogLevel = LogLevel::Info;
    /// Form of the log: `term` for people, `json` for machines (one object per line).
    log_format: LogFormat = LogFormat::Term;

    ["Sessions (one per client)"]

    /// Time without a request after which a client is closed. 0: never.
    session_recv_timeout: Period = Duration::from_secs(30 * 60);
    /// Time a half-received request may go without a new byte before its client is closed.
    /// 0: no limit of its own.
    session_partial_timeout: Period = Duration::from_secs(60);
    /// Time a client may take nothing of its waiting replies before it is closed. 0: no limit.
    session_send_timeout: Period = Duration::from_secs(30);
    /// Requests of a client in flight; at the limit the proxy stops reading from it.
    session_max_pipeline: Count = 10_000;
    /// Bytes of a client's requests in flight; at the limit the proxy stops reading from it.
    /// A larger single request passes when it is alone.
    session_window_bytes_max: ByteCount = 64 * MB;
    /// Bytes of one request; a larger one gets an error and closes its client. Below 4gb.
    session_request_bytes_max: ByteCount = GB;
    /// Bytes of one argument of a request; a larger one gets an error and closes its client.
    session_bulk_bytes_max: ByteCount = 512 * MB;
    /// Arguments of one request; more of them get an error and close the client.
    session_elements_max: Count = 1_048_576;
    /// Bytes of a request typed as a plain line; a longer one gets an error and closes its client.
    session_inline_bytes_max: ByteCount = 64 * KB;
    /// Bytes of waiting replies above which no further request of that client is read.
    session_output_pause_bytes: ByteCount = MB;
    /// Bytes of waiting replies at which the client is closed.
    session_output_bytes_max: ByteCount = 600 * MB;
    /// Period of TCP keepalive towards clients. 0: off.
    session_keepalive_period: Period = Duration::from_secs(75);
    /// Whether a client is closed after a reply that tells of a failure in the proxy itself.
    session_break_on_failure: Switch = false;

    ["Backends (the redis servers)"]

    /// Time to connect to a backend, password and database included.
    backend_connect_timeout: Period = Duration::from_secs(5);
    /// Time from a request's writing to its reply; then the request gets an error and the
    /// connection is replaced. 0: no limit.
    backend_recv_timeout: Period = Duration::from_secs(30);
    /// Time a backend may take nothing of what is written to it; then the connection is replaced.
    /// 0: no limit.
    backend_send_timeout: Period = Duration::from_secs(30);
    /// Pause before a lost backend is tried again; doubles with every failure.
    backend_retry_delay_min: Period = Duration::from_millis(50);
    /// Longest pause between two tries.
    backend_retry_delay_max: Period = Duration::from_secs(5);
    /// Period of the PING on an idle backend connection, 1s at least. 0: off.
    backend_ping_period: Period = Duration::from_secs(5);
    /// Period of TCP keepalive towards backends. 0: off.
    backend_keepalive_period: Period = Duration::from_secs(75);
    /// Requests written to a backend connection and not yet answered; further ones wait.
    backend_max_pipeline: Count = 20_480;
    /// Requests that wait for a backend connection; further ones get an error at once.
    backend_waiting_max: Count = 65_536;
    /// Bytes of requests that wait for a backend connection, and as many again that it has taken
    /// and not written; further ones get an error at once.
    backend_waiting_bytes_max: ByteCount = 256 * MB;
    /// The longest time a change of slots may wait for requests under way; then the change is given
    /// up and the slots stay as they were. Longer than `backend_recv_timeout`, within which every
    /// request is answered.
    fill_timeout: Period = Duration::from_secs(40);
    /// Requests that wait, in each worker, while their slots are changed or locked; further ones
    /// get a TRYAGAIN error at once.
    slot_parked_max: Count = 65_536;
    /// Bytes of requests that wait, in each worker, while their slots are changed or locked;
    /// further ones get a TRYAGAIN error at once.
    slot_parked_bytes_max: ByteCount = 256 * MB;
    /// How the source of a migrating slot is made to let go of a key: `auto` asks it which commands it
    /// has, `migrate` (stock servers), `sync` and `semi-async` (Codis' servers) force one.
    migration_method: MigrationMethod = MigrationMethod::Auto;
    /// Time that a source has to move a key to its target on demand; it serves nothing meanwhile.
    /// Shorter than `backend_recv_timeout`.
    migration_timeout: Period = Duration::from_secs(3);
    /// Time for which a request is tried again while a source says that its key is under way; then the
    /// client gets a TRYAGAIN error.
    migration_retry_timeout: Period = Duration::from_secs(10);
    /// Databases of the redis servers: `SELECT` takes 0 up to one less.
    backend_number_databases: Count = 16;
    /// Which proxy clients find here, by its answers to PING, AUTH and SELECT, the commands that it
    /// refuses, and its errors: `redis` (none), `codis` (3.2), `codis1` (1.9), `codis2` (2.0) or
    /// `reborn`. `auto`: the one whose `topology` it is, and `redis` with `codis3`.
    compat: Compat = Compat::Auto;
    /// Whether reads go to primaries only, even where a slot has replicas.
    backend_primary_only: Switch = false;
    /// Connections per server and database in Codis. Keyway has one per worker, server and
    /// database and warns of any other number than 1: `workers` sets the parallelism.
    backend_primary_parallel: Count = 1;
    /// As `backend_primary_parallel`, for replicas.
    backend_replica_parallel: Count = 1;

    ["The slow log"]

    /// Microseconds from the arrival of a request to its reply from which on it counts as slow: it
    /// enters the log that SLOWLOG shows, and what took so long of it becomes an event of LATENCY.
    /// 0: every request. -1: none, and nothing is kept for it.
    slowlog_log_slower_than: Integer = 10_000;
    /// Slow requests that are kept; a further one replaces the oldest. 10000 at most.
    slowlog_max_len: Count = 128;

    ["Reports of its figures that the proxy sends"]

    /// URL to post the figures to as JSON, `http://host:port/path`. Empty: none are posted.
    metrics_report_server: Text = String::new();
    /// Period of that report, 1s at least.
    metrics_report_period: Period = Duration::from_secs(1);
    /// URL of an InfluxDB (API of version 1) to write the figures to, `http://host:8086`. Every
    /// figure but `rusage_cpu` is an integer, also `runtime_gc_total_pausems`, a text in Codis.
    /// Empty: none are written.
    metrics_report_influxdb_server: Text = String::new();
    /// Period of that report, 1s at least.
    metrics_report_influxdb_period: Period = Duration::from_secs(1);
    /// User for that InfluxDB. Empty: neither user nor password are sent.
    metrics_report_influxdb_username: Text = String::new();
    /// Password for that InfluxDB.
    metrics_report_influxdb_password: Secret = Secret::default();
    /// Database of that InfluxDB; needed with a server.
    metrics_report_influxdb_database: Text = String::new();
    /// Address of a StatsD to send the figures to as gauges, `host:port`. Empty: none are sent.
    metrics_report_statsd_server: Text = String::new();
    /// Period of that report, 1s at least.
    metrics_report_statsd_period: Period = Duration::from_secs(1);
    /// What the names of those gauges begin with, without the dot after it. Empty: nothing.
    metrics_report_statsd_prefix: Text = String::new();

    ["Read for the sake of Codis files, without effect: Keyway sizes buffers by need"]

    /// Ballast for the garbage collector of Codis; Keyway has none.
    proxy_heap_placeholder: ByteCount = 256 * MB;
    /// Bytes of the receive buffer of a backend connection in Codis.
    backend_recv_bufsize: ByteCount = 128 * KB;
    /// Bytes of the send buffer of a backend connection in Codis.
    backend_send_bufsize: ByteCount = 128 * KB;
    /// Bytes of the receive buffer of a client in Codis.
    session_recv_bufsize: ByteCount = 128 * KB;
    /// Bytes of the send buffer of a client in Codis.
    session_send_bufsize: ByteCount = 64 * KB;
}

/// The setting called `name`.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}

/// Every setting.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}
