/*
 * sysalert_plugin.h - what sysalert and an alert method's shared library say to each other.
 *
 * A method's library is NAME.so in sysalert's plugin folder. It exports one function, sysalert_plugin_v1(), that returns
 * the address of a constant struct. sysalert loads the library in a child process of its own for each message, calls one
 * of the struct's functions once, reads the reply and ends that process. A plugin may therefore crash, hang or leak: the
 * message then stays queued and is tried again. Threads and programs that it started are killed with that process. What it
 * prints goes to the journal. Its environment has LANG, TZ, SSL_CERT_* and the variables of proxies, and nothing else; its memory
 * is limited to 1 GiB; beside that it lives in the sandbox of sysalert-dispatch.service, as the user sysalert.
 *
 * The file, its folder and those above must belong to root and be writable by nobody else.
 *
 * Build: cc -shared -fPIC -I FOLDER_OF_THIS_FILE -o NAME.so NAME.c
 * Try:   sysalert methods check ./NAME.so
 *
 * A whole one to begin with: /usr/share/doc/sysalert/examples/bell.c; in Rust, board.rs beside it.
 *
 * C99 and later, C++11 and later. License: MIT OR Apache-2.0, as sysalert.
 */
#ifndef SYSALERT_PLUGIN_H
#define SYSALERT_PLUGIN_H

#include <stddef.h> /* size_t */
#include <stdint.h> /* int32_t, uint32_t, uint8_t */

