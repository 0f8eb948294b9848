//! One request as it is measured, from its head to the last byte of its answer. Whatever becomes of it, it is counted once,
//! when the last of those that have to do with it lets go of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Metrics;
use super::labels::{Awaited, Ending, Endpoint, Outcome};
use super::story::{Parent, Story, Try, Used};
use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::wire::Dialect;

/// Attempts of one request that an exporter is told.
const MOST_TRIES: usize = 50;
/// So much of a model's name is told.
const LONGEST_MODEL: usize = 200;

/// A request; clones are the same one. The default is one that nobody measures.
#[derive(Clone, Debug, Default)]
pub struct Request(Option<Arc<Measured>>);

#[derive(Debug)]
struct Measured {
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    dialect: Option<Dialect>,
    began: Instant,
    served: AtomicBool,
    streams: AtomicBool,
    first_byte: OnceLock<Duration>,
    status: OnceLock<u16>,
    /// All of its answer went down.
    complete: AtomicBool,
    /// Its answer did not come to its own end.
    broken: AtomicBool,
    /// `None` where nobody is told.
    told: Option<Mutex<Told>>,
}

/// What only an exporter is told.
#[derive(Debug)]
struct Told {
    parent: Option<Parent>,
    method: &'static str,
    began: Timestamp,
    model: String,
    used: Option<Used>,
    tries: Vec<Try>,
}

impl Request {
    /// One that has just come. `traceparent` is its header of that name.
    pub fn new(
        metrics: &Arc<Metrics>,
        endpoint: Endpoint,
        dialect: Option<Dialect>,
        method: &'static str,
        traceparent: Option<&str>,
    ) -> Self {
        let is_told = metrics.exports() && !endpoint.is_a_look();
        let told = is_told.then(|| {
            Mutex::new(Told {
                parent: traceparent.and_then(Parent::parse),
                method,
                began: metrics.clock.now(),
                model: String::new(),
                used: None,
                tries: Vec::new(),
            })
        });
        Self(Some(Arc::new(Measured {
            metrics: Arc::clone(metrics),
            endpoint,
            dialect,
            began: Instant::now(),
            served: AtomicBool::default(),
            streams: AtomicBool::default(),
            first_byte: OnceLock::new(),
            status: OnceLock::new(),
            complete: AtomicBool::default(),
            broken: AtomicBool::default(),
            told,
        })))
    }

    /// What it is for.
    pub fn endpoint(&self) -> Endpoint {
        self.0.as_ref().map_or(Endpoint::Other, |measured| measured.endpoint)
    }

    /// Of its answer, once its head goes down.
    pub fn status(&self) -> Option<u16> {
        self.0.as_ref().and_then(|measured| measured.status.get().copied())
    }

    /// Whether its answer streams.
    pub fn streams(&self) -> bool {
        self.0.as_ref().is_some_and(|measured| measured.streams.load(Ordering::Relaxed))
    }

    /// How long it took until something of its answer's body was here.
    pub fn first_byte_after(&self) -> Option<Duration> {
        self.0.as_ref().and_then(|measured| measured.first_byte.get().copied())
    }

