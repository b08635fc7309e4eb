/* SPDX-License-Identifier: Apache-2.0 */
/* Targets whose new certificate waits for a restart: what they are is seen in handshakes, never
 * believed because a transaction once said so. */
#include <string.h>

#include "agent/host/internal.h"

/* The newest transaction of the target, if it left the target waiting; the caller's to free. */
static struct clm_json *find_waiting(struct clm_host *host, const char *target)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *list = clm_json_new_array();
    const struct clm_json *last;
    const char *result;
    struct clm_json *copy;

    if (clm_store_history_list(host->store, target, 1, list, NULL) != CLM_OK) {
        return NULL;
    }
    last = clm_json_first(list);
    result = clm_json_text(clm_json_get(last, "result"));
    if (result == NULL || strcmp(result, clm_txn_result_name(CLM_TXN_WAITING)) != 0) {
        return NULL;
    }
    copy = clm_json_new_object();
    for (const struct clm_json *at = clm_json_first(last); at != NULL; at = clm_json_next(at)) {
        clm_json_set_copy(copy, clm_json_key(at), at);
    }
    return copy;
}

/* Every counted endpoint of the transaction shows the leaf that it left in the files. */
static bool is_served(const struct clm_host *host, const struct clm_json *txn)
{
    const char *want = clm_json_text(clm_json_get(txn, "after_sha256"));
    size_t n = 0;

    for (const struct clm_json *at = clm_json_first(clm_json_get(txn, "endpoints")); at != NULL;
         at = clm_json_next(at)) {
        struct clm_endpoint endpoint;
        struct clm_observation seen = {.at_ms = 0};
        bool is_counted = false;

        if (clm_json_bool(at, "counted", &is_counted, NULL) != CLM_OK || !is_counted) {
            continue;
        }
        memset(&endpoint, 0, sizeof(endpoint));
        if (want == NULL || clm_endpoint_from_json(at, &endpoint, NULL) != CLM_OK ||
            host->io->probe(host->io->ctx, &endpoint, &seen, NULL) != CLM_OK ||
            seen.result != CLM_PROBE_SERVED || strcmp(seen.leaf_sha256, want) != 0) {
            return false;
        }
        n++;
    }
    return n > 0;
}

/* History says when the restart was seen, so that nobody has to look again. */
static enum clm_code close_waiting(struct clm_host *host, const struct clm_json *txn,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = clm_json_new_object();

    for (const struct clm_json *at = clm_json_first(txn); at != NULL; at = clm_json_next(at)) {
        const char *key = clm_json_key(at);

        if (strcmp(key, "result") != 0 && strcmp(key, "proved") != 0 && strcmp(key, "at") != 0 &&
            strcmp(key, "steps") != 0) {
            clm_json_set_copy(entry, key, at);
        }
    }
    (void)clm_json_set_array(entry, "steps");
    clm_json_set_str(entry, "result", clm_txn_result_name(CLM_TXN_SUCCEEDED));
    clm_json_set_bool(entry, "proved", true);
    clm_json_set_int(entry, "at", host->io->now_s(host->io->ctx));
    return clm_store_history_add(host->store, entry, err);
}

bool clm_host_is_waiting(struct clm_host *host, const char *target)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *txn = find_waiting(host, target);

    if (txn == NULL) {
        return false;
    }
    if (!is_served(host, txn)) {
        return true;
    }
    clm_ignore(close_waiting(host, txn, NULL)); /* else it is seen again the next time */
    return false;
}
