/* SPDX-License-Identifier: GPL-3.0-or-later */
/* X25519 (RFC 7748) by libcrypto, which has it in assembly: a third of the time of the portable C
 * in the Signal library. */
#ifndef WA_X25519_H
#define WA_X25519_H

#include <stdint.h>

/* The u-coordinate of scalar times point, 32 bytes each; scalar is clamped, the highest bit of
 * point ignored. All zero for a point of small order: it is the caller's to refuse. */
void wa_x25519(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]);

#endif
