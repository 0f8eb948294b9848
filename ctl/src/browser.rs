//! Opens the person's browser. It never waits for one and never lets one write on the terminal.

use std::process::{Command, Stdio};

use tokio_util::task::TaskTracker;
use webbrowser::{Browser, BrowserOptions};

use crate::place::Place;

/// Windows' own way to open an address, as WSL lets its programs be started.
const WINDOWS: [&str; 2] = ["rundll32.exe", "url.dll,FileProtocolHandler"];

/// Whether a browser took the URL. The search for one runs aside: it asks other programs, which may be slow.
pub(crate) async fn open(url: &str, place: &Place, tasks: &TaskTracker) -> bool {
    if !place.screen {
        return false;
    }
    let (url, wsl) = (url.to_owned(), place.wsl);
    let search = tasks.spawn_blocking(move || {
        let mut quiet = BrowserOptions::new();
        quiet.with_suppress_output(true);
        let found = webbrowser::open_browser_with_options(Browser::Default, &url, &quiet).is_ok();
        found || (wsl && open_in_windows(&url))
    });
    search.await.unwrap_or(false)
}

/// The search above knows WSL by a mark of the kernel that has another name where systemd runs, and then
/// finds nothing. The URL is one word of visible ASCII, so that no quoting is needed on the way.
fn open_in_windows(url: &str) -> bool {
    let [program, entry] = WINDOWS;
    let mut opener = Command::new(program);
    opener.arg(entry).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    opener.status().is_ok_and(|status| status.success())
}
