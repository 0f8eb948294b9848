//! Who may call, and what calls endure.

mod deadlines;
mod framing;
mod leaving;
mod origins;
mod overload;
mod tls;
mod unix_socket;
