/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/sender.h"

#include <limits.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/rand.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define RETRY_CAP_S    300  /* protocol.md 9.4: full jitter, cap 5 min */
#define DISABLED_TRY_S 3600 /* protocol.md 7.14 */

static uint32_t retry_delay_s(const struct clm_spool_entry *entry, const struct clm_err *why,
                              const struct clm_api_response *answer)
{
    uint32_t shift = entry->attempts < 9 ? entry->attempts : 9;
    uint32_t top_s = 1u << shift;

    if (strcmp(answer->problem, "agent-disabled") == 0) {
        return DISABLED_TRY_S;
    }
    top_s = top_s > RETRY_CAP_S ? RETRY_CAP_S : top_s;
    uint32_t delay_s = 1 + clm_rand_below(top_s);
    if (why->retry_after_s > delay_s) {
        delay_s = why->retry_after_s > 3600 ? 3600 : why->retry_after_s;
        delay_s += clm_rand_below(delay_s / 2 + 1);
    }
    return delay_s;
}

/* True with a verdict if the message has come to its end; false: try again later. */
static bool judge(enum clm_code code, const struct clm_api_response *answer,
                  enum clm_spool_verdict *out)
{
    *out = CLM_SPOOL_DELIVERED;
    if (code == CLM_OK) {
        return true;
    }
    if (code == CLM_E_AUTH || clm_api_may_retry(code, answer) || answer->status == 0 ||
        strcmp(answer->problem, "agent-disabled") == 0 ||
        strcmp(answer->problem, "agent-pending") == 0) {
        return false;
    }
    bool is_superseded = answer->status == 404 || answer->status == 410 || answer->status == 409;
    *out = is_superseded ? CLM_SPOOL_ARCHIVED : CLM_SPOOL_DEAD;
    return true;
}

static enum clm_code archive_job(const struct clm_config *config,
                                 const struct clm_spool_entry *entry, struct clm_err *err)
{
    struct clm_record record;

    if (entry->class_no != CLM_SPOOL_RESULT || entry->job_id[0] == '\0') {
        return CLM_OK;
    }
    enum clm_code code = clm_record_load(config, entry->job_id, &record, err);
    if (code == CLM_OK && strcmp(clm_record_text(&record, "state"), "done") == 0) {
        code = clm_record_archive(config, &record, err);
    }
    clm_record_done(&record);
    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

static enum clm_code settle(const struct clm_config *config, const char *spool,
                            const struct clm_spool_entry *entry, enum clm_spool_verdict verdict,
                            struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (verdict != CLM_SPOOL_DELIVERED) {
        clm_log_warning("message %s of job '%s' is not wanted by the control plane; kept in "
                        "spool/%s",
                        entry->path, entry->job_id, verdict == CLM_SPOOL_DEAD ? "dead" : "archive");
    } else if (entry->class_no == CLM_SPOOL_INVENTORY) {
        const char *digest = clm_json_text(clm_json_get(entry->body, "digest"));

        code = clm_inventory_sent(config, digest == NULL ? "" : digest, err);
    }
    if (code == CLM_OK) {
        code = clm_spool_finish(spool, entry, verdict, err);
    }
    return code == CLM_OK ? archive_job(config, entry, err) : code;
}

static enum clm_code send_one(const struct clm_config *config, struct clm_api *api,
                              const char *spool, const struct clm_spool_entry *entry,
                              struct clm_err *err)
{
    struct clm_err why = {0};
    struct clm_api_response answer;
    enum clm_spool_verdict verdict;
    const struct clm_api_request request = {
        .method = entry->method,
        .path = entry->path,
        .body = entry->body,
        .idempotency_key = strcmp(entry->method, "POST") == 0 ? entry->idempotency_key : NULL,
        .timeout_ms = 60000};

    enum clm_code sent = clm_api_call(api, &request, &answer, &why);
    enum clm_code code;
    if (judge(sent, &answer, &verdict)) {
        code = settle(config, spool, entry, verdict, err);
    } else {
        int64_t next_s = clm_clock_now_s() + retry_delay_s(entry, &why, &answer);

        code = clm_spool_defer(spool, entry, next_s, err);
        if (code == CLM_OK) {
            (void)clm_err_set(err, sent, "%s", why.msg);
            code = sent;
        }
    }
    clm_api_response_done(&answer);
    return code;
}

enum clm_code clm_sender_drain(const struct clm_config *config, struct clm_api *api,
                               const char *only_job, struct clm_err *err)
{
    char spool[PATH_MAX];

    enum clm_code code = clm_net_path(config, spool, err, "spool");
    for (int i = 0; code == CLM_OK && i < CLM_SENDER_BATCH_MAX; i++) {
        struct clm_spool_entry entry;
        int64_t wait_s = -1;

        code = clm_spool_next(spool, clm_clock_now_s(), only_job, &entry, &wait_s, err);
        if (code == CLM_OK && wait_s == 0) {
            if (i >= CLM_SENDER_FAST) {
                clm_clock_sleep_ms(CLM_SENDER_PAUSE_MS);
            }
            code = send_one(config, api, spool, &entry, err);
        }
        clm_spool_entry_done(&entry);
        if (wait_s != 0) {
            break;
        }
    }
    return code;
}
