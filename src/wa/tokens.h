/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The token dictionaries of the binary stanza form, version 3 (protocol/02). */
#ifndef WA_TOKENS_H
#define WA_TOKENS_H

#include "base/buf.h"

#define WA_TOKENS_SINGLE 236     /* single-byte tokens are 1..235 */
#define WA_TOKENS_DICTIONARIES 4 /* byte 236 + d, then an index 0..255 */
#define WA_TOKENS_PER_DICTIONARY 256

/* Text of a token, in static storage; BYTES_NONE for byte 0 and from 236 on. */
struct bytes wa_token_single(uint8_t byte);
/* Text of an entry of dictionary 0..3. */
struct bytes wa_token_double(unsigned dictionary, uint8_t index);

/* The 1 or 2 bytes that stand for text, in form: their count, or 0 when it is no token. */
size_t wa_token_find(struct bytes text, uint8_t form[2]);

#endif
