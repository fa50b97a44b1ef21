/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The media host as HTTP on the endpoint's port: GET of a file, POST of one (protocol/07 section
 * 4). Private to the two files that know libwebsockets; included after it. */
#ifndef SIM_MEDIA_HTTP_H
#define SIM_MEDIA_HTTP_H

#include "sim/media.h"

#define SIM_HTTP_PIECE 32768 /* bytes of a WebSocket message, or a piece of an answer, at most */
#define SIM_HTTP_HEADER 2048

/* One request at a time; all zero before the first. */
struct sim_media_http {
    struct bytes left; /* of a file or an answer that is served; borrowed from the simulator */
    struct buf body;   /* of an upload */
    struct buf answer;
    bool upload;
    size_t held_back; /* of left, at its end */
};

/* Any callback of libwebsockets for a connection that is no WebSocket, h NULL where it has none
 * yet; its result. */
int sim_media_http(struct sim_media_http *h, struct lws *wsi, struct sim *s,
                   enum lws_callback_reasons reason, struct bytes in);

#endif
