//! Pushover. <https://pushover.net/api#messages>

use sysalert_abi::{Level, characters};
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::settings::secret;
use crate::words::{text, title};

/// "Messages are currently limited to 1024 4-byte UTF-8 characters": <https://pushover.net/api#limits>
const MESSAGE: usize = 1024;
/// "a title of up to 250 characters": the same place.
const TITLE: usize = 250;

pub(crate) const PRESET: Preset = Preset {
    name: "pushover",
    needs: &["token", "user"],
    takes: &["device"],
    url: Some("https://api.pushover.net/1/messages.json"),
    secret_url: false,
    calls: Calls::One(|section, url, request| {
        // 1 bypasses quiet hours; 2 would repeat until somebody acknowledges: https://pushover.net/api#priority
        let priority = match request.level() {
            Level::Critical => "1",
            Level::Warning | Level::Well => "0",
            Level::Info => "-1",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", secret(&section.token)).append_pair("user", secret(&section.user));
        form.append_pair("title", &title(request, TITLE, characters));
        form.append_pair("message", &text(request, MESSAGE, characters));
        form.append_pair("priority", priority);
        if let Some(device) = &section.device {
            form.append_pair("device", device);
        }
        let call = Call::post(url).body("application/x-www-form-urlencoded", form.finish());
        Ok(call.secret(secret(&section.token)).secret(secret(&section.user)))
    }),
    // "if your POST request to our API was valid, you will receive ... a status of 1": https://pushover.net/api#response
    is_own: |reply| reply.json()["status"] == 1,
    pause: |_| None,
};
