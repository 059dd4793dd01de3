//! The data path of one worker, byte for byte: real actors and sockets, scripted backends.
//!
//! What a client sees must not depend on how its replies arrive: in which order from different
//! backends, cut at which byte, together with whose.

#[cfg(test)]
mod fixture;

use actors::stats::QueryOverview;
use actors::supervisor::Drain;
use config::Config;
use fixture::{Fixture, Peer, key, request, run};

fn bulk(len: usize, byte: u8) -> Vec<u8> {
    let mut bulk = format!("${len}\r\n").into_bytes();
    bulk.resize(bulk.len() + len, byte);
    bulk.extend_from_slice(b"\r\n");
    bulk
}

#[test]
fn replies_of_two_backends_keep_the_order_of_the_requests() {
    for is_second_faster in [false, true] {
        run(async {
            let fixture = Fixture::start(2, Config::default()).await;
            let mut client = fixture.client().await;
            let requests = [0, 1, 0].map(|backend| request(&["GET", &key(backend, 2, 0)]));
            client.send(&requests.concat()).await;
            let mut first = fixture.backend(0).await;
            let mut second = fixture.backend(1).await;
            first.expect(&[&requests[0][..], &requests[2]].concat()).await;
            second.expect(&requests[1]).await;
            if is_second_faster {
                second.send(b"$2\r\nii\r\n").await;
                fixture.settle().await;
                first.send(b"$1\r\ni\r\n$3\r\niii\r\n").await;
            } else {
                first.send(b"$1\r\ni\r\n$3\r\niii\r\n").await;
                fixture.settle().await;
                second.send(b"$2\r\nii\r\n").await;
            }
            client.expect(b"$1\r\ni\r\n$2\r\nii\r\n$3\r\niii\r\n").await;
        });
    }
}

/// Method: the backend writes its replies in two pieces, cut at each byte in turn; the proxy has
/// read the first piece before the second is sent.
#[test]
fn replies_cut_at_any_byte_reach_the_client_unchanged() {
    let replies: [&[u8]; 7] = [
        b"$5\r\nhello\r\n",
        b"$-1\r\n",
        b"+OK\r\n",
        b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*-1\r\n",
        b"-WRONGTYPE no\r\n",
        b"*0\r\n",
        b":-42\r\n",
    ];
    run(async {
        let fixture = Fixture::start(1, Config::default()).await;
        let mut clients = [fixture.client().await, fixture.client().await];
        let get = request(&["GET", "k"]);
        let stream = replies.concat();
        clients[0].send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        backend.send(b"+ready\r\n").await;
        clients[0].expect(b"+ready\r\n").await;
        for cut in 1..stream.len() {
            // Two clients share the connection: the first four replies are for one of them.
            clients[0].send(&get.repeat(4)).await;
            backend.expect(&get.repeat(4)).await;
            clients[1].send(&get.repeat(3)).await;
            backend.expect(&get.repeat(3)).await;
            backend.send(&stream[..cut]).await;
            fixture.settle().await;
            backend.send(&stream[cut..]).await;
            clients[0].expect(&replies[..4].concat()).await;
            clients[1].expect(&replies[4..].concat()).await;
        }
    });
}

/// Method: replies around the sizes from which they are streamed and shared, each cut near its
/// ends and in the middle, behind a small one of another backend that comes last.
#[test]
fn large_replies_keep_their_bytes_and_their_place() {
    run(async {
        let fixture = Fixture::start(2, Config::default()).await;
        let mut client = fixture.client().await;
        let small = request(&["GET", &key(0, 2, 0)]);
        let large = request(&["GET", &key(1, 2, 0)]);
        client.send(&[&small[..], &large].concat()).await;
        let (mut first, mut second) = (fixture.backend(0).await, fixture.backend(1).await);
        first.expect(&small).await;
        second.expect(&large).await;
        first.send(b"+first\r\n").await;
        second.send(b"+second\r\n").await;
        client.expect(b"+first\r\n+second\r\n").await;
        for len in [4094, 4096, 16_374, 16_384, 40_000, 200_000] {
            let reply = bulk(len, b'v');
            for cut in [1, 8, 10, len / 2, len + 4, reply.len() - 1] {
                client.send(&[&small[..], &large, &small].concat()).await;
                first.expect(&small.repeat(2)).await;
                second.expect(&large).await;
                second.send(&reply[..cut]).await;
                fixture.settle().await;
                first.send(b"+first\r\n+third\r\n").await;
                second.send(&reply[cut..]).await;
                client.expect(&[b"+first\r\n", &reply[..], b"+third\r\n"].concat()).await;
            }
        }
    });
}

