/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs about the media host: where clients are sent to, and what is wrong with a file. */
#include "sim/control_verbs.h"

#include "sim/media.h"

static bool set_hosts(struct sim *s, const struct json_value *list)
{
    size_t n = json_length(list);

    if (n > SIM_MEDIA_HOSTS)
        return false;
    for (size_t i = 0; i < SIM_MEDIA_HOSTS; i++) {
        const char *host = i < n ? json_text(json_at(list, i), "", "") : "";

        if (!bytes_copy_text(bytes_text(host), s->media_hosts[i], sizeof s->media_hosts[i]))
            return false;
    }
    return true;
}

bool sim_post_media(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    int64_t ttl_s = json_int(v, "ttl", r->sim->media_ttl_s);

    if (!v)
        return true;
    if (ttl_s < 0 || ttl_s > UINT32_MAX)
        return sim_refuse(r, 422, "ttl is in seconds: 0 to 4294967295");
    if (json_get(v, "hosts") && !set_hosts(r->sim, json_get(v, "hosts")))
        return sim_refuse(r, 422, "hosts must be a list of at most three texts");
    r->sim->media_ttl_s = (uint32_t)ttl_s;
    return sim_answer_ok(r);
}

bool sim_post_media_fault(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);

    if (!v)
        return true;
    if (sim_media_damage(r->sim, bytes_text(json_text(v, "id", "")), json_text(v, "fault", "")) < 0)
        return sim_refuse(r, 404, "no phone has got a message of this id with a file");
    return sim_answer_ok(r);
}
