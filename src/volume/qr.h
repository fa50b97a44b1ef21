/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QR as picture and text: the door to libqrencode and libpng. */
#ifndef VOLUME_QR_H
#define VOLUME_QR_H

#include "volume/volume.h"

/* Grey-scale PNG, 8 pixels a module, 4 modules of quiet zone. Appends to out. 0, ERR_LIMIT, ERR_INVALID. */
int volume_qr_png(struct bytes payload, struct buf *out);
int volume_qr_svg(struct bytes payload, struct buf *out);
/* Half-block characters with ANSI colours off: dark modules are blanks on a light ground drawn with
 * U+2588, U+2580, U+2584, so that it scans on a dark terminal. Ends in a newline. */
int volume_qr_terminal(struct bytes payload, struct buf *out);
/* Publishes qr.png, qr.svg and qr.txt (payload and newline), durable. 0 or ERR_…. */
int volume_qr_publish(const struct volume *v, struct bytes payload, struct err *err);
/* Removes the three files. */
int volume_qr_remove(const struct volume *v, struct err *err);

#endif
