/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/peer.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void exec_peer(const char *dir, const int in[2], const int out[2])
{
    (void)dup2(in[0], 0);
    (void)dup2(out[1], 1);
    (void)close(in[1]);
    (void)close(out[0]);
    execl("/usr/bin/python3", "python3", "tests/unit/net/peer.py", dir, (char *)NULL);
    _exit(127);
}

int peer_start(void **state)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    int in[2];
    int out[2];
    char line[64];

    if (peer == NULL || pipe(in) != 0 || pipe(out) != 0) {
        return -1;
    }
    (void)snprintf(peer->dir, sizeof(peer->dir), "/tmp/clm-net-XXXXXX");
    if (mkdtemp(peer->dir) == NULL) {
        return -1;
    }
    peer->pid = fork();
    if (peer->pid == 0) {
        exec_peer(peer->dir, in, out);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    peer->input = in[1];
    FILE *lines = fdopen(out[0], "r");
    while (lines != NULL && peer->n < 32 && fgets(line, sizeof(line), lines) != NULL) {
        char *space = strchr(line, ' ');
        if (space == NULL) {
            break;
        }
        *space = '\0';
        (void)snprintf(peer->names[peer->n], sizeof(peer->names[0]), "%.15s", line);
        peer->ports[peer->n] = (uint16_t)strtoul(space + 1, NULL, 10);
        peer->n++;
        if (strcmp(line, "ready") == 0) {
            (void)fclose(lines);
            *state = peer;
            return 0;
        }
    }
    return -1;
}

int peer_stop(void **state)
{
    struct peer *peer = *state;
    int status = 0;

    (void)close(peer->input);
    (void)waitpid(peer->pid, &status, 0);
    free(peer);
    return 0;
}

uint16_t peer_port(const struct peer *peer, const char *name)
{
    for (size_t i = 0; i < peer->n; i++) {
        if (strcmp(peer->names[i], name) == 0) {
            return peer->ports[i];
        }
    }
    fail_msg("no peer '%s'", name);
    return 0;
}

void peer_read(const struct peer *peer, const char *name, struct clm_buf *out)
{
    char path[128];
    char block[4096];
    size_t got = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", peer->dir, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        assert_int_equal(clm_buf_add(out, block, got, NULL), CLM_OK);
    }
    (void)fclose(file);
}

uint16_t peer_closed_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &len), 0);
    (void)close(fd);
    return ntohs(bound.sin_port);
}