#[test]
fn parts_of_a_fan_out_are_merged_in_the_order_of_the_keys() {
    for is_second_faster in [false, true] {
        run(async {
            let fixture = Fixture::start(2, Config::default()).await;
            let mut client = fixture.client().await;
            let [a, b, c] = [key(0, 2, 0), key(1, 2, 0), key(0, 2, 1)];
            client.send(&request(&["MGET", &a, &b, &c])).await;
            client.send(b"PING\r\n").await;
            let (mut first, mut second) = (fixture.backend(0).await, fixture.backend(1).await);
            first.expect(&request(&["MGET", &a, &c])).await;
            second.expect(&request(&["MGET", &b])).await;
            let large = bulk(30_000, b'b');
            let second_reply = [b"*1\r\n", &large[..]].concat();
            if is_second_faster {
                second.send(&second_reply).await;
                fixture.settle().await;
            }
            first.send(b"*2\r\n$1\r\na\r\n$1\r\nc\r\n").await;
            if !is_second_faster {
                fixture.settle().await;
                second.send(&second_reply).await;
            }
            let merged = [b"*3\r\n$1\r\na\r\n", &large[..], b"$1\r\nc\r\n+PONG\r\n"].concat();
            client.expect(&merged).await;
        });
    }
}

#[test]
fn a_lost_backend_fails_its_requests_and_no_others() {
    run(async {
        let fixture = Fixture::start(2, Config::default()).await;
        let mut client = fixture.client().await;
        let requests = [0, 1].map(|backend| request(&["GET", &key(backend, 2, 0)]));
        client.send(&requests.concat()).await;
        let (mut first, mut second) = (fixture.backend(0).await, fixture.backend(1).await);
        first.expect(&requests[0]).await;
        second.expect(&requests[1]).await;
        drop(first);
        fixture.settle().await;
        second.send(b"+fine\r\n").await;
        client
            .expect(b"-ERR backend connection was lost, the request may have been executed\r\n")
            .await;
        client.expect(b"+fine\r\n").await;
    });
}

/// S-4: the client cannot be told of an error within a reply, so it is closed.
#[test]
fn a_client_whose_reply_breaks_off_is_closed() {
    run(async {
        let fixture = Fixture::start(1, Config::default()).await;
        let mut client = fixture.client().await;
        let get = request(&["GET", "k"]);
        client.send(&get.repeat(2)).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get.repeat(2)).await;
        let reply = bulk(100_000, b'v');
        backend.send(&reply[..50_000]).await;
        client.expect(&reply[..50_000]).await;
        drop(backend);
        assert_eq!(client.read_to_end().await, b"");
    });
}

#[test]
fn a_reply_that_is_none_fails_the_request_and_replaces_the_connection() {
    run(async {
        let fixture = Fixture::start(1, Config::default()).await;
        let mut client = fixture.client().await;
        let get = request(&["GET", "k"]);
        client.send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        // A connection that has proved itself is replaced at once.
        backend.send(b"+fine\r\n").await;
        client.expect(b"+fine\r\n").await;
        client.send(&get).await;
        backend.expect(&get).await;
        backend.send(b"HTTP/1.1 200 OK\r\n").await;
        client
            .expect(b"-ERR backend sent a malformed reply, the request may have been executed\r\n")
            .await;
        client.send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        backend.send(b"+back\r\n").await;
        client.expect(b"+back\r\n").await;
    });
}

