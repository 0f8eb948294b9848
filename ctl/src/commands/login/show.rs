//! What a person is shown at the start of the wait: the URL, its drawing, and how a browser elsewhere can come
//! back here.

use super::wait::Wait;
use crate::error::Error;
use crate::place;
use crate::qr;
use crate::text;

impl Wait<'_> {
    pub(super) fn show_url(&mut self) -> Result<(), Error> {
        if self.output.is_json() {
            return Ok(()); // The first event holds it.
        }
        let url = &self.session.url;
        self.output.data(&format!("Please visit this URL to authenticate:\n{url}\n"))?;
        self.draw_url();
        if let Some(port) = self.session.port {
            self.show_ways_back(port);
        }
        Ok(())
    }

    pub(super) fn draw_url(&self) {
        if !self.qr {
            return;
        }
        match qr::draw(&self.session.url) {
            Some(drawing) => {
                self.output.talk(&format!("The same as a QR code, {} columns wide:", drawing.columns));
                self.output.talk(&drawing.lines);
            }
            None => self.output.talk("The URL is too long for a QR code."),
        }
    }

    /// How a browser elsewhere can come back to this port.
    fn show_ways_back(&self, port: u16) {
        if let Some(ssh) = &self.place.ssh {
            let name = if ssh.is_nameless() { " (SERVER is how you reached this machine)" } else { "" };
            self.output.talk(&format!(
                "This is an SSH session. So that the browser of your own machine can come back here, first run \
                 there{name}:\n  {}",
                ssh.forward(port, &text::clean(&place::user()))
            ));
        }
        if self.place.container {
            self.output.talk(&format!(
                "This is a container: port {port} can be reached only inside it. `proxyctl login claude --paste` \
                 needs no port."
            ));
        }
    }
}
