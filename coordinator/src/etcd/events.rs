//! Watches of etcd: streams of events from a revision on.
//!
//! A stream that breaks is opened again from the same revision, so nothing is lost. When etcd has
//! compacted that revision away it cannot tell any more what happened; then the watch fires, and
//! the reader finds out.

use std::time::Duration;

use etcd_client::Client;
use etcd_client::Event;
use etcd_client::EventType;
use etcd_client::WatchOptions;
use tokio::time::sleep;

use crate::NodePath;

/// How long to wait before opening a broken stream again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Ends with the first change of a node after the revision.
pub(super) async fn data(client: Client, path: NodePath, revision: i64) {
    let options = WatchOptions::new().with_start_revision(revision + 1);
    first(client, path.as_str(), options, |_| true).await;
}

/// Ends with the first child that comes or goes after the revision, or the node itself.
pub(super) async fn children(client: Client, path: NodePath, revision: i64) {
    // From the node itself to behind the last node below it: `0` follows `/`. Some neighbours
    // are in between, `a-b` for instance.
    let end = match path.as_str() {
        "/" => "0".to_owned(),
        path => format!("{path}0"),
    };
    let options = WatchOptions::new().with_start_revision(revision + 1).with_range(end);
    let is_wanted = |event: &Event| {
        let Some(kv) = event.kv() else {
            return false;
        };
        let Ok(key) = kv.key_str() else {
            return false;
        };
        let comes_or_goes = event.event_type() == EventType::Delete || kv.version() == 1;
        comes_or_goes && (key == path.as_str() || path.child_name(key).is_some())
    };
    first(client, path.as_str(), options, is_wanted).await;
}

/// Ends with the first event that is wanted.
async fn first(
    mut client: Client,
    key: &str,
    options: WatchOptions,
    is_wanted: impl Fn(&Event) -> bool,
) {
    loop {
        if let Ok(mut stream) = client.watch(key, Some(options.clone())).await {
            while let Ok(Some(response)) = stream.message().await {
                if response.compact_revision() > 0 || response.events().iter().any(&is_wanted) {
                    return;
                }
                if response.canceled() {
                    break;
                }
            }
        }
        sleep(RETRY_PAUSE).await;
    }
}
