/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/control.h"

#include "sim/control_verbs.h"

static const struct {
    const char *method, *path;
    bool (*fn)(struct sim_request *r);
} table[] = {
#define SIM_VERB(method, path, fn) {method, path, fn},
    SIM_VERBS(SIM_VERB)
#undef SIM_VERB
};

static bool path_matches(struct sim_request *r, const char *pattern)
{
    const char *star = strchr(pattern, '*');
    size_t head = star ? (size_t)(star - pattern) : 0, arg;

    if (!star)
        return strcmp(r->path, pattern) == 0;
    if (strncmp(r->path, pattern, head) != 0)
        return false;
    arg = strcspn(r->path + head, "/");
    if (arg == 0 || arg >= sizeof r->arg || strcmp(r->path + head + arg, star + 1) != 0)
        return false;
    memcpy(r->arg, r->path + head, arg);
    r->arg[arg] = '\0';
    return true;
}

bool sim_control(struct sim_request *r)
{
    bool known = false;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!path_matches(r, table[i].path))
            continue;
        known = true;
        if (strcmp(r->method, table[i].method) == 0)
            return table[i].fn(r);
    }
    return known ? sim_refuse(r, 405, "not with this method")
                 : sim_refuse(r, 404, "there is no such path");
}

void sim_request_init(struct sim_request *r, struct sim *s)
{
    *r = (struct sim_request){.sim = s};
    buf_init(&r->body, SIM_BODY_MAX);
    buf_init(&r->answer, SIM_ANSWER_MAX);
}

void sim_request_deinit(struct sim_request *r)
{
    sim_scan_free(r->scan);
    buf_deinit(&r->body);
    buf_deinit(&r->answer);
}
