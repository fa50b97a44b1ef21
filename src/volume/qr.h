/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QR as picture and text: the door to libqrencode and libpng. */
#ifndef VOLUME_QR_H
#define VOLUME_QR_H

#include "volume/volume.h"

/* Grey-scale PNG of one bit, 8 pixels a module. Each picture has a quiet zone of 4 modules, is
 * appended to out, and answers 0, ERR_LIMIT (over 2953 bytes, or out full) or ERR_INVALID (empty).
 */
int volume_qr_png(struct bytes payload, struct buf *out);
int volume_qr_svg(struct bytes payload, struct buf *out);
/* Half-block characters with ANSI colours off: dark modules are blanks on a light ground drawn with
 * U+2588, U+2580, U+2584, so that it scans on a dark terminal. Ends in a newline. */
int volume_qr_terminal(struct bytes payload, struct buf *out);
/* Publishes qr.txt (payload and newline), qr.svg and qr.png, durable. Call it before the state
 * document that names them. 0 or ERR_…. */
int volume_qr_publish(const struct volume *v, struct bytes payload, struct err *err);
/* Removes the three files, after the state document that no longer names them was published. */
int volume_qr_remove(const struct volume *v, struct err *err);

#endif
