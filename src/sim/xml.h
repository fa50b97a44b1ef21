/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stanzas as people write them: <notification type="encrypt"><count value="3"/></notification>.
 * An attribute that reads as a JID is sent as one. Text is content as bytes; &lt; &gt; &amp;
 * &quot; and &#xHH; (one byte) stand for what cannot be written.
 */
#ifndef SIM_XML_H
#define SIM_XML_H

#include "base/err.h"
#include "wa/node.h"

/* 0 and a node in the arena; ERR_INVALID with the position in err. */
int sim_xml_parse(struct wa_node **out, struct arena *arena, struct bytes text, struct err *err);

#endif
