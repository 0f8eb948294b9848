//! A stream whose head does not wait for upstream's: when upstream takes long to answer, the client gets its head and
//! signs of life while accounts are still asked inside the body. What comes of that becomes the stream, or an error
//! event in the client's dialect. Until then another account can be asked: nothing of an answer has gone down.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, header::HeaderName};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Collected};
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior, sleep};

use super::answer::{self, Answer, Body, BrokenOff};
use super::encoder::Encoder;
use super::{Config, Exchange, Inner, Observed, ProxyError};
use crate::chain::ErrorChain;
use crate::id::RequestId;
use crate::wire::error::{self, ApiError};

/// A streaming request's head goes down at the latest after this long: many clients and what stands before them give up
/// after a minute without a byte.
pub const LATE_HEAD: Duration = Duration::from_secs(45);

/// Tells that upstream's head has come: from then on its first event is waited for no longer than any other.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadCame(Arc<Notify>);

/// What is known of a streaming request's answer before there is one.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) id: RequestId,
    pub(super) observed: Observed,
    /// Says how the stream shows that it lives, and how it fails.
    pub(super) encoder: Encoder,
    /// For the head, beside what every stream's says.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    pub(super) head_came: HeadCame,
}

/// Accounts are asked until there is an answer.
pub(super) type Asking = Pin<Box<dyn Future<Output = Result<Answer, ProxyError>> + Send>>;

/// The same, until there is a stream or the reason why there is none.
type Work = Pin<Box<dyn Future<Output = Result<Body, ApiError>> + Send>>;

/// The body of an answer that came too late for its head.
pub struct Late {
    state: State,
    observed: Observed,
    encoder: Encoder,
    ticking: Interval,
}

enum State {
    Asking(Work),
    Streaming(Box<Body>),
    Failed,
}

impl Expected {
    /// A Messages stream's.
    pub(super) fn native(exchange: &Exchange) -> Self {
        let (id, observed) = (exchange.id, exchange.caller.observed.clone());
        Self { id, observed, encoder: Encoder::events(), header: None, head_came: HeadCame::default() }
    }
}

impl HeadCame {
    pub(super) fn tell(&self) {
        self.0.notify_one();
    }
}

impl Inner {
    /// The answer that `work` gives, or, of a stream, in time the head of one whose body goes on with `work`.
    pub(super) async fn in_time(
        &self,
        expected: Option<Expected>,
        mut work: Asking,
    ) -> Result<Answer, ProxyError> {
        let Config { keep_alive, late_head, .. } = **self.config.load();
        let (Some(expected), Some(keep_alive)) = (expected, keep_alive) else {
            return work.await;
        };
        let first_event_is_late = async {
            expected.head_came.0.notified().await;
            sleep(keep_alive).await;
        };
        tokio::select! {
            biased;
            answer = &mut work => return answer,
            () = sleep(late_head) => {}
            () = first_event_is_late => {}
        }
        let Expected { id, observed, encoder, header, .. } = expected;
        tracing::debug!(request.id = %id, "the answer is late: its stream begins without it");
        let mut headers = stream_headers();
        headers.extend(header);
        answer::mark(&mut headers, id, StatusCode::OK);
        let late = Late::new((id, observed), work, encoder, keep_alive);
        Ok(answer::respond(StatusCode::OK, headers, Body::Late(Box::new(late))))
    }
}

/// The head of a stream that we write.
pub(super) fn stream_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers
}

/// The first tick comes at once, each next one when the one before was taken.
fn ticking(interval: Duration) -> Interval {
    let mut ticking = tokio::time::interval(interval);
    ticking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticking
}

fn panicked(id: RequestId) -> ApiError {
    tracing::error!(request.id = %id, "a panic ended a request");
    ApiError::internal()
}

