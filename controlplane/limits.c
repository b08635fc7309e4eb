/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/limits.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 48
#define PROBES         8 /* places looked at for one name */
#define MINUTE_MS      60000

struct bucket {
    char name[NAME_MAX_BYTES];
    int64_t debt_ms; /* time until the bucket is full again, counted from at_ms */
    int64_t at_ms;
};

struct clm_cp_limits {
    struct bucket buckets[CLM_CP_BUCKETS];
};

enum clm_code clm_cp_limits_new(struct clm_cp_limits **out_limits, struct clm_err *err)
{
    *out_limits = calloc(1, sizeof(**out_limits));
    return *out_limits != NULL ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "table of rate limits");
}

void clm_cp_limits_free(struct clm_cp_limits *limits)
{
    free(limits);
}

static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (const char *p = name; *p != '\0'; p++) {
        h = (h ^ (uint8_t)*p) * 16777619u;
    }
    return h;
}

static int64_t debt_now(const struct bucket *bucket, int64_t now_ms)
{
    int64_t debt = bucket->debt_ms - (now_ms - bucket->at_ms);

    return debt > 0 ? debt : 0;
}

/* The bucket of that name, or the one among its places that is nearest to full. */
static struct bucket *find(struct clm_cp_limits *limits, const char *name, int64_t now_ms)
{
    struct bucket *best = NULL;
    uint32_t start = hash(name);

    for (uint32_t i = 0; i < PROBES; i++) {
        struct bucket *bucket = &limits->buckets[(start + i) & (CLM_CP_BUCKETS - 1)];

        if (strncmp(bucket->name, name, sizeof(bucket->name) - 1) == 0) {
            return bucket;
        }
        if (best == NULL || debt_now(bucket, now_ms) < debt_now(best, now_ms)) {
            best = bucket;
        }
    }
    (void)snprintf(best->name, sizeof(best->name), "%s", name);
    return best;
}

uint32_t clm_cp_limits_take(struct clm_cp_limits *limits, const char *name, int64_t per_min,
                            int64_t burst, int64_t now_ms)
{
    struct bucket *bucket = find(limits, name, now_ms);
    int64_t cost_ms = MINUTE_MS / per_min;
    int64_t debt_ms = debt_now(bucket, now_ms);
    int64_t over_ms = debt_ms + cost_ms - burst * cost_ms;

    if (over_ms > 0) {
        return (uint32_t)((over_ms + 999) / 1000);
    }
    bucket->debt_ms = debt_ms + cost_ms;
    bucket->at_ms = now_ms;
    return 0;
}
