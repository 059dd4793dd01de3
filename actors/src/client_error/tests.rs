use std::collections::HashSet;

use super::*;

const ALL: [RequestFailure; 12] = [
    RequestFailure::SlotOffline,
    RequestFailure::SlotHeld,
    RequestFailure::HeldTooLong,
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
    let texts = ALL.map(|failure| failure.to_client(Dialect::Redis)).join("\n");
    assert_eq!(
        texts,
        "ERR slot is offline, no backend is assigned to it\n\
         TRYAGAIN slot is being changed and too many requests wait for it\n\
         TRYAGAIN slot is being changed for too long, the request was not executed\n\
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
        let text = failure.to_client(Dialect::Redis);
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

/// Source: what a Codis 3.2 proxy answers.
#[test]
fn texts_for_clients_of_codis_are_these() {
    let text = |failure: RequestFailure| failure.to_client(Dialect::Codis3);
    assert_eq!(
        text(RequestFailure::SlotOffline),
        "ERR handle request, slot is not ready, may be offline"
    );
    assert_eq!(text(RequestFailure::BackendDown), "ERR handle response, backend conn reset");
    assert_eq!(text(RequestFailure::BackendLost), "ERR handle response, backend conn failure, EOF");
    assert_eq!(
        text::in_dialect(text::NO_AUTH, Dialect::Codis3, 16),
        "NOAUTH Authentication required"
    );
    assert_eq!(text::in_dialect(text::WRONG_PASS, Dialect::Codis3, 16), "ERR invalid password");
    assert_eq!(
        text::in_dialect(text::DB_OUT_OF_RANGE, Dialect::Codis3, 16),
        "ERR invalid DB index, only accept DB [0,16)"
    );
    assert_eq!(text::in_dialect(text::SYNTAX, Dialect::Codis3, 16), text::SYNTAX);
}

/// Source: what RebornDB, Codis 1.9.2 and Codis 2.0.14 answer.
#[test]
fn texts_for_clients_of_earlier_proxies_are_these() {
    let texts = |dialect| {
        [
            text::NO_AUTH,
            text::WRONG_PASS,
            text::NO_PASSWORD_SET,
            text::AUTH_ARITY,
            text::PING_ARITY,
            text::NOT_INTEGER,
            text::DB_OUT_OF_RANGE,
        ]
        .map(|text| text::in_dialect(text, dialect, 16))
    };
    assert_eq!(
        texts(Dialect::Codis2),
        [
            "NOAUTH Authentication required.",
            "ERR invalid password",
            "ERR Client sent AUTH, but no password is set",
            "ERR wrong number of arguments for 'AUTH' command",
            "ERR wrong number of arguments for 'PING' command",
            "ERR invalid DB index",
            "ERR invalid DB index, only accept DB 0",
        ]
    );
    assert_eq!(
        texts(Dialect::Reborn),
        [
            "ERR NOAUTH Authentication required",
            "ERR invalid auth",
            "ERR invalid auth",
            "ERR invalid auth",
            text::PING_ARITY,
            "ERR invalid DB index",
            "ERR invalid DB index, only accept DB 0",
        ]
    );
    for failure in ALL {
        for dialect in [Dialect::Codis1, Dialect::Codis2, Dialect::Reborn] {
            assert_eq!(failure.to_client(dialect), failure.to_client(Dialect::Redis));
        }
    }
}
