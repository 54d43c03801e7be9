/*
 * bell.c - an alert method in C: a line for each message into a FIFO, for whatever rings, blinks or speaks behind it.
 *
 *   cc -shared -fPIC -O2 -Wall -o bell.so bell.c          the header is in /usr/include
 *   sysalert methods check ./bell.so
 *   install -D -m 0644 -t /usr/local/lib/sysalert/plugins bell.so
 *   mkfifo /var/log/sysalert/bell && chown sysalert: /var/log/sysalert/bell
 *
 *   [method.bell]
 *   path = "/var/log/sysalert/bell"
 */
#include <sysalert_plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Copies the text of the first field of this name. Inside a JSON text every quote has a backslash before it, so that nothing a
   failing unit says can look like a field. Escapes for control characters become "?". Returns 0 if there is none. */
static int field(const char *json, const char *name, char *text, size_t room) {
    char key[32];
    size_t n = 0;
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *from = strstr(json, key);
    if (from == NULL)
        return 0;
    for (from += strlen(key); *from != '"' && *from != '\0' && n + 1 < room; from++) {
        int is_escape = *from == '\\' && *++from != '"' && *from != '\\' && *from != '/';
        text[n++] = is_escape || (unsigned char)*from < ' ' ? '?' : *from;
        for (int digits = is_escape && *from == 'u' ? 4 : 0; digits > 0 && from[1] != '\0'; digits--)
            from++;
    }
    text[n] = '\0';
    return 1;
}

static int32_t ring(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    char nonce[65], kind[16], unit[300], path[300], line[700];
    char *json = malloc(length + 1), *answer = malloc(512);
    if (json == NULL || answer == NULL)
        return 1;
    memcpy(json, request, length);
    json[length] = '\0'; /* a request does not end with a zero byte */
    const char *status = "refused", *detail = "set path to a FIFO that belongs to the user sysalert (mkfifo)";
    if (!field(json, "nonce", nonce, sizeof nonce))
        return 1; /* no reply: the message stays queued */
    if (field(json, "kind", kind, sizeof kind) && field(json, "service_name", unit, sizeof unit) &&
        field(json, "path", path, sizeof path)) {
        int fifo = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        int size = snprintf(line, sizeof line, "%s %s\n", kind, unit);
        if (fifo < 0 && errno == ENXIO)
            status = "retry", detail = "nobody reads the FIFO: start what rings";
        else if (fifo >= 0 && lseek(fifo, 0, SEEK_CUR) < 0 && write(fifo, line, (size_t)size) == size)
            status = "sent", detail = "it rang"; /* only a FIFO cannot be sought in */
        if (fifo >= 0)
            close(fifo);
    }
    *reply_length = (size_t)snprintf(answer, 512, "{\"nonce\":\"%s\",\"status\":\"%s\",\"detail\":\"%s\"}", nonce, status, detail);
    *reply = (uint8_t *)answer;
    free(json);
    return 0;
}

static void release(uint8_t *buffer, size_t length) {
    (void)length;
    free(buffer);
}

static const struct sysalert_plugin_v1 plugin = {
    .abi = SYSALERT_PLUGIN_ABI, .size = sizeof plugin, .name = "bell", .version = "1.0",
    .failure = ring, .success = ring, .free = release,
    .settings = "[{\"name\": \"path\", \"type\": \"text\", \"required\": true, \"about\": \"The FIFO.\"}]",
};

SYSALERT_PLUGIN_EXPORT const struct sysalert_plugin_v1 *sysalert_plugin_v1(void) { return &plugin; }
