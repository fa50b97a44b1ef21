/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading a Message: unwrap, then take the first content field by a table (protocol/05 sections 9
 * to 11). The sender is not trusted: unpacking is bounded in depth by the schema and in memory by
 * an allowance, and text becomes valid UTF-8 here.
 */
#include <math.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "wa/message.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"

/* Unpacked fields live in the arena. A level needs little more than its own bytes, unless it is
 * made of countless tiny fields; then it is refused. */
#define ALLOWANCE_BASE 65536
#define ALLOWANCE_PER_BYTE 12
#define ID_MAX 255    /* bytes of a message id or JID; longer ones are dropped */
#define TEXT_GROWTH 3 /* a bad byte becomes U+FFFD, three bytes */

struct parse {
    struct arena *arena;
    size_t allowance;
    bool over; /* the allowance was used up */
    struct wa_content *out;
    struct bytes next; /* the Message to open next; none = done */
    bool decided;      /* kind stands; what is inside adds its text only */
};

/* ---- unpacking into the arena ---------------------------------------------------------------- */

static void *take_memory(void *ctx, size_t n)
{
    struct parse *p = ctx;
    if (n > p->allowance) {
        p->over = true;
        return NULL;
    }
    p->allowance -= n;
    return arena_alloc(p->arena, n);
}

static void leave_memory(void *ctx, void *memory)
{
    (void)ctx;
    (void)memory;
}

/* 0 and *out in the arena; ERR_LIMIT or ERR_INVALID. */
static int unpack(struct parse *p, const ProtobufCMessageDescriptor *type, struct bytes data,
                  void **out)
{
    static const uint8_t empty[1];
    ProtobufCAllocator allocator = {
        .alloc = take_memory, .free = leave_memory, .allocator_data = p};
    *out = protobuf_c_message_unpack(type, &allocator, data.n, data.n ? data.p : empty);
    if (*out)
        return 0;
    return p->over ? ERR_LIMIT : ERR_INVALID;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Bytes of the character at the front, 0 when it is none, or NUL. */
static size_t character(struct bytes b)
{
    for (size_t n = 1; n <= 4 && n <= b.n; n++)
        if (text_utf8_valid(BYTES(b.p, n)))
            return b.p[0] ? n : 0;
    return 0;
}

static bool is_clean(struct bytes b)
{
    return b.n == 0 || (!memchr(b.p, 0, b.n) && text_utf8_valid(b));
}

static void append_clean(struct buf *out, struct bytes raw)
{
    if (is_clean(raw)) {
        buf_append(out, raw);
        return;
    }
    while (raw.n > 0) {
        size_t n = character(raw);
        buf_append(out, n ? BYTES(raw.p, n) : bytes_text("\xef\xbf\xbd"));
        n = n ? n : 1;
        raw = BYTES(raw.p + n, raw.n - n);
    }
}

static void add_line(struct buf *lines, struct bytes raw)
{
    if (raw.n == 0)
        return;
    if (lines->n > 0)
        buf_append_u8(lines, '\n');
    append_clean(lines, raw);
}

/* An id that a person's client made; anything else is as good as none. */
static struct bytes clean_id(ProtobufCBinaryData id)
{
    struct bytes b = wa_pb_bytes(id);
    return b.n > 0 && b.n <= ID_MAX && is_clean(b) ? b : BYTES_NONE;
}

/* ---- fields by name -------------------------------------------------------------------------- */

static const void *member(const ProtobufCMessage *m, size_t offset)
{
    return (const uint8_t *)m + offset;
}

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessage *m, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
}

/* An optional sub-message, or NULL. */
static const ProtobufCMessage *part_named(const ProtobufCMessage *m, const char *name)
{
    const ProtobufCFieldDescriptor *f = field_named(m, name);
    if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || f->label != PROTOBUF_C_LABEL_OPTIONAL)
        return NULL;
    return *(ProtobufCMessage *const *)member(m, f->offset);
}

static bool flag_named(const ProtobufCMessage *m, const char *name)
{
    const ProtobufCFieldDescriptor *f = field_named(m, name);
    return f && f->type == PROTOBUF_C_TYPE_BOOL &&
           *(const protobuf_c_boolean *)member(m, f->quantifier_offset) &&
           *(const protobuf_c_boolean *)member(m, f->offset);
}

