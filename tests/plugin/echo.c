/*
 * Refuses everything and repeats what it was given, as a server may: its secret is shown to nobody.
 */
#include "plugin.h"

/* Copies the text of the first field that is called so; "" if there is none. */
static void field(const uint8_t *request, const char *key, char *text, size_t room) {
    const char *value = strstr((const char *)request, key);
    snprintf(text, room, "%.*s", value != NULL ? (int)strcspn(value + strlen(key), "\"") : 0, value != NULL ? value + strlen(key) : "");
}

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    char nonce[256], host[64], token[64];
    if (find_nonce(request, length, nonce, sizeof nonce) != 0)
        return 1;
    field(request, "\"place\":\"", host, sizeof host);
    field(request, "\"token\":\"", token, sizeof token);
    char *json = malloc(1024);
    if (json == NULL)
        return 1;
    *reply_length = (size_t)snprintf(json, 1024, "{\"nonce\":\"%s\",\"status\":\"refused\",\"detail\":\"%s knows no token %s\"}", nonce, host, token);
    *reply = (uint8_t *)json;
    return 0;
}

static const struct sysalert_plugin_v1 plugin = {
    SYSALERT_PLUGIN_ABI, sizeof(struct sysalert_plugin_v1), "echo", "1", call, call, release,
    "[{\"name\": \"place\", \"type\": \"text\"}, {\"name\": \"token\", \"type\": \"secret\"}]", call, call};
SYSALERT_PLUGIN_EXPORT const struct sysalert_plugin_v1 *sysalert_plugin_v1(void) { return &plugin; }
