/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/trust.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/lws.h"

#define FILE_VARIABLE "SSL_CERT_FILE"
#define NO_FILE "/dev/null"
#define HASH_DIGITS 8

/* As c_rehash and `openssl rehash` name them: 8 hex digits, a dot, a number. */
static bool is_hashed(const char *name)
{
    return strspn(name, "0123456789abcdef") == HASH_DIGITS && strcmp(name + HASH_DIGITS, ".0") == 0;
}

static bool has_hashed(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry = NULL;
    while (d && (entry = readdir(d)) != NULL && !is_hashed(entry->d_name))
        continue;
    if (d)
        closedir(d);
    return entry != NULL;
}

void bridge_trust_prefer_directory(void)
{
    const char *dir = getenv("SSL_CERT_DIR");
    if (!getenv(FILE_VARIABLE) && has_hashed(dir ? dir : X509_get_default_cert_dir()))
        setenv(FILE_VARIABLE, NO_FILE, 1);
}
