//! Documented formats of tokens: what begins so and goes on so long is one, whatever stands around it.

use super::scan::{alnum, at, base64, decode, mixed, run, word_starts};
use super::{Span, value};

/// A format.
pub(super) struct Format {
    /// What the mark calls it.
    what: &'static str,
    /// How it begins; case counts.
    prefix: &'static str,
    /// Whether the beginning says only where the secret belongs, as a host does, and stays.
    keeps_prefix: bool,
    /// What it consists of after that.
    of: fn(u8) -> bool,
    /// How many of these there are at least; fewer are a word.
    least: usize,
    /// And at most; more are something else.
    most: usize,
}

const fn token(what: &'static str, prefix: &'static str, of: fn(u8) -> bool, least: usize) -> Format {
    Format { what, prefix, keeps_prefix: false, of, least, most: usize::MAX }
}
const fn exact(what: &'static str, prefix: &'static str, of: fn(u8) -> bool, length: usize) -> Format {
    Format { what, prefix, keeps_prefix: false, of, least: length, most: length }
}
const fn after(what: &'static str, prefix: &'static str, of: fn(u8) -> bool, least: usize) -> Format {
    Format { what, prefix, keeps_prefix: true, of, least, most: usize::MAX }
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}
fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}
fn word(byte: u8) -> bool {
    alnum(byte) || byte == b'_'
}
fn url(byte: u8) -> bool {
    word(byte) || byte == b'-'
}
fn dotted(byte: u8) -> bool {
    url(byte) || matches!(byte, b'.' | b'=')
}
fn path(byte: u8) -> bool {
    dotted(byte) || matches!(byte, b'/' | b'@' | b'%')
}
fn crypt(byte: u8) -> bool {
    base64(byte) || matches!(byte, b'.' | b'$' | b',' | b'-' | b'_')
}

#[cfg(test)]
impl Format {
    /// How it begins.
    pub(super) fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The shortest text of this format, and one that is a character too short.
    pub(super) fn shortest(&self) -> (String, String) {
        let fill = (b'0'..=b'z').find(|byte| (self.of)(*byte)).map(char::from).unwrap();
        let text = |length| format!("{}{}", self.prefix, fill.to_string().repeat(length));
        (text(self.least), text(self.least - 1))
    }
}