/// Goal: a reply too many is not given to the next request. Method: the backend sends two replies
/// for one request, then the client asks again.
#[test]
fn a_reply_that_nobody_waits_for_replaces_the_connection() {
    run(async {
        let fixture = Fixture::start(1, Config::default()).await;
        let mut client = fixture.client().await;
        let get = request(&["GET", "k"]);
        client.send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        backend.send(b"+mine\r\n+nobodys\r\n").await;
        client.expect(b"+mine\r\n").await;
        assert_eq!(backend.read_to_end().await, b"");
        client.send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        backend.send(b"+second\r\n").await;
        client.expect(b"+second\r\n").await;
    });
}

/// Goal: a session whose own answers filled the output above the pause, and whose output then left
/// in one write, goes on with the requests that it has already read.
#[test]
fn a_session_goes_on_after_its_own_answers_paused_it() {
    run(async {
        let config = Config { session_output_pause_bytes: 16, ..Config::default() };
        let fixture = Fixture::start(1, config).await;
        let mut client = fixture.client().await;
        client.send(&b"PING\r\n".repeat(1000)).await;
        client.expect(&b"+PONG\r\n".repeat(1000)).await;
    });
}

/// Method: one request may be in flight and one may wait. The third is refused, in its place.
#[test]
fn requests_beyond_what_may_wait_are_refused_in_their_place() {
    run(async {
        let config =
            Config { backend_max_pipeline: 1, backend_waiting_max: 1, ..Config::default() };
        let fixture = Fixture::start(1, config).await;
        let get = request(&["GET", "k"]);
        let mut clients = Vec::new();
        let mut backend = None;
        for _ in 0..3 {
            let mut client = fixture.client().await;
            client.send(&get).await;
            clients.push(client);
            if backend.is_none() {
                let mut accepted = fixture.backend(0).await;
                accepted.expect(&get).await;
                backend = Some(accepted);
            }
            fixture.settle().await;
        }
        let refused = b"-ERR backend has too many requests in flight, the request was not sent\r\n";
        clients[2].expect(refused).await;
        let mut backend = backend.unwrap();
        backend.send(b"+first\r\n").await;
        clients[0].expect(b"+first\r\n").await;
        backend.expect(&get).await;
        backend.send(b"+second\r\n").await;
        clients[1].expect(b"+second\r\n").await;
    });
}

#[test]
fn a_drain_ends_when_every_request_in_flight_has_its_reply() {
    run(async {
        let fixture = Fixture::start(1, Config::default()).await;
        let mut client = fixture.client().await;
        let get = request(&["GET", "k"]);
        client.send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        let mut drain = Box::pin(fixture.supervisor.send(Drain));
        let is_early = tokio::select! {
            _ = &mut drain => true,
            overview = fixture.stats.send(QueryOverview) => overview.is_err(),
        };
        assert!(!is_early, "a request is in flight");
        backend.send(b"+last\r\n").await;
        client.expect(b"+last\r\n").await;
        assert_eq!(client.read_to_end().await, b"");
        drop(client);
        drain.await.unwrap();
    });
}

#[test]
fn a_client_that_left_does_not_disturb_the_others_of_its_backend() {
    run(async {
        let fixture = Fixture::start(1, Config::default()).await;
        let (mut leaver, mut stayer) = (fixture.client().await, fixture.client().await);
        let get = request(&["GET", "k"]);
        leaver.send(&get).await;
        let mut backend = fixture.backend(0).await;
        backend.expect(&get).await;
        stayer.send(&get).await;
        backend.expect(&get).await;
        drop(leaver);
        fixture.settle().await;
        backend.send(b"+leavers\r\n+stayers\r\n").await;
        stayer.expect(b"+stayers\r\n").await;
    });
}

/// A fixture whose replica is connected, a client, and both ends of the backends' connections.
async fn with_ready_replica() -> (Fixture, Peer, Peer, Peer) {
    let fixture = Fixture::start_with_replica(Config::default()).await;
    let mut client = fixture.client().await;
    let get = request(&["GET", "k"]);
    // The first read opens the replica's connection and goes to the primary meanwhile.
    client.send(&get).await;
    let mut primary = fixture.backend(0).await;
    primary.expect(&get).await;
    primary.send(b"+primary\r\n").await;
    client.expect(b"+primary\r\n").await;
    let replica = fixture.backend(1).await;
    fixture.settle().await;
    (fixture, client, primary, replica)
}