/* An optional field of bytes, or none. */
static struct bytes bytes_named(const ProtobufCMessage *m, const char *name)
{
    const ProtobufCFieldDescriptor *f = field_named(m, name);
    if (!f || f->type != PROTOBUF_C_TYPE_BYTES ||
        !*(const protobuf_c_boolean *)member(m, f->quantifier_offset))
        return BYTES_NONE;
    return wa_pb_bytes(*(const ProtobufCBinaryData *)member(m, f->offset));
}

/* An optional unsigned field, or 0. */
static uint64_t number_named(const ProtobufCMessage *m, const char *name)
{
    const ProtobufCFieldDescriptor *f = field_named(m, name);
    if (!f || !*(const protobuf_c_boolean *)member(m, f->quantifier_offset))
        return 0;
    if (f->type == PROTOBUF_C_TYPE_UINT64)
        return *(const uint64_t *)member(m, f->offset);
    return f->type == PROTOBUF_C_TYPE_UINT32 ? *(const uint32_t *)member(m, f->offset) : 0;
}

/* How many values the field has, and where the first one is. */
static size_t field_values(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                           const void **values)
{
    *values = member(m, f->offset);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        *values = *(const void *const *)*values;
        return *(const size_t *)member(m, f->quantifier_offset);
    }
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(ProtobufCMessage *const *)*values ? 1 : 0;
    return *(const protobuf_c_boolean *)member(m, f->quantifier_offset) ? 1 : 0;
}

/* One line for each value at path ("body.text"), a constant of the table below. */
static void add_path(struct buf *lines, const ProtobufCMessage *m, struct bytes path)
{
    char name[64];
    const void *values = NULL;
    size_t n = 0;
    while (n < path.n && path.p[n] != '.')
        n++;
    bytes_copy_text(BYTES(path.p, n), name, sizeof(name));
    const ProtobufCFieldDescriptor *f = field_named(m, name);
    if (!f)
        err_fatal("message: %s has no field %s", m->descriptor->name, name);
    size_t count = field_values(m, f, &values);
    for (size_t i = 0; i < count; i++) {
        if (f->type == PROTOBUF_C_TYPE_MESSAGE)
            add_path(lines, ((ProtobufCMessage *const *)values)[i],
                     BYTES(path.p + n + 1, path.n - n - 1));
        else
            add_line(lines, wa_pb_bytes(((const ProtobufCBinaryData *)values)[i]));
    }
}

static void add_paths(struct buf *lines, const ProtobufCMessage *m, const char *paths, size_t n)
{
    for (size_t at = 0, end; at < n; at = end + 1) {
        end = at;
        while (end < n && paths[end] != '+')
            end++;
        add_path(lines, m, BYTES(paths + at, end - at));
    }
}

/* "a+b|c": the lines a and b, or c when these are empty. */
static void add_text(struct buf *lines, const ProtobufCMessage *m, const char *rule)
{
    while (rule && *rule && lines->n == 0) {
        size_t n = strcspn(rule, "|");
        add_paths(lines, m, rule, n);
        rule += rule[n] ? n + 1 : n;
    }
}

/* ---- what some parts say beside their text --------------------------------------------------- */

static void set_target(struct parse *p, const Wa__MessageKey *key)
{
    if (key && !p->decided)
        p->out->target_id = clean_id(key->id);
}

static void set_kind(struct parse *p, enum wa_kind kind)
{
    if (!p->decided)
        p->out->kind = kind;
}

static void read_audio(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__AudioMessage *m = part;
    (void)lines;
    if (m->ptt)
        set_kind(p, WA_KIND_VOICE);
}

static void read_video_note(struct parse *p, const void *part, struct buf *lines)
{
    (void)part;
    (void)lines;
    p->out->media.note = true;
}

static void add_coordinates(struct buf *lines, double latitude, double longitude)
{
    if (!isfinite(latitude) || !isfinite(longitude) || fabs(latitude) > 90 || fabs(longitude) > 180)
        return;
    buf_printf(lines, "%s%.6f,%.6f", lines->n ? "\n" : "", latitude, longitude);
}

