//! `proxyctl dial-stdio`: the other end of `--host`. It joins standard input and output to the control socket
//! and ends when either side ends. Nothing but the daemon's bytes goes to standard output.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy};

use super::Context;
use crate::client::local;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(context: &Context<'_>) -> Result<Exit, Error> {
    let stream = local(&context.local_socket()).await?;
    let (from_daemon, to_daemon) = stream.into_split();
    // The reader of a pipe that went away, or a daemon that did, is an end like any other.
    let _end = join(tokio::io::stdin(), tokio::io::stdout(), from_daemon, to_daemon).await;
    Ok(Exit::Ok)
}

/// Copies both ways until the daemon ends or cannot be heard any more. When the client ends first the daemon
/// is told, and may still finish what it says.
async fn join(
    mut client: impl AsyncRead + Unpin,
    mut answers: impl AsyncWrite + Unpin,
    mut from_daemon: impl AsyncRead + Unpin,
    mut to_daemon: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let up = async {
        copy(&mut client, &mut to_daemon).await?;
        to_daemon.shutdown().await
    };
    let down = async {
        copy(&mut from_daemon, &mut answers).await?;
        answers.flush().await
    };
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut down => ended,
        told = &mut up => {
            told?;
            down.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex, split};

    use super::*;

    #[tokio::test]
    async fn a_daemon_may_finish_after_the_client_has_said_all() {
        let (ours, daemon) = duplex(64);
        let (from_daemon, to_daemon) = split(ours);
        let mut answers = Vec::new();
        let daemon = async {
            let (mut read, mut write) = split(daemon);
            let mut asked = String::new();
            read.read_to_string(&mut asked).await.unwrap();
            write.write_all(format!("you said {asked}").as_bytes()).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (joined, ()) = tokio::join!(join(&b"hello"[..], &mut answers, from_daemon, to_daemon), daemon);
        joined.unwrap();
        assert_eq!(answers, b"you said hello");
    }

    #[tokio::test]
    async fn the_daemons_end_is_the_end_although_the_client_says_nothing() {
        let (ours, daemon) = duplex(64);
        let (from_daemon, to_daemon) = split(ours);
        let (silent, _open) = duplex(64);
        drop(daemon);
        join(silent, Vec::new(), from_daemon, to_daemon).await.unwrap();
    }
}
