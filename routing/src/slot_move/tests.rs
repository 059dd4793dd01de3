use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn names_are_read_as_they_are_written() {
    for phase in MovePhase::ALL {
        assert_eq!(MovePhase::of_name(phase.name()), Some(phase));
    }
    assert_eq!(MovePhase::of_name("moved"), None);
}

#[test]
fn a_move_without_trouble_takes_each_phase_once() {
    let mut batch = BatchMove::default();
    let mut phases = vec![batch.phase];
    for event in [
        MoveEvent::Begun,
        MoveEvent::AllAgreed,
        MoveEvent::AllAgreed,
        MoveEvent::KeysMoved,
        MoveEvent::SourceEmpty,
        MoveEvent::AllAgreed,
    ] {
        batch.apply(event).unwrap();
        phases.push(batch.phase);
    }
    let names: Vec<_> = phases.iter().map(|phase| phase.name()).collect();
    assert_eq!(
        names,
        ["pending", "preparing", "migrating", "moving", "verifying", "finishing", "done"]
    );
}

#[test]
fn what_cannot_be_changes_nothing() {
    let mut batch = BatchMove::default();
    for event in [MoveEvent::AllAgreed, MoveEvent::KeysMoved, MoveEvent::SourceEmpty] {
        let phase = MovePhase::Pending;
        assert_eq!(batch.apply(event), Err(IllegalMove { phase, event }));
        assert_eq!(batch, BatchMove::default());
    }
}

fn check_cancel(phase: MovePhase, expected: MovePhase, is_turned: bool) {
    let mut batch = BatchMove { phase, ..BatchMove::default() };
    batch.apply(MoveEvent::Cancelled).unwrap();
    assert_eq!((batch.phase, batch.is_turned), (expected, is_turned), "{phase}");
    let once = batch;
    batch.apply(MoveEvent::Cancelled).unwrap();
    assert_eq!(batch, once, "cancelled twice");
}

#[test]
fn a_cancelled_batch_is_dropped_released_or_turned() {
    check_cancel(MovePhase::Pending, MovePhase::Dropped, false);
    check_cancel(MovePhase::Preparing, MovePhase::Releasing, false);
    check_cancel(MovePhase::Releasing, MovePhase::Releasing, false);
    for phase in [MovePhase::Migrating, MovePhase::Moving, MovePhase::Verifying] {
        check_cancel(phase, MovePhase::Preparing, true);
    }
    check_cancel(MovePhase::Finishing, MovePhase::Finishing, false);
    check_cancel(MovePhase::Done, MovePhase::Done, false);
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    One,
    Two,
}

impl Server {
    fn other(self) -> Self {
        if self == Self::One { Self::Two } else { Self::One }
    }
}

/// What a proxy does with requests to the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    primary: Server,
    is_migrating: bool,
    is_locked: bool,
}

/// What happens next in a run.
#[derive(Clone, Debug)]
enum Happening {
    /// The driver does its step; each proxy may refuse, or agree without its answer arriving.
    Step {
        is_refused: Vec<bool>,
        is_answer_lost: Vec<bool>,
        moved: usize,
    },
    /// The driver forgets what it has done since it last kept its phase.
    Crash,
    Cancel,
    /// A client begins to write a key through a proxy, which has it moved first.
    Begin {
        proxy: usize,
        key: u8,
    },
    /// One of the writes that have begun reaches its server.
    End(usize),
    /// A client reads a key through a proxy.
    Read {
        proxy: usize,
        key: u8,
    },
}

const PROXIES: usize = 3;

fn happening() -> impl Strategy<Value = Happening> {
    let flags = || prop::collection::vec(prop::bool::weighted(0.15), PROXIES);
    let key = 0_u8..6;
    prop_oneof![
        6 => (flags(), flags(), 0_usize..5).prop_map(|(is_refused, is_answer_lost, moved)| {
            Happening::Step { is_refused, is_answer_lost, moved }
        }),
        1 => Just(Happening::Crash),
        1 => Just(Happening::Cancel),
        6 => (0..PROXIES, key.clone()).prop_map(|(proxy, key)| Happening::Begin { proxy, key }),
        6 => (0_usize..4).prop_map(Happening::End),
        6 => (0..PROXIES, key).prop_map(|(proxy, key)| Happening::Read { proxy, key }),
    ]
}

