/*
 * What the plugins of this folder share: a reply that is correct but for what one of them gets wrong. They know the
 * header plugins/abi/sysalert_plugin.h and the C library, and nothing of JSON but where the nonce stands.
 */
#ifndef TEST_PLUGIN_H
#define TEST_PLUGIN_H

#include "sysalert_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies the request's nonce into `nonce`; 0 when it is there and fits, and the request ends with a zero byte as promised. */
static inline int find_nonce(const uint8_t *request, size_t size, char *nonce, size_t room) {
    const char *value = strstr((const char *)request, "\"nonce\":\"");
    size_t length = value != NULL ? strcspn(value += strlen("\"nonce\":\""), "\"") : room;
    if (length >= room || strlen((const char *)request) != size)
        return 1;
    memcpy(nonce, value, length);
    nonce[length] = '\0';
    return 0;
}

/* Replies "sent" with this nonce. */
static inline int32_t reply_sent(const char *nonce, uint8_t **reply, size_t *reply_length) {
    static const char form[] = "{\"nonce\":\"%s\",\"status\":\"sent\",\"detail\":\"by a test plugin\"}";
    size_t room = sizeof form + strlen(nonce);
    char *json = malloc(room);
    if (json == NULL)
        return 1;
    *reply_length = (size_t)snprintf(json, room, form, nonce);
    *reply = (uint8_t *)json;
    return 0;
}

static inline void release(uint8_t *buffer, size_t length) {
    (void)length;
    free(buffer);
}

/* The end of each file: exports the plugin with this abi; `call` serves both kinds of message. */
#define EXPORT(plugin_name, plugin_abi, call)                                                                              \
    static const struct sysalert_plugin_v1 plugin = {                                                                     \
        plugin_abi, sizeof(struct sysalert_plugin_v1), plugin_name, "1", call, call, release, NULL, NULL};                       \
    SYSALERT_PLUGIN_EXPORT const struct sysalert_plugin_v1 *sysalert_plugin_v1(void) { return &plugin; }

#endif
