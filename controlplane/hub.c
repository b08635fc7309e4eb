/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/hub.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct clm_cp_hub {
    pthread_mutex_t lock;
    clm_cp_hub_fn suspend;
    clm_cp_hub_fn resume;
    struct clm_cp_waiter *first;
    uint64_t epoch;
    bool is_closed;
};

enum clm_code clm_cp_hub_new(clm_cp_hub_fn suspend, clm_cp_hub_fn resume,
                             struct clm_cp_hub **out_hub, struct clm_err *err)
{
    struct clm_cp_hub *hub = calloc(1, sizeof(*hub));

    if (hub == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "hub of held requests");
    }
    (void)pthread_mutex_init(&hub->lock, NULL);
    hub->suspend = suspend;
    hub->resume = resume;
    *out_hub = hub;
    return CLM_OK;
}

void clm_cp_hub_free(struct clm_cp_hub *hub)
{
    if (hub != NULL) {
        (void)pthread_mutex_destroy(&hub->lock);
        free(hub);
    }
}

static void release(struct clm_cp_hub *hub, struct clm_cp_waiter *waiter)
{
    if (waiter->prev != NULL) {
        waiter->prev->next = waiter->next;
    } else {
        hub->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->prev = waiter->prev;
    }
    waiter->prev = NULL;
    waiter->next = NULL;
    hub->resume(waiter->connection); /* from here on the waiter may be gone */
}

uint64_t clm_cp_hub_epoch(struct clm_cp_hub *hub)
{
    (void)pthread_mutex_lock(&hub->lock);
    uint64_t epoch = hub->epoch;

    (void)pthread_mutex_unlock(&hub->lock);
    return epoch;
}

bool clm_cp_hub_park(struct clm_cp_hub *hub, struct clm_cp_waiter *waiter, uint64_t epoch)
{
    (void)pthread_mutex_lock(&hub->lock);
    bool parked = !hub->is_closed && hub->epoch == epoch;

    if (parked) {
        waiter->superseded = false;
        waiter->prev = NULL;
        waiter->next = hub->first;
        if (hub->first != NULL) {
            hub->first->prev = waiter;
        }
        hub->first = waiter;
        hub->suspend(waiter->connection);
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return parked;
}

void clm_cp_hub_wake(struct clm_cp_hub *hub, const char *topic)
{
    (void)pthread_mutex_lock(&hub->lock);
    hub->epoch++;
    struct clm_cp_waiter *next = NULL;

    for (struct clm_cp_waiter *w = hub->first; w != NULL; w = next) {
        next = w->next;
        if (strcmp(w->topic, topic) == 0) {
            release(hub, w);
        }
    }
    (void)pthread_mutex_unlock(&hub->lock);
}

void clm_cp_hub_supersede(struct clm_cp_hub *hub, const char *topic, const char *owner)
{
    (void)pthread_mutex_lock(&hub->lock);
    struct clm_cp_waiter *next = NULL;

    for (struct clm_cp_waiter *w = hub->first; w != NULL; w = next) {
        next = w->next;
        if (strcmp(w->topic, topic) == 0 && strcmp(w->owner, owner) == 0) {
            w->superseded = true;
            release(hub, w);
        }
    }
    (void)pthread_mutex_unlock(&hub->lock);
}

int64_t clm_cp_hub_expire(struct clm_cp_hub *hub, int64_t now_ms)
{
    int64_t earliest = INT64_MAX;

    (void)pthread_mutex_lock(&hub->lock);
    struct clm_cp_waiter *next = NULL;

    for (struct clm_cp_waiter *w = hub->first; w != NULL; w = next) {
        next = w->next;
        if (w->deadline_ms <= now_ms) {
            release(hub, w);
        } else if (w->deadline_ms < earliest) {
            earliest = w->deadline_ms;
        }
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return earliest;
}

void clm_cp_hub_close(struct clm_cp_hub *hub)
{
    (void)pthread_mutex_lock(&hub->lock);
    hub->is_closed = true;
    while (hub->first != NULL) {
        release(hub, hub->first);
    }
    (void)pthread_mutex_unlock(&hub->lock);
}

bool clm_cp_hub_is_closed(struct clm_cp_hub *hub)
{
    (void)pthread_mutex_lock(&hub->lock);
    bool is_closed = hub->is_closed;

    (void)pthread_mutex_unlock(&hub->lock);
    return is_closed;
}
