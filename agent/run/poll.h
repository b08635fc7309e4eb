/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll - the heartbeat: what is said, what is learnt from the answer, when to ask again
 *
 * protocol.md 7.6 and 12.1. Pure but for the files of records and of its own state.
 */
#ifndef CLM_RUN_POLL_H
#define CLM_RUN_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/run/backoff.h"
#include "agent/run/inventory.h"
#include "config/config.h"

#define CLM_POLL_FLOOR_MS     2000 /* between two polls; protocol.md 7.6 rule 7 */
#define CLM_POLL_IDLE_S       60   /* "poll at once" from a server that holds no request */
#define CLM_POLL_SLOW_S       3600 /* disabled, unknown, suspected: protocol.md 7.14 */
#define CLM_POLL_SEQ_STEP     100  /* the sequence is persisted this far ahead; 7.6 */
#define CLM_POLL_LEASE_WAIT_S 30   /* held at most, with leases to renew (ttl / 3 is 40) */
#define CLM_POLL_MARGIN_S     25   /* the exchange may take this much longer; 18.1 */

/* Persisted in <state_dir>/net/poll.json. */
struct clm_poll_state {
    int64_t seq;
    int64_t seq_saved; /* the file says at least this */
    int64_t cursor;
    uint32_t spread_s;   /* reconnect_spread_s */
    uint32_t wait_max_s; /* as the server allows; 0: not said yet */
    /* Not in the file: of the inventory that the newest poll spoke of. */
    char inventory_digest[CLM_DIGEST_TEXT_SIZE];
};

/* Missing or damaged: from the beginning. */
void clm_poll_load(const struct clm_config *config, struct clm_poll_state *out);
CLM_MUST_USE enum clm_code clm_poll_save(const struct clm_config *config,
                                         struct clm_poll_state *state, struct clm_err *err);

/* What the main process knows beside the files. */
struct clm_poll_facts {
    const char *boot_id;
    unsigned slots_free;
    double skew_s;
};

/* The body of a poll; raises state->seq. The caller's. out_leases: how many it renews. */
struct clm_json *clm_poll_body(const struct clm_config *config, struct clm_poll_state *state,
                               const struct clm_poll_facts *facts, size_t *out_leases);
/* Seconds to ask the server to hold the request. */
uint32_t clm_poll_wait_s(const struct clm_config *config, const struct clm_poll_state *state,
                         size_t leases);

struct clm_poll_orders {
    bool renew_identity;
    bool scan; /* the control plane does not have our inventory */
    bool has_next_poll;
    uint32_t next_poll_s;
    char update_available[32];
    unsigned n_new; /* jobs taken on */
};

/* One job the control plane wants stopped. */
typedef void (*clm_poll_stop_fn)(void *arg, const char *job_id, bool is_lost);

/*
 * clm_poll_apply() - the answer 200
 *
 * In      has_room  whether new jobs may be taken on
 * Out     out       overwritten
 * Effect  new jobs have durable records on return; state is changed, not saved
 * Errors  PARSE the answer as a whole makes no sense; a single bad offer is logged and left
 */
CLM_MUST_USE enum clm_code clm_poll_apply(const struct clm_config *config,
                                          struct clm_poll_state *state,
                                          const struct clm_json *answer, bool has_room,
                                          struct clm_poll_orders *out, struct clm_err *err);
/* The cancels and lost leases of the same answer. */
void clm_poll_stops(const struct clm_json *answer, clm_poll_stop_fn stop, void *arg);

/* Milliseconds to wait before the next poll. next_ms: as clm_backoff_ok() says; wait_s: the server
 * was asked to hold the last poll that long; took_ms: since its start. */
int64_t clm_poll_delay_ms(const struct clm_config *config, uint32_t next_ms, uint32_t wait_s,
                          int64_t took_ms);

#endif
