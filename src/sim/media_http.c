/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenSSL has a type of the name that base/err.h gives to a code. */
#define ERR_STATE openssl_err_state
#include <libwebsockets.h>
#undef ERR_STATE

#include "sim/media_http.h"

#define ANSWER_MAX 1024

static void reset(struct sim_media_http *h)
{
    buf_deinit(&h->body);
    buf_deinit(&h->answer);
    *h = (struct sim_media_http){0};
}

static int respond(struct sim_media_http *h, struct lws *wsi, int status, const char *type,
                   struct bytes content)
{
    uint8_t block[LWS_PRE + SIM_HTTP_HEADER], *start = block + LWS_PRE, *p = start;

    h->left = content;
    if (lws_add_http_common_headers(wsi, (unsigned)status, type, content.n, &p,
                                    block + sizeof block) != 0 ||
        lws_finalize_write_http_header(wsi, start, &p, block + sizeof block) != 0)
        return -1;
    if (content.n == 0)
        return lws_http_transaction_completed(wsi) ? -1 : 0;
    lws_callback_on_writable(wsi);
    return 0;
}

static int begin(struct sim_media_http *h, struct lws *wsi, struct sim *s)
{
    struct bytes file = BYTES_NONE;
    char path[64] = "";
    int status = 404;

    reset(h);
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0) {
        h->upload = true;
        buf_init(&h->body, SIM_MEDIA_MAX + 64);
        buf_init(&h->answer, ANSWER_MAX);
        return 0;
    }
    if (lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) > 0)
        status = sim_media_get(s, path, &file, &h->held_back);
    return respond(h, wsi, status, "application/octet-stream", file);
}

static int uploaded(struct sim_media_http *h, struct lws *wsi, struct sim *s)
{
    char path[160] = "", room[32];
    const char *auth = lws_get_urlarg_by_name(wsi, "auth=", room, sizeof room);
    int status = 404;

    if (lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_POST_URI) > 0)
        status = sim_media_upload(s, path, auth ? auth : "", buf_bytes(&h->body), &h->answer);
    return respond(h, wsi, status, "application/json", buf_bytes(&h->answer));
}

static int write_more(struct sim_media_http *h, struct lws *wsi)
{
    uint8_t piece[LWS_PRE + SIM_HTTP_PIECE];
    size_t due = h->left.n - h->held_back, n = due < SIM_HTTP_PIECE ? due : SIM_HTTP_PIECE;
    bool last = n == h->left.n;

    if (due == 0)
        return 0;
    memcpy(piece + LWS_PRE, h->left.p, n);
    if (lws_write(wsi, piece + LWS_PRE, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
        return -1;
    h->left = BYTES(h->left.p + n, h->left.n - n);
    if (last)
        return lws_http_transaction_completed(wsi) ? -1 : 0;
    lws_callback_on_writable(wsi);
    return 0;
}

int sim_media_http(struct sim_media_http *h, struct lws *wsi, struct sim *s,
                   enum lws_callback_reasons reason, struct bytes in)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return begin(h, wsi, s);
    case LWS_CALLBACK_HTTP_BODY:
        return h->upload && buf_append(&h->body, in) == 0 ? 0 : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return h->upload ? uploaded(h, wsi, s) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_more(h, wsi);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (h)
            reset(h);
        return 0;
    default:
        return 0;
    }
}
