/* SPDX-License-Identifier: Apache-2.0 */
/* All jobs of the ledger together: how many there were of a kind, and which are dropped. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/host/ledger.h"
#include "agent/model/job.h"

static const char suffix[] = ".json";

/* "job_01ABC.json" -> "job_01ABC"; false for other names. */
static bool id_of(const char *name, char job_id[CLM_ID_SIZE])
{
    size_t len = strlen(name);

    if (!clm_str_ends(name, suffix) || len - strlen(suffix) >= CLM_ID_SIZE) {
        return false;
    }
    len -= strlen(suffix);
    memcpy(job_id, name, len);
    job_id[len] = '\0';
    return clm_id_is_valid("job", job_id);
}

static enum clm_code list(const char *dir, clm_fs_list_fn visit, void *arg, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/jobs", dir);

    return code == CLM_OK ? clm_fs_list(path, visit, arg, err) : code;
}

/* ---- counting ---- */

struct count {
    const char *dir;
    const char *type;
    const char *target; /* NULL: any */
    int64_t since_s;
    int64_t n;
};

static bool is_member(const struct clm_json *payload, const char *key, const char *wanted)
{
    const char *have = clm_json_text(clm_json_get(payload, key));

    return have != NULL && strcmp(have, wanted) == 0;
}

/* A record that cannot be read limits nothing; without memory nothing is accepted. */
static enum clm_code count_one(void *arg, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = NULL;
    CLM_CLEANUP(clm_job_record_done) struct clm_job_record record = {0};
    struct count *count = arg;
    char job_id[CLM_ID_SIZE];
    struct clm_err why = {0};
    enum clm_code code;

    if (!id_of(name, job_id)) {
        return CLM_OK;
    }
    code = clm_ledger_job_get(count->dir, job_id, &record, &why);
    if (code == CLM_OK && record.accepted_at_s >= count->since_s) {
        code = clm_json_parse(record.payload, strlen(record.payload), CLM_JOB_PAYLOAD_MAX, &payload,
                              &why);
    }
    count->n += is_member(payload, "type", count->type) &&
                (count->target == NULL || is_member(payload, "target", count->target));
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

enum clm_code clm_ledger_count(const char *dir, const char *type, const char *target,
                               int64_t since_s, int64_t *out_n, struct clm_err *err)
{
    struct count count = {.dir = dir, .type = type, .target = target, .since_s = since_s};
    enum clm_code code = list(dir, count_one, &count, err);

    *out_n = count.n;
    return code;
}

/* ---- dropping ---- */

static enum clm_code note_name(void *arg, const char *name, struct clm_err *err)
{
    char job_id[CLM_ID_SIZE];

    return id_of(name, job_id) ? clm_strs_add(arg, job_id, err) : CLM_OK;
}

struct aged {
    const char *job_id; /* of the list of ids */
    int64_t accepted_at_s;
};

/* The job id only breaks ties: whoever makes jobs chooses it. */
static int by_age(const void *a, const void *b)
{
    const struct aged *one = a;
    const struct aged *two = b;

    if (one->accepted_at_s != two->accepted_at_s) {
        return one->accepted_at_s < two->accepted_at_s ? -1 : 1;
    }
    return strcmp(one->job_id, two->job_id);
}

/* The jobs that are over; no others are dropped. A damaged record is none of them. */
static enum clm_code find_finished(const char *dir, const struct clm_strs *ids, struct aged *out,
                                   size_t *out_n, struct clm_err *err)
{
    for (size_t i = 0; i < ids->n; i++) {
        CLM_CLEANUP(clm_job_record_done) struct clm_job_record record = {0};
        struct clm_err why = {0};
        enum clm_code code = clm_ledger_job_get(dir, ids->v[i], &record, &why);

        if (code == CLM_E_NOMEM) {
            return clm_err_set(err, code, "%s", why.msg);
        }
        if (code == CLM_OK && record.result != NULL) {
            out[(*out_n)++] = (struct aged){ids->v[i], record.accepted_at_s};
        }
    }
    return CLM_OK;
}

/* Is it the job that may come again with its number? True too if nobody can tell. Only NOMEM. */
static enum clm_code is_last(const char *dir, const char *job_id, bool *out_last,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = NULL;
    CLM_CLEANUP(clm_job_record_done) struct clm_job_record record = {0};
    const char *agent_id = NULL;
    const char *target = NULL;
    char last_job[CLM_ID_SIZE];
    int64_t seq = 0;
    struct clm_err why = {0};
    enum clm_code code = clm_ledger_job_get(dir, job_id, &record, &why);

    if (code == CLM_OK) {
        code = clm_json_parse(record.payload, strlen(record.payload), CLM_JOB_PAYLOAD_MAX, &payload,
                              &why);
    }
    if (code == CLM_OK) {
        code = clm_json_str(payload, "agent_id", CLM_ID_SIZE - 1, &agent_id, &why);
    }
    if (code == CLM_OK) {
        code = clm_json_str(payload, "target", CLM_TARGET_ID_SIZE - 1, &target, &why);
    }
    if (code == CLM_OK) {
        code = clm_ledger_seq_get(dir, agent_id, target, &seq, last_job, &why);
    }
    *out_last = code != CLM_OK || strcmp(last_job, job_id) == 0;
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

static enum clm_code drop_unless_last(const char *dir, const char *job_id, size_t *io_excess,
                                      struct clm_err *err)
{
    char path[PATH_MAX];
    bool last = true;
    enum clm_code code = is_last(dir, job_id, &last, err);

    if (last) {
        return code;
    }
    code = clm_str_fmt(path, sizeof(path), err, "%s/jobs/%s%s", dir, job_id, suffix);
    if (code == CLM_OK) {
        code = clm_fs_unlink(path, err);
    }
    *io_excess -= code == CLM_OK;
    return code;
}

static enum clm_code drop_oldest(const char *dir, const struct clm_strs *ids, size_t excess,
                                 int64_t before_s, struct clm_err *err)
{
    struct aged *jobs = calloc(ids->n, sizeof(*jobs));
    size_t n = 0;
    enum clm_code code;

    if (jobs == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "jobs of the ledger");
    }
    code = find_finished(dir, ids, jobs, &n, err);
    qsort(jobs, n, sizeof(*jobs), by_age);
    for (size_t i = 0; code == CLM_OK && excess > 0 && i < n && jobs[i].accepted_at_s < before_s;
         i++) {
        code = drop_unless_last(dir, jobs[i].job_id, &excess, err);
    }
    free(jobs);
    return code;
}

enum clm_code clm_ledger_trim(const char *dir, size_t max, int64_t now_s, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    enum clm_code code = list(dir, note_name, &ids, err);

    if (code != CLM_OK || ids.n <= max) {
        return code;
    }
    return drop_oldest(dir, &ids, ids.n - max, now_s - CLM_LEDGER_DAY_S, err);
}