/// Two servers, some proxies, a driver, and what clients were told.
struct Model {
    batch: BatchMove,
    forms: [Form; PROXIES],
    servers: [BTreeMap<u8, u32>; 2],
    acknowledged: BTreeMap<u8, u32>,
    writes: u32,
    /// Writes that have begun: through which proxy, of which key, on which server.
    in_flight: Vec<(usize, u8, Server)>,
}

impl Model {
    fn new() -> Self {
        let form = Form { primary: Server::One, is_migrating: false, is_locked: false };
        let keys: BTreeMap<u8, u32> = (0..6).map(|key| (key, 0)).collect();
        Self {
            batch: BatchMove::default(),
            forms: [form; PROXIES],
            servers: [keys.clone(), BTreeMap::new()],
            acknowledged: keys,
            writes: 0,
            in_flight: Vec::new(),
        }
    }

    fn keys(&mut self, server: Server) -> &mut BTreeMap<u8, u32> {
        &mut self.servers[if server == Server::One { 0 } else { 1 }]
    }

    fn target(&self) -> Server {
        if self.batch.is_turned { Server::One } else { Server::Two }
    }

    fn form(&self, form: MoveForm) -> Form {
        let target = self.target();
        let of = |primary, is_migrating, is_locked| Form { primary, is_migrating, is_locked };
        match form {
            MoveForm::Before => of(Server::One, false, false),
            MoveForm::Locked => of(target, true, true),
            MoveForm::Migrating => of(target, true, false),
            MoveForm::Unturned => of(target.other(), true, false),
            MoveForm::Target => of(target, false, false),
        }
    }

    /// The server that a request through a proxy runs on, with its key there; none while it waits.
    fn server_of(&mut self, proxy: usize, key: u8) -> Option<Server> {
        let form = self.forms[proxy];
        if form.is_locked {
            return None;
        }
        if form.is_migrating {
            self.migrate(form.primary, key);
        }
        Some(form.primary)
    }

    /// As `MIGRATE ... REPLACE` does.
    fn migrate(&mut self, target: Server, key: u8) {
        if let Some(value) = self.keys(target.other()).remove(&key) {
            self.keys(target).insert(key, value);
        }
    }

    /// A write is executed and acknowledged.
    fn end(&mut self, at: usize) {
        let (_, key, server) = self.in_flight.remove(at);
        self.writes += 1;
        let value = self.writes;
        self.keys(server).insert(key, value);
        self.acknowledged.insert(key, value);
    }

    /// Does what the driver has to do, and takes note of it; true when something was done.
    fn step(&mut self, is_refused: &[bool], is_answer_lost: &[bool], moved: usize) {
        let event = match self.batch.step() {
            MoveStep::Nothing => return,
            MoveStep::Wait => MoveEvent::Begun,
            MoveStep::Tell(form) => {
                let form = self.form(form);
                for proxy in (0..PROXIES).filter(|proxy| !is_refused[*proxy]) {
                    // A fill waits for the requests under way.
                    while let Some(at) = self.in_flight.iter().position(|(of, ..)| *of == proxy) {
                        self.end(at);
                    }
                    self.forms[proxy] = form;
                }
                let is_trouble = is_refused.iter().chain(is_answer_lost).any(|trouble| *trouble);
                if is_trouble { MoveEvent::NotAllAgreed } else { MoveEvent::AllAgreed }
            }
            MoveStep::MoveKeys => {
                let target = self.target();
                let keys: Vec<u8> = self.keys(target.other()).keys().copied().collect();
                for key in keys.iter().take(moved) {
                    self.migrate(target, *key);
                }
                // Now and then it takes itself to be done too early: the next step has to see it.
                if keys.len() > moved && moved.is_multiple_of(2) {
                    return;
                }
                MoveEvent::KeysMoved
            }
            MoveStep::LookAtSource => {
                let source = self.target().other();
                if self.keys(source).is_empty() {
                    MoveEvent::SourceEmpty
                } else {
                    MoveEvent::KeysFound
                }
            }
        };
        self.batch.apply(event).unwrap();
    }