/// Above each stands who describes it: the issuer's own page, or the rule of this name in gitleaks' list
/// (<https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml>). "In the wild": nobody does, but such keys are
/// found. The shortest lengths are a little under the described ones, where these may change, and far over those of words.
#[rustfmt::skip]
pub(super) const FORMATS: &[Format] = &[
    // https://github.blog/changelog/2021-03-31-authentication-token-format-updates-are-generally-available
    token("GitHub token", "ghp_", word, 30),
    token("GitHub token", "gho_", word, 30),
    token("GitHub token", "ghu_", word, 30),
    token("GitHub token", "ghs_", dotted, 30),
    token("GitHub token", "ghr_", word, 30),
    // https://github.blog/changelog/2022-10-18-introducing-fine-grained-personal-access-tokens
    token("GitHub token", "github_pat_", word, 60),
    // https://docs.gitlab.com/security/tokens/#token-prefixes; the last: gitleaks gitlab-rrt
    token("GitLab token", "glpat-", dotted, 20),
    token("GitLab token", "gldt-", dotted, 20),
    token("GitLab token", "glrt-", dotted, 20),
    token("GitLab token", "glrtr-", dotted, 20),
    token("GitLab token", "glcbt-", dotted, 20),
    token("GitLab token", "glptt-", dotted, 20),
    token("GitLab token", "glft-", dotted, 20),
    token("GitLab token", "glimt-", dotted, 20),
    token("GitLab token", "glagent-", dotted, 20),
    token("GitLab token", "glsoat-", dotted, 20),
    token("GitLab token", "glffct-", dotted, 20),
    token("GitLab token", "gloas-", dotted, 20),
    token("GitLab token", "glwt-", dotted, 20),
    token("GitLab token", "GR1348941", url, 20),
    // https://api.slack.com/concepts/token-types and https://api.slack.com/authentication/rotation (xoxe)
    token("Slack token", "xoxb-", dotted, 15),
    token("Slack token", "xoxp-", dotted, 15),
    token("Slack token", "xoxa-", dotted, 15),
    token("Slack token", "xoxr-", dotted, 15),
    token("Slack token", "xoxs-", dotted, 15),
    token("Slack token", "xoxe-", dotted, 15),
    token("Slack token", "xoxe.xox", dotted, 15),
    token("Slack token", "xapp-", dotted, 15),
    // https://api.slack.com/messaging/webhooks: "your webhook URL contains a secret"
    after("webhook", "hooks.slack.com/services/", path, 20),
    after("webhook", "hooks.slack.com/workflows/", path, 20),
    after("webhook", "hooks.slack.com/triggers/", path, 20),
    // gitleaks microsoft-teams-webhook
    after("webhook", "webhook.office.com/webhookb2/", path, 30),
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
    exact("AWS key", "AKIA", upper, 16),
    exact("AWS key", "ASIA", upper, 16),
    exact("AWS key", "ABIA", upper, 16),
    exact("AWS key", "ACCA", upper, 16),
    // gitleaks gcp-api-key; the other two: in the wild
    token("Google key", "AIza", url, 35),
    token("Google token", "ya29.", dotted, 20),
    token("Google secret", "GOCSPX-", url, 20),
    // https://docs.stripe.com/keys, https://docs.stripe.com/webhooks/signature (whsec_)
    token("Stripe key", "sk_live_", word, 16),
    token("Stripe key", "rk_live_", word, 16),
    token("Stripe key", "sk_test_", word, 16),
    token("Stripe key", "rk_test_", word, 16),
    token("Stripe secret", "whsec_", base64, 24),
    // gitleaks openai-api-key; others took its older form over, which begins with sk- alone
    token("OpenAI key", "sk-proj-", url, 30),
    token("OpenAI key", "sk-svcacct-", url, 30),
    token("OpenAI key", "sk-admin-", url, 30),
    token("API key", "sk-", alnum, 32),
    // gitleaks anthropic-api-key, anthropic-admin-api-key
    token("Anthropic key", "sk-ant-", url, 30),
    // in the wild
    token("OpenRouter key", "sk-or-v1-", hex, 40),
    token("Groq key", "gsk_", alnum, 40),
    // gitleaks huggingface-access-token, perplexity-api-key
    token("Hugging Face token", "hf_", alnum, 30),
    token("Perplexity key", "pplx-", alnum, 40),
    // gitleaks npm-access-token
    token("npm token", "npm_", alnum, 36),
    // gitleaks pypi-upload-token; what follows its beginning names the index
    token("PyPI token", "pypi-AgE", url, 50),
    // gitleaks rubygems-api-token
    token("RubyGems key", "rubygems_", hex, 40),
    // https://docs.docker.com/reference/api/hub/latest/operations/AuthCreateAccessToken.md; an organization's: in the wild
    token("Docker token", "dckr_pat_", url, 20),
    token("Docker token", "dckr_oat_", url, 20),
    // gitleaks digitalocean-pat, digitalocean-access-token, digitalocean-refresh-token
    token("DigitalOcean token", "dop_v1_", hex, 60),
    token("DigitalOcean token", "doo_v1_", hex, 60),
    token("DigitalOcean token", "dor_v1_", hex, 60),
    // https://developer.hashicorp.com/vault/docs/concepts/tokens#token-formats
    token("Vault token", "hvs.", dotted, 20),
    token("Vault token", "hvb.", dotted, 20),
    token("Vault token", "hvr.", dotted, 20),
    // gitleaks hashicorp-tf-api-token; before it stand 14 characters and a dot, which alone open nothing
    token("Terraform token", "atlasv1.", url, 60),
    // gitleaks sendgrid-api-token
    token("SendGrid key", "SG.", dotted, 60),
    // gitleaks sendinblue-api-token
    token("Brevo key", "xkeysib-", url, 60),
    // https://shopify.dev/changelog/length-of-the-shopify-access-token-is-increasing; the last:
    // https://shopify.dev/changelog/app-secret-key-length-has-increased
    token("Shopify token", "shpat_", hex, 32),
    token("Shopify token", "shpca_", hex, 32),
    token("Shopify token", "shppa_", hex, 32),
    token("Shopify secret", "shpss_", hex, 32),
    // gitleaks grafana-service-account-token, grafana-cloud-api-token
    token("Grafana token", "glsa_", word, 32),
    token("Grafana token", "glc_", base64, 32),
    // https://docs.sentry.io/security-legal-pii/security/token-formats/; the last two are reserved for tokens to come
    token("Sentry token", "sntrys_", crypt, 40),
    token("Sentry token", "sntryu_", hex, 60),
    token("Sentry token", "sntrya_", hex, 60),
    token("Sentry token", "sntryi_", hex, 60),
    // https://developers.cloudflare.com/fundamentals/api/get-started/token-formats
    token("Cloudflare key", "cfk_", word, 40),
    token("Cloudflare token", "cfut_", word, 40),
    token("Cloudflare token", "cfat_", word, 40),
    // https://devcenter.heroku.com/changelog-items/3175
    token("Heroku token", "HRKU-", url, 36),
    // gitleaks openshift-user-token
    token("OpenShift token", "sha256~", url, 43),
    // gitleaks databricks-api-token
    token("Databricks token", "dapi", hex, 32),
    // https://tailscale.com/docs/reference/key-prefixes
    token("Tailscale key", "tskey-", url, 20),
    // gitleaks pulumi-api-token
    token("Pulumi token", "pul-", hex, 40),
    // gitleaks atlassian-api-token
    token("Atlassian token", "ATATT3", dotted, 60),
    // gitleaks 1password-service-account-token
    token("1Password token", "ops_eyJ", base64, 60),
    // https://github.com/FiloSottile/age/blob/main/cmd/age/parse.go
    token("age key", "AGE-SECRET-KEY-1", upper, 50),
    token("age key", "AGE-SECRET-KEY-PQ-1", upper, 50),
    // crypt(5), libxcrypt; RFC 9106 for argon2; RFC 2307 for {SSHA}: a hash is guessed at offline
    token("password hash", "$1$", crypt, 22),
    token("password hash", "$2a$", crypt, 50),
    token("password hash", "$2b$", crypt, 50),
    token("password hash", "$2y$", crypt, 50),
    token("password hash", "$5$", crypt, 43),
    token("password hash", "$6$", crypt, 60),
    token("password hash", "$7$", crypt, 40),
    token("password hash", "$y$", crypt, 40),
    token("password hash", "$gy$", crypt, 40),
    token("password hash", "$argon2", crypt, 40),
    after("password hash", "{SSHA}", base64, 28),
    // RFC 7468, in base64 once more as kubeconfig's client-key-data has it: RSA, PKCS #8, EC, OpenSSH
    token("private key", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk", base64, 20),
    token("private key", "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS", base64, 20),
    token("private key", "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFW", base64, 20),
    token("private key", "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ", base64, 20),
    // https://www.x.org/releases/current/doc/man/man7/Xsecurity.7.xhtml
    after("cookie", "MIT-MAGIC-COOKIE-1  ", hex, 32),
    after("cookie", "MIT-MAGIC-COOKIE-1 ", hex, 32),
];

/// Formats that a beginning and an alphabet do not describe: from here, which part is the secret?
#[rustfmt::skip]
const SHAPES: &[fn(&str, usize) -> Option<Span>] = &[
    telegram,
    discord_webhook,
    discord_bot,
    azure_secret,
    old_vault,
    sasl_plain,
];

pub(super) fn find(line: &str, spans: &mut Vec<Span>) {
    let text = line.as_bytes();
    let (mut index, mut no_jwt_before) = (0, 0);
    while index < text.len() {
        let found = if word_starts(text, index) {
            format(line, index)
                .or_else(|| SHAPES.iter().find_map(|shape| shape(line, index)))
                .or_else(|| jwt(line, index, &mut no_jwt_before))
        } else {
            None
        };
        index = match found {
            Some(span) => {
                spans.push(span);
                span.end
            }
            None => index + 1,
        };
    }
}

fn format(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    FORMATS.iter().find_map(|format| {
        let rest = text[index..].strip_prefix(format.prefix.as_bytes())?;
        let from = text.len() - rest.len();
        let end = run(text, from, format.most.saturating_add(1), format.of);
        let fits = (format.least..=format.most).contains(&(end - from));
        let start = if format.keeps_prefix { from } else { index };
        fits.then(|| Span::new(start, value::without_full_stop(text, start, end), format.what))
    })
}

/// RFC 7519: three parts with dots, the first a JSON object and so `eyJ`. Without a dot it is just some JSON in base64.
fn jwt(line: &str, index: usize, barren_before: &mut usize) -> Option<Span> {
    let text = line.as_bytes();
    if index < *barren_before || !text[index..].starts_with(b"eyJ") {
        return None;
    }
    let header = run(text, index, usize::MAX, url);
    let claims = run(text, header + 1, usize::MAX, url);
    if at(text, header) != b'.' || header - index < 10 || claims < header + 8 {
        // no start before that end can do better: nothing is looked at twice
        *barren_before = header;
        return None;
    }
    let end = run(text, claims, usize::MAX, dotted);
    Some(Span::new(index, value::without_full_stop(text, index, end), "token"))
}

/// <https://core.telegram.org/bots/api#authorizing-your-bot>: the bot's number, a colon, 35 characters that begin with A.
fn telegram(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    let digits = if text[index..].starts_with(b"bot") { index + 3 } else { index };
    let colon = run(text, digits, 13, |byte| byte.is_ascii_digit());
    if !(6..=12).contains(&(colon - digits)) || at(text, colon) != b':' || at(text, colon + 1) != b'A' {
        return None;
    }
    let end = run(text, colon + 1, 51, url);
    ((30..=50).contains(&(end - colon - 1))).then(|| Span::new(colon + 1, end, "Telegram token"))
}

/// <https://discord.com/developers/docs/resources/webhook>: `/webhooks/{id}/{token}`.
fn discord_webhook(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    let id = text.len() - text[index..].strip_prefix(b"webhooks/")?.len();
    let slash = run(text, id, 21, |byte| byte.is_ascii_digit());
    let end = run(text, slash + 1, usize::MAX, url);
    (slash - id >= 16 && at(text, slash) == b'/' && end - slash > 40).then(|| Span::new(slash + 1, end, "webhook"))
}

/// <https://discord.com/developers/docs/reference#authentication>: the bot's number in base64, a time, a signature.
fn discord_bot(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    if !matches!(text[index], b'M' | b'N' | b'O') {
        return None;
    }
    let first = run(text, index, 32, url);
    let second = run(text, first + 1, 8, url);
    let end = run(text, second + 1, 50, url);
    let dots = at(text, first) == b'.' && at(text, second) == b'.';
    let number = || decode(&text[index..first]).is_some_and(|id| id.len() >= 16 && id.iter().all(u8::is_ascii_digit));
    (dots && first - index >= 22 && second - first == 7 && end > second + 27 && number())
        .then(|| Span::new(index, end, "Discord token"))
}

/// gitleaks azure-ad-client-secret: three characters, a digit, `Q~`.
fn azure_secret(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    if text.get(index + 3..index + 6).is_none_or(|mark| !mark[0].is_ascii_digit() || &mark[1..] != b"Q~") {
        return None;
    }
    let of = |byte| dotted(byte) || byte == b'~';
    let end = run(text, index, 48, of);
    ((37..=44).contains(&(end - index)) && text[index..index + 3].iter().all(|byte| of(*byte)))
        .then(|| Span::new(index, end, "Azure secret"))
}

/// <https://developer.hashicorp.com/vault/docs/concepts/tokens#token-formats>: before 1.10, `s.`, `b.` or `r.` and 24
/// characters.
fn old_vault(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    let body = [b"s.", b"b.", b"r."].into_iter().find_map(|kind| text[index..].strip_prefix(kind))?;
    let end = run(body, 0, 25, alnum);
    let random = mixed(&body[..end]) && body[..end].iter().any(u8::is_ascii_uppercase);
    (end == 24 && random).then(|| Span::new(index, index + 2 + end, "Vault token"))
}

/// RFC 4616: NUL, user, NUL, password, in base64, as `AUTH PLAIN` sends it. Nothing else decodes to that.
fn sasl_plain(line: &str, index: usize) -> Option<Span> {
    let text = line.as_bytes();
    if text[index] != b'A' || !matches!(at(text, index + 1), b'A'..=b'P') {
        return None;
    }
    let end = run(text, index, 120, base64);
    let bytes = decode(&text[index..end])?;
    let (user, password) = std::str::from_utf8(bytes.strip_prefix(b"\0")?).ok()?.split_once('\0')?;
    let plain = |text: &str| text.len() >= 2 && !text.chars().any(char::is_control);
    (plain(user) && plain(password)).then(|| Span::new(index, end, "credentials"))
}
