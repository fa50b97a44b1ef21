/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event loop and its two listeners: the WebSocket for clients, HTTP for the control interface.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "sim/client.h"

struct sim_server;

/* Listens on loopback; port 0 takes a free one. Fills in s->endpoint and s->control. 0 and an owned
 * server (sim_server_close), or ERR_SYSTEM. */
int sim_server_open(struct sim_server **out, struct sim *s, int port, int control_port,
                    struct err *err);
void sim_server_close(struct sim_server *server);
/* Runs until SIGTERM or SIGINT, which the caller has blocked. 0 or ERR_SYSTEM. */
int sim_server_run(struct sim_server *server);

/* For a client's link: there is something in out; close when out is empty; close now; read no more.
 */
void sim_link_want_write(void *link);
void sim_link_close(void *link);
void sim_link_freeze(void *link);

#endif
