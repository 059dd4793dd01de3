//! A snapshot of every text, and the shortening of a client's own bytes. The texts that Redis has
//! were seen on a Redis 7.0.15.

use super::*;
use crate::testing::Request;
use crate::testing::rejection;
use crate::testing::table;

fn unknown(args: &[&[u8]]) -> Vec<u8> {
    let request = Request::new(args);
    Rejection::unknown_command(&request.args()).to_client()
}

#[test]
fn every_text_is_as_written_here() {
    let table = table();
    let get = table.lookup(b"get").expect("a known command");
    let set_config = table.lookup_full(b"config|set").expect("a known command");
    let not_yet = |feature| Rejection::not_yet(get, feature);
    let refused = |refusal| Rejection::refused(set_config, refusal);
    let request = Request::words("nosuch a b");
    let texts: Vec<String> = [
        Rejection::unknown_command(&request.args()),
        Rejection::unknown_subcommand(b"client", b"nosuch"),
        Rejection::wrong_arity(get),
        Rejection::CrossSlot,
        Rejection::SortBy,
        Rejection::SortGet,
        Rejection::ClusterDisabled,
        Rejection::Syntax,
        Rejection::GetKeysUnknownCommand,
        Rejection::GetKeysNoKeys,
        Rejection::GetKeysWrongArity,
        Rejection::GetKeysInvalidArguments,
        not_yet(Feature::Transactions),
        not_yet(Feature::PubSub),
        not_yet(Feature::Blocking),
        not_yet(Feature::AllSlots),
        not_yet(Feature::ScriptManagement),
        not_yet(Feature::Monitoring),
        not_yet(Feature::ClientSideCaching),
        not_yet(Feature::ReplicationWait),
        refused(Refusal::OneServer),
        refused(Refusal::ServerLink),
        refused(Refusal::OperatorOnly),
    ]
    .iter()
    .map(|rejection| String::from_utf8_lossy(&rejection.to_client()).into_owned())
    .chain([UNEXPECTED_PART_REPLY.to_owned()])
    .collect();
    let expected = [
        "ERR unknown command 'nosuch', with args beginning with: 'a' 'b' ",
        "ERR unknown subcommand 'nosuch'. Try CLIENT HELP.",
        "ERR wrong number of arguments for 'get' command",
        "CROSSSLOT Keys in request don't hash to the same slot",
        "ERR BY option of SORT denied in Cluster mode.",
        "ERR GET option of SORT denied in Cluster mode.",
        "ERR This instance has cluster support disabled",
        "ERR syntax error",
        "ERR Invalid command specified",
        "ERR The command has no key arguments",
        "ERR Invalid number of arguments specified for command",
        "ERR Invalid arguments specified for command",
        "ERR command 'get' is not supported by this proxy yet (transactions)",
        "ERR command 'get' is not supported by this proxy yet (publish and subscribe)",
        "ERR command 'get' is not supported by this proxy yet (blocking commands)",
        "ERR command 'get' is not supported by this proxy yet (commands over all slots)",
        "ERR command 'get' is not supported by this proxy yet (script management)",
        "ERR command 'get' is not supported by this proxy yet (monitoring)",
        "ERR command 'get' is not supported by this proxy yet (client side caching)",
        "ERR command 'get' is not supported by this proxy yet (waiting for replicas)",
        "ERR command 'config|set' is not allowed through this proxy (it acts on one server)",
        "ERR command 'config|set' is not allowed through this proxy (it is for links between servers)",
        "ERR command 'config|set' is not allowed through this proxy (it is for operators of the servers)",
        "ERR a server answered a part of the request in an unexpected form",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn an_unknown_command_is_shown_as_redis_shows_it() {
    let x = |count| vec![b'x'; count];
    let text = |name: &[u8], args: &[u8]| {
        [b"ERR unknown command '", name, b"', with args beginning with: ", args].concat()
    };
    assert_eq!(unknown(&[b"foo"]), text(b"foo", b""));
    assert_eq!(unknown(&[b"foo", b"", b"y"]), text(b"foo", b"'' 'y' "));
    assert_eq!(unknown(&[b"fo\0o", b"a\0b", b"c\r\nd"]), text(b"fo", b"'a' 'c  d' "));
    assert_eq!(unknown(&[b"f\no", b"\xff\xfe"]), text(b"f o", b"'\xff\xfe' "));
    assert_eq!(unknown(&[&x(300), b"y"]), text(&x(128), b"'y' "));
    // The arguments end at 128 bytes, quotes included.
    let (sixty, two) = (x(60), x(2));
    let shown = [b"'", &sixty[..], b"' '", &sixty, b"' '", &two, b"' "].concat();
    assert_eq!(unknown(&[b"foo", &sixty, &sixty, &sixty, &sixty]), text(b"foo", &shown));
    let shown = [b"'", &x(125)[..], b"' "].concat();
    assert_eq!(unknown(&[b"foo", &x(125), b"y"]), text(b"foo", &shown));
    let shown = [b"'", &x(124)[..], b"' 'y' "].concat();
    assert_eq!(unknown(&[b"foo", &x(124), b"yz"]), text(b"foo", &shown));
}

#[test]
fn an_unknown_subcommand_is_shown_as_redis_shows_it() {
    let text = |container: &[u8], name: &[u8]| {
        let text = Rejection::unknown_subcommand(container, name).to_client();
        String::from_utf8_lossy(&text).into_owned()
    };
    let expected = "ERR unknown subcommand 'f  oo'. Try CLIENT HELP.";
    assert_eq!(text(b"ClIent", b"f\r\noo"), expected);
    assert_eq!(text(b"client", b"a\0b"), "ERR unknown subcommand 'a'. Try CLIENT HELP.");
    let long = text(b"client", &[b'x'; 200]);
    assert_eq!(long.matches('x').count(), 128);
}

#[test]
fn exec_with_arguments_is_told_that_its_transaction_has_ended() {
    assert_eq!(
        rejection("exec now"),
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"
    );
}

#[test]
fn an_encoded_rejection_is_one_error_reply() {
    let mut out = Vec::new();
    Rejection::CrossSlot.encode(&mut out);
    assert_eq!(out, b"-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    assert!(resp::reply::is_error(&out));
}

#[test]
fn only_what_redis_checks_first_precedes_authentication() {
    let request = Request::words("nosuch");
    assert!(Rejection::unknown_command(&request.args()).precedes_auth());
    assert!(Rejection::unknown_subcommand(b"a", b"b").precedes_auth());
    assert!(!Rejection::CrossSlot.precedes_auth());
    assert!(!Rejection::ClusterDisabled.precedes_auth());
}
