//! The `Activity` service: what is going on, again and again. Like every watcher, one has a task and at most one message under
//! way.

use std::sync::Arc;
use std::time::Duration;

use proxy_proto::v1::{self, WatchActivityRequest, WatchActivityResponse};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::watch::{Sender, Stream};
use super::{State, convert};
use crate::proxy::activity::{Asked, Cursor, Gone, Look, Phase, Seen, Tokens, Totals};

/// Between two messages, unless asked for otherwise.
const USUAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(1);

/// Words of an outcome, which may be upstream's.
const LONGEST_OUTCOME: usize = 300;

#[tonic::async_trait]
impl v1::activity_server::Activity for State {
    type WatchActivityStream = Stream<WatchActivityResponse>;

    async fn watch_activity(
        &self,
        request: Request<WatchActivityRequest>,
    ) -> Result<Response<Self::WatchActivityStream>, Status> {
        let interval = interval(request.get_ref().interval)?;
        let place = self.place()?;
        let (sender, stream) = mpsc::channel(1);
        self.tasks.spawn(watch(self.clone(), interval, sender, place));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn interval(wanted: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let Some(wanted) = wanted else { return Ok(USUAL) };
    let interval = Duration::try_from(wanted).ok();
    interval.filter(|interval| (SHORTEST..=LONGEST).contains(interval)).ok_or_else(|| {
        let (least, most) = (SHORTEST.as_millis(), LONGEST.as_secs());
        Status::invalid_argument(format!("the interval must be from {least} milliseconds to {most} seconds"))
    })
}

async fn watch(
    state: State,
    interval: Duration,
    sender: Sender<WatchActivityResponse>,
    _place: OwnedSemaphorePermit,
) {
    let activity = Arc::clone(&state.activity);
    let mut cursor = Cursor::default();
    let mut ticking = tokio::time::interval(interval);
    // A watcher that reads slowly is told less often.
    ticking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticking.tick() => {}
            () = sender.closed() => return,
            () = state.tasks.stopping() => return,
        }
        if state.give(&sender, told(activity.look(&mut cursor))).await.is_none() {
            return;
        }
    }
}

fn told(look: Look) -> WatchActivityResponse {
    let Look { at, running, running_total, ended, missed, totals, waiting, connections } = look;
    let Totals { requests, failed, tokens, output_under_way } = totals;
    WatchActivityResponse {
        at: Some(convert::timestamp(at)),
        running: running.into_iter().map(active).collect(),
        running_total: u32::try_from(running_total).unwrap_or(u32::MAX),
        ended: ended.into_iter().map(gone).collect(),
        ended_missed: missed,
        totals: Some(v1::ActivityTotals { requests, failed, tokens: Some(counts(tokens)), output_under_way }),
        waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        connections: u32::try_from(connections).unwrap_or(u32::MAX),
    }
}

fn active(seen: Seen) -> v1::ActiveRequest {
    let Seen { id, since, dialect, endpoint, model, key, by, attempts, streams, phase, bytes, tokens } = seen;
    let (account, account_name) = match by {
        Some(Asked::Account { id, name }) => (id.to_string(), name),
        Some(Asked::OwnCredential) => (String::new(), "the caller's own credential".to_owned()),
        None => (String::new(), String::new()),
    };
    v1::ActiveRequest {
        request_id: id.to_string(),
        since: Some(convert::timestamp(since)),
        client_key: key.unwrap_or_default(),
        dialect: dialect.name().to_owned(),
        endpoint: endpoint.map(|endpoint| endpoint.to_string()).unwrap_or_default(),
        model: in_one_line(&model, usize::MAX),
        account,
        account_name,
        attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
        streaming: streams,
        phase: self::phase(phase).into(),
        bytes,
        tokens: Some(counts(tokens)),
    }
}

fn gone(gone: Gone) -> v1::EndedRequest {
    let Gone { request, at, took, status, outcome } = gone;
    v1::EndedRequest {
        request: Some(active(request)),
        at: Some(convert::timestamp(at)),
        status: status.map(u32::from),
        outcome: in_one_line(&outcome, LONGEST_OUTCOME),
        // A clock that went back makes it negative.
        took_ms: u64::try_from(took.as_millis()).unwrap_or(0),
    }
}

fn counts(tokens: Tokens) -> v1::TokenCounts {
    let Tokens { input, output, cache_read, cache_write } = tokens;
    v1::TokenCounts { input, output, cache_read, cache_write }
}

fn phase(phase: Phase) -> v1::RequestPhase {
    match phase {
        Phase::Receiving => v1::RequestPhase::Receiving,
        Phase::Waiting => v1::RequestPhase::Waiting,
        Phase::Asking => v1::RequestPhase::Asking,
        Phase::Answering => v1::RequestPhase::Answering,
    }
}

/// What a client or upstream wrote, without control characters.
fn in_one_line(text: &str, longest: usize) -> String {
    let fit = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(longest).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_within_its_bounds() {
        let of = |seconds, nanos| interval(Some(prost_types::Duration { seconds, nanos })).ok();
        assert_eq!(interval(None).ok(), Some(USUAL));
        assert_eq!(of(0, 100_000_000), Some(SHORTEST));
        assert_eq!(of(60, 0), Some(LONGEST));
        for (seconds, nanos) in [(0, 0), (0, 99_999_999), (60, 1), (-1, 0), (i64::MAX, 0)] {
            assert_eq!(of(seconds, nanos), None, "{seconds} {nanos}");
        }
    }

    #[test]
    fn what_others_wrote_is_one_line() {
        assert_eq!(in_one_line("a\u{1b}[2J\nb", 99), "a\u{fffd}[2J\u{fffd}b");
        assert_eq!(in_one_line("abc", 2), "ab");
    }
}