#[test]
fn reads_go_to_a_replica_and_writes_to_the_primary() {
    run(async {
        let (_fixture, mut client, mut primary, mut replica) = with_ready_replica().await;
        let (get, set) = (request(&["GET", "k"]), request(&["SET", "k", "v"]));
        client.send(&[&get[..], &set].concat()).await;
        replica.expect(&get).await;
        primary.expect(&set).await;
        primary.send(b"+written\r\n").await;
        replica.send(b"+read\r\n").await;
        client.expect(b"+read\r\n+written\r\n").await;
    });
}

/// Method: of three reads the replica answers the first, and says that it is loading to the
/// second, whose error the client must not see.
#[test]
fn what_a_loading_replica_refuses_is_read_from_the_primary() {
    run(async {
        let (fixture, mut client, mut primary, mut replica) = with_ready_replica().await;
        let get = request(&["GET", "k"]);
        client.send(&get.repeat(3)).await;
        replica.expect(&get.repeat(3)).await;
        replica.send(b"+1\r\n-LOADING dataset\r\n+3\r\n").await;
        primary.expect(&get).await;
        fixture.settle().await;
        primary.send(b"+2\r\n").await;
        client.expect(b"+1\r\n+2\r\n+3\r\n").await;
        client.send(&get).await;
        primary.expect(&get).await;
    });
}

#[test]
fn the_reads_of_a_lost_replica_go_to_the_primary() {
    run(async {
        let (_fixture, mut client, mut primary, mut replica) = with_ready_replica().await;
        let get = request(&["GET", "k"]);
        client.send(&get.repeat(2)).await;
        replica.expect(&get.repeat(2)).await;
        replica.send(b"+1\r\n$3\r\nab").await;
        drop(replica);
        primary.expect(&get).await;
        primary.send(b"+2\r\n").await;
        client.expect(b"+1\r\n+2\r\n").await;
    });
}

/// S-4 with a replica: what has begun to arrive must not be read once more from the primary.
#[test]
fn a_reply_that_a_replica_has_begun_is_not_begun_again() {
    run(async {
        let (_fixture, mut client, _primary, mut replica) = with_ready_replica().await;
        let get = request(&["GET", "k"]);
        client.send(&get).await;
        replica.expect(&get).await;
        let reply = bulk(100_000, b'v');
        replica.send(&reply[..50_000]).await;
        client.expect(&reply[..50_000]).await;
        drop(replica);
        assert_eq!(client.read_to_end().await, b"");
    });
}

/// Method: both parts are too large for one read, and their pieces come in turns.
#[test]
fn parts_that_come_in_pieces_are_merged_whole() {
    run(async {
        let fixture = Fixture::start(2, Config::default()).await;
        let mut client = fixture.client().await;
        let keys = [key(0, 2, 0), key(1, 2, 0)];
        client.send(&request(&["MGET", &keys[0], &keys[1]])).await;
        let mut backends = [fixture.backend(0).await, fixture.backend(1).await];
        let values = [bulk(60_000, b'a'), bulk(90_000, b'b')];
        let replies = values.each_ref().map(|value| [b"*1\r\n", &value[..]].concat());
        for (backend, key) in backends.iter_mut().zip(&keys) {
            backend.expect(&request(&["MGET", key])).await;
        }
        for range in [0..25_000, 25_000..50_000] {
            for (backend, reply) in backends.iter_mut().zip(&replies) {
                backend.send(&reply[range.clone()]).await;
                fixture.settle().await;
            }
        }
        for (backend, reply) in backends.iter_mut().zip(&replies) {
            backend.send(&reply[50_000..]).await;
        }
        client.expect(&[b"*2\r\n", &values[0][..], &values[1]].concat()).await;
    });
}
