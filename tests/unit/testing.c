/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* nftw */
#include "testing.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

json_t *testing_vectors(const char *name)
{
    /* Kept for the life of the process, so that tests may borrow from it. */
    static struct {
        char name[64];
        json_t *json;
    } loaded[16];
    const char *dir = getenv("VECTORS_DIR");
    char path[1024];
    json_error_t at;
    size_t i = 0;
    while (loaded[i].json && strcmp(loaded[i].name, name) != 0)
        ck_assert_uint_lt(++i, ARRAY_LEN(loaded));
    if (loaded[i].json)
        return loaded[i].json;
    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/vectors", name);
    snprintf(loaded[i].name, sizeof(loaded[i].name), "%s", name);
    loaded[i].json = json_load_file(path, 0, &at);
    ck_assert_msg(loaded[i].json != NULL, "%s:%d: %s", path, at.line, at.text);
    return loaded[i].json;
}

const char *testing_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    ck_assert_msg(s != NULL, "vector member %s is not a string", key);
    return s;
}

struct bytes testing_unhex(const char *hex)
{
    size_t n = strlen(hex) / 2;
    static struct arena kept;
    uint8_t *p = arena_alloc(&kept, n + 1);
    ck_assert_msg(text_hex_decode(bytes_text(hex), p, n) == 0, "not hex: %.40s", hex);
    return BYTES(p, n);
}

struct bytes testing_hex(const json_t *object, const char *key)
{
    return testing_unhex(testing_text(object, key));
}

static char made[64][64];
static int made_count;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_made(void)
{
    for (int i = 0; i < made_count; i++)
        nftw(made[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *testing_dir(void)
{
    ck_assert(made_count < (int)ARRAY_LEN(made));
    if (made_count == 0)
        atexit(remove_made);
    char *dir = made[made_count++];
    strcpy(dir, "/tmp/wabridge-check-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
    return dir;
}

void testing_assert_bytes(struct bytes got, struct bytes want, const char *what)
{
    if (bytes_equal(got, want))
        return;
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    text_hex_append(&a, BYTES(got.p, got.n < 400 ? got.n : 400));
    text_hex_append(&b, BYTES(want.p, want.n < 400 ? want.n : 400));
    ck_abort_msg("%s: got %zu bytes %s, want %zu bytes %s", what, got.n, buf_text(&a), want.n,
                 buf_text(&b));
}

int testing_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
