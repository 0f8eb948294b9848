//! HTTP/2 as many providers serve it: a hundred streams on a connection, and the next one waits.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::answers::{Answers, Asked, events};

const STREAMS: u32 = 100;

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(super) async fn serve(stream: TlsStream<TcpStream>, shared: Arc<Shared>) -> Result<()> {
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.max_concurrent_streams(STREAMS);
    server.serve_connection(TokioIo::new(stream), service).await.map_err(|error| anyhow!(error))
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let asked = Asked::of(&body);
    let begun = || events(1).into_iter().map(Bytes::from);
    let body = match asked {
        Asked::Held => {
            let frames = stream::iter(begun()).chain(stream::pending());
            StreamBody::new(frames.map(|event| Ok(Frame::data(event)))).boxed_unsync()
        }
        Asked::Small | Asked::Stream(_) | Asked::Paced(..) => {
            Full::new(shared.answers.small_body()).boxed_unsync()
        }
    };
    Ok(headed(&shared.answers, asked, body))
}

fn headed(answers: &Answers, asked: Asked, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = if asked == Asked::Held { "text/event-stream; charset=utf-8" } else { "application/json" };
    let all = answers.headers().chain([("content-type", kind)]);
    for (name, value) in all {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
