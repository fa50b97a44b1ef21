/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills from the kernel's generator; aborts if the kernel refuses (it does not on Linux >= 3.17).
 */
void random_bytes(uint8_t *out, size_t n);
/* Uniform in [low, high]. Not for keys: for jitter and identifiers. */
uint32_t random_between(uint32_t low, uint32_t high);

#endif
