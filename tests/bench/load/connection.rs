//! One connection of the load.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Spec;
use super::http::Answer;
use crate::bodies;
use crate::upstream::answers::{Asked, FRAME_EVENTS, WORD};

const READ: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: BytesMut,
    /// The body of the answer that is being read.
    pub(super) body: Vec<u8>,
    answer: Answer,
}

impl Connection {
    /// The `index`th of those that `spec` asks for: each has a conversation of its own.
    pub(super) async fn open(spec: &Spec, index: usize) -> Result<Self> {
        let stream = TcpStream::connect(spec.target).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: request(spec.target, spec, index),
            buffer: BytesMut::with_capacity(READ * 2),
            body: Vec::new(),
            answer: Answer::default(),
        })
    }

    pub(super) async fn ask(&mut self) -> Result<()> {
        self.body.clear();
        self.answer = Answer::default();
        self.stream.write_all(&self.request).await.context("the request cannot be sent")
    }

    /// Reads what came. Whether the answer is whole now.
    pub(super) async fn read(&mut self) -> Result<bool> {
        self.buffer.reserve(READ);
        let read = self.stream.read_buf(&mut self.buffer).await.context("the answer cannot be read")?;
        let is_whole = self.answer.read(&mut self.buffer, &mut self.body)?;
        ensure!(read > 0 || is_whole, "closed in the middle of an answer");
        if !matches!(self.answer.status, 0 | 200) && (is_whole || self.body.len() > 1000) {
            bail!("status {}: {}", self.answer.status, String::from_utf8_lossy(&self.body));
        }
        Ok(is_whole)
    }

    /// Asks and reads a whole answer with as many text events as it must have.
    pub(super) async fn exchange(&mut self, words: usize) -> Result<()> {
        self.ask().await?;
        while !self.read().await? {}
        let found = self.words();
        ensure!(found == words, "{found} text events instead of {words}");
        Ok(())
    }

    pub(super) fn words(&self) -> usize {
        memchr::memmem::find_iter(&self.body, WORD.as_bytes()).count()
    }

    /// Whether nobody has closed it. What came meanwhile is not looked at.
    pub(super) fn is_open(&self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// Text events of a whole answer.
pub(super) fn words(asked: Asked) -> usize {
    match asked {
        Asked::Small | Asked::Held => 1,
        Asked::Stream(events) => events.saturating_sub(FRAME_EVENTS),
        Asked::Paced(events, _) => events,
    }
}

fn request(target: SocketAddr, spec: &Spec, index: usize) -> Vec<u8> {
    let body = bodies::body(spec.dialect, spec.asked, spec.body, index);
    let mut request = format!(
        "POST {} HTTP/1.1\r\nhost: {target}\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: bench/1\r\nanthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n",
        spec.dialect.path(),
        body.len(),
    )
    .into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}
