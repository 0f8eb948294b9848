//! What the daemons of all cases wrote and answered.

use anyhow::ensure;

use crate::case::Shown;
use crate::evidence;

pub(crate) async fn canaries() -> Shown {
    ensure!(evidence::can_find(), "the search finds nothing");
    let (found, bytes) = evidence::look_through();
    ensure!(found.is_empty(), "{}", found.join("; "));
    ensure!(bytes > 0, "nothing was written: run it after other cases");
    Ok(format!("{} KiB looked through", bytes.div_ceil(1024)))
}
