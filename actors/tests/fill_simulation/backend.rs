//! A scripted backend: it tells the checker of each request, and answers when the driver lets it.
//!
//! Its replies prove whose they are: a read returns its key, a write with a reply its value.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use routing::BackendAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::checker::Checker;
use crate::wire::{array, bulk, take_request};

/// How a backend behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It answers at once.
    Prompt,
    /// It answers as many requests as the driver allows.
    Slow,
    /// As slow, and it refuses reads as a replica does that has no data yet.
    Loading,
    /// Its connections are gone and it takes no new ones.
    Dead,
}

/// A request that has come and is not answered.
struct Waiting {
    /// The checker's number; the proxy's own requests have none.
    number: Option<u64>,
    is_read: bool,
    reply: String,
}

pub(crate) struct Backend {
    index: usize,
    pub(crate) addr: BackendAddr,
    mode: Cell<Mode>,
    allowance: Cell<u64>,
    /// Moves with every death, so that connections know that they are of the past.
    lives: Cell<u64>,
    changed: Notify,
    checker: Rc<RefCell<Checker>>,
}

impl Backend {
    pub(crate) async fn start(index: usize, checker: Rc<RefCell<Checker>>) -> Rc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Rc::new(Self {
            index,
            addr: listener.local_addr().unwrap().to_string().parse().unwrap(),
            mode: Cell::new(Mode::Prompt),
            allowance: Cell::new(0),
            lives: Cell::new(0),
            changed: Notify::new(),
            checker,
        });
        let serving = Rc::clone(&backend);
        actix_rt::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                if serving.mode.get() != Mode::Dead {
                    actix_rt::spawn(Rc::clone(&serving).serve(io));
                }
            }
        });
        backend
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode.get()
    }

    pub(crate) fn become_mode(&self, mode: Mode) {
        if mode == Mode::Loading {
            self.checker.borrow_mut().has_faults = true;
        }
        if mode == Mode::Dead {
            self.lives.set(self.lives.get() + 1);
            self.checker.borrow_mut().died(self.index);
        }
        self.mode.set(mode);
        self.allowance.set(0);
        self.changed.notify_waiters();
    }

    /// Lets a slow backend answer so many requests more.
    pub(crate) fn allow(&self, requests: u64) {
        self.allowance.set(requests);
        self.changed.notify_waiters();
    }

    async fn serve(self: Rc<Self>, mut io: TcpStream) {
        let life = self.lives.get();
        let mut unread = Vec::new();
        let mut waiting = VecDeque::new();
        while self.lives.get() == life {
            if let Some(answerable) = self.take_answerable(&mut waiting) {
                // The request is over when the reply leaves, not when the proxy has it.
                self.end(&answerable);
                if io.write_all(answerable.reply.as_bytes()).await.is_err() {
                    break;
                }
                continue;
            }
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                read = io.read_buf(&mut unread) => {
                    if self.lives.get() != life || !matches!(read, Ok(1..)) {
                        break;
                    }
                    while let Some(request) = take_request(&mut unread) {
                        waiting.push_back(self.take(&request));
                    }
                }
            }
        }
        for unanswered in &waiting {
            self.end(unanswered);
        }
    }

    fn end(&self, waiting: &Waiting) {
        if let Some(number) = waiting.number {
            self.checker.borrow_mut().ended(number);
        }
    }

    fn take(&self, request: &[String]) -> Waiting {
        let own = |reply: &str| Waiting { number: None, is_read: false, reply: reply.to_owned() };
        let reply = match request[0].as_str() {
            "PING" => return own("+PONG\r\n"),
            "EXISTS" => return own(":0\r\n"),
            // It has no slot, so the checker has no rule for where it comes.
            "SLOTSINFO" => return own(&bulk(&format!("backend {}", self.index))),
            "GET" => bulk(&request[1]),
            "GETSET" => bulk(&request[2]),
            "MGET" => array(&request[1..]),
            "MSET" => "+OK\r\n".to_owned(),
            _ => return own("+OK\r\n"),
        };
        let number = self.checker.borrow_mut().received(self.index, request);
        Waiting { number: Some(number), is_read: request[0].ends_with("GET"), reply }
    }

    fn take_answerable(&self, waiting: &mut VecDeque<Waiting>) -> Option<Waiting> {
        let is_counted = waiting.front()?.number.is_some();
        let mode = self.mode.get();
        if is_counted && matches!(mode, Mode::Slow | Mode::Loading) {
            self.allowance.set(self.allowance.get().checked_sub(1)?);
        }
        let mut next = waiting.pop_front()?;
        if next.is_read && mode == Mode::Loading {
            next.reply = "-LOADING no data yet\r\n".to_owned();
        }
        Some(next)
    }
}