    fn happen(&mut self, happening: &Happening) -> Result<(), TestCaseError> {
        match happening {
            Happening::Step { is_refused, is_answer_lost, moved } => {
                self.step(is_refused, is_answer_lost, *moved);
            }
            // Half of a step is done, and nothing of it was kept.
            Happening::Crash => {
                let kept = self.batch;
                self.step(&[false, true, false], &[false; PROXIES], 2);
                self.batch = kept;
            }
            Happening::Cancel => self.batch.apply(MoveEvent::Cancelled).unwrap(),
            Happening::Begin { proxy, key } => {
                if let Some(server) = self.server_of(*proxy, *key) {
                    self.in_flight.push((*proxy, *key, server));
                }
            }
            Happening::End(at) if *at < self.in_flight.len() => self.end(*at),
            Happening::End(_) => {}
            Happening::Read { proxy, key } => {
                if let Some(server) = self.server_of(*proxy, *key) {
                    let seen = self.keys(server).get(key).copied();
                    prop_assert_eq!(seen, self.acknowledged.get(key).copied());
                }
            }
        }
        Ok(())
    }

    /// Lets everything go well until nothing is left to do.
    fn finish(&mut self) {
        for _ in 0..64 {
            self.step(&[false; PROXIES], &[false; PROXIES], 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // Goal: whatever fails, crashes or is cancelled, no acknowledged write is lost and no read is
    // old, through any proxy; and the move ends where it should.
    // Method: clients write and read through three proxies between the steps.
    #[test]
    fn no_write_is_lost_whatever_happens(
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut model = Model::new();
        for happening in &happenings {
            model.happen(happening)?;
        }
        model.finish();
        let (home, away) = match model.batch.phase {
            MovePhase::Done => (Server::Two, Server::One),
            MovePhase::Dropped => (Server::One, Server::Two),
            phase => return Err(TestCaseError::fail(format!("it ends {phase}"))),
        };
        let acknowledged = model.acknowledged.clone();
        prop_assert_eq!(model.keys(home), &acknowledged);
        prop_assert!(model.keys(away).is_empty());
        let expected = Form { primary: home, is_migrating: false, is_locked: false };
        prop_assert_eq!(model.forms, [expected; PROXIES]);
    }

    #[test]
    fn only_legal_steps_are_taken(
        events in prop::collection::vec(prop::sample::select(vec![
            MoveEvent::Begun,
            MoveEvent::AllAgreed,
            MoveEvent::NotAllAgreed,
            MoveEvent::KeysMoved,
            MoveEvent::KeysFound,
            MoveEvent::SourceEmpty,
            MoveEvent::OnlySkippedFound,
            MoveEvent::Cancelled,
        ]), 0..60),
    ) {
        let mut batch = BatchMove::default();
        for event in events {
            let before = batch;
            if batch.apply(event).is_err() {
                prop_assert_eq!(batch, before);
                continue;
            }
            let legal: &[(MovePhase, MovePhase)] = &[
                (MovePhase::Pending, MovePhase::Preparing),
                (MovePhase::Pending, MovePhase::Dropped),
                (MovePhase::Preparing, MovePhase::Migrating),
                (MovePhase::Preparing, MovePhase::Releasing),
                (MovePhase::Releasing, MovePhase::Pending),
                (MovePhase::Releasing, MovePhase::Dropped),
                (MovePhase::Migrating, MovePhase::Moving),
                (MovePhase::Migrating, MovePhase::Preparing),
                (MovePhase::Moving, MovePhase::Verifying),
                (MovePhase::Moving, MovePhase::Preparing),
                (MovePhase::Verifying, MovePhase::Moving),
                (MovePhase::Verifying, MovePhase::Finishing),
                (MovePhase::Verifying, MovePhase::Left),
                (MovePhase::Verifying, MovePhase::Preparing),
                (MovePhase::Finishing, MovePhase::Done),
                (MovePhase::Finishing, MovePhase::Dropped),
            ];
            let change = (before.phase, batch.phase);
            prop_assert!(before.phase == batch.phase || legal.contains(&change), "{:?}", change);
            prop_assert!(!before.is_turned || batch.is_turned, "a batch turns once");
        }
    }
}
