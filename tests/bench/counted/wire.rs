//! Both ends of `proxyd`, outside of what is counted: an upstream that gives one answer to everything, and a client. Plain
//! sockets and threads: what they do is the same each time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use memchr::memmem;

use crate::works::{Answer, Work};

/// Valgrind takes its time, and a hang is to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// An upstream on loopback. It ends with the process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    steps: Sender<()>,
}

impl Upstream {
    pub(crate) fn start(answer: &Answer) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let address = listener.local_addr()?;
        let (steps, stepped) = channel();
        let (answer, stepped) = (Arc::new(answer.clone()), Arc::new(Mutex::new(stepped)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, stepped) = (Arc::clone(&answer), Arc::clone(&stepped));
                // A connection that ends has been told so by the client's side.
                thread::spawn(move || serve(stream, &answer, &stepped));
            }
        });
        Ok(Self { address, steps })
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, stepped: &Mutex<Receiver<()>>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut held = Vec::new();
    while read_message(&mut stream, &mut held)?.is_some() {
        match answer {
            Answer::Whole(bytes) => stream.write_all(bytes)?,
            Answer::Steps(pieces) => {
                let stepped = stepped.lock().unwrap_or_else(PoisonError::into_inner);
                for (number, piece) in pieces.iter().enumerate() {
                    if number > 0 {
                        stepped.recv_timeout(PATIENCE)?;
                    }
                    stream.write_all(piece)?;
                }
            }
        }
    }
    Ok(())
}

/// Sends a work's request so many times over one connection.
pub(crate) fn ask(to: SocketAddr, work: &Work, times: u64, upstream: &Upstream) -> anyhow::Result<()> {
    let request = work.request.as_slice();
    let steps = match &work.answer {
        Answer::Whole(_) => 1,
        Answer::Steps(pieces) => pieces.len(),
    };
    let mut stream = TcpStream::connect(to).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut held = Vec::new();
    let first = memmem::find(request, b"\r\n").context("the request has no first line")? + 2;
    let (line, rest) = request.split_at_checked(first).context("the request has no headers")?;
    let request = [line, format!("host: {to}\r\n").as_bytes(), rest].concat();
    for _ in 0..times {
        stream.write_all(&request)?;
        for step in 1..steps {
            // The first piece has two events more before its own.
            read_until(&mut stream, &mut held, |held| {
                memmem::find_iter(held, b"event: ").count() >= step + 2
            })?;
            upstream.steps.send(())?;
        }
        let answer =
            read_message(&mut stream, &mut held)?.context("the connection ended without an answer")?;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            bail!("the answer is {}", String::from_utf8_lossy(&answer));
        }
    }
    Ok(())
}

/// The next whole message, head and body; `None` where the connection ended before it. `held` is what was read beyond it.
fn read_message(stream: &mut TcpStream, held: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    const END: &[u8] = b"\r\n\r\n";
    match read_until(stream, held, |held| memmem::find(held, END).is_some()) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && held.is_empty() => return Ok(None),
        read => read?,
    }
    let head = memmem::find(held, END).unwrap_or(0) + END.len();
    let text = String::from_utf8_lossy(held.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let field = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let all = match field.map(|length| length.trim().parse::<usize>()) {
        Some(length) => head + length.map_err(io::Error::other)?,
        None if !text.contains("\r\ntransfer-encoding:") => head,
        None => {
            let last = |held: &Vec<u8>| held.ends_with(b"\r\n0\r\n\r\n");
            read_until(stream, held, last)?;
            held.len()
        }
    };
    read_until(stream, held, |held| held.len() >= all)?;
    let rest = held.split_off(all);
    Ok(Some(std::mem::replace(held, rest)))
}

fn read_until(
    stream: &mut TcpStream,
    held: &mut Vec<u8>,
    is_enough: impl Fn(&Vec<u8>) -> bool,
) -> io::Result<()> {
    let mut chunk = vec![0; 256 * 1024];
    while !is_enough(held) {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        held.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    Ok(())
}
