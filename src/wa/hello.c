/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the dial to the transport keys: XX, or IK with what an earlier connection left behind. */
#include "wa/session_internal.h"

#define PAYLOAD_MAX 8192
#define LOGIN_TIMEOUT_MS 30000

static int build_payload(const struct wa_session *s, struct buf *out)
{
    buf_init(out, PAYLOAD_MAX);
    if (wa_device_is_paired(&s->device))
        return wa_payload_login(out, &s->device, &s->config.version);
    return wa_payload_registration(out, &s->device, &s->config.version, s->config.device_label,
                                   s->config.history_days);
}

static int64_t now_s(const struct wa_session *s)
{
    return s->host->wall_ms(s->host->ctx) / 1000;
}

static int begin_resume(struct wa_session *s)
{
    AUTO_BUF struct buf payload;
    int rc = build_payload(s, &payload);
    return rc < 0 ? rc
                  : wa_handshake_resume(&s->handshake, s->host, &s->device.noise, &s->resume.server,
                                        buf_bytes(&payload), &s->out);
}

int wa_hello_begin(struct wa_session *s)
{
    int rc = 0;
    if (wa_device_is_paired(&s->device))
        rc = wa_resume_begin(&s->resume, s->host, s->config.noise_root, now_s(s));
    if (rc == 0)
        rc = wa_resume_append_preface(&s->resume, &s->out);
    if (rc < 0)
        return rc;
    if (s->resume.use_key)
        return begin_resume(s);
    return wa_handshake_begin(&s->handshake, s->host, &s->device.noise, s->config.noise_root,
                              &s->out);
}

static void refused(struct wa_session *s, const struct err *err)
{
    if (wa_resume_refused(&s->resume, s->host) < 0)
        wa_session_end_store(s);
    else
        wa_session_end(s, WA_CLOSE_HANDSHAKE, "%s", err->text);
}

static void proven(struct wa_session *s, const struct wa_handshake_result *result)
{
    s->way = result->way;
    s->send_cipher = result->send;
    s->recv_cipher = result->recv;
    wa_cipher_prepare(&s->send_cipher);
    wa_cipher_prepare(&s->recv_cipher);
    if (wa_device_is_paired(&s->device) && wa_resume_answered(&s->resume, s->host, result) < 0) {
        wa_session_end_store(s);
        return;
    }
    s->phase = WA_PHASE_LOGIN;
    s->phase_until = wa_session_now(s) + LOGIN_TIMEOUT_MS;
    wa_online_schedule_ping(s);
}

void wa_hello_answer(struct wa_session *s, struct bytes server_hello)
{
    AUTO_BUF struct buf payload;
    struct wa_handshake_result result;
    struct err err = {0};
    int rc = build_payload(s, &payload);
    if (rc < 0)
        err_set(&err, rc, "the client payload could not be made");
    else
        rc = wa_handshake_finish(&s->handshake, server_hello, buf_bytes(&payload), now_s(s),
                                 &s->out, &result, &err);
    if (rc < 0)
        refused(s, &err);
    else
        proven(s, &result);
    buf_wipe(&result, sizeof(result));
}
