/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub - requests that are held until something happens
 *
 * A held request costs one suspended connection and one list entry, no thread. Whoever commits a
 * change wakes its topic (an agent id, an order id, "events"); the request is then evaluated again
 * from the database. A wake between "evaluated" and "parked" is not lost: see epoch.
 */
#ifndef CLM_CONTROLPLANE_HUB_H
#define CLM_CONTROLPLANE_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

#define CLM_CP_TOPIC_SIZE 40 /* an id of 31 characters, or a word */

struct clm_cp_hub;

/* One held request; embedded in whatever represents the request. */
struct clm_cp_waiter {
    char topic[CLM_CP_TOPIC_SIZE];
    char owner[CLM_CP_TOPIC_SIZE]; /* at most one waiter per topic and owner; "": any number */
    int64_t deadline_ms;           /* clm_clock_mono_ms() */
    void *connection;              /* what suspend and resume are called with */
    bool superseded;               /* set when a newer request of the same owner came */
    struct clm_cp_waiter *prev;
    struct clm_cp_waiter *next;
};

/* Both are called with the hub's lock held and must not call the hub. */
typedef void (*clm_cp_hub_fn)(void *connection);

/* Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_cp_hub_new(clm_cp_hub_fn suspend, clm_cp_hub_fn resume,
                                          struct clm_cp_hub **out_hub, struct clm_err *err);
/* Accepts NULL. No waiter may be left: clm_cp_hub_close() first. */
void clm_cp_hub_free(struct clm_cp_hub *hub);

/* Counts wakes: read it before the state is evaluated, give it to clm_cp_hub_park(). */
uint64_t clm_cp_hub_epoch(struct clm_cp_hub *hub);
/* Suspends and holds the request. False, without effect, if anything was woken since epoch or the
 * hub is closed: evaluate again. */
bool clm_cp_hub_park(struct clm_cp_hub *hub, struct clm_cp_waiter *waiter, uint64_t epoch);
/* Resumes all that wait for topic. */
void clm_cp_hub_wake(struct clm_cp_hub *hub, const char *topic);
/* Releases the held request of this topic and owner with superseded = true. */
void clm_cp_hub_supersede(struct clm_cp_hub *hub, const char *topic, const char *owner);
/* Resumes all whose deadline is not after now; returns the earliest deadline left, or INT64_MAX. */
int64_t clm_cp_hub_expire(struct clm_cp_hub *hub, int64_t now_ms);
/* Resumes all; from now on nothing is held. */
void clm_cp_hub_close(struct clm_cp_hub *hub);
bool clm_cp_hub_is_closed(struct clm_cp_hub *hub);

#endif
