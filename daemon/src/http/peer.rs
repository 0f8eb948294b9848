//! Whose connection is this? The kernel knows: one exact question by netlink socket diagnostics
//! (`sock_diag(7)`) per accepted connection, and where that is not to be had, a look at `/proc/net/tcp`.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// What the kernel says about the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Peer {
    Uid(u32),
    /// It could not be told: a remote address, or another network namespace.
    Unknown,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const IPPROTO_TCP: u8 = 6;
/// Lengths of `nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const UID_AT: usize = HEADER + 64;
const INODE_AT: usize = HEADER + 68;

/// The uid that holds the other end of a connection accepted on this machine: `remote` is the client's
/// address, `local` ours.
pub(super) fn owner(remote: SocketAddr, local: SocketAddr) -> Peer {
    let (remote, local) = (unmapped(remote), unmapped(local));
    if !remote.ip().is_loopback() {
        return Peer::Unknown;
    }
    let found = by_netlink(remote, local).or_else(|_| by_proc(remote, local));
    match found {
        Ok(Some(uid)) => Peer::Uid(uid),
        Ok(None) => Peer::Unknown,
        Err(error) => {
            tracing::warn!(error = %error, "cannot ask the kernel who owns a connection");
            Peer::Unknown
        }
    }
}

/// An IPv4 client of a dual-stack socket.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn by_netlink(remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    // The kernel answers at once; the limit is against a kernel that does not answer at all.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(500))?;
    ask(&socket, remote, local)
}

fn ask(socket: &OwnedFd, remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let request = diag_request(remote, local);
    sendto(socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0u8; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let answer = answer.get(..length).unwrap_or_default();
    let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let kind = answer.get(4..6).map_or(0, |kind| {
        u16::from_ne_bytes([kind.first().copied().unwrap_or(0), kind.get(1).copied().unwrap_or(0)])
    });
    match kind {
        SOCK_DIAG_BY_FAMILY => Ok(number(UID_AT).filter(|_| number(INODE_AT).is_some_and(is_held))),
        NLMSG_ERROR => match number(HEADER).map(u32::cast_signed) {
            Some(errno) if errno == -nix::libc::ENOENT => Ok(None),
            Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
            None => Err(io::ErrorKind::InvalidData.into()),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// `nlmsghdr` and `inet_diag_req_v2`, for the client's own socket: its source is our peer.
fn diag_request(remote: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let family = if remote.is_ipv4() { nix::libc::AF_INET } else { nix::libc::AF_INET6 };
    let mut request = Vec::with_capacity(HEADER + REQUEST);
    request.extend(u32::try_from(HEADER + REQUEST).unwrap_or(0).to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // sequence and port id
    request.extend([u8::try_from(family).unwrap_or(0), IPPROTO_TCP, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes()); // any state
    request.extend(remote.port().to_be_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(address_bytes(remote.ip()));
    request.extend(address_bytes(local.ip()));
    request.extend(0u32.to_ne_bytes()); // any interface
    request.extend([0xff; 8]); // no cookie
    request
}

fn address_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

fn by_proc(remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let table = if remote.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    Ok(find_in_table(&fs::read_to_string(table)?, remote, local))
}

/// Each row: `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode ...`.
fn find_in_table(table: &str, remote: SocketAddr, local: SocketAddr) -> Option<u32> {
    let (wanted_local, wanted_remote) = (proc_address(remote), proc_address(local));
    table.lines().find_map(|row| {
        let mut columns = row.split_ascii_whitespace().skip(1);
        let is_it = columns.next()? == wanted_local && columns.next()? == wanted_remote;
        let uid = columns.nth(4).filter(|_| is_it)?.parse().ok()?;
        let inode = columns.nth(1)?.parse().ok()?;
        is_held(inode).then_some(uid)
    })
}

/// A socket that its process has closed already has no inode, and the kernel calls uid 0 its owner: that must
/// not pass for root.
fn is_held(inode: u32) -> bool {
    inode != 0
}

/// Hex of the address in words of the machine's byte order, and of the port.
fn proc_address(address: SocketAddr) -> String {
    let bytes = address_bytes(address.ip());
    let words = if address.is_ipv4() { 1 } else { 4 };
    let hex: String = bytes
        .chunks_exact(4)
        .take(words)
        .filter_map(|word| Some(format!("{:08X}", u32::from_ne_bytes(word.try_into().ok()?))))
        .collect();
    format!("{hex}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn connection(bind: &str) -> (TcpStream, SocketAddr, SocketAddr) {
        let listener = TcpListener::bind(bind).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_accepted, remote) = listener.accept().unwrap();
        let local = listener.local_addr().unwrap();
        (client, remote, local)
    }

    fn me() -> u32 {
        nix::unistd::getuid().as_raw()
    }

    #[test]
    fn our_own_connection_is_ours_by_either_way() {
        let (_client, remote, local) = connection("127.0.0.1:0");
        assert_eq!(owner(remote, local), Peer::Uid(me()));
        assert_eq!(by_proc(remote, local).unwrap(), Some(me()));
    }

    #[test]
    fn a_client_that_closed_its_end_is_nobody_and_not_root() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let client = TcpStream::connect(local).unwrap();
        let (_accepted, remote) = listener.accept().unwrap();
        drop(client);
        assert_eq!(owner(remote, local), Peer::Unknown);
        assert_eq!(by_proc(remote, local).unwrap(), None);
    }

    #[test]
    fn a_connection_that_does_not_exist_has_no_owner() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(owner(nobody, nobody), Peer::Unknown);
    }

    #[test]
    fn a_remote_address_is_unknown() {
        let remote = SocketAddr::from(([192, 0, 2, 1], 40000));
        assert_eq!(owner(remote, SocketAddr::from(([127, 0, 0, 1], 80))), Peer::Unknown);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_table_of_the_kernel_is_read_by_its_columns() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n\
                     1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 2\n";
        let (remote, local) =
            (SocketAddr::from(([127, 0, 0, 1], 50000)), SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(find_in_table(table, remote, local), Some(1000));
        assert_eq!(find_in_table(table, local, remote), None);
    }
}
