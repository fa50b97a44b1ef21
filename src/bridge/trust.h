/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which certificate authorities of the system TLS asks. OpenSSL reads the file with all of them
 * first, and keeps every one: 0.8 MiB in each tenant. The directory, where the same are files named
 * after the hash of their subject, is looked into for the one that is needed.
 */
#ifndef BRIDGE_TRUST_H
#define BRIDGE_TRUST_H

/*
 * Before the TLS library reads them: leaves the file out when the directory (SSL_CERT_DIR, or
 * OpenSSL's own) has such names. Nothing where SSL_CERT_FILE is set: that is the operator's word.
 */
void bridge_trust_prefer_directory(void);

#endif