static void read_location(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__LocationMessage *m = part;
    (void)p;
    if (m->has_degrees_latitude && m->has_degrees_longitude)
        add_coordinates(lines, m->degrees_latitude, m->degrees_longitude);
}

static void read_live_location(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__LiveLocationMessage *m = part;
    (void)p;
    if (m->has_degrees_latitude && m->has_degrees_longitude)
        add_coordinates(lines, m->degrees_latitude, m->degrees_longitude);
}

static void read_reaction(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__ReactionMessage *m = part;
    (void)lines;
    set_target(p, m->key);
}

/* What was sealed for other ends, as a vote's, stays closed. */
static void read_sealed(struct parse *p, const void *part, struct buf *lines)
{
    static const struct {
        int32_t type;
        const char *use;
    } edits[] = {
        {WA__SECRET_ENCRYPTED_MESSAGE__TYPE__EVENT_EDIT, "Event Edit"},
        {WA__SECRET_ENCRYPTED_MESSAGE__TYPE__MESSAGE_EDIT, "Message Edit"},
        {WA__SECRET_ENCRYPTED_MESSAGE__TYPE__POLL_EDIT, "Poll Edit"},
    };
    const Wa__SecretEncryptedMessage *m = part;
    (void)lines;
    set_target(p, m->target_message_key);
    for (size_t i = 0; i < ARRAY_LEN(edits) && !p->decided; i++) {
        if (m->secret_enc_type != edits[i].type)
            continue;
        p->out->kind = WA_KIND_EDIT;
        p->out->edited = true;
        p->out->sealed.use = edits[i].use;
        p->out->sealed.payload = wa_pb_bytes(m->enc_payload);
        p->out->sealed.iv = wa_pb_bytes(m->enc_iv);
    }
}

static void read_vote(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__PollUpdateMessage *m = part;
    (void)lines;
    set_target(p, m->poll_creation_message_key);
}

/* A choice without a body text: its id is in a JSON object. */
static void read_choice(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__InteractiveResponseMessage *m = part;
    struct json_doc *doc;
    (void)p;
    if (lines->n > 0 || !m->native_flow_response_message ||
        json_doc_open(&doc, wa_pb_bytes(m->native_flow_response_message->params_json), NULL) < 0)
        return;
    add_line(lines, bytes_text(json_text(json_root(doc), "id", "")));
    json_doc_close(doc);
}

/* The note of a payment is a Message of its own. */
static void read_note(struct parse *p, protobuf_c_boolean has, ProtobufCBinaryData note)
{
    p->decided = true;
    if (has)
        p->next = wa_pb_bytes(note);
}

static void read_payment(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__SendPaymentMessage *m = part;
    (void)lines;
    read_note(p, m->has_note_message, m->note_message);
}

static void read_payment_request(struct parse *p, const void *part, struct buf *lines)
{
    const Wa__RequestPaymentMessage *m = part;
    (void)lines;
    read_note(p, m->has_note_message, m->note_message);
}

/* ---- files, by protocol/07 section 3 ----------------------------------------------------------
 */

static bool is_printable(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] < ' ' || b.p[i] > '~')
            return false;
    return true;
}

/* The five kinds of files name their fields alike. */
static void take_media(struct parse *p, enum wa_media_type type, const ProtobufCMessage *m)
{
    struct bytes mimetype = bytes_named(m, "mimetype"), name = bytes_named(m, "file_name");
    bool good = mimetype.n <= WA_MEDIA_MIME_MAX && is_printable(mimetype);
    p->out->media = (struct wa_media){
        .type = type,
        .mimetype = good ? mimetype : BYTES_NONE,
        .file_name = is_clean(name) ? text_utf8_cut(name, WA_MEDIA_NAME_MAX) : BYTES_NONE,
        .direct_path = bytes_named(m, "direct_path"),
        .key = bytes_named(m, "media_key"),
        .sha256 = bytes_named(m, "file_sha256"),
        .sealed_sha256 = bytes_named(m, "file_enc_sha256"),
        .length = number_named(m, "file_length"),
        .width = (uint32_t)number_named(m, "width"),
        .height = (uint32_t)number_named(m, "height"),
        .seconds = (uint32_t)number_named(m, "seconds"),
        .animated = flag_named(m, "gif_playback") || flag_named(m, "is_animated"),
        .note = flag_named(m, "ptt"),
    };
}

