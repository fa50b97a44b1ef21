/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a message would get, without a connection: the words given, or a conversation line by line.
 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "bridge/bridge.h"
#include "bridge/reply.h"
#include "config/hours.h"

#define TEXT_MAX (64u << 10)

struct trial {
    struct config config;
    struct config_replies replies;
    struct bridge_reply_chat chat;
    bool open, json;
};

static void print_text(const struct trial *t, const struct bridge_reply_answer *found,
                       const char *reply)
{
    printf("language:  %s\n", *found->language->tag ? found->language->tag : "not named");
    printf("intent:    %s", found->intent ? found->intent->name : "none");
    if (found->choice)
        printf(" (choice %d of the menu)", found->choice);
    printf("\nanswer:    %s%s\n", found->text ? found->name : "none",
           t->open ? "" : " (out of business hours)");
    if (found->intent && found->intent->handover)
        puts("hand-over: yes, the bridge is silent in this chat until it is released");
    if (found->text)
        printf("\n%s\n", reply);
}

static void print_json(const struct trial *t, const struct bridge_reply_answer *found,
                       const char *reply)
{
    AUTO_BUF struct buf out = {.max = 4 * TEXT_MAX};
    struct json_writer w;
    json_writer_init(&w, &out);
    json_open(&w, NULL, '{');
    json_put_text(&w, "language", found->language->tag);
    json_put_text(&w, "intent", found->intent ? found->intent->name : NULL);
    json_put_int(&w, "choice", found->choice);
    json_put_text(&w, "answer", found->text ? found->name : NULL);
    json_put_bool(&w, "open", t->open);
    json_put_bool(&w, "handover", found->intent && found->intent->handover);
    json_put_text(&w, "text", found->text ? reply : NULL);
    json_close(&w, '}');
    puts(buf_text(&out));
}

static void try_text(struct trial *t, struct bytes text)
{
    AUTO_BUF struct buf reply = {.max = TEXT_MAX};
    struct bridge_reply_answer found;
    const struct bridge_reply_values values = {
        .business_name = bytes_text(t->config.business_name),
        .customer_name = bytes_text("Amina"),
    };
    const struct bridge_reply_asked asked = {
        .text = text, .language = t->config.replies_language, .open = t->open};
    bridge_reply_find(&t->replies, &asked, &t->chat, &found);
    if (found.text)
        bridge_reply_render(found.text, text, &values, &reply);
    if (t->json)
        print_json(t, &found, buf_text(&reply));
    else
        print_text(t, &found, buf_text(&reply));
}

static void try_words(struct trial *t, const struct cli_options *options)
{
    AUTO_BUF struct buf text = {.max = TEXT_MAX};
    for (int i = 0; i < options->word_count; i++)
        buf_printf(&text, "%s%s", i ? " " : "", options->words[i]);
    try_text(t, buf_bytes(&text));
}

/* Each line is a message of one customer, who remembers the last menu. */
static void try_lines(struct trial *t)
{
    AUTO_FREE char *line = NULL;
    size_t size = 0;
    ssize_t n;
    for (bool first = true; (n = getline(&line, &size, stdin)) >= 0; first = false) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        if (!first && !t->json)
            puts("\n----");
        try_text(t, BYTES(line, (size_t)n));
    }
}

int cli_try_reply(int argc, char **argv)
{
    struct cli_options options;
    struct config_report report = {0};
    struct trial t = {0};
    int code = cli_parse(argc, argv, "cj", CLI_ANY_WORDS, &options);
    if (code >= 0)
        return code;
    int rc = config_load(&t.config, cli_config_path(options.config), cli_env, &report);
    if (rc == 0)
        rc = config_replies_load(&t.replies, &t.config, &report);
    if (rc == 0) {
        t.json = options.json;
        t.open =
            config_hours_open(t.config.replies_hours, t.config.replies_time_zone, clock_wall_ms());
        if (options.word_count > 0)
            try_words(&t, &options);
        else
            try_lines(&t);
        config_replies_deinit(&t.replies);
    } else {
        fputs(buf_text(&report.text), stderr);
    }
    config_report_deinit(&report);
    return rc < 0 ? BRIDGE_EXIT_CONFIG : 0;
}
