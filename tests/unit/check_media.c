/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of messages on the volume (volume/media.h) and in messages.db (table media). */
#include "testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "store/messages.h"
#include "volume/media.h"

/* ---- names ---------------------------------------------------------------------------------- */

static const struct {
    const char *mimetype, *name;
} names[] = {
    {"image/jpeg", "7.jpg"},
    {"IMAGE/JPEG", "7.jpg"},
    {"audio/ogg; codecs=opus", "7.ogg"},
    {"application/pdf", "7.pdf"},
    {"text/html", "7.bin"},
    {"image/svg+xml", "7.bin"},
    {"", "7.bin"},
    {"; x", "7.bin"},
    {"image/jpeg/../../x", "7.bin"},
    {"image/jpegx", "7.bin"},
};

START_TEST(test_media_name_is_ours)
{
    char name[VOLUME_MEDIA_NAME_SIZE];
    volume_media_name(7, bytes_text(names[_i].mimetype), name);
    ck_assert_str_eq(name, names[_i].name);
    ck_assert_int_eq(volume_media_id(name), 7);
}
END_TEST

START_TEST(test_media_id_of_other_names_is_none)
{
    static const char *const others[] = {
        "", ".7.jpg", "x.jpg", "7", "-7.jpg", ".jpg", "99999999999999999999.jpg"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        ck_assert_msg(volume_media_id(others[i]) == 0, "%s", others[i]);
}
END_TEST

/* ---- files ---------------------------------------------------------------------------------- */

static struct volume v;
static char shared[300];
static struct err err;

static void open_volume(void)
{
    char path[300];
    snprintf(path, sizeof(path), "%s", testing_dir());
    snprintf(shared, sizeof(shared), "%s", testing_dir());
    ck_assert_msg(volume_open(&v, shared, path, &err) == 0, "%s", err.text);
}

static bool there(const char *name)
{
    struct stat st;
    return fstatat(v.media_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void publish(const char *name, size_t bytes, time_t at)
{
    static const uint8_t zeros[4096];
    struct volume_media_file f;
    ck_assert_int_eq(volume_media_create(&f, &v, &err), 0);
    ck_assert_int_eq(volume_media_write(&f, BYTES(zeros, bytes), &err), 0);
    ck_assert(!there(name));
    ck_assert_int_eq(volume_media_publish(&f, name, &err), 0);
    const struct timespec times[] = {{.tv_sec = at}, {.tv_sec = at}};
    ck_assert_int_eq(utimensat(v.media_fd, name, times, 0), 0);
}

START_TEST(test_media_publish_whole_file_mode_0640)
{
    struct stat st;
    open_volume();
    publish("1.jpg", 100, 1000);
    ck_assert_int_eq(fstatat(v.media_fd, "1.jpg", &st, 0), 0);
    ck_assert_int_eq(st.st_size, 100);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    volume_close(&v);
}
END_TEST

START_TEST(test_media_drop_leaves_nothing)
{
    struct volume_media_file f;
    char path[400];
    open_volume();
    ck_assert_int_eq(volume_media_create(&f, &v, &err), 0);
    ck_assert_int_eq(volume_media_write(&f, bytes_text("half"), &err), 0);
    volume_media_drop(&f);
    volume_media_drop(&f);
    snprintf(path, sizeof(path), "%s/media", shared);
    ck_assert_int_eq(unlinkat(AT_FDCWD, path, AT_REMOVEDIR), 0); /* it is empty */
    volume_close(&v);
}
END_TEST

static int64_t unknown;
static int refuse;

static int known(void *ctx, int64_t id, const char *name)
{
    (void)ctx;
    (void)name;
    return id != unknown;
}

static int gone(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return refuse;
}

static size_t trim(int64_t days, int64_t bytes, int64_t now_s)
{
    const struct volume_media_keep keep = {.days = days, .bytes = bytes};
    const struct volume_media_events events = {.known = known, .gone = gone};
    return volume_media_trim(&v, &keep, now_s * 1000, &events);
}

START_TEST(test_media_trim_deletes_what_is_over)
{
    const int64_t day = 86400;
    unknown = refuse = 0;
    open_volume();
    publish("1.jpg", 1000, 1 * day);
    publish("2.pdf", 1000, 2 * day);
    publish("3.jpg", 1000, 3 * day);
    ck_assert_int_eq(volume_publish(v.media_fd, "notes.txt", bytes_text("x"), false, &err), 0);
    ck_assert_uint_eq(trim(0, 0, 10 * day), 0);
    refuse = ERR_STORE;
    ck_assert_uint_eq(trim(1, 0, 10 * day), 0);
    refuse = 0;
    ck_assert_uint_eq(trim(0, 2500, 10 * day), 1); /* the oldest */
    ck_assert(!there("1.jpg") && there("2.pdf") && there("3.jpg"));
    ck_assert_uint_eq(trim(5, 0, 2 * day + 5 * day + 1), 1);
    ck_assert(!there("2.pdf") && there("3.jpg"));
    unknown = 3;
    ck_assert_uint_eq(trim(0, 0, 3 * day), 1);
    ck_assert(!there("3.jpg") && there("notes.txt"));
    volume_close(&v);
}
END_TEST

/* ---- rows ----------------------------------------------------------------------------------- */

static struct store_messages *m;

static int64_t add(const char *wa_id, const char *status)
{
    const struct store_inbound in = {.wa_id = bytes_text(wa_id),
                                     .chat = "1@lid",
                                     .sender = "1@lid",
                                     .kind = "image",
                                     .received_at = 1000};
    const struct store_media media = {.status = status, .mimetype = bytes_text("image/png")};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    ck_assert_int_eq(store_messages_add_media(m, id, &media), 1);
    ck_assert_int_eq(store_messages_add_media(m, id, &media), 0);
    return id;
}

static void open_messages(void)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/messages.db", testing_dir());
    ck_assert_int_eq(store_messages_open(&m, path, &err), 0);
}

START_TEST(test_next_media_first_due_and_not_busy)
{
    struct store_wanted w;
    open_messages();
    add("A", STORE_MEDIA_LISTED);
    ck_assert_int_eq(store_messages_next_media(m, 5000, NULL, 0, &w), 0);
    ck_assert_int_eq(w.id, 0);
    int64_t b = add("B", STORE_MEDIA_WANTED), c = add("C", STORE_MEDIA_WANTED);
    ck_assert_int_eq(store_messages_next_media(m, 5000, NULL, 0, &w), 1);
    ck_assert_int_eq(w.id, b);
    ck_assert(bytes_is(w.mimetype, "image/png"));
    ck_assert_int_eq(store_messages_next_media(m, 5000, &b, 1, &w), 1);
    ck_assert_int_eq(w.id, c);
    ck_assert_int_eq(store_messages_put_off_media(m, b, "HTTP 503", 6000, true), 0);
    ck_assert_int_eq(store_messages_next_media(m, 5000, &c, 1, &w), 0);
    ck_assert_int_eq(w.id, b);
    ck_assert_int_eq(w.due_at, 6000);
    ck_assert_int_eq(w.attempts, 1);
    store_messages_close(m);
}
END_TEST

START_TEST(test_end_media_once_and_its_file_is_known)
{
    int64_t found;
    open_messages();
    int64_t id = add("A", STORE_MEDIA_WANTED);
    ck_assert_int_eq(store_messages_find_media(m, bytes_text("A"), &found), 1);
    ck_assert_int_eq(found, id);
    ck_assert_int_eq(store_messages_end_media(m, id, STORE_MEDIA_DOWNLOADED, "1.png", NULL), 0);
    ck_assert_int_eq(store_messages_end_media(m, id, STORE_MEDIA_FAILED, NULL, "x"), ERR_STATE);
    ck_assert_int_eq(store_messages_put_off_media(m, id, "x", 1, true), ERR_STATE);
    ck_assert_int_eq(store_messages_find_media(m, bytes_text("A"), &found), 0);
    ck_assert_int_eq(store_messages_knows_file(m, id, "1.png"), 1);
    ck_assert_int_eq(store_messages_knows_file(m, id, "1.jpg"), 0);
    ck_assert_int_eq(store_messages_forget_file(m, id, "1.png"), 1);
    ck_assert_int_eq(store_messages_knows_file(m, id, "1.png"), 0);
    store_messages_close(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("media");
    TCase *t = tcase_create("media");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, test_media_name_is_ours, 0, ARRAY_LEN(names));
    tcase_add_test(t, test_media_id_of_other_names_is_none);
    tcase_add_test(t, test_media_publish_whole_file_mode_0640);
    tcase_add_test(t, test_media_drop_leaves_nothing);
    tcase_add_test(t, test_media_trim_deletes_what_is_over);
    tcase_add_test(t, test_next_media_first_due_and_not_busy);
    tcase_add_test(t, test_end_media_once_and_its_file_is_known);
    suite_add_tcase(s, t);
    return testing_run(s);
}
