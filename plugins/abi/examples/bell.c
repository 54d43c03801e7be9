/*
 * bell.c - an alert method in C: a line for each message into a FIFO, for whatever rings, blinks or speaks behind it.
 *
 *   cc -shared -fPIC -O2 -Wall -o bell.so bell.c          the header is in /usr/include
 *   install -D -m 0644 -t /usr/local/lib/sysalert/plugins bell.so
 *   sysalert methods check /usr/local/lib/sysalert/plugins/bell.so
 *   mkfifo /var/log/sysalert/bell && chown sysalert: /var/log/sysalert/bell
 *
 *   [method.bell]
 *   path = "/var/log/sysalert/bell"
 */
#include <sysalert_plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Copies the text of the first field of this name, "" if there is none. In JSON a quote inside of a text has a backslash before
   it, so that nothing a failing unit says can look like a field. Of an escape the character behind the backslash is kept. */
static void field(const char *json, const char *name, char *text, size_t room) {
    char key[32];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *from = strstr(json, key);
    for (from = from != NULL ? from + strlen(key) : "\""; *from != '"' && room > 1; from++, room--)
        *text++ = *from == '\\' ? *++from : *from;
    *text = '\0';
}

static int32_t ring(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    static char nonce[65], kind[16], unit[300], path[300], answer[300];
    const char *json = (const char *)request, *status = "refused", *detail = "set path to a FIFO of the user sysalert (mkfifo)";
    (void)length;
    field(json, "nonce", nonce, sizeof nonce);
    field(json, "kind", kind, sizeof kind);
    field(json, "service_name", unit, sizeof unit);
    field(json, "path", path, sizeof path);
    int fifo = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fifo < 0 && errno == ENXIO)
        status = "retry", detail = "nobody reads the FIFO: start what rings";
    else if (fifo >= 0 && lseek(fifo, 0, SEEK_CUR) < 0) /* only a FIFO cannot be sought in; it may be full */
        status = dprintf(fifo, "%s %s\n", kind, unit) > 0 ? "sent" : "retry", detail = "a line for what rings";
    close(fifo);
    *reply_length = (size_t)snprintf(answer, sizeof answer, "{\"nonce\":\"%s\",\"status\":\"%s\",\"detail\":\"%s\"}",
                                     nonce, status, detail);
    *reply = (uint8_t *)answer;
    return 0;
}

/* The reply is static: nothing is to be freed. */
static void release(uint8_t *buffer, size_t length) { (void)buffer, (void)length; }

static const struct sysalert_plugin_v1 plugin = {
    .abi = SYSALERT_PLUGIN_ABI, .size = sizeof plugin, .name = "bell", .version = "1.0",
    .failure = ring, .success = ring, .free = release,
    .settings = "[{\"name\": \"path\", \"type\": \"text\", \"required\": true, \"about\": \"The FIFO.\"}]",
};

SYSALERT_PLUGIN_EXPORT const struct sysalert_plugin_v1 *sysalert_plugin_v1(void) { return &plugin; }
