/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiting - clients that have connected and are not served yet
 *
 * One is served at a time, and a taken-over network half may come as often as it likes: root, and
 * the host half's own user, are served first, and never find the queue full.
 */
#ifndef CLM_IPC_WAITING_H
#define CLM_IPC_WAITING_H

#include <stdbool.h>
#include <stddef.h>

#define CLM_WAITING_MAX 64

/* Zero-initialise it. */
struct clm_waiting {
    struct {
        int fd;
        bool is_root;
    } client[CLM_WAITING_MAX]; /* oldest first */
    size_t n;
};
void clm_waiting_done(struct clm_waiting *waiting); /* hangs up on all */

/* Takes in who has connected meanwhile, without waiting. If there is no room, those go who have hung up;
 * is there still none, who came last; for root the last one who is not root. */
void clm_waiting_take(struct clm_waiting *waiting, int listen_fd);
bool clm_waiting_has_root(const struct clm_waiting *waiting);
/* Whose turn it is; the caller's to close. -1: nobody waits. */
int clm_waiting_next(struct clm_waiting *waiting);

#endif
