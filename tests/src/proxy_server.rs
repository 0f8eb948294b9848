//! A small real proxy on loopback: HTTP (`CONNECT` and absolute-form) and SOCKS5 on the same port, told apart by
//! the first byte. It counts what it carries, and refuses, demands a password or says nothing when told to.
#![expect(clippy::expect_used, reason = "a harness: what fails here must fail the test at once")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it does with who comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manners {
    #[default]
    Open,
    /// Only with this user name and password; others get a 407, or SOCKS5's refusal.
    Password(&'static str, &'static str),
    /// A 403, or SOCKS5's "not allowed", for everybody.
    Refuse,
}

/// One connection that was carried on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carried {
    /// `connect`, `absolute` or `socks5`.
    pub how: &'static str,
    /// `HOST:PORT` as the client named it: a name where it left the resolving to the proxy.
    pub to: String,
}

/// A running proxy. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct ProxyServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    carried: Vec<Carried>,
    turned_away: usize,
}

impl ProxyServer {
    /// # Panics
    /// When loopback cannot be bound.
    pub async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, manners, Arc::clone(&seen)));
        Self { address, seen, _tasks: tasks }
    }

    /// Its URL under this scheme, without credentials.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// Its URL with this user name and password, which may need no encoding or have it already.
    pub fn url_as(&self, scheme: &str, credentials: &str) -> String {
        format!("{scheme}://{credentials}@{}", self.address)
    }

    /// What it carried so far, by connection.
    pub fn carried(&self) -> Vec<Carried> {
        self.look(|seen| seen.carried.clone())
    }

    /// Whom it did not carry.
    pub fn turned_away(&self) -> usize {
        self.look(|seen| seen.turned_away)
    }

    fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The URL of a port of loopback on which nobody listens.
///
/// # Panics
/// When loopback cannot be bound.
pub async fn dead(scheme: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    format!("{scheme}://{}", listener.local_addr().expect("an address"))
}

async fn accept(listener: TcpListener, manners: Manners, seen: Arc<Mutex<Seen>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let seen = Arc::clone(&seen);
                connections.spawn(async move {
                    // However it ends: a connection that breaks is the test's to notice at its own end.
                    let _ended = serve(client, manners, &seen).await;
                });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(mut client: TcpStream, manners: Manners, seen: &Mutex<Seen>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut first = [0];
    client.peek(&mut first).await?;
    let opened = match first {
        [5] => socks(&mut client, manners).await?,
        _ => http(&mut client, manners).await?,
    };
    let Some((carried, head)) = opened else {
        seen.lock().unwrap_or_else(PoisonError::into_inner).turned_away += 1;
        return client.shutdown().await;
    };
    let mut upstream = TcpStream::connect(&carried.to).await?;
    upstream.set_nodelay(true)?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).carried.push(carried);
    upstream.write_all(&head).await?;
    copy_bidirectional(&mut client, &mut upstream).await.map(|_| ())
}

/// Where to, and what goes up first.
type Opened = Option<(Carried, Vec<u8>)>;

async fn http(client: &mut TcpStream, manners: Manners) -> io::Result<Opened> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let refusal = match manners {
        Manners::Open => None,
        Manners::Refuse => Some("403 Forbidden"),
        Manners::Password(user, password) => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let right = line("proxy-authorization") == Some(format!("Basic {pair}"));
            (!right).then_some("407 Proxy Authentication Required")
        }
    };
    if let Some(status) = refusal {
        client.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
        return Ok(None);
    }
    let mut words = head.splitn(3, ' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return Ok(Some((Carried { how: "connect", to: target.to_owned() }, Vec::new())));
    }
    let absolute = target.strip_prefix("http://").unwrap_or_default();
    let (to, path) = absolute.split_once('/').unwrap_or((absolute, ""));
    let passed = head.replacen(target, &format!("/{path}"), 1);
    // Its own credentials end here; one request a connection keeps the rest simple.
    let passed: Vec<&str> = passed.split("\r\n").filter(|line| !is_the_proxys(line)).collect();
    let passed = passed.join("\r\n").replacen("\r\n", "\r\nconnection: close\r\n", 1);
    Ok(Some((Carried { how: "absolute", to: to.to_owned() }, passed.into_bytes())))
}

fn is_the_proxys(line: &str) -> bool {
    line.to_ascii_lowercase().starts_with("proxy-authorization:")
}

/// RFC 1928 and RFC 1929, as far as a client needs them.
async fn socks(client: &mut TcpStream, manners: Manners) -> io::Result<Opened> {
    let methods = read_greeting(client).await?;
    let Manners::Password(user, password) = manners else {
        client.write_all(&[5, 0]).await?;
        return socks_request(client, manners).await;
    };
    if !methods.contains(&2) {
        client.write_all(&[5, 0xff]).await?;
        return Ok(None);
    }
    client.write_all(&[5, 2]).await?;
    let _version = client.read_u8().await?;
    let given = (read_short(client).await?, read_short(client).await?);
    let right = given == (user.as_bytes().to_vec(), password.as_bytes().to_vec());
    client.write_all(&[1, u8::from(!right)]).await?;
    if right { socks_request(client, manners).await } else { Ok(None) }
}

async fn read_greeting(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let _version = client.read_u8().await?;
    read_short(client).await
}

/// As many bytes as the first one says.
async fn read_short(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn socks_request(client: &mut TcpStream, manners: Manners) -> io::Result<Opened> {
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head {
        [_, _, _, 1] => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        [_, _, _, 3] => String::from_utf8_lossy(&read_short(client).await?).into_owned(),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "an address of another kind")),
    };
    let to = format!("{host}:{}", client.read_u16().await?);
    let allowed = manners != Manners::Refuse;
    client.write_all(&[5, if allowed { 0 } else { 2 }, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(allowed.then(|| (Carried { how: "socks5", to }, Vec::new())))
}
