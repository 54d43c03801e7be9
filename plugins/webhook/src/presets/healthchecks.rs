//! healthchecks.io, and whoever speaks its protocol: a check that is up, or down. <https://healthchecks.io/docs/http_api/>

use sysalert_abi::{Beat, Kind, Level, Request, bytes};
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::settings::below;
use crate::words::text;

/// "limited to the first 100 kB for each received ping"; a server of one's own keeps a tenth of that.
const BODY: usize = 10_000;

pub(crate) const PRESET: Preset = Preset {
    name: "healthchecks",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: false,
    calls: Calls::One(|_, url, request| {
        Ok(Call::post(below(url, path(request))).body("text/plain; charset=utf-8", text(request, BODY, bytes)))
    }),
    // "OK (not found)" is the answer to an address of nobody
    is_own: |reply| reply.text().trim() == "OK",
    pause: |_| None,
};

/// Which of the check's addresses: the check's own tells that all is well. One check stands for the whole host: while
/// something else is wrong a recovery is noted there, and changes nothing.
fn path(request: &Request) -> &'static [&'static str] {
    match (request.beat, request.kind, request.level()) {
        (Some(Beat::Start), ..) => &["start"],
        (Some(Beat::Success), ..) => &[],
        (Some(Beat::Fail), ..) => &["fail"],
        (None, _, Level::Well) if request.open == 0 => &[],
        (None, _, Level::Well) | (None, Kind::Test, _) => &["log"],
        (None, ..) => &["fail"],
    }
}
