/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to node_decode.c and node_encode.c: bytes of the binary form (protocol/02 sections 2, 3,
 * 5). */
#ifndef WA_NODE_FORM_H
#define WA_NODE_FORM_H

#include "wa/jid.h"

#define WA_STANZA_DEFLATED 0x02 /* in the flag byte */

enum wa_form {
    WA_FORM_LIST_EMPTY = 0,
    WA_FORM_DICTIONARY_0 = 236, /* to 239, then an index */
    WA_FORM_INTEROP_JID = 245,
    WA_FORM_FB_JID = 246,
    WA_FORM_AD_JID = 247,
    WA_FORM_LIST_8 = 248,
    WA_FORM_LIST_16 = 249,
    WA_FORM_JID_PAIR = 250,
    WA_FORM_HEX_8 = 251,
    WA_FORM_BINARY_8 = 252,
    WA_FORM_BINARY_20 = 253,
    WA_FORM_BINARY_32 = 254,
    WA_FORM_NIBBLE_8 = 255,
};

#define WA_BINARY_20_MAX 0xfffffu

/* Packed strings: two characters a byte, the high nibble first. */
#define WA_PACKED_LEN 0x7f /* of the length byte: count of data bytes */
#define WA_PACKED_ODD 0x80 /* of the length byte: the last low nibble is padding */
#define WA_PACKED_CHARS_MAX 127
#define WA_NO_NIBBLE '?' /* no character has this value */
static const char wa_nibble_alphabet[] = "0123456789-.????";
static const char wa_hex_alphabet[] = "0123456789ABCDEF";

/* The domain byte of an AD_JID: WA_SERVER_NONE when unknown. */
static inline enum wa_server wa_server_of_domain(uint8_t domain)
{
    switch (domain) {
    case 0:
        return WA_SERVER_PN;
    case 1:
        return WA_SERVER_LID;
    case 128:
        return WA_SERVER_HOSTED;
    case 129:
        return WA_SERVER_HOSTED_LID;
    default:
        return WA_SERVER_NONE;
    }
}

/* Its inverse; false for servers that have no domain byte. */
static inline bool wa_domain_of_server(enum wa_server server, uint8_t *domain)
{
    static const uint8_t domains[] = {0, 1, 128, 129};
    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        if (server != WA_SERVER_NONE && wa_server_of_domain(domains[i]) == server) {
            *domain = domains[i];
            return true;
        }
    }
    return false;
}

#endif