    /// It has a place among those that are served.
    pub fn is_served(&self) {
        if let Some(measured) =
            self.0.as_ref().filter(|measured| !measured.served.swap(true, Ordering::Relaxed))
        {
            measured.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// This model is asked for.
    pub fn asks(&self, model: &str) {
        self.tell(|told| told.model = model.chars().take(LONGEST_MODEL).collect());
    }

    /// The head of its answer goes down.
    pub fn answers(&self, status: u16, streams: bool) {
        let Some(measured) = &self.0 else { return };
        if measured.status.set(status).is_ok() && streams {
            measured.streams.store(true, Ordering::Relaxed);
            measured.metrics.streams.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something of its answer's body is here; signs of life are none of it. Counts once.
    pub fn first_byte(&self) {
        // The time is not even looked at for all that comes after it.
        if let Some(measured) = self.0.as_ref().filter(|measured| measured.first_byte.get().is_none()) {
            let _only_once = measured.first_byte.set(measured.began.elapsed());
        }
    }

    /// As [`Request::first_byte`], where the answer is no stream: what goes down of one may be a sign of life.
    pub fn first_frame(&self) {
        if !self.streams() {
            self.first_byte();
        }
    }

    /// All of its answer went down.
    pub fn completed(&self) {
        if let Some(measured) = &self.0 {
            measured.complete.store(true, Ordering::Relaxed);
        }
    }

    /// Its answer began and does not come to its own end, whether or not its client can be told.
    pub fn broke(&self) {
        if let Some(measured) = &self.0 {
            measured.broken.store(true, Ordering::Relaxed);
        }
    }

    /// Its answer took so many tokens.
    pub fn used(&self, used: Used) {
        self.tell(|told| told.used = Some(used));
    }

    /// Whether what is told of its calls goes anywhere.
    pub fn is_told(&self) -> bool {
        self.0.as_ref().is_some_and(|measured| measured.told.is_some())
    }

    fn tell(&self, what: impl FnOnce(&mut Told)) {
        if let Some(told) = self.0.as_ref().and_then(|measured| measured.told.as_ref()) {
            what(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let ending = match (*self.broken.get_mut(), *self.complete.get_mut()) {
            (true, _) => Ending::BrokenOff,
            (false, true) => Ending::Complete,
            (false, false) => Ending::ClientGone,
        };
        let (status, streams) = (self.status.get().copied(), *self.streams.get_mut());
        let first_byte = self.first_byte.get().copied();
        if *self.served.get_mut() {
            self.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        if streams {
            self.metrics.streams.fetch_sub(1, Ordering::Relaxed);
        }
        self.metrics.request(self.endpoint, self.dialect, status, ending);
        self.metrics.duration(self.endpoint, took);
        let is_good = status.is_some_and(|status| (200..300).contains(&status));
        if let Some(first_byte) = first_byte.filter(|_| is_good && self.endpoint.is_of_models()) {
            self.metrics.first_byte(self.endpoint, first_byte);
        }
        let Some(told) = self.told.take() else { return };
        let Told { parent, method, began, model, used, tries } =
            told.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (endpoint, dialect) = (self.endpoint, self.dialect);
        self.metrics.export(Story {
            parent,
            endpoint,
            dialect,
            method,
            model,
            began,
            took,
            first_byte,
            streams,
            status,
            ending,
            used,
            attempts: tries,
        });
    }
}

/// A call upstream that goes on. Dropped before its end, it was given up.
#[derive(Debug)]
pub struct Attempt {
    metrics: Arc<Metrics>,
    request: Request,
    began: Instant,
    /// Until its answer's head came.
    took: Option<Duration>,
    told: Option<Called>,
    ended: bool,
}

/// What is called, for an exporter.
#[derive(Debug)]
pub struct Called {
    pub account: Option<AccountId>,
    /// As upstream calls it.
    pub model: String,
    /// Host and port.
    pub server: Option<(String, Option<u16>)>,
}

impl Attempt {
    /// One that begins now. `called` is asked only where somebody is told.
    pub fn new(metrics: &Arc<Metrics>, request: &Request, called: impl FnOnce() -> Called) -> Self {
        let told = request.is_told().then(called);
        let (metrics, request) = (Arc::clone(metrics), request.clone());
        Self { metrics, request, began: Instant::now(), took: None, told, ended: false }
    }

    /// Its answer's head came; what it means is not known yet.
    pub fn head_came(&mut self) {
        self.took = Some(self.began.elapsed());
    }

    /// What its answer means is known, or none will come.
    pub fn ended(mut self, outcome: Outcome, status: Option<u16>) {
        self.end(outcome, status);
    }

    fn end(&mut self, outcome: Outcome, status: Option<u16>) {
        self.ended = true;
        let took = self.took.unwrap_or_else(|| self.began.elapsed());
        self.metrics.attempt(outcome, took);
        let Some(Called { account, model, server }) = self.told.take() else { return };
        let Some(measured) = &self.request.0 else { return };
        let began = self.began.duration_since(measured.began);
        self.request.tell(|told| {
            if told.tries.len() < MOST_TRIES {
                told.tries.push(Try { account, model, server, began, took, status, outcome });
            }
        });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::GivenUp, None);
        }
    }
}

/// In line until it is dropped.
#[derive(Debug)]
pub struct Waiting<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) awaited: Awaited,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.metrics.waiting.take(self.awaited);
    }
}

/// A connection that is open until it is dropped.
#[derive(Debug)]
pub struct Connection(pub(super) Arc<Metrics>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
