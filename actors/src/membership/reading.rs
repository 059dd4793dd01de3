//! Reads the nodes of slots and of their groups.
//!
//! Bounds: [`READS_MAX`] reads under way; each has the time limit of the coordinator's calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::codis1::{Paths, Server, Slot, Stored as _};
use coordinator::{Coordinator, CoordinatorError};
use routing::{BackendAddr, SlotAssignment, SlotId};
use tokio::task::JoinSet;

use super::routes::{Fault, Groups, assignment_of, primary_of};

/// Nodes that are read at the same time.
pub(super) const READS_MAX: usize = 64;

/// What the nodes say of a slot.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) slot: SlotId,
    /// The groups that its node names; `None` when it cannot be read.
    pub(super) groups: Option<Groups>,
    pub(super) route: Result<SlotAssignment, Fault>,
}

/// Reads slots and every group that they name. What is wrong with a node is part of the result.
///
/// # Errors
/// The coordinator does not answer.
pub(super) async fn read_slots(
    coordinator: &Arc<dyn Coordinator>,
    paths: &Paths,
    slots: impl IntoIterator<Item = SlotId>,
) -> Result<Vec<Reading>, CoordinatorError> {
    let mut nodes = BTreeMap::new();
    side_by_side(
        slots,
        |slot| read_slot(Arc::clone(coordinator), paths.clone(), slot),
        |read| {
            let (slot, node) = read;
            nodes.insert(slot, node);
        },
    )
    .await?;
    let mut numbers: Vec<i32> = nodes
        .values()
        .filter_map(|node| node.as_ref().ok())
        .flat_map(|slot| Groups::of(slot).iter())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut primaries: BTreeMap<i32, Result<BackendAddr, Fault>> = BTreeMap::new();
    side_by_side(
        numbers,
        |group| read_group(Arc::clone(coordinator), paths.clone(), group),
        |(group, primary)| {
            primaries.insert(group, primary);
        },
    )
    .await?;
    let known = |group| primaries.get(&group).cloned().unwrap_or(Err(Fault::NoGroup(group)));
    let readings = nodes.into_iter().map(|(slot, node)| Reading {
        slot,
        groups: node.as_ref().ok().map(Groups::of),
        route: node.and_then(|node| assignment_of(&node, known)),
    });
    Ok(readings.collect())
}

async fn read_slot(
    coordinator: Arc<dyn Coordinator>,
    paths: Paths,
    slot: SlotId,
) -> Result<(SlotId, Result<Slot, Fault>), CoordinatorError> {
    let path = paths.slot(slot);
    let read = match coordinator.read(&path).await {
        Ok(node) => node.ok_or(Fault::NoSlot),
        Err(error) => Err(fault_of(error)?),
    };
    let node = read.and_then(|node| {
        Slot::decode(&path, &node.data).map_err(|error| Fault::Unreadable(error.to_string()))
    });
    Ok((slot, node))
}

async fn read_group(
    coordinator: Arc<dyn Coordinator>,
    paths: Paths,
    group: i32,
) -> Result<(i32, Result<BackendAddr, Fault>), CoordinatorError> {
    let Ok(number) = u32::try_from(group) else {
        return Ok((group, Err(Fault::NoGroup(group))));
    };
    match read_servers(&coordinator, &paths, number).await {
        Ok(servers) => Ok((group, primary_of(group, servers.as_deref()))),
        Err(error) => Ok((group, Err(fault_of(error)?))),
    }
}

/// The servers of a group; `None` when it has no node.
async fn read_servers(
    coordinator: &Arc<dyn Coordinator>,
    paths: &Paths,
    group: u32,
) -> Result<Option<Vec<Server>>, CoordinatorError> {
    let Some(names) = coordinator.list(&paths.group(group)).await? else {
        return Ok(None);
    };
    let mut servers = Vec::with_capacity(names.len());
    for name in names {
        let path = paths.server(group, &name)?;
        // One that has gone since it was listed is not there.
        if let Some(node) = coordinator.read(&path).await? {
            servers.push(Server::decode(&path, &node.data)?);
        }
    }
    Ok(Some(servers))
}

/// An error that says something of a node is its fault; others are of the coordinator, and handed
/// back.
pub(super) fn fault_of(error: CoordinatorError) -> Result<Fault, CoordinatorError> {
    match error {
        CoordinatorError::Denied { .. }
        | CoordinatorError::Value { .. }
        | CoordinatorError::Path { .. }
        | CoordinatorError::TooLarge { .. } => Ok(Fault::Unreadable(error.to_string())),
        error => Err(error),
    }
}

/// Does something for each item, for a bounded number at a time; results come in any order.
pub(super) async fn side_by_side<I, T, F>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> F,
    mut done: impl FnMut(T),
) -> Result<(), CoordinatorError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, CoordinatorError>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for item in items {
        if under_way.len() >= READS_MAX {
            take(under_way.join_next().await, &mut done)?;
        }
        under_way.spawn(work(item));
    }
    while !under_way.is_empty() {
        take(under_way.join_next().await, &mut done)?;
    }
    Ok(())
}

type Joined<T> = Option<Result<Result<T, CoordinatorError>, tokio::task::JoinError>>;

fn take<T>(joined: Joined<T>, done: &mut impl FnMut(T)) -> Result<(), CoordinatorError> {
    match joined {
        Some(Ok(result)) => done(result?),
        // It ends only with the program.
        Some(Err(error)) => return Err(CoordinatorError::Broken { cause: error.to_string() }),
        None => {}
    }
    Ok(())
}
