//! What the proxy does with each command: the types. The decisions stand in [`table`].
//!
//! Every command of the data file has exactly one policy; a test holds both lists together. A
//! command without one is unknown to the proxy and never reaches a backend, because a command
//! that changes the state of a *connection* would change it for every client that shares it.

pub(crate) mod table;

/// What the proxy does with one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Only a name for its sub-commands, which have policies of their own.
    Container,
    /// Forwarded to the slot of its keys, which must be one slot; without a key to slot 0.
    Keyed,
    /// Forwarded like [`Policy::Keyed`], unless its option `BLOCK` is given.
    KeyedUnlessBlocking,
    /// Forwarded like [`Policy::Keyed`] when its BY and GET patterns stay in the slot of its key.
    Sort,
    /// Split over the slots of its keys; the replies are merged into one.
    FanOut(FanOutKind),
    /// Answered by the session.
    Local(LocalCommand),
    /// Has no key and no state: forwarded to the primary of slot 0.
    AnyBackend,
    /// Forwarded to the primary of the slot whose number is its first argument.
    NamedSlot,
    /// Forwarded, without its first argument, to the backend whose address that is.
    NamedBackend,
    /// Answered as a Redis outside of cluster mode does.
    ClusterDisabled,
    /// Comes with a later version of the proxy.
    NotYet(Feature),
    /// Never forwarded.
    Refused(Refusal),
}

impl Policy {
    /// Whether a client can use the command, or sub-commands of it.
    pub(crate) const fn is_supported(self) -> bool {
        match self {
            Self::Container
            | Self::Keyed
            | Self::KeyedUnlessBlocking
            | Self::Sort
            | Self::FanOut(_)
            | Self::Local(_)
            | Self::AnyBackend
            | Self::NamedSlot
            | Self::NamedBackend => true,
            Self::ClusterDisabled | Self::NotYet(_) | Self::Refused(_) => false,
        }
    }

    /// The policy in words, for the document of commands.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Container => "see its sub-commands",
            Self::Keyed => "forwarded; all keys in one slot",
            Self::KeyedUnlessBlocking => "forwarded without BLOCK; all keys in one slot",
            Self::Sort => "forwarded; all keys and patterns in one slot",
            Self::FanOut(_) => "any keys; split over the backends, one merged reply",
            Self::Local(_) => "answered by the proxy",
            Self::AnyBackend => "forwarded to one backend",
            Self::NamedSlot => "forwarded to the primary of the slot that it names",
            Self::NamedBackend => "forwarded to the backend that it names",
            Self::ClusterDisabled => "answered as by a Redis outside of cluster mode",
            Self::NotYet(feature) => feature.describe_not_yet(),
            Self::Refused(refusal) => refusal.describe_refused(),
        }
    }
}

/// The version of RESP that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// The multi-key commands that are split over backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanOutKind {
    /// `MGET key...`: values in the order of the keys.
    Mget,
    /// `MSET key value...`: `OK`. Not atomic over several backends.
    Mset,
    /// `DEL key...`: the sum.
    Del,
    /// `UNLINK key...`: the sum.
    Unlink,
    /// `EXISTS key...`: the sum; a key that is named twice counts twice.
    Exists,
    /// `TOUCH key...`: the sum.
    Touch,
}

/// A command that the session answers itself. Its arity is already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalCommand {
    /// `PING [message]`, which may have one message at most
    Ping,
    /// `ECHO message`
    Echo,
    /// `QUIT`
    Quit,
    /// `RESET`
    Reset,
    /// `SELECT index`
    Select,
    /// `AUTH [username] password`
    Auth,
    /// `HELLO [protover [AUTH username password] [SETNAME name]]`
    Hello,
    /// `TIME`
    Time,
    /// `ROLE`
    Role,
    /// `SLOTSMAPPING [slot]`, of Codis
    SlotsMapping,
    /// `LOLWUT [VERSION version]`
    Lolwut,
    /// `INFO [section...]`
    Info,
    /// `COMMAND` and its sub-commands: [`crate::CommandTable::answer_command`].
    Command,
    /// `CONFIG GET pattern...`
    ConfigGet,
    /// `CONFIG HELP`: [`crate::CommandTable::answer_help`].
    ConfigHelp,
    /// A sub-command of `CLIENT`.
    Client(ClientCommand),
    /// A sub-command of `SLOWLOG`.
    SlowLog(SlowLogCommand),
    /// A sub-command of `LATENCY`.
    Latency(LatencyCommand),
}

