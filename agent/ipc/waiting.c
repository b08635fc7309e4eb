/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4, struct ucred, POLLRDHUP */
#include "agent/ipc/waiting.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void clm_waiting_done(struct clm_waiting *waiting)
{
    while (waiting->n > 0) {
        (void)close(waiting->client[--waiting->n].fd);
    }
}

static int take_out(struct clm_waiting *waiting, size_t i)
{
    int fd = waiting->client[i].fd;

    waiting->n--;
    memmove(&waiting->client[i], &waiting->client[i + 1],
            (waiting->n - i) * sizeof(waiting->client[0]));
    return fd;
}

/* Those who have gone meanwhile wait for nothing. */
static void send_away_who_hung_up(struct clm_waiting *waiting)
{
    for (size_t i = waiting->n; i > 0; i--) {
        struct pollfd p = {.fd = waiting->client[i - 1].fd, .events = POLLRDHUP};

        if (poll(&p, 1, 0) == 1) {
            (void)close(take_out(waiting, i - 1));
        }
    }
}

static void send_away_last_but_root(struct clm_waiting *waiting)
{
    for (size_t i = waiting->n; i > 0; i--) {
        if (!waiting->client[i - 1].is_root) {
            (void)close(take_out(waiting, i - 1));
            return;
        }
    }
}

/* False: there is no room for this one. */
static bool make_room(struct clm_waiting *waiting, bool for_root)
{
    if (waiting->n == CLM_WAITING_MAX) {
        send_away_who_hung_up(waiting);
    }
    if (waiting->n == CLM_WAITING_MAX && for_root) {
        send_away_last_but_root(waiting);
    }
    return waiting->n < CLM_WAITING_MAX;
}

static bool is_roots(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
           (cred.uid == 0 || cred.uid == geteuid());
}

void clm_waiting_take(struct clm_waiting *waiting, int listen_fd)
{
    struct pollfd p = {.fd = listen_fd, .events = POLLIN};

    while (poll(&p, 1, 0) == 1) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        bool is_root = fd >= 0 && is_roots(fd);

        if (fd < 0) {
            return; /* told by the accept that waits */
        }
        if (!make_room(waiting, is_root)) {
            (void)close(fd);
            continue;
        }
        waiting->client[waiting->n].fd = fd;
        waiting->client[waiting->n++].is_root = is_root;
    }
}

bool clm_waiting_has_root(const struct clm_waiting *waiting)
{
    for (size_t i = 0; i < waiting->n; i++) {
        if (waiting->client[i].is_root) {
            return true;
        }
    }
    return false;
}

int clm_waiting_next(struct clm_waiting *waiting)
{
    for (size_t i = 0; i < waiting->n; i++) {
        if (waiting->client[i].is_root) {
            return take_out(waiting, i);
        }
    }
    return waiting->n > 0 ? take_out(waiting, 0) : -1;
}