/// The stream that `work` gives, or what its client is told instead.
async fn stream((id, observed): (RequestId, Observed), work: Asking) -> Result<Body, ApiError> {
    let answer = match work.await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(request.id = %id, error = %ErrorChain(&error), "request failed after its head");
            let told = error.told().error;
            match &error {
                ProxyError::Stopping => observed.is_stopped(),
                error => observed.breaks_off(&told, Some(ErrorChain(error).to_string())),
            }
            return Err(told);
        }
    };
    let status = answer.status();
    if status.is_success() && answer::is_event_stream(answer.headers()) {
        return Ok(answer.into_body());
    }
    // A refusal that was translated is there in words already.
    if let Some(error) = answer.extensions().get::<ApiError>() {
        return Err(error.clone());
    }
    let refusal = answer::held(answer).await.map_err(|error| error.told().error)?;
    let words = pin!(refusal.into_body()).collect().await.map(Collected::to_bytes).unwrap_or_default();
    Err(error::in_its_own_words(status.as_u16(), &words).unwrap_or_else(|| {
        ApiError::bad_gateway(format!("upstream answered with status {status} and no stream"))
            .with_code("upstream_not_streamed")
    }))
}

impl Late {
    fn new(
        (id, observed): (RequestId, Observed),
        work: Asking,
        encoder: Encoder,
        keep_alive: Duration,
    ) -> Self {
        let work = AssertUnwindSafe(stream((id, observed.clone()), work)).catch_unwind();
        let work = work.map(move |stream| stream.unwrap_or_else(|_panic| Err(panicked(id))));
        Self { state: State::Asking(Box::pin(work)), observed, encoder, ticking: ticking(keep_alive) }
    }

    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            let asking = match &mut self.state {
                State::Asking(asking) => asking,
                State::Streaming(body) => return Pin::new(body).poll_frame(context),
                State::Failed => return Poll::Ready(None),
            };
            match asking.as_mut().poll(context) {
                Poll::Ready(Ok(body)) => self.state = State::Streaming(Box::new(body)),
                Poll::Ready(Err(error)) => {
                    self.state = State::Failed;
                    self.observed.breaks_off(&error, None);
                    return Poll::Ready(Some(Ok(Frame::data(self.encoder.fail(&error)))));
                }
                Poll::Pending => {
                    ready!(self.ticking.poll_tick(context));
                    if let Some(keep_alive) = self.encoder.keep_alive() {
                        return Poll::Ready(Some(Ok(Frame::data(keep_alive))));
                    }
                }
            }
        }
    }
}

/// Says nothing of the request.
impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::proxy::Broken;
    use crate::proxy::native_events::PING;

    /// Tells when something has come.
    async fn read_and_tell(work: Asking, came: &Notify) -> String {
        read_observed(work, came, Observed::default()).await
    }

    async fn read_observed(work: Asking, came: &Notify, observed: Observed) -> String {
        let of = (RequestId::new(), observed);
        let mut late = Late::new(of, work, Encoder::events(), Duration::from_millis(1));
        let mut all = Vec::new();
        while let Some(frame) = poll_fn(|context| late.poll_frame(context)).await {
            all.extend_from_slice(&frame.unwrap().into_data().unwrap());
            came.notify_one();
        }
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn a_panic_while_accounts_are_asked_ends_that_stream_with_an_error_event() {
        let first = Arc::new(Notify::new());
        let told = Arc::clone(&first);
        let work: Asking = Box::pin(async move {
            told.notified().await;
            panic!("as the test wants it");
        });
        let stream = read_and_tell(work, &first).await;
        assert!(stream.as_bytes().starts_with(PING), "{stream}");
        let (name, data) = stream.rsplit_once("event: ").unwrap().1.split_once('\n').unwrap();
        assert!(name == "error" && data.contains("internal_error"), "{stream}");
    }

    #[tokio::test]
    async fn why_there_is_no_answer_is_told_in_the_words_of_an_answer() {
        let (observed, work) = (Observed::default(), Box::pin(async { Err(ProxyError::Stopping) }));
        let stream = read_observed(work, &Notify::new(), observed.clone()).await;
        assert!(stream.contains(&ProxyError::Stopping.to_string()), "{stream}");
        assert_eq!(observed.noted.notes().end, Some(Broken::Stopped));
    }
}