/// The sub-commands of `SLOWLOG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowLogCommand {
    /// `SLOWLOG GET [count] [PARTS]`
    Get,
    /// `SLOWLOG LEN`
    Len,
    /// `SLOWLOG RESET`
    Reset,
    /// `SLOWLOG HELP`: [`crate::CommandTable::answer_help`].
    Help,
}

/// The sub-commands of `LATENCY` that the session answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatencyCommand {
    /// `LATENCY LATEST`
    Latest,
    /// `LATENCY HISTORY event`
    History,
    /// `LATENCY RESET [event...]`
    Reset,
    /// `LATENCY HISTOGRAM [command...]`
    Histogram,
    /// `LATENCY DOCTOR`
    Doctor,
    /// `LATENCY HELP`: [`crate::CommandTable::answer_help`].
    Help,
}

/// The sub-commands of `CLIENT` that the session answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCommand {
    /// `CLIENT ID`
    Id,
    /// `CLIENT SETNAME name`
    SetName,
    /// `CLIENT GETNAME`
    GetName,
    /// `CLIENT SETINFO LIB-NAME|LIB-VER text`, since 7.2
    SetInfo,
    /// `CLIENT INFO`
    Info,
    /// `CLIENT LIST [TYPE type] [ID id...]`
    List,
    /// `CLIENT KILL ...`
    Kill,
    /// `CLIENT REPLY ON|OFF|SKIP`
    Reply,
    /// `CLIENT NO-EVICT ON|OFF`
    NoEvict,
    /// `CLIENT NO-TOUCH ON|OFF`, since 7.2
    NoTouch,
    /// `CLIENT HELP`: [`crate::CommandTable::answer_help`].
    Help,
}

/// What a later version of the proxy brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// MULTI, EXEC, WATCH.
    Transactions,
    /// SUBSCRIBE, PUBLISH.
    PubSub,
    /// BLPOP, XREAD BLOCK.
    Blocking,
    /// SCAN, DBSIZE, FLUSHALL: commands over the whole key space.
    AllSlots,
    /// SCRIPT LOAD, FUNCTION LOAD: scripts on every backend.
    ScriptManagement,
    /// MONITOR, LATENCY GRAPH.
    Monitoring,
    /// CLIENT TRACKING.
    ClientSideCaching,
    /// WAIT.
    ReplicationWait,
}

impl Feature {
    /// The feature's name in texts for clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::PubSub => "publish and subscribe",
            Self::Blocking => "blocking commands",
            Self::AllSlots => "commands over all slots",
            Self::ScriptManagement => "script management",
            Self::Monitoring => "monitoring",
            Self::ClientSideCaching => "client side caching",
            Self::ReplicationWait => "waiting for replicas",
        }
    }

    const fn describe_not_yet(self) -> &'static str {
        match self {
            Self::Transactions => "not supported yet: transactions",
            Self::PubSub => "not supported yet: publish and subscribe",
            Self::Blocking => "not supported yet: blocking commands",
            Self::AllSlots => "not supported yet: commands over all slots",
            Self::ScriptManagement => "not supported yet: script management",
            Self::Monitoring => "not supported yet: monitoring",
            Self::ClientSideCaching => "not supported yet: client side caching",
            Self::ReplicationWait => "not supported yet: waiting for replicas",
        }
    }
}

/// Why a command is never forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It acts on, or tells of, one server, and the client cannot say which.
    OneServer,
    /// It belongs to the link between a primary and its replica, or between servers.
    ServerLink,
    /// It would change what every client of the proxy sees; that is the operator's business.
    OperatorOnly,
    /// The proxy whose place this one takes refuses it.
    Dialect,
}

impl Refusal {
    /// The reason in texts for clients.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OneServer => "it acts on one server",
            Self::ServerLink => "it is for links between servers",
            Self::OperatorOnly => "it is for operators of the servers",
            Self::Dialect => "the proxy that this one replaces refuses it",
        }
    }

    const fn describe_refused(self) -> &'static str {
        match self {
            Self::OneServer => "refused: it acts on one server",
            Self::ServerLink => "refused: it is for links between servers",
            Self::OperatorOnly => "refused: it is for operators of the servers",
            Self::Dialect => "refused: the proxy that this one replaces refuses it",
        }
    }
}
