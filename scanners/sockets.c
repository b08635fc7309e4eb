/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "scanners/fields.h"

#define TABLE_MAX    ((size_t)64 * 1024 * 1024) /* bytes of /proc/PID/net/tcp: 400,000 connections */
#define STATE_LISTEN 0x0A                       /* TCP_LISTEN of the kernel */

void clm_sockets_done(struct clm_sockets *sockets)
{
    free(sockets->v);
    *sockets = (struct clm_sockets){.v = NULL};
}

/* The kernel prints the address as host-endian 32-bit words. */
static bool parse_addr(const char *hex, size_t len, char *dst)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[16];

    if (len != 8 && len != 32) {
        return false;
    }
    for (size_t i = 0; i < len / 8; i++) {
        char word[9];
        char *end = NULL;
        uint32_t value;

        memcpy(word, hex + 8 * i, 8);
        word[8] = '\0';
        value = (uint32_t)strtoul(word, &end, 16);
        if (*end != '\0') {
            return false;
        }
        memcpy(bytes + 4 * i, &value, sizeof(value));
    }
    if (len == 8) {
        return inet_ntop(AF_INET, bytes, dst, CLM_ADDR_SIZE) != NULL;
    }
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        return inet_ntop(AF_INET, bytes + 12, dst, CLM_ADDR_SIZE) != NULL;
    }
    return inet_ntop(AF_INET6, bytes, dst, CLM_ADDR_SIZE) != NULL;
}

/* "  0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 ..." */
static bool parse_line(const char *line, struct clm_socket *out)
{
    const char *addr = clm_field(line, 1);
    size_t len = strspn(addr, "0123456789ABCDEF");
    uint64_t state = 0;
    uint64_t port = 0;

    *out = (struct clm_socket){.owner = SIZE_MAX};
    if (addr[len] != ':' || !clm_field_number(addr + len + 1, 0, 16, &port) || port > UINT16_MAX ||
        !clm_field_number(line, 3, 16, &state) || state != STATE_LISTEN ||
        !clm_field_number(line, 9, 10, &out->inode)) {
        return false;
    }
    out->port = (uint16_t)port;
    return parse_addr(addr, len, out->addr);
}

enum clm_code clm_sockets_add(struct clm_sockets *list, const struct clm_socket *socket,
                              struct clm_err *err)
{
    if ((list->n & (list->n - 1)) == 0) { /* grows at each power of two */
        size_t cap = list->n == 0 ? 1 : list->n * 2;
        struct clm_socket *v = realloc(list->v, cap * sizeof(*v));

        if (v == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "list of sockets");
        }
        list->v = v;
    }
    list->v[list->n++] = *socket;
    return CLM_OK;
}

static enum clm_code read_table(const struct clm_io *io, const char *path, struct clm_sockets *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(TABLE_MAX + 1);
    enum clm_code code = io->read_file(io->ctx, path, TABLE_MAX, &text, err);
    const char *line = clm_buf_str(&text);

    while (code == CLM_OK && *line != '\0') {
        const char *end = strchr(line, '\n');
        struct clm_socket socket;

        if (parse_line(line, &socket)) {
            code = clm_sockets_add(out, &socket, err);
        }
        if (end == NULL) {
            break;
        }
        line = end + 1;
    }
    return code;
}

enum clm_code clm_sockets_read(const struct clm_io *io, int32_t pid, struct clm_sockets *out,
                               struct clm_err *err)
{
    static const char *const tables[] = {"tcp", "tcp6"};
    enum clm_code result = CLM_E_NOTFOUND;

    for (size_t i = 0; i < CLM_ARRAY_LEN(tables); i++) {
        char path[64];
        enum clm_code code;

        if (pid == 0) {
            (void)snprintf(path, sizeof(path), "/proc/self/net/%s", tables[i]);
        } else {
            (void)snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, tables[i]);
        }
        code = read_table(io, path, out, err);
        if (code == CLM_E_NOMEM) {
            return code;
        }
        if (code == CLM_OK || result != CLM_OK) { /* no IPv6: no tcp6 */
            result = code;
        }
    }
    return result;
}

static int by_inode(const void *a, const void *b)
{
    const struct clm_socket *x = a;
    const struct clm_socket *y = b;

    return (x->inode > y->inode) - (x->inode < y->inode);
}

void clm_sockets_sort(struct clm_sockets *sockets)
{
    size_t kept = 0;

    if (sockets->n == 0) {
        return;
    }
    qsort(sockets->v, sockets->n, sizeof(*sockets->v), by_inode);
    for (size_t i = 1; i < sockets->n; i++) {
        if (sockets->v[i].inode != sockets->v[kept].inode) {
            sockets->v[++kept] = sockets->v[i];
        } else if (sockets->v[kept].cgroup == 0) {
            sockets->v[kept].cgroup = sockets->v[i].cgroup;
        }
    }
    sockets->n = kept + 1;
}

struct clm_socket *clm_sockets_find(struct clm_sockets *sockets, uint64_t inode)
{
    struct clm_socket key = {.inode = inode};

    return sockets->n == 0 ? NULL
                           : bsearch(&key, sockets->v, sockets->n, sizeof(*sockets->v), by_inode);
}
