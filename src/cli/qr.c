/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "volume/qr.h"
#include "volume/state.h"

#define LOOK_EVERY_MS 300
#define GIVE_UP 1
#define GO_ON (-1)

struct watch {
    char volume[512];
    int64_t drawn; /* generation on the screen */
    char said[64]; /* session state that was told last */
};

static bool read_payload(const char *volume, char *out, size_t size)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/qr.txt", volume);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fgets(out, (int)size, f) != NULL;
    fclose(f);
    if (ok)
        out[strcspn(out, "\n")] = '\0';
    return ok && out[0];
}

static void draw(struct watch *w, const struct json_value *root, int64_t generation)
{
    char payload[4096];
    struct buf picture = {.max = 1 << 20};
    if (!read_payload(w->volume, payload, sizeof(payload)) ||
        volume_qr_terminal(bytes_text(payload), &picture) < 0) {
        buf_deinit(&picture);
        return;
    }
    if (isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    fputs(buf_text(&picture), stdout);
    printf("Scan it in WhatsApp: Settings, Linked devices, Link a device. Valid until %s.\n",
           json_text(root, "qr.expires_at", "?"));
    fflush(stdout);
    buf_deinit(&picture);
    w->drawn = generation;
}

static void say(struct watch *w, const struct json_value *root, const char *session)
{
    if (strcmp(w->said, session) == 0)
        return;
    snprintf(w->said, sizeof(w->said), "%s", session);
    fprintf(stderr, "%s (%s) %s\n", json_text(root, "status", "?"), session,
            json_text(root, "last_error.message", ""));
}

/* One look at the state; an exit code, or GO_ON. */
static int look(struct watch *w)
{
    struct volume_view view = {0};
    struct err err;
    if (volume_view_open(&view, w->volume, clock_wall_ms(), &err) < 0) {
        fprintf(stderr, "wabridge qr: %s\n", err.text);
        return GIVE_UP;
    }
    const struct json_value *root = json_root(view.doc);
    const char *session = json_text(root, "session.state", "");
    int64_t generation = json_int(root, "qr.generation", 0);
    int code = GO_ON;
    if (strcmp(session, "QR_READY") == 0 && generation != w->drawn)
        draw(w, root, generation);
    else if (strcmp(session, "QR_READY") != 0)
        say(w, root, session);
    if (strcmp(session, "CONNECTED") == 0)
        code = 0;
    if (strcmp(session, "LOGGED_OUT") == 0 || strcmp(json_text(root, "status", ""), "STOPPED") == 0)
        code = GIVE_UP;
    volume_view_close(&view);
    return code;
}

int cli_qr(int argc, char **argv)
{
    struct cli_options options;
    struct watch w = {.drawn = -1};
    int code = cli_parse(argc, argv, "cdo", 0, &options);
    if (code >= 0)
        return code;
    cli_volume_path(&options, w.volume);
    while ((code = look(&w)) == GO_ON && !options.once)
        cli_sleep_ms(LOOK_EVERY_MS);
    if (code == GO_ON)
        code = w.drawn >= 0 ? 0 : GIVE_UP;
    return code;
}
