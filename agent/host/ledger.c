/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/ledger.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/model/job.h"

#define RECORD_MAX 524288u /* a payload of 64 KiB escaped, and a result */
#define SEQ_MAX    1048576u
#define PATHS_MAX  1000

static enum clm_code read_json(const char *path, size_t max, struct clm_json **out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(max);
    enum clm_code code = clm_fs_read(path, max, &text, err);

    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&text), text.len, max, out, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "'%s'", path);
}

static enum clm_code write_json(const char *path, const struct clm_json *root, size_t max,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(max);
    enum clm_code code = clm_json_print(root, false, &text, err);

    return code == CLM_OK ? clm_fs_replace(path, text.data, text.len, 0600, err) : code;
}

/* ---- jobs ---- */

void clm_job_record_done(struct clm_job_record *record)
{
    free(record->payload);
    clm_json_free(record->result);
    *record = (struct clm_job_record){0};
}

static enum clm_code job_path(const char *dir, const char *job_id, char *dst, struct clm_err *err)
{
    if (!clm_id_is_valid("job", job_id)) {
        return clm_err_set(err, CLM_E_INVAL, "job id '%.40s' is malformed", job_id);
    }
    return clm_str_fmt(dst, PATH_MAX, err, "%s/jobs/%s.json", dir, job_id);
}

static enum clm_code job_from_json(const struct clm_json *root, struct clm_job_record *out,
                                   struct clm_err *err)
{
    const struct clm_json *result = clm_json_get(root, "result");
    const char *payload;
    const char *sha256;
    enum clm_code code = clm_json_int(root, "accepted_at", 0, INT64_MAX, &out->accepted_at_s, err);

