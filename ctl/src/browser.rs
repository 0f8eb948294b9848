//! Opens the person's browser. It never waits for one and never lets one write on the terminal.

use tokio_util::task::TaskTracker;
use webbrowser::{Browser, BrowserOptions};

/// Any of these set means that a browser has somewhere to appear: chosen by the person, X11, Wayland, Windows
/// beside WSL. Without one (an SSH session, a container) a browser may well be installed and start, and show
/// nothing.
const SIGNS: [&str; 4] = ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"];

/// Whether a browser took the URL. The search for one runs aside: it asks other programs, which may be slow.
pub(crate) async fn open(url: &str, tasks: &TaskTracker) -> bool {
    if !SIGNS.iter().any(|name| is_set(name)) {
        return false;
    }
    let url = url.to_owned();
    let search = tasks.spawn_blocking(move || {
        let mut quiet = BrowserOptions::new();
        quiet.with_suppress_output(true);
        webbrowser::open_browser_with_options(Browser::Default, &url, &quiet).is_ok()
    });
    search.await.unwrap_or(false)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the person sits is said by the environment and nowhere else"
)]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
