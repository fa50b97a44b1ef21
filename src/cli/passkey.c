/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `wabridge ctl passkey`: the owner's part of the passkey step, for who has no portal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ctl.h"

#include "base/json.h"
#include "volume/control.h"
#include "volume/passkey.h"

#define EXIT_NOT_DONE 1
#define FILE_MAX (64u << 10)

/* ---- what there is ----------------------------------------------------------------------------
 */

static const struct {
    const char *phase, *text;
} phases[] = {
    {"await_assertion", "The owner has to use the passkey of the account."},
    {"submitting", "WhatsApp judges the answer; nothing is to be done."},
    {"await_phone", "The phone of the account is asked; leave WhatsApp open there."},
    {"await_owner", "Compare this code with the one on the phone:"},
    {"completing", "Nearly linked; the phone may show the code."},
};

static void print_ceremony(const struct json_value *root)
{
    AUTO_BUF struct buf key;
    buf_init(&key, FILE_MAX);
    if (!json_value_is_object(json_get(root, "public_key")))
        return;
    json_value_append(&key, json_get(root, "public_key"));
    printf(
        "\nOpen %s in the browser that has the passkey, and give this to its developer console:\n\n"
        "  JSON.stringify((await navigator.credentials.get({publicKey:\n"
        "    PublicKeyCredential.parseRequestOptionsFromJSON(%s)})).toJSON())\n\n"
        "What it prints goes to: wabridge ctl passkey assert\n",
        json_text(root, "page", ""), buf_text(&key));
}

static void print_words(const struct json_value *root)
{
    const char *phase = json_text(root, "phase", ""), *code = json_text(root, "code", "");
    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        if (strcmp(phase, phases[i].phase) == 0)
            printf("%s%s%s\n", phases[i].text, code[0] ? " " : "", code);
    if (json_text(root, "expires_at", "")[0])
        printf("Until %s.\n", json_text(root, "expires_at", ""));
    if (json_text(root, "handoff_expires_at", "")[0])
        printf("Later than %s the owner has to compare codes, too.\n",
               json_text(root, "handoff_expires_at", ""));
    if (json_text(root, "last_error.code", "")[0])
        printf("The last answer was not taken: %s (%s)\n", json_text(root, "last_error.detail", ""),
               json_text(root, "last_error.code", ""));
    print_ceremony(root);
    if (json_bool(root, "confirm_required", false))
        printf("The same: wabridge ctl passkey confirm %s\nAnother: wabridge ctl passkey reject\n",
               code);
}

static int show(struct bytes text, const struct json_value *root, bool json)
{
    if (json)
        fwrite(text.p, 1, text.n, stdout);
    else
        print_words(root);
    return 0;
}

/* ---- what is answered -------------------------------------------------------------------------
 */

/* A file, or what is typed or piped. False when it cannot be read or is no object. */
static bool read_credential(const char *path, struct buf *out)
{
    struct json_doc *doc;
    struct err err;
    bool piped = !path || strcmp(path, "-") == 0;
    int fd = piped ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && !out->full) {
        uint8_t *at = buf_reserve(out, 4096);
        n = at ? read(fd, at, 4096) : 0;
        out->n += n > 0 ? (size_t)n : 0;
    }
    int saved = errno;
    if (fd >= 0 && !piped)
        close(fd);
    if (n < 0) {
        fprintf(stderr, "wabridge ctl: cannot read %s: %s\n", piped ? "the standard input" : path,
                strerror(saved));
        return false;
    }
    if (json_doc_open(&doc, buf_bytes(out), &err) < 0) {
        fprintf(stderr, "wabridge ctl: that is no credential: %s\n", err.text);
        return false;
    }
    bool object = json_value_is_object(json_root(doc));
    json_doc_close(doc);
    if (!object)
        fprintf(stderr, "wabridge ctl: that is no credential, but must be what toJSON() gives\n");
    return object;
}

static int answer(const struct cli_options *o, const char *volume, const struct json_value *root)
{
    AUTO_BUF struct buf credential;
    struct volume_control_member members[4] = {
        {.name = "v", .json = bytes_text("1")},
        {.name = "request_id", .text = json_text(root, "request_id", "")},
        {.name = "action", .text = o->words[1]},
    };
    size_t count = 3;
    buf_init_secret(&credential, FILE_MAX);
    if (strcmp(o->words[1], "confirm") == 0)
        members[count++] = (struct volume_control_member){.name = "code", .text = o->words[2]};
    if (strcmp(o->words[1], "assert") == 0) {
        if (!read_credential(o->word_count > 2 ? o->words[2] : NULL, &credential))
            return EXIT_NOT_DONE;
        members[count++] =
            (struct volume_control_member){.name = "credential", .json = buf_bytes(&credential)};
    }
    return cli_ctl_give(volume, VOLUME_PASSKEY_RESPONSE, members, count, o->timeout_ms);
}

static bool words_fit(const struct cli_options *o)
{
    static const struct {
        const char *action;
        int least, most; /* words after it */
    } actions[] = {{"assert", 0, 1}, {"confirm", 1, 1}, {"reject", 0, 0}, {"cancel", 0, 0}};
    int more = o->word_count - 2;
    if (o->word_count == 1)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(o->words[1], actions[i].action) == 0)
            return more >= actions[i].least && more <= actions[i].most;
    return false;
}

int cli_ctl_passkey(const struct cli_options *o)
{
    AUTO_BUF struct buf text;
    char volume[512];
    struct json_doc *doc;
    struct err err;
    if (!words_fit(o))
        return cli_usage_error("ctl", "passkey, passkey assert [FILE], passkey confirm CODE, "
                                      "passkey reject or passkey cancel");
    cli_volume_path(o, volume);
    buf_init_secret(&text, FILE_MAX);
    if (volume_passkey_read(volume, &text, &err) < 0 ||
        json_doc_open(&doc, buf_bytes(&text), &err) < 0) {
        fprintf(stderr, "wabridge ctl: %s\n", err.text);
        return EXIT_NOT_DONE;
    }
    int code = o->word_count == 1 ? show(buf_bytes(&text), json_root(doc), o->json)
                                  : answer(o, volume, json_root(doc));
    json_doc_close(doc);
    return code;
}
