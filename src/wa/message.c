/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/message.h"

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"
#include "wa/fields.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"

#define PADDING_MAX 16

int wa_padding_add(struct buf *out, struct bytes message, uint8_t random)
{
    size_t n = (random & 0x0fu) + 1;
    if (message.n > SIZE_MAX - PADDING_MAX)
        return ERR_LIMIT;
    uint8_t *at = buf_reserve(out, message.n + n);
    if (!at)
        return ERR_LIMIT;
    if (message.n)
        memcpy(at, message.p, message.n);
    memset(at + message.n, (int)n, n);
    out->n += message.n + n;
    return 0;
}

int wa_padding_remove(struct bytes *padded)
{
    if (padded->n == 0)
        return ERR_INVALID;
    size_t n = padded->p[padded->n - 1];
    if (n == 0 || n > PADDING_MAX || n > padded->n)
        return ERR_INVALID;
    for (size_t i = padded->n - n; i < padded->n; i++)
        if (padded->p[i] != n)
            return ERR_INVALID;
    padded->n -= n;
    return 0;
}

const char *wa_kind_text(enum wa_kind kind)
{
    static const char *const texts[] = {
#define X(symbol, name) [symbol] = name,
        WA_KINDS(X)
#undef X
    };
    return texts[kind];
}

/* ---- building -------------------------------------------------------------------------------- */

/* Fields of Message and DeviceSentMessage (proto/message.proto): these two are made for every text,
 * and Message has so many that packing it costs more than all the rest. */
#define MESSAGE_CONVERSATION 1
#define MESSAGE_DEVICE_SENT 31
#define MESSAGE_CONTEXT_INFO 35
#define SENT_DESTINATION 1
#define SENT_MESSAGE 2

static int build_quote(Wa__ContextInfo *context, const struct wa_text *t, struct buf *quoted)
{
    Wa__Message original = WA__MESSAGE__INIT;
    original.has_conversation = true;
    original.conversation = wa_pb_data(t->quoted_text);
    int rc = wa_pb_append(quoted, &original.base);
    context->has_stanza_id = true;
    context->stanza_id = wa_pb_data(t->quoted_id);
    context->has_participant = t->quoted_author.n > 0;
    context->participant = wa_pb_data(t->quoted_author);
    context->has_quoted_message = true;
    context->quoted_message = wa_pb_data(buf_bytes(quoted));
    return rc;
}

static int build_extended(struct buf *out, const struct wa_text *t)
{
    Wa__Message message = WA__MESSAGE__INIT;
    Wa__ExtendedTextMessage extended = WA__EXTENDED_TEXT_MESSAGE__INIT;
    Wa__ContextInfo context = WA__CONTEXT_INFO__INIT;
    struct buf quoted;
    int rc = 0;
    buf_init(&quoted, WA_MESSAGE_MAX);
    if (t->quoted_id.n > 0)
        rc = build_quote(&context, t, &quoted);
    context.has_expiration = t->expiration_s != 0;
    context.expiration = t->expiration_s;
    context.has_ephemeral_setting_timestamp = t->expiration_s != 0 && t->expiration_set_s > 0;
    context.ephemeral_setting_timestamp = t->expiration_set_s;
    extended.has_text = true;
    extended.text = wa_pb_data(t->text);
    extended.context_info = &context;
    message.extended_text_message = &extended;
    if (rc == 0)
        rc = wa_pb_append(out, &message.base);
    buf_deinit(&quoted);
    return rc;
}

int wa_message_build_text(struct buf *out, const struct wa_text *t)
{
    if (t->text.n > WA_TEXT_MAX || t->quoted_text.n > WA_TEXT_MAX)
        return ERR_LIMIT;
    if (t->text.n == 0 || !text_utf8_valid(t->text) || !text_utf8_valid(t->quoted_text) ||
        !text_utf8_valid(t->quoted_id) || !text_utf8_valid(t->quoted_author))
        return ERR_INVALID;
    if (t->quoted_id.n > 0 || t->expiration_s != 0)
        return build_extended(out, t);
    return wa_field_put(out, MESSAGE_CONVERSATION, t->text) ? 0 : ERR_LIMIT;
}

int wa_message_build_device_sent(struct buf *out, const char *destination, struct bytes message)
{
    struct wa_field context;
    struct bytes to = bytes_text(destination);
    if (wa_field_find(message, MESSAGE_CONTEXT_INFO, &context) < 0)
        return ERR_INVALID;
    size_t sent = wa_field_size(SENT_DESTINATION, to.n) + wa_field_size(SENT_MESSAGE, message.n);
    size_t size = wa_field_size(MESSAGE_DEVICE_SENT, sent);
    if (context.number)
        size += wa_field_size(MESSAGE_CONTEXT_INFO, context.bytes.n);
    if (!buf_reserve(out, size))
        return ERR_LIMIT;
    bool fits = wa_field_put_head(out, MESSAGE_DEVICE_SENT, sent) &&
                wa_field_put(out, SENT_DESTINATION, to) && wa_field_put(out, SENT_MESSAGE, message);
    if (fits && context.number)
        fits = wa_field_put(out, MESSAGE_CONTEXT_INFO, context.bytes);
    return fits ? 0 : ERR_LIMIT;
}

int wa_message_build_skdm(struct buf *out, const char *group, struct bytes skdm)
{
    Wa__Message message = WA__MESSAGE__INIT;
    Wa__SenderKeyDistributionMessage distribution = WA__SENDER_KEY_DISTRIBUTION_MESSAGE__INIT;
    distribution.has_group_id = true;
    distribution.group_id = wa_pb_data(bytes_text(group));
    distribution.has_axolotl_sender_key_distribution_message = true;
    distribution.axolotl_sender_key_distribution_message = wa_pb_data(skdm);
    message.sender_key_distribution_message = &distribution;
    return wa_pb_append(out, &message.base);
}

/* ---- message id ------------------------------------------------------------------------------ */

#define ID_PREFIX "3EB0"
#define ID_HASH_BYTES 9

void wa_message_id(char out[WA_MESSAGE_ID_SIZE], int64_t unix_s, const char *own_user,
                   const uint8_t random[16])
{
    uint8_t seconds[8], hash[WA_SHA256_LEN];
    for (size_t i = 0; i < sizeof(seconds); i++)
        seconds[i] = (uint8_t)((uint64_t)unix_s >> (56 - 8 * i));
    const struct bytes parts[] = {BYTES_ARRAY(seconds), bytes_text(own_user), bytes_text("@c.us"),
                                  BYTES(random, 16)};
    wa_sha256(hash, parts, ARRAY_LEN(parts));
    struct text_pen pen = text_pen(out, WA_MESSAGE_ID_SIZE);
    text_pen_text(&pen, ID_PREFIX);
    text_pen_hex(&pen, BYTES(hash, ID_HASH_BYTES));
}
