//! Who holds a port, where the kernel tells: its table of sockets names the owner of a listening one, and the
//! descriptors of the processes (our own user's, or root's view of all) say which process it is.

use std::fmt;
use std::fs;
use std::path::Path;

/// Whoever listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Process {
        name: String,
        pid: u32,
    },
    /// A process of this user, which may not be looked into.
    User(String),
}

/// A listening socket of the kernel's table.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    uid: u32,
    inode: u64,
}

/// Addresses that a listener on loopback collides with, as the table writes them: words in the byte order of
/// the machine.
const COLLIDING: [Address; 4] = [
    Address::V4([0; 4]),
    Address::V4([127, 0, 0, 1]),
    Address::V6([0; 16]),
    Address::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
];

#[derive(Debug, PartialEq, Eq)]
enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// Who listens on that loopback port; `None` where the system does not tell.
pub(crate) fn of(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let listener = tables.iter().find_map(|table| find(table, port))?;
    Some(process(listener.inode).unwrap_or_else(|| user(listener.uid)))
}

/// The listener on that port in a table of `/proc/net` (proc_net_tcp.txt of the kernel).
fn find(table: &str, port: u16) -> Option<Listener> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, local, _, state, _, _, _, uid, _, inode, ..] = fields.as_slice() else { return None };
        let (address, number) = local.split_once(':')?;
        let collides = COLLIDING.contains(&self::address(address)?);
        let here = state == LISTEN && collides && u16::from_str_radix(number, 16).ok()? == port;
        here.then_some(Listener { uid: uid.parse().ok()?, inode: inode.parse().ok()? })
    })
}

fn address(hex: &str) -> Option<Address> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => word(0).map(Address::V4),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            words.concat().try_into().ok().map(Address::V6)
        }
        _ => None,
    }
}

fn process(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut numbered =
        processes.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    let (pid, path) = numbered.find(|(_, path): &(u32, _)| holds(path, &wanted))?;
    let name = fs::read_to_string(path.join("comm")).ok()?;
    Some(Holder::Process { name: name.trim().to_owned(), pid })
}

/// Whether one of the process's descriptors is that socket. Another user's cannot be read.
fn holds(process: &Path, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let mut targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| target.as_os_str() == socket)
}

fn user(uid: u32) -> Holder {
    let known = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    Holder::User(known.map_or_else(|| uid.to_string(), |user| user.name))
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { name, pid } => write!(f, "{name} (pid {pid})"),
            Self::User(name) => write!(f, "a process of the user {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// As a little-endian machine writes it; a big-endian one writes the words the other way round.
    fn hex(address: &[u8]) -> String {
        let words = address.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
        words.map(|word| format!("{word:08X}")).collect::<Vec<_>>().concat()
    }

    fn line(address: &[u8], port: u16, state: &str, uid: u32, inode: u64) -> String {
        let (local, zero) = (hex(address), hex(&vec![0; address.len()]));
        format!(
            "   0: {local}:{port:04X} {zero}:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0000000000000000 100 0 0 10 0\n"
        )
    }

    #[test]
    fn a_listener_on_loopback_or_on_every_address_is_found() {
        for address in [&[127, 0, 0, 1][..], &[0; 4], &[0; 16], &[[0; 15].as_slice(), &[1]].concat()] {
            let table = format!("{HEAD}{}", line(address, 54545, "0A", 1000, 4711));
            assert_eq!(find(&table, 54545), Some(Listener { uid: 1000, inode: 4711 }), "{address:?}");
        }
    }

    #[test]
    fn other_ports_other_addresses_and_mere_connections_are_passed_over() {
        for line in [
            line(&[127, 0, 0, 1], 54546, "0A", 1000, 1),
            line(&[192, 0, 2, 7], 54545, "0A", 1000, 1),
            line(&[127, 0, 0, 1], 54545, "01", 1000, 1),
            "   0: nonsense 0A\n".to_owned(),
            "   0: 0100:D511 0:0 0A 0 0 0 0 0 0 0\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(find(&format!("{HEAD}{line}"), 54545), None, "{line}");
            let then = format!("{HEAD}{line}{}", self::line(&[0; 4], 54545, "0A", 7, 8));
            assert_eq!(find(&then, 54545), Some(Listener { uid: 7, inode: 8 }), "{line}");
        }
        assert_eq!(find("", 54545), None);
    }

    #[test]
    fn the_holder_of_a_port_of_ours_is_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of(listener.local_addr().unwrap().port());
        assert!(
            matches!(holder, Some(Holder::Process { pid, ref name }) if pid == std::process::id() && !name.is_empty()),
            "{holder:?}"
        );
    }
}
