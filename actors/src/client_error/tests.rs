use std::collections::HashSet;

use super::*;

const ALL: [RequestFailure; 11] = [
    RequestFailure::SlotOffline,
    RequestFailure::SlotHeld,
    RequestFailure::SlotsParted,
    RequestFailure::BackendDown,
    RequestFailure::BackendBusy,
    RequestFailure::BackendLost,
    RequestFailure::BackendTimeout,
    RequestFailure::BackendGarbled,
    RequestFailure::NoSuchDatabase,
    RequestFailure::NoReply,
    RequestFailure::ProxyTimeout,
];

/// Clients match on these texts: a change here is a change of the product.
#[test]
fn texts_for_clients_are_these() {
    let texts = ALL.map(RequestFailure::to_client).join("\n");
    assert_eq!(
        texts,
        "ERR slot is offline, no backend is assigned to it\n\
         TRYAGAIN slot is being changed and too many requests wait for it\n\
         TRYAGAIN slots of the request were changed while it was served\n\
         ERR backend is down, the request was not sent\n\
         ERR backend has too many requests in flight, the request was not sent\n\
         ERR backend connection was lost, the request may have been executed\n\
         ERR backend did not reply in time, the request may have been executed\n\
         ERR backend sent a malformed reply, the request may have been executed\n\
         ERR DB index is out of range\n\
         ERR no reply came for the request, it may have been executed\n\
         ERR the proxy could not answer in time"
    );
}

#[test]
fn a_text_for_clients_is_one_line_with_a_known_prefix() {
    for failure in ALL {
        let text = failure.to_client();
        assert!(
            (text.starts_with("ERR ") || text.starts_with("TRYAGAIN "))
                && !text.contains(['\r', '\n']),
            "`{text}`"
        );
    }
}

#[test]
fn each_close_reason_has_a_label_of_its_own() {
    let reasons = [
        CloseReason::ByClient,
        CloseReason::AfterReply,
        CloseReason::Idle,
        CloseReason::PartialRequest,
        CloseReason::SlowReader,
        CloseReason::OutputLimit,
        CloseReason::BufferLimit,
        CloseReason::Http,
        CloseReason::Killed,
        CloseReason::BrokenReply,
        CloseReason::NoReply,
        CloseReason::Shutdown,
        CloseReason::BreakOnFailure,
    ];
    let labels: HashSet<_> = reasons.map(CloseReason::label).into();
    assert_eq!(labels.len(), reasons.len());
    let is_label = |label: &&str| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    assert!(labels.iter().all(is_label), "{labels:?}");
}
