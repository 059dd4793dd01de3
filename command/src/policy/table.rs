//! The policy of every command of Redis 7.0, and of the newer ones in `additions.json`.
//!
//! This is the one place to add a command to, next to its entry in the data. Names are those of
//! the data: a sub-command is `container|sub-command`. Each name stands in one row only.

use crate::policy::ClientCommand;
use crate::policy::FanOutKind;
use crate::policy::Feature;
use crate::policy::LatencyCommand;
use crate::policy::LocalCommand;
use crate::policy::Policy;
use crate::policy::Policy::AnyBackend;
use crate::policy::Policy::ClusterDisabled;
use crate::policy::Policy::Container;
use crate::policy::Policy::FanOut;
use crate::policy::Policy::Keyed;
use crate::policy::Policy::KeyedUnlessBlocking;
use crate::policy::Policy::Local;
use crate::policy::Policy::NamedBackend;
use crate::policy::Policy::NamedSlot;
use crate::policy::Policy::NotYet;
use crate::policy::Policy::Refused;
use crate::policy::Policy::Sort;
use crate::policy::Refusal;
use crate::policy::SlowLogCommand;

/// Policies, each with the names of its commands.
#[rustfmt::skip] // A row is a line.
pub(crate) const POLICIES: &[(Policy, &str)] = &[
    // Strings, bits, HyperLogLogs.
    (Keyed, "append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs"),
    (Keyed, "msetnx psetex set setex setnx setrange strlen substr"),
    (Keyed, "bitcount bitfield bitfield_ro bitop bitpos getbit setbit"),
    (Keyed, "pfadd pfcount pfmerge"),
    (FanOut(FanOutKind::Mget), "mget"),
    (FanOut(FanOutKind::Mset), "mset"),
    // Hashes.
    (Keyed, "hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield"),
    (Keyed, "hscan hset hsetnx hstrlen hvals"),
    // Lists.
    (Keyed, "lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim"),
    (Keyed, "rpop rpoplpush rpush rpushx"),
    (NotYet(Feature::Blocking), "blmove blmpop blpop brpop brpoplpush"),
    // Sets.
    (Keyed, "sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers"),
    (Keyed, "smismember smove spop srandmember srem sscan sunion sunionstore"),
    // Sorted sets.
    (Keyed, "zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount"),
    (Keyed, "zmpop zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore"),
    (Keyed, "zrangestore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore zrevrange"),
    (Keyed, "zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore"),
    (NotYet(Feature::Blocking), "bzmpop bzpopmax bzpopmin"),
    // Places on the globe.
    (Keyed, "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember"),
    (Keyed, "georadiusbymember_ro geosearch geosearchstore"),
    // Streams.
    (Keyed, "xack xadd xautoclaim xclaim xdel xlen xpending xrange xrevrange xsetid xtrim"),
    (Keyed, "xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid"),
    (Keyed, "xinfo|consumers xinfo|groups xinfo|stream"),
    (KeyedUnlessBlocking, "xread xreadgroup"),
    (Container, "xgroup xinfo"),
    (AnyBackend, "xgroup|help xinfo|help"),
    // Keys of any type. COPY and MOVE to another database stay on the server of the slot.
    (Keyed, "copy dump expire expireat expiretime move persist pexpire pexpireat pexpiretime"),
    (Keyed, "pttl rename renamenx restore ttl type"),
    (Keyed, "object|encoding object|freq object|idletime object|refcount memory|usage"),
    (Sort, "sort sort_ro"),
    (FanOut(FanOutKind::Del), "del"),
    (FanOut(FanOutKind::Unlink), "unlink"),
    (FanOut(FanOutKind::Exists), "exists"),
    (FanOut(FanOutKind::Touch), "touch"),
    (Container, "object memory"),
    (AnyBackend, "object|help memory|help"),
    // A server's memory is its operator's business.
    (Refused(Refusal::OneServer), "memory|doctor memory|malloc-stats memory|purge memory|stats"),
    // The whole key space.
    (NotYet(Feature::AllSlots), "dbsize flushall flushdb keys randomkey scan swapdb"),
    // Scripts. A script with keys runs where its keys are; one without runs anywhere.
    (Keyed, "eval eval_ro evalsha evalsha_ro fcall fcall_ro"),
    (NotYet(Feature::ScriptManagement), "function|delete function|dump function|flush"),
    (NotYet(Feature::ScriptManagement), "function|help function|kill function|list"),
    (NotYet(Feature::ScriptManagement), "function|load function|restore function|stats"),
    (NotYet(Feature::ScriptManagement), "script|exists script|flush script|help script|kill"),
    (NotYet(Feature::ScriptManagement), "script|load"),
    // A debugger takes over the connection.
    (Refused(Refusal::OneServer), "script|debug"),
    (Container, "function script"),
    // Transactions.
    (NotYet(Feature::Transactions), "discard exec multi unwatch watch"),
    // Publish and subscribe.
    (NotYet(Feature::PubSub), "psubscribe publish punsubscribe spublish ssubscribe subscribe"),
    (NotYet(Feature::PubSub), "sunsubscribe unsubscribe"),
    (NotYet(Feature::PubSub), "pubsub|channels pubsub|help pubsub|numpat pubsub|numsub"),
    (NotYet(Feature::PubSub), "pubsub|shardchannels pubsub|shardnumsub"),
    (Container, "pubsub"),
    // The connection: nothing of it may reach a shared backend connection.
    (Local(LocalCommand::Ping), "ping"),
    (Local(LocalCommand::Echo), "echo"),
    (Local(LocalCommand::Quit), "quit"),
    (Local(LocalCommand::Reset), "reset"),
    (Local(LocalCommand::Select), "select"),
    (Local(LocalCommand::Auth), "auth"),
    (Local(LocalCommand::Hello), "hello"),
    (Local(LocalCommand::Client(ClientCommand::Id)), "client|id"),
    (Local(LocalCommand::Client(ClientCommand::SetName)), "client|setname"),
    (Local(LocalCommand::Client(ClientCommand::GetName)), "client|getname"),
    (Local(LocalCommand::Client(ClientCommand::SetInfo)), "client|setinfo"),
    (Local(LocalCommand::Client(ClientCommand::Info)), "client|info"),
    (Local(LocalCommand::Client(ClientCommand::List)), "client|list"),
    (Local(LocalCommand::Client(ClientCommand::Kill)), "client|kill"),
    (Local(LocalCommand::Client(ClientCommand::Reply)), "client|reply"),
    (Local(LocalCommand::Client(ClientCommand::NoEvict)), "client|no-evict"),
    (Local(LocalCommand::Client(ClientCommand::NoTouch)), "client|no-touch"),
    (Local(LocalCommand::Client(ClientCommand::Help)), "client|help"),
    (NotYet(Feature::ClientSideCaching), "client|caching client|getredir client|tracking"),
    (NotYet(Feature::ClientSideCaching), "client|trackinginfo"),
    (NotYet(Feature::Blocking), "client|unblock"),
    // Would hold up every client of the proxy.
    (Refused(Refusal::OperatorOnly), "client|pause client|unpause"),
    (Container, "client"),
    // The server, as far as the proxy can speak for it.
    (Local(LocalCommand::Time), "time"),
    (Local(LocalCommand::Role), "role"),
    (Local(LocalCommand::SlotsMapping), "slotsmapping"),
    (NamedSlot, "slotsscan"),
    (NamedBackend, "slotsinfo"),
    (Local(LocalCommand::Lolwut), "lolwut"),
    (Local(LocalCommand::Info), "info"),
    (Local(LocalCommand::Command), "command command|count command|docs command|getkeys"),
    (Local(LocalCommand::Command), "command|getkeysandflags command|help command|info"),
    (Local(LocalCommand::Command), "command|list"),
    (Local(LocalCommand::ConfigGet), "config|get"),
    (Local(LocalCommand::ConfigHelp), "config|help"),
    // The servers' configuration and users belong to those who run them.
    (Refused(Refusal::OperatorOnly), "config|resetstat config|rewrite config|set"),
    (Refused(Refusal::OperatorOnly), "acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser"),
    (Refused(Refusal::OperatorOnly), "acl|help acl|list acl|load acl|log acl|save acl|setuser"),
    (Refused(Refusal::OperatorOnly), "acl|users acl|whoami"),
    (Refused(Refusal::OperatorOnly), "module|help module|list module|load module|loadex"),
    (Refused(Refusal::OperatorOnly), "module|unload"),
    (Container, "acl config module"),
    // Watching: the proxy tells of its own requests, whichever server served them.
    (Local(LocalCommand::SlowLog(SlowLogCommand::Get)), "slowlog|get"),
    (Local(LocalCommand::SlowLog(SlowLogCommand::Len)), "slowlog|len"),
    (Local(LocalCommand::SlowLog(SlowLogCommand::Reset)), "slowlog|reset"),
    (Local(LocalCommand::SlowLog(SlowLogCommand::Help)), "slowlog|help"),
    (Local(LocalCommand::Latency(LatencyCommand::Latest)), "latency|latest"),
    (Local(LocalCommand::Latency(LatencyCommand::History)), "latency|history"),
    (Local(LocalCommand::Latency(LatencyCommand::Reset)), "latency|reset"),
    (Local(LocalCommand::Latency(LatencyCommand::Histogram)), "latency|histogram"),
    (Local(LocalCommand::Latency(LatencyCommand::Doctor)), "latency|doctor"),
    (Local(LocalCommand::Latency(LatencyCommand::Help)), "latency|help"),
    (NotYet(Feature::Monitoring), "monitor latency|graph"),
    (NotYet(Feature::ReplicationWait), "wait"),
    (Container, "latency slowlog"),
    // Saving, stopping, testing: one server each time, and the client cannot say which.
    (Refused(Refusal::OneServer), "bgrewriteaof bgsave lastsave save shutdown"),
    (Refused(Refusal::OneServer), "debug pfdebug pfselftest"),
    // MIGRATE takes a key out of the proxy's sight.
    (Refused(Refusal::OneServer), "failover migrate replicaof slaveof"),
    (Refused(Refusal::ServerLink), "psync replconf restore-asking sync"),
    // Redis Cluster: the proxy looks like a single server.
    (ClusterDisabled, "asking readonly readwrite"),
    (ClusterDisabled, "cluster|addslots cluster|addslotsrange cluster|bumpepoch"),
    (ClusterDisabled, "cluster|count-failure-reports cluster|countkeysinslot cluster|delslots"),
    (ClusterDisabled, "cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget"),
    (ClusterDisabled, "cluster|getkeysinslot cluster|help cluster|info cluster|keyslot"),
    (ClusterDisabled, "cluster|links cluster|meet cluster|myid cluster|nodes cluster|replicas"),
    (ClusterDisabled, "cluster|replicate cluster|reset cluster|saveconfig"),
    (ClusterDisabled, "cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves"),
    (ClusterDisabled, "cluster|slots"),
    (Container, "cluster"),
];
