//! Commands whose keys lie on several servers, in random order, against a single server.
//!
//! Method: one sequence of requests, made of a seed, runs on a single server and through the proxy
//! over three, in pipelines of random lengths. Every reply is equal, and in the end each key is on
//! one server at most, with the value that the single server has. A failure tells the seed.

use integration::raw_client::encode;
use integration::{KeywayProxy, RawClient, RedisServer};

/// Few enough that most keys are written, read and deleted many times.
const KEYS: u64 = 250;

const REQUESTS: usize = 4000;

const REQUESTS_PER_PIPELINE_MAX: u64 = 60;

type Request = Vec<String>;

/// A xorshift generator: the same requests for the same seed, on every machine.
struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        *choices.get(usize::try_from(index).expect("a small number")).expect("an index within")
    }

    fn key(&mut self) -> String {
        key(self.below(KEYS))
    }

    /// One to a hundred keys, with repetitions; mostly few.
    fn keys(&mut self) -> Vec<String> {
        let keys_max = self.one_of(&[3, 10, 100]);
        (0..=self.below(keys_max)).map(|_| self.key()).collect()
    }

    fn value(&mut self) -> String {
        let len = self.one_of(&[0, 5, 50, 5000]);
        let number = self.below(1000);
        format!("{number}\r\n{}", "v".repeat(len))
    }

    fn request(&mut self) -> Request {
        let with_keys = |name: &str, keys: Vec<String>| {
            std::iter::once(name.to_owned()).chain(keys).collect::<Request>()
        };
        match self.below(12) {
            0..=2 => with_keys("MGET", self.keys()),
            3 | 4 => {
                let keys = self.keys();
                let pairs = keys.into_iter().flat_map(|key| [key, self.value()]).collect();
                with_keys("MSET", pairs)
            }
            5 => with_keys("DEL", self.keys()),
            6 => with_keys("UNLINK", self.keys()),
            7 => with_keys("EXISTS", self.keys()),
            8 => with_keys("TOUCH", self.keys()),
            9 => with_keys("GET", vec![self.key()]),
            10 => with_keys("SET", vec![self.key(), self.value()]),
            // An error where a string stands, and a null in MGET where none does.
            _ => with_keys("RPUSH", vec![self.key(), "element".to_owned()]),
        }
    }
}

/// One key in three shares its slot with others.
fn key(number: u64) -> String {
    match number % 3 {
        0 => format!("{{tag {}}}:{number}", number % 7),
        _ => format!("key:{number}"),
    }
}

fn check_same_as_single_server(seed: u64) {
    let backends = [(); 3].map(|()| RedisServer::start());
    let proxy = KeywayProxy::options().over(&backends).start();
    let single = RedisServer::start();
    let (mut expected, mut seen) = (single.client(), proxy.client());
    let mut random = Random(seed);
    let mut left = REQUESTS;
    while left > 0 {
        let len = usize::try_from(random.below(REQUESTS_PER_PIPELINE_MAX)).expect("a small number");
        let requests: Vec<Request> = (0..=len).map(|_| random.request()).collect();
        check_pipeline(&requests, &mut expected, &mut seen, seed);
        left = left.saturating_sub(requests.len());
    }
    check_same_keys(&single, &backends, seed);
    drop(proxy);
}

fn check_pipeline(requests: &[Request], expected: &mut RawClient, seen: &mut RawClient, seed: u64) {
    let pipeline: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
    expected.send(&pipeline);
    seen.send(&pipeline);
    for request in requests {
        let (expected, seen) = (expected.read_reply(), seen.read_reply());
        assert!(
            expected == seen,
            "seed {seed}: {request:?}\n  expected {}\n  seen     {}",
            expected.escape_ascii(),
            seen.escape_ascii()
        );
    }
}

fn check_same_keys(single: &RedisServer, backends: &[RedisServer], seed: u64) {
    let absent = b"$-1\r\n";
    let mut single = single.client();
    let mut backends: Vec<RawClient> = backends.iter().map(RedisServer::client).collect();
    let mut keys_by_backend = vec![0; backends.len()];
    for key in (0..KEYS).map(key) {
        let dump = ["DUMP", key.as_str()];
        let expected = single.command(&dump);
        let mut places = 0;
        for (backend, keys) in backends.iter_mut().zip(&mut keys_by_backend) {
            let seen = backend.command(&dump);
            if seen != absent {
                assert!(seen == expected, "seed {seed}: the value of {key}");
                places += 1;
                *keys += 1;
            }
        }
        let is_there = expected != absent;
        assert_eq!(places, usize::from(is_there), "seed {seed}: servers of {key}");
    }
    // Nothing else was written, and no server was left out.
    for (backend, keys) in backends.iter_mut().zip(&keys_by_backend) {
        let size = backend.text(&["DBSIZE"]);
        assert_eq!(size, format!(":{keys}\r\n"), "seed {seed}");
        assert!(*keys > 0, "seed {seed}: a server without a key");
    }
}

#[test]
fn random_multi_key_commands_over_three_servers_equal_a_single_server() {
    for seed in [1, 0x9E37_79B9_7F4A_7C15] {
        check_same_as_single_server(seed);
    }
}