/* ---- content, by protocol/05 section 11 ------------------------------------------------------ */

#define INTERACTIVE_TEXT "header.title+body.text+footer.text"
#define TEMPLATE_TEXT(at)                                                                          \
    at "hydrated_template.hydrated_title_text+" at "hydrated_template.hydrated_content_text+" at   \
       "hydrated_template.hydrated_footer_text|" at                                                \
       "hydrated_four_row_template.hydrated_title_text+" at                                        \
       "hydrated_four_row_template.hydrated_content_text+" at                                      \
       "hydrated_four_row_template.hydrated_footer_text|" at                                       \
       "interactive_message_template.header.title+" at                                             \
       "interactive_message_template.body.text+" at "interactive_message_template.footer.text"

/* PART: a sub-message; DATA: bytes whose presence is all that counts. */
#define PART(field, kind, text, more)                                                              \
    {                                                                                              \
        offsetof(Wa__Message, field), false, kind, text, more, WA_MEDIA_NONE                       \
    }
#define FILE_PART(field, kind, text, more, media)                                                  \
    {                                                                                              \
        offsetof(Wa__Message, field), false, kind, text, more, media                               \
    }
#define DATA(field, kind)                                                                          \
    {                                                                                              \
        offsetof(Wa__Message, has_##field), true, kind, NULL, NULL, WA_MEDIA_NONE                  \
    }

static const struct content_row {
    size_t offset;
    bool data;
    enum wa_kind kind;
    const char *text; /* rule of add_text; NULL none */
    void (*more)(struct parse *p, const void *part, struct buf *lines);
    enum wa_media_type media;
} content_rows[] = {
    PART(extended_text_message, WA_KIND_TEXT, "text", NULL),
    FILE_PART(image_message, WA_KIND_IMAGE, "caption", NULL, WA_MEDIA_IMAGE),
    FILE_PART(video_message, WA_KIND_VIDEO, "caption", NULL, WA_MEDIA_VIDEO),
    FILE_PART(ptv_message, WA_KIND_VIDEO, "caption", read_video_note, WA_MEDIA_VIDEO),
    FILE_PART(audio_message, WA_KIND_AUDIO, NULL, read_audio, WA_MEDIA_AUDIO),
    FILE_PART(document_message, WA_KIND_DOCUMENT, "caption|file_name|title", NULL,
              WA_MEDIA_DOCUMENT),
    FILE_PART(sticker_message, WA_KIND_STICKER, NULL, NULL, WA_MEDIA_IMAGE),
    PART(sticker_pack_message, WA_KIND_STICKER, NULL, NULL),
    PART(contact_message, WA_KIND_CONTACT, "display_name", NULL),
    PART(contacts_array_message, WA_KIND_CONTACT, "display_name+contacts.display_name", NULL),
    PART(location_message, WA_KIND_LOCATION, "name+address+comment", read_location),
    PART(live_location_message, WA_KIND_LOCATION, "caption", read_live_location),
    PART(buttons_response_message, WA_KIND_BUTTON, "selected_display_text|selected_button_id",
         NULL),
    PART(list_response_message, WA_KIND_BUTTON,
         "title+description|single_select_reply.selected_row_id", NULL),
    PART(template_button_reply_message, WA_KIND_BUTTON, "selected_display_text|selected_id", NULL),
    PART(interactive_response_message, WA_KIND_BUTTON, "body.text", read_choice),
    PART(buttons_message, WA_KIND_INTERACTIVE,
         "text+document_message.caption+image_message.caption+video_message.caption+"
         "location_message.name+content_text+footer_text",
         NULL),
    PART(list_message, WA_KIND_INTERACTIVE, "title+description+footer_text", NULL),
    PART(template_message, WA_KIND_INTERACTIVE, TEMPLATE_TEXT(""), NULL),
    PART(interactive_message, WA_KIND_INTERACTIVE, INTERACTIVE_TEXT, NULL),
    PART(highly_structured_message, WA_KIND_INTERACTIVE, TEMPLATE_TEXT("hydrated_hsm.") "|params",
         NULL),
    PART(reaction_message, WA_KIND_REACTION, "text", read_reaction),
    PART(poll_creation_message, WA_KIND_POLL, "name+options.option_name", NULL),
    PART(poll_creation_message_v2, WA_KIND_POLL, "name+options.option_name", NULL),
    PART(poll_creation_message_v3, WA_KIND_POLL, "name+options.option_name", NULL),
    PART(poll_creation_message_v5, WA_KIND_POLL, "name+options.option_name", NULL),
    PART(poll_creation_message_v6, WA_KIND_POLL, "name+options.option_name", NULL),
    PART(poll_result_snapshot_message, WA_KIND_POLL, "name", NULL),
    PART(poll_result_snapshot_message_v3, WA_KIND_POLL, "name", NULL),
    PART(poll_update_message, WA_KIND_POLL, NULL, read_vote),
    PART(event_message, WA_KIND_EVENT, "name+description", NULL),
    DATA(event_invite_message, WA_KIND_EVENT),
    PART(group_invite_message, WA_KIND_INVITE, "caption+group_name", NULL),
    DATA(newsletter_admin_invite_message, WA_KIND_INVITE),
    DATA(newsletter_follower_invite_message_v2, WA_KIND_INVITE),
    PART(product_message, WA_KIND_ORDER, "product.title+body+footer", NULL),
    PART(order_message, WA_KIND_ORDER, "order_title+message", NULL),
    PART(invoice_message, WA_KIND_ORDER, "note", NULL),
    PART(send_payment_message, WA_KIND_ORDER, NULL, read_payment),
    PART(request_payment_message, WA_KIND_ORDER, NULL, read_payment_request),
    DATA(decline_payment_request_message, WA_KIND_ORDER),
    DATA(cancel_payment_request_message, WA_KIND_ORDER),
    DATA(payment_invite_message, WA_KIND_ORDER),
    DATA(payment_reminder_message, WA_KIND_ORDER),
    DATA(split_payment_message, WA_KIND_ORDER),
    DATA(split_payment_update_message, WA_KIND_ORDER),
    DATA(call_log_message, WA_KIND_CALL),
    DATA(bcall_message, WA_KIND_CALL),
    DATA(scheduled_call_creation_message, WA_KIND_CALL),
    DATA(scheduled_call_edit_message, WA_KIND_CALL),
    DATA(placeholder_message, WA_KIND_PLACEHOLDER),
    PART(secret_encrypted_message, WA_KIND_OTHER, NULL, read_sealed),
};

static bool has_content(const Wa__Message *m, const struct content_row *row)
{
    const void *at = member(&m->base, row->offset);
    return row->data ? *(const protobuf_c_boolean *)at : *(ProtobufCMessage *const *)at != NULL;
}

static void take_context(struct parse *p, const ProtobufCMessage *part)
{
    const Wa__ContextInfo *context = (const void *)part_named(part, "context_info");
    p->out->view_once = p->out->view_once || flag_named(part, "view_once");
    if (!context)
        return;
    p->out->quoted_id = clean_id(context->stanza_id);
    p->out->expiration_s = context->expiration;
    p->out->expiration_set_s = context->ephemeral_setting_timestamp;
}

static void take_part(struct parse *p, const struct content_row *row, const ProtobufCMessage *part)
{
    struct buf lines;
    buf_init(&lines, TEXT_GROWTH * WA_MESSAGE_MAX);
    set_kind(p, row->kind);
    add_text(&lines, part, row->text);
    if (row->media != WA_MEDIA_NONE && !p->decided)
        take_media(p, row->media, part);
    if (row->more)
        row->more(p, part, &lines);
    take_context(p, part);
    p->out->text = arena_copy(p->arena, buf_bytes(&lines));
    buf_deinit(&lines);
}

static void take_conversation(struct parse *p, struct bytes raw)
{
    struct buf text;
    set_kind(p, WA_KIND_TEXT);
    p->out->text = raw;
    if (is_clean(raw))
        return;
    buf_init(&text, TEXT_GROWTH * WA_MESSAGE_MAX);
    append_clean(&text, raw);
    p->out->text = arena_copy(p->arena, buf_bytes(&text));
    buf_deinit(&text);
}

static void take_content(struct parse *p, const Wa__Message *m)
{
    if (m->has_conversation) {
        take_conversation(p, wa_pb_bytes(m->conversation));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(content_rows); i++) {
        const struct content_row *row = &content_rows[i];
        if (!has_content(m, row))
            continue;
        if (row->data)
            set_kind(p, row->kind);
        else
            take_part(p, row, *(ProtobufCMessage *const *)member(&m->base, row->offset));
        return;
    }
    set_kind(p, m->base.n_unknown_fields > 0 ? WA_KIND_OTHER : WA_KIND_NONE);
}

/* ---- wrappers, by protocol/05 section 10 ----------------------------------------------------- */

enum wrap { WRAP_PLAIN, WRAP_EPHEMERAL, WRAP_VIEW_ONCE, WRAP_EDITED };

#define WRAPPER(field, flag)                                                                       \
    {                                                                                              \
        offsetof(Wa__Message, field), flag                                                         \
    }

/* Each is a FutureProofMessage. */
static const struct {
    size_t offset;
    enum wrap flag;
} wrappers[] = {
    WRAPPER(ephemeral_message, WRAP_EPHEMERAL),
    WRAPPER(view_once_message, WRAP_VIEW_ONCE),
    WRAPPER(view_once_message_v2, WRAP_VIEW_ONCE),
    WRAPPER(view_once_message_v2_extension, WRAP_VIEW_ONCE),
    WRAPPER(edited_message, WRAP_EDITED),
    WRAPPER(document_with_caption_message, WRAP_PLAIN),
    WRAPPER(group_mentioned_message, WRAP_PLAIN),
    WRAPPER(bot_invoke_message, WRAP_PLAIN),
    WRAPPER(bot_forwarded_message, WRAP_PLAIN),
    WRAPPER(bot_task_message, WRAP_PLAIN),
    WRAPPER(bot_platform_registration_success_message, WRAP_PLAIN),
    WRAPPER(lottie_sticker_message, WRAP_PLAIN),
    WRAPPER(associated_child_message, WRAP_PLAIN),
    WRAPPER(group_status_message, WRAP_PLAIN),
    WRAPPER(group_status_message_v2, WRAP_PLAIN),
    WRAPPER(group_status_mention_message, WRAP_PLAIN),
    WRAPPER(status_mention_message, WRAP_PLAIN),
    WRAPPER(status_add_yours, WRAP_PLAIN),
    WRAPPER(event_cover_image, WRAP_PLAIN),
    WRAPPER(poll_creation_option_image_message, WRAP_PLAIN),
    WRAPPER(poll_creation_message_v4, WRAP_PLAIN),
    WRAPPER(limit_sharing_message, WRAP_PLAIN),
    WRAPPER(spoiler_message, WRAP_PLAIN),
    WRAPPER(question_message, WRAP_PLAIN),
    WRAPPER(question_reply_message, WRAP_PLAIN),
    WRAPPER(newsletter_admin_profile_message, WRAP_PLAIN),
    WRAPPER(newsletter_admin_profile_message_v2, WRAP_PLAIN),
    WRAPPER(newsletter_admin_profile_status_message, WRAP_PLAIN),
};

static void go_inside(struct parse *p, protobuf_c_boolean has, ProtobufCBinaryData message)
{
    if (has)
        p->next = BYTES(message.data, message.len);
}

static void note_wrap(struct wa_content *out, enum wrap flag)
{
    out->ephemeral = out->ephemeral || flag == WRAP_EPHEMERAL;
    out->view_once = out->view_once || flag == WRAP_VIEW_ONCE;
    out->edited = out->edited || flag == WRAP_EDITED;
}

static bool unwrap(struct parse *p, const Wa__Message *m)
{
    if (m->device_sent_message) {
        p->out->device_sent = true;
        p->out->destination = clean_id(m->device_sent_message->destination_jid);
        go_inside(p, m->device_sent_message->has_message, m->device_sent_message->message);
        return true;
    }
    if (m->comment_message) {
        go_inside(p, m->comment_message->has_message, m->comment_message->message);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(wrappers); i++) {
        const Wa__FutureProofMessage *wrapper =
            *(Wa__FutureProofMessage *const *)member(&m->base, wrappers[i].offset);
        if (!wrapper)
            continue;
        note_wrap(p->out, wrappers[i].flag);
        go_inside(p, wrapper->has_message, wrapper->message);
        return true;
    }
    return false;
}

/* ---- protocolMessage, by protocol/05 section 9.2 --------------------------------------------- */

static void take_timer(struct wa_content *out, const Wa__ProtocolMessage *m)
{
    out->timer_set = true;
    out->expiration_s = m->ephemeral_expiration;
    out->expiration_set_s = m->ephemeral_setting_timestamp;
}

static int take_protocol(struct parse *p, struct bytes data)
{
    void *unpacked;
    struct wa_content *out = p->out;
    int rc = unpack(p, &wa__protocol_message__descriptor, data, &unpacked);
    if (rc < 0)
        return rc;
    const Wa__ProtocolMessage *m = unpacked;
    int32_t type = m->has_type ? m->type : -1;
    switch (type) {
    case WA__PROTOCOL_MESSAGE__TYPE__REVOKE:
        out->kind = WA_KIND_REVOKE;
        set_target(p, m->key);
        break;
    case WA__PROTOCOL_MESSAGE__TYPE__MESSAGE_EDIT:
        out->kind = WA_KIND_EDIT;
        out->edited = true;
        set_target(p, m->key);
        p->decided = true;
        go_inside(p, m->has_edited_message, m->edited_message);
        break;
    default:
        out->kind = WA_KIND_PROTOCOL;
        out->protocol_type = type;
        out->protocol = data;
        out->has_history_sync = m->has_history_sync_notification;
        if (type == WA__PROTOCOL_MESSAGE__TYPE__EPHEMERAL_SETTING)
            take_timer(out, m);
        break;
    }
    return 0;
}

/* ---- level by level -------------------------------------------------------------------------- */

static void take_distribution(struct wa_content *out, const Wa__SenderKeyDistributionMessage *d)
{
    if (!d || out->skdm.n > 0)
        return;
    out->skdm_group = clean_id(d->group_id);
    out->skdm = wa_pb_bytes(d->axolotl_sender_key_distribution_message);
}

/* That of the innermost level which has one (protocol/05 section 10). */
static int take_secret(struct parse *p, struct bytes data)
{
    void *unpacked;
    int rc = unpack(p, &wa__message_context_info__descriptor, data, &unpacked);
    if (rc < 0)
        return rc == ERR_INVALID ? 0 : rc; /* the message is as good without it */
    const Wa__MessageContextInfo *m = unpacked;
    if (m->message_secret.len == WA_MESSAGE_SECRET_LEN)
        p->out->secret = wa_pb_bytes(m->message_secret);
    return 0;
}

static int open_level(struct parse *p, struct bytes message)
{
    void *unpacked;
    int rc = unpack(p, &wa__message__descriptor, message, &unpacked);
    if (rc < 0)
        return rc;
    const Wa__Message *m = unpacked;
    if (m->has_message_context_info)
        rc = take_secret(p, wa_pb_bytes(m->message_context_info));
    if (rc < 0)
        return rc;
    take_distribution(p->out, m->sender_key_distribution_message);
    if (unwrap(p, m))
        return 0;
    if (m->has_protocol_message && !p->decided)
        return take_protocol(p, wa_pb_bytes(m->protocol_message));
    take_content(p, m);
    return 0;
}

int wa_message_parse(struct bytes message, struct arena *arena, struct wa_content *out)
{
    struct parse p = {.arena = arena,
                      .allowance = ALLOWANCE_BASE + ALLOWANCE_PER_BYTE * message.n,
                      .out = out,
                      .next = message};
    int rc = message.n > WA_MESSAGE_MAX ? ERR_LIMIT : 0;
    *out = (struct wa_content){.protocol_type = -1};
    for (int level = 0; level <= WA_WRAPPERS_MAX && rc == 0; level++) {
        struct bytes current = p.next;
        p.next = BYTES_NONE;
        rc = open_level(&p, current);
        if (rc == 0 && !p.next.p)
            return 0;
    }
    *out = (struct wa_content){.protocol_type = -1};
    return rc < 0 ? rc : ERR_LIMIT;
}
