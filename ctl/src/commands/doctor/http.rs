//! Whether this user's programs are served where the daemon listens: each address is asked as they would ask it.

use std::time::Duration;

use http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::holder;
use crate::json::{Finding, Severity};

/// The daemon is of this machine.
const LIMIT: Duration = Duration::from_secs(5);
const AREA: &str = "HTTP";

/// One finding an address.
pub(super) async fn ask(listen: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in listen {
        findings.push(match tokio::time::timeout(LIMIT, ready(address)).await {
            Ok(Ok(status)) => judge(address, status),
            Ok(Err(error)) => unreached(address, &*error),
            Err(_elapsed) => {
                Finding::new(AREA, Severity::Problem, format!("{address} gave no answer within 5 s"))
                    .mended_by("proxyctl status")
            }
        });
    }
    findings
}

async fn ready(address: &str) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    match address.strip_prefix("unix:") {
        Some(path) => get(UnixStream::connect(path).await?, "localhost").await,
        None => get(TcpStream::connect(address).await?, address).await,
    }
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header("host", host).body(String::new())?;
    let mut reply = std::pin::pin!(sender.send_request(request));
    let reply = tokio::select! {
        reply = &mut reply => reply,
        ended = connection => {
            ended?;
            // A server that closes once it has answered has answered all the same.
            reply.await
        }
    };
    Ok(reply?.status())
}

fn judge(address: &str, status: StatusCode) -> Finding {
    match status {
        StatusCode::OK => Finding::new(AREA, Severity::Ok, format!("{address} serves this user")),
        // Why is said by what is found of the accounts.
        StatusCode::SERVICE_UNAVAILABLE => {
            Finding::new(AREA, Severity::Note, format!("{address} answers; no account is usable"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let found = format!("{address} serves this user with a client key only ({status})");
            Finding::new(AREA, Severity::Note, found).mended_by("proxyctl keys create NAME")
        }
        status => {
            let found = format!("{address} answers {status}: something else may be in between");
            Finding::new(AREA, Severity::Problem, found)
                .mended_by(format!("curl -i http://{address}/healthz"))
        }
    }
}

fn unreached(address: &str, error: &(dyn std::error::Error + Send + Sync)) -> Finding {
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let holder = port.and_then(holder::of).map(|holder| format!("; {holder} holds the port"));
    let found = format!("{address} is not reached: {error}{}", holder.unwrap_or_default());
    Finding::new(AREA, Severity::Problem, found).mended_by("proxyctl status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_says_whether_this_user_is_served() {
        for (status, severity) in [
            (StatusCode::OK, Severity::Ok),
            (StatusCode::SERVICE_UNAVAILABLE, Severity::Note),
            (StatusCode::UNAUTHORIZED, Severity::Note),
            (StatusCode::FORBIDDEN, Severity::Note),
            (StatusCode::BAD_GATEWAY, Severity::Problem),
        ] {
            assert_eq!(judge("127.0.0.1:8080", status).severity, severity, "{status}");
        }
    }

    #[tokio::test]
    async fn an_answer_counts_also_where_the_connection_ends_with_it() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        for (answer, severity) in
            [(&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], Severity::Ok), (b"", Severity::Problem)]
        {
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _length = stream.read(&mut [0; 1024]).await.unwrap();
                stream.write_all(answer).await.unwrap();
            };
            let addresses = [address.clone()];
            let (found, ()) = tokio::join!(ask(&addresses), server);
            assert_eq!(found[0].severity, severity, "{found:?}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_a_problem() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let found = ask(&[address]).await;
        assert_eq!(found[0].severity, Severity::Problem, "{found:?}");
    }
}
