/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that clients upload (protocol/07 section 4): the host knows no key, only the phone that got
 * the message has it. */
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "sim/media.h"
#include "wa/media.h"

#define PATH "/mms/"

/* "/mms/<type>/<base64url of the hash>", with or without padding. */
static bool names(const char *path, struct bytes sealed)
{
    struct buf AUTO_BUF token;
    uint8_t hash[WA_SHA256_LEN];
    enum wa_media_type type;
    const char *slash;

    buf_init(&token, 64);
    wa_sha256(hash, &sealed, 1);
    text_base64url_append(&token, BYTES_ARRAY(hash));
    if (strncmp(path, PATH, strlen(PATH)) != 0 || !(slash = strchr(path + strlen(PATH), '/')))
        return false;
    path += strlen(PATH);
    return wa_media_type_parse(BYTES(path, (size_t)(slash - path)), &type) == 0 &&
           bytes_equal(BYTES(slash + 1, strcspn(slash + 1, "=")), buf_bytes(&token));
}

int sim_media_upload(struct sim *s, const char *path, const char *auth, struct bytes sealed,
                     struct buf *answer)
{
    const struct sim_media *m;
    struct json_writer w;
    char url[160];

    if (strcmp(auth, SIM_MEDIA_AUTH) != 0)
        return 401;
    if (sealed.n <= WA_MEDIA_MAC_LEN || !names(path, sealed))
        return 400;
    m = sim_media_store(s, sealed);
    snprintf(url, sizeof url, "https://%s%s", s->media_hosts[0], m->path);
    json_writer_init(&w, answer);
    json_open(&w, NULL, '{');
    json_put_text(&w, "url", url);
    json_put_text(&w, "direct_path", m->path);
    json_close(&w, '}');
    sim_note(s, "upload", NULL, bytes_text(m->path), NULL);
    return 200;
}

void sim_media_arrived(struct sim *s, struct bytes message_id, const struct wa_media *media)
{
    struct bytes path = media->direct_path;
    const uint8_t *query = path.n ? memchr(path.p, '?', path.n) : NULL;
    struct sim_media *m;

    if (query)
        path.n = (size_t)(query - path.p);
    m = path.n ? sim_table_get(&s->media, path) : NULL;
    if (!m || media->key.n != sizeof m->key)
        return;
    memcpy(m->key, media->key.p, sizeof m->key);
    bytes_copy_text(message_id, m->id, sizeof m->id);
}