    if (code == CLM_OK) {
        code = clm_json_str(root, "payload", CLM_JOB_PAYLOAD_MAX, &payload, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(root, "bundle", sizeof(out->bundle_sha256) - 1, "", &sha256, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool_or(root, "started", &out->is_started, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    memcpy(out->bundle_sha256, sha256, strlen(sha256) + 1);
    out->payload = strdup(payload);
    if (out->payload == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "job record");
    }
    if (result != NULL) {
        out->result = clm_json_new_object();
        clm_json_set_copy(out->result, "result", result);
    }
    return CLM_OK;
}

enum clm_code clm_ledger_job_get(const char *dir, const char *job_id, struct clm_job_record *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    char path[PATH_MAX];
    enum clm_code code = job_path(dir, job_id, path, err);

    *out = (struct clm_job_record){0};
    if (code == CLM_OK) {
        code = read_json(path, RECORD_MAX, &root, err);
    }
    if (code == CLM_OK) {
        code = job_from_json(root, out, err);
    }
    if (code != CLM_OK) {
        clm_job_record_done(out);
        return code;
    }
    memcpy(out->job_id, job_id, strlen(job_id) + 1);
    return CLM_OK;
}

enum clm_code clm_ledger_job_put(const char *dir, const struct clm_job_record *record,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    char path[PATH_MAX];
    enum clm_code code = job_path(dir, record->job_id, path, err);

    clm_json_set_int(root, "accepted_at", record->accepted_at_s);
    clm_json_set_str(root, "payload", record->payload);
    clm_json_set_str(root, "bundle", record->bundle_sha256);
    clm_json_set_bool(root, "started", record->is_started);
    clm_json_set_copy(root, "result", clm_json_get(record->result, "result"));
    return code == CLM_OK ? write_json(path, root, RECORD_MAX, err) : code;
}

/* ---- sequence numbers ---- */

static bool is_of(const struct clm_json *entry, const char *agent_id)
{
    const char *owner = clm_json_text(clm_json_get(entry, "agent"));

    return owner == NULL || strcmp(owner, agent_id) == 0;
}

enum clm_code clm_ledger_seq_get(const char *dir, const char *agent_id, const char *target,
                                 int64_t *out_seq, char job_id[CLM_ID_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    const struct clm_json *entry;
    const char *id = "";
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/seq.json", dir);

    *out_seq = 0;
    job_id[0] = '\0';
    if (code == CLM_OK) {
        code = read_json(path, SEQ_MAX, &root, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    entry = clm_json_get(root, target);
    if (code != CLM_OK || entry == NULL || !is_of(entry, agent_id)) {
        return code;
    }
    code = clm_json_int(entry, "seq", 0, CLM_JSON_INT_MAX, out_seq, err);
    if (code == CLM_OK) {
        code = clm_json_str(entry, "job_id", CLM_ID_SIZE - 1, &id, err);
    }
    memcpy(job_id, id, strlen(id) + 1); /* "" after an error */
    return code;
}

enum clm_code clm_ledger_seq_put(const char *dir, const char *agent_id, const char *target,
                                 int64_t seq, const char *job_id, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    struct clm_json *entry;
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/seq.json", dir);

    if (code == CLM_OK) {
        code = read_json(path, SEQ_MAX, &root, err);
    }
    if (code == CLM_E_NOTFOUND) {
        root = clm_json_new_object();
    } else if (code != CLM_OK) {
        return code;
    }
    clm_json_remove(root, target);
    entry = clm_json_set_object(root, target);
    clm_json_set_int(entry, "seq", seq);
    clm_json_set_str(entry, "job_id", job_id);
    clm_json_set_str(entry, "agent", agent_id);
    return write_json(path, root, SEQ_MAX, err);
}

/* ---- validation files ---- */

void clm_dcv_record_done(struct clm_dcv_record *record)
{
    for (size_t i = 0; i < record->n_roots; i++) {
        clm_strs_done(&record->roots[i].made);
    }
    free(record->roots);
    *record = (struct clm_dcv_record){0};
}

struct clm_dcv_made *clm_dcv_record_root(struct clm_dcv_record *record, const char *root)
{
    struct clm_dcv_made *roots;

    for (size_t i = 0; i < record->n_roots; i++) {
        if (strcmp(record->roots[i].root, root) == 0) {
            return &record->roots[i];
        }
    }
    roots = realloc(record->roots, (record->n_roots + 1) * sizeof(*roots));
    if (roots == NULL) {
        return NULL;
    }
    record->roots = roots;
    roots += record->n_roots;
    *roots = (struct clm_dcv_made){0};
    assert(strlen(root) < sizeof(roots->root));
    memcpy(roots->root, root, strlen(root) + 1);
    record->n_roots++;
    return roots;
}

static enum clm_code dcv_path(const char *dir, const char *order_id, char *dst, struct clm_err *err)
{
    if (!clm_id_is_valid("ord", order_id)) {
        return clm_err_set(err, CLM_E_INVAL, "order id '%.40s' is malformed", order_id);
    }
    return clm_str_fmt(dst, PATH_MAX, err, "%s/dcv/%s.json", dir, order_id);
}

static enum clm_code read_root(const struct clm_json *obj, struct clm_dcv_record *out,
                               struct clm_err *err)
{
    struct clm_dcv_made *made;
    const struct clm_json *paths;
    const char *root;
    enum clm_code code = clm_json_str(obj, "root", PATH_MAX - 1, &root, err);

    if (code == CLM_OK) {
        code = clm_json_array(obj, "made", PATHS_MAX, &paths, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    made = clm_dcv_record_root(out, root);
    if (made == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "record of validation files");
    }
    for (const struct clm_json *at = clm_json_first(paths); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        const char *path = clm_json_text(at);

        code = path == NULL ? clm_err_set(err, CLM_E_PARSE, "record of validation files: no path")
                            : clm_strs_add(&made->made, path, err);
    }
    return code;
}

enum clm_code clm_ledger_dcv_get(const char *dir, const char *order_id, struct clm_dcv_record *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    char path[PATH_MAX];
    enum clm_code code = dcv_path(dir, order_id, path, err);

    *out = (struct clm_dcv_record){0};
    if (code == CLM_OK) {
        code = read_json(path, RECORD_MAX, &root, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    for (const struct clm_json *at = clm_json_first(clm_json_get(root, "roots"));
         code == CLM_OK && at != NULL; at = clm_json_next(at)) {
        code = read_root(at, out, err);
    }
    if (code != CLM_OK) {
        clm_dcv_record_done(out);
    }
    return code;
}

enum clm_code clm_ledger_dcv_put(const char *dir, const char *order_id,
                                 const struct clm_dcv_record *record, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    struct clm_json *roots = clm_json_set_array(root, "roots");
    char path[PATH_MAX];
    size_t n = 0;
    enum clm_code code = dcv_path(dir, order_id, path, err);

    for (size_t i = 0; i < record->n_roots; i++) {
        struct clm_json *one = clm_json_add_object(roots);
        struct clm_json *made = clm_json_set_array(one, "made");

        if (record->roots[i].made.n > PATHS_MAX) { /* it could not be read again */
            return clm_err_set(err, CLM_E_LIMIT, "more than %d validation files of one order",
                               PATHS_MAX);
        }
        clm_json_set_str(one, "root", record->roots[i].root);
        for (size_t k = 0; k < record->roots[i].made.n; k++) {
            clm_json_add_str(made, record->roots[i].made.v[k]);
            n++;
        }
    }
    if (code != CLM_OK) {
        return code;
    }
    return n == 0 ? clm_fs_unlink(path, err) : write_json(path, root, RECORD_MAX, err);
}
