//! What sentinels say, judged: which primary a group has, and which slots that concerns.
//!
//! A primary is watched under the name `<product>-<group>`; other names belong to others. Sentinels
//! may disagree while a failover runs: the one with the newest configuration, by `config-epoch`, is
//! right. The sentinel that leads a failover has the new epoch before it has the new address, and
//! says so by a flag, so among equal epochs an answer without that flag counts more.
//!
//! Pure.

use std::collections::{BTreeMap, HashSet};

use resp::value::Value;
use routing::{BackendAddr, SlotTable};

use crate::topology::PrimarySwitch;

/// The primary of each group.
pub type Primaries = BTreeMap<u32, BackendAddr>;

/// One primary as one sentinel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) group: u32,
    pub(super) addr: BackendAddr,
    pub(super) config_epoch: u64,
    /// The sentinel is not in the middle of replacing it.
    pub(super) is_settled: bool,
}

/// How many sentinels must agree to be asked at all.
pub(super) fn majority(sentinels: usize) -> usize {
    sentinels / 2 + 1
}

/// The first `count_max` addresses, each once, in their order.
pub(super) fn without_doubles(addrs: Vec<BackendAddr>, count_max: usize) -> Vec<BackendAddr> {
    let mut seen = HashSet::new();
    addrs.into_iter().filter(|addr| seen.insert(addr.clone())).take(count_max).collect()
}

/// The group that is watched under a name.
pub(super) fn group_of(name: &str, product: &str) -> Option<u32> {
    let number = name.strip_prefix(product)?.strip_prefix('-')?;
    let group = number.parse().ok()?;
    // One spelling per group, so that two names cannot mean the same.
    (group > 0 && number == u32::to_string(&group)).then_some(group)
}

/// Whether a sentinel's message tells of a new primary of the product: a message of the channel
/// begins with the name.
pub(super) fn is_switch(message: &Value, product: &str) -> bool {
    let Value::Array(parts) = message else {
        return false;
    };
    let [kind, _, text] = parts.as_slice() else {
        return false;
    };
    let text = String::from_utf8_lossy(text.as_bytes().unwrap_or_default());
    let name = text.split(' ').next().unwrap_or_default();
    kind.as_bytes() == Some(b"message") && group_of(name, product).is_some()
}

/// The primaries of the product in an answer to `SENTINEL masters`; `None` when it is none.
pub(super) fn descriptions(answer: &Value, product: &str) -> Option<Vec<Description>> {
    let Value::Array(entries) = answer else {
        return None;
    };
    Some(entries.iter().filter_map(|entry| description(entry, product)).collect())
}

fn description(entry: &Value, product: &str) -> Option<Description> {
    let Value::Array(fields) = entry else {
        return None;
    };
    let field = |wanted: &str| {
        let pair = fields
            .as_chunks::<2>()
            .0
            .iter()
            .find(|[name, _]| name.as_bytes() == Some(wanted.as_bytes()))?;
        std::str::from_utf8(pair[1].as_bytes()?).ok()
    };
    let host = field("ip")?;
    let port = field("port")?;
    let is_v6 = host.contains(':');
    let addr = if is_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Some(Description {
        group: group_of(field("name")?, product)?,
        addr: addr.parse().ok()?,
        config_epoch: field("config-epoch")?.parse().ok()?,
        is_settled: !field("flags")?.split(',').any(|flag| flag == "failover_in_progress"),
    })
}

/// What counts when sentinels disagree; the first of equals.
pub(super) fn choose(descriptions: impl IntoIterator<Item = Description>) -> Primaries {
    let mut best: BTreeMap<u32, Description> = BTreeMap::new();
    for description in descriptions {
        let rank = |of: &Description| (of.config_epoch, of.is_settled);
        let is_better =
            best.get(&description.group).is_none_or(|known| rank(&description) > rank(known));
        if is_better {
            best.insert(description.group, description);
        }
    }
    best.into_iter().map(|(group, description)| (group, description.addr)).collect()
}

/// The primaries in the table that are not those of the sentinels, each once.
pub(super) fn switches(table: &SlotTable, primaries: &Primaries) -> Vec<PrimarySwitch> {
    let mut seen = HashSet::new();
    let named = table.assignments().flat_map(|(_, assignment)| {
        let primary = assignment.primary.as_ref().map(|primary| (assignment.group, primary));
        let source = assignment.source.as_ref().map(|source| (source.group, &source.addr));
        primary.into_iter().chain(source)
    });
    let wrong = named.filter_map(|(group, old)| {
        let new = primaries.get(&group)?;
        let switch = || PrimarySwitch { group, old: old.clone(), new: new.clone() };
        (old != new).then(switch)
    });
    wrong.filter(|switch| seen.insert(switch.clone())).collect()
}

#[cfg(test)]
mod tests;