#ifdef __cplusplus
extern "C" {
#endif

/* The value of `abi`. A breaking change is a new function, sysalert_plugin_v2(), never another number here. */
#define SYSALERT_PLUGIN_ABI 1u

/* The size of the struct without the fields that were added at its end later: a host takes nothing smaller. */
#define SYSALERT_PLUGIN_MINIMUM_SIZE ((uint32_t)offsetof(struct sysalert_plugin_v1, settings))

/* Put this before the definition of sysalert_plugin_v1(): it stays visible under -fvisibility=hidden. */
#if defined(__GNUC__)
#define SYSALERT_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define SYSALERT_PLUGIN_EXPORT
#endif

/*
 * Sends one message.
 *
 *   request       the request: JSON, UTF-8, no byte order mark, with a zero byte behind it and none inside.
 *   length        the number of its bytes, without that zero byte.
 *   reply         where to store the address of the reply: JSON, UTF-8, at most 60,000 bytes. The buffer stays the plugin's:
 *                 sysalert hands it to `free` of the same struct.
 *   reply_length  where to store the number of the reply's bytes, without any zero byte at the end.
 *
 * Returns 0 when there is a reply, any other number when there is none; then the two places stay untouched. No exception
 * may leave the function. sysalert calls it once in the life of a process; the conformance check, and perhaps a later sysalert,
 * several times, one after the other.
 *
 * The request is one object. Fields are only ever added: pass over what you do not know.
 *   schema           1
 *   nonce            a text that must come back in the reply: it proves that the plugin answered this request
 *   kind             "failure", "reminder", "digest", "test" (these four go to `failure`) or "recovery" (to `success`)
 *   host             the host that it is about
 *   service_name     the unit that it is about; "sysalert" for a test message
 *   failures         an array, oldest first; each with service_result, exit_code, exit_status, invocation_id,
 *                    alert_method, triggered_by (texts or null) and timestamp (RFC 3339, UTC)
 *   incident         null, or an object: id (number), subject, manager, state, severity ("info", "warning", "critical"),
 *                    failures (number), first_failure, last_failure (RFC 3339, UTC), ended (the same, or null)
 *   incidents        an array, what a digest is about, else empty; each with kind ("failure", "reminder", "recovery"),
 *                    service_name, incident (as above), failure (as in failures, or null), and subject and parts of
 *                    the message that there would be about it alone
 *   matter           only there when it is about sysalert itself: {"what": "method", "name": the method that can send nothing, or
 *                    can again} or {"what": "database"}
 *   open             how many incidents, and outages of other methods, this method told of that are not over after this
 *                    message: 0 says that all is well again
 *   message          ready for people: subject (one line), text, html, markdown, journal (the excerpt alone, may be ""),
 *                    and parts, what these are made of: lead (text), facts (objects with label and value), see (links),
 *                    excerpt_title (text), excerpt (lines), note (text), lists (objects with title and lines), commands;
 *                    own: which of subject, text, html and markdown the method's own templates made
 *   idempotency_key  the same for every try to deliver this message by this method, and for no other message
 *   deadline_ms      the process is killed this many milliseconds after the call
 *   beat             only there when this is no message but a sign of life, which [heartbeat] sends at an interval: "start",
 *                    "success" (kind is "test" then) or "fail" (kind is "failure")
 *   config           the method's own section of the configuration, with the secrets put in and without the keys of
 *                    sysalert itself (plugin, timeout)
 * Everything in `failures` and `message` may come from the unit that failed: treat it as hostile text.
 *
 * The reply is one object:
 *   nonce            the request's nonce
 *   status           "sent": the channel took it; "retry": not sent, a later try may succeed; "refused": not sent, and not
 *                    until somebody changes something. Nothing but "sent" counts as delivered.
 *   detail           a sentence for the administrator, in one line, shown by `sysalert status` and `sysalert explain`; no
 *                    secrets
 *   retry_after      with "retry": not before this many seconds; may be left out
 *   again_after      with "sent": for a channel that forgets, such as Alertmanager, which ends what is not repeated. After
 *                    this many seconds (at least 30) `failure` is called again while the incident is not over, and so on:
 *                    with kind "digest" and all such incidents of this method in `incidents`, each as it stands then. An
 *                    incident that is over is told to `success` once; with this number in that reply, since a part of the
 *                    channel missed it, it comes again as well: with kind "recovery" in `incidents`, ten times at most,
 *                    until a reply is without this number. May be left out, and usually is
 */
typedef int32_t (*sysalert_plugin_call)(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length);

/* Frees a buffer that `failure` or `success` of the same struct stored in `reply`; `length` is what it stored with it. */
typedef void (*sysalert_plugin_free)(uint8_t *buffer, size_t length);

/* What a plugin is. New fields come only at the end. */
struct sysalert_plugin_v1 {
    /* SYSALERT_PLUGIN_ABI. */
    uint32_t abi;
    /* sizeof(struct sysalert_plugin_v1) as the plugin was built: it says which fields are there. */
    uint32_t size;
    /* The plugin's name, as in NAME.so; ended by a zero byte. */
    const char *name;
    /* The plugin's version, for `sysalert methods`; ended by a zero byte. */
    const char *version;
    /* Sends a failure, reminder, digest or test. */
    sysalert_plugin_call failure;
    /* Sends a recovery. May be the same function. */
    sysalert_plugin_call success;
    /* Frees what the two gave. */
    sysalert_plugin_free free;
    /*
     * NULL, or the keys that the method's section may have, as a JSON array ended by a zero byte, so that
     * `sysalert config check` finds a mistyped key before a message is lost:
     *   [{"name": "host", "type": "text", "default": "localhost", "about": "the server"}]
     * Types: "text", "integer" (with "min" and "max"), "boolean", "list" (of texts), "duration", "secret", "template"
     * (a text of several lines, or the file that holds it), "choice" (with "values").
     * With "required": true there is no default. With NULL the keys stay unchecked.
     * `sysalert setup` asks for a key only "when" another one has one of these values (null: none), where it is "needed" in the
     * same way, and offers the words of a choice with "channels": true beside the plugin's own name:
     *   {"name": "token", "type": "secret", "when": {"preset": ["ntfy", "gotify"]}, "needed": {"preset": ["gotify"]}}
     */
    const char *settings;
    /*
     * NULL, or says whether the request's `config` would do, without sending anything: `sysalert config check` asks, so that
     * what `settings` cannot tell (a key that needs another one, a text that is no address) is found before a message is lost.
     * The reply's status is "sent" when it would do, else as for a message, with a `detail` that names the key in backticks:
     * its line is cited. A secret that is not at hand (a credential, a variable) is "elsewhere", and no complaint about it is told.
     */
    sysalert_plugin_call check;
    /*
     * NULL, or says whether the channel's server can be reached now, without sending anything: `sysalert doctor` asks. The reply's
     * status is "sent", with a `detail` that says what answered (empty where there is nothing to reach), else as for a message.
     * Secrets may be "elsewhere", as for `check`: then it says what can be said without them.
     */
    sysalert_plugin_call reach;
};

/* The same type by one word; in C++, and beside the function, `sysalert_plugin_v1` alone means the function. */
typedef struct sysalert_plugin_v1 sysalert_plugin_v1_t;

/* The function that the library exports. It returns a struct that lives as long as the process; never NULL. */
SYSALERT_PLUGIN_EXPORT const struct sysalert_plugin_v1 *sysalert_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* SYSALERT_PLUGIN_H */
