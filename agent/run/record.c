/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/model/target.h"
#include "agent/run/files.h"

void clm_record_done(struct clm_record *record)
{
    clm_json_free(record->root);
    record->root = NULL;
}

const char *clm_record_text(const struct clm_record *record, const char *key)
{
    const char *text = clm_json_text(clm_json_get(record->root, key));

    return text == NULL ? "" : text;
}

int64_t clm_record_int(const struct clm_record *record, const char *key)
{
    int64_t value = 0;

    if (clm_json_int_or(record->root, key, 0, CLM_JSON_INT_MAX, &value, NULL) != CLM_OK) {
        return 0;
    }
    return value;
}

static enum clm_code path_of(const struct clm_config *config, const char *sub, const char *job_id,
                             char *dst, struct clm_err *err)
{
    if (!clm_id_is_valid("job", job_id)) {
        return clm_err_set(err, CLM_E_INVAL, "'%.40s' is not a job id", job_id);
    }
    return clm_net_path(config, dst, err, "%s/%s.json", sub, job_id);
}

enum clm_code clm_record_from_offer(const struct clm_json *offer, struct clm_record *out,
                                    struct clm_err *err)
{
    const char *job_id = NULL;
    const char *type = NULL;
    const char *target = NULL;
    int64_t attempt = 1;
    int64_t priority = 50;

    *out = (struct clm_record){.root = NULL};
    enum clm_code code = clm_json_str(offer, "job_id", CLM_ID_SIZE - 1, &job_id, err);
    if (code == CLM_OK && !clm_id_is_valid("job", job_id)) {
        code = clm_err_set(err, CLM_E_PARSE, "job_id: not a job id");
    }
    if (code == CLM_OK) {
        code = clm_json_str(offer, "type", 32, &type, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(offer, "target", CLM_TARGET_ID_SIZE - 1, &target, err);
    }
    if (code == CLM_OK && !clm_target_id_is_valid(target)) {
        code = clm_err_set(err, CLM_E_PARSE, "target: not a target id");
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(offer, "attempt", 1, 1000, &attempt, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(offer, "priority", 0, 100, &priority, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->job_id, sizeof(out->job_id), job_id, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    out->root = clm_json_new_object();
    clm_json_set_int(out->root, "v", 1);
    clm_json_set_str(out->root, "job_id", job_id);
    clm_json_set_str(out->root, "type", type);
    clm_json_set_str(out->root, "target", target);
    clm_json_set_str(out->root, "state", "offered");
    clm_json_set_int(out->root, "attempt", attempt);
    clm_json_set_int(out->root, "priority", priority);
    if (clm_json_get(offer, "jws") != NULL) {
        clm_json_set_copy(out->root, "jws", clm_json_get(offer, "jws"));
    }
    return CLM_OK;
}

static enum clm_code load(const struct clm_config *config, const char *sub, const char *job_id,
                          struct clm_record *out, struct clm_err *err)
{
    char path[PATH_MAX];

    *out = (struct clm_record){.root = NULL};
    enum clm_code code = path_of(config, sub, job_id, path, err);
    if (code == CLM_OK) {
        code = clm_str_copy(out->job_id, sizeof(out->job_id), job_id, err);
    }
    if (code == CLM_OK) {
        code = clm_file_read_json(path, CLM_RECORD_MAX, &out->root, err);
    }
    return code;
}

enum clm_code clm_record_load(const struct clm_config *config, const char *job_id,
                              struct clm_record *out, struct clm_err *err)
{
    return load(config, "jobs", job_id, out, err);
}

enum clm_code clm_record_load_finished(const struct clm_config *config, const char *job_id,
                                       struct clm_record *out, struct clm_err *err)
{
    return load(config, "jobs/done", job_id, out, err);
}

enum clm_code clm_record_save(const struct clm_config *config, const struct clm_record *record,
                              struct clm_err *err)
{
    char path[PATH_MAX];

    enum clm_code code = path_of(config, "jobs", record->job_id, path, err);
    return code == CLM_OK ? clm_file_write_json(path, CLM_RECORD_MAX, record->root, err) : code;
}

/* ---- lists ---- */

static enum clm_code collect(void *arg, const char *name, struct clm_err *err)
{
    static const char suffix[] = ".json";
    char job_id[CLM_ID_SIZE];
    size_t len = strlen(name);

    if (!clm_str_ends(name, suffix) || len - (sizeof(suffix) - 1) >= sizeof(job_id)) {
        return CLM_OK;
    }
    len -= sizeof(suffix) - 1;
    memcpy(job_id, name, len);
    job_id[len] = '\0';
    return clm_id_is_valid("job", job_id) ? clm_strs_add(arg, job_id, err) : CLM_OK;
}

static int ascending(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;

    return strcmp(*left, *right);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

enum clm_code clm_record_list(const struct clm_config *config, bool finished, struct clm_strs *out,
                              struct clm_err *err)
{
    char path[PATH_MAX];

    enum clm_code code = clm_net_path(config, path, err, finished ? "jobs/done" : "jobs");
    if (code == CLM_OK) {
        code = clm_fs_list(path, collect, out, err);
    }
    if (code == CLM_OK && out->n > 1) {
        qsort(out->v, out->n, sizeof(out->v[0]), finished ? descending : ascending);
    }
    return code;
}

/* ---- the end ---- */

static enum clm_code prune(const struct clm_config *config, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    char path[PATH_MAX];

    enum clm_code code = clm_record_list(config, true, &ids, err);
    for (size_t i = CLM_RECORD_DONE_MAX; code == CLM_OK && i < ids.n; i++) {
        code = path_of(config, "jobs/done", ids.v[i], path, err);
        if (code == CLM_OK) {
            code = clm_fs_unlink(path, err);
        }
    }
    return code;
}

enum clm_code clm_record_archive(const struct clm_config *config, const struct clm_record *record,
                                 struct clm_err *err)
{
    char from[PATH_MAX];
    char to[PATH_MAX];

    enum clm_code code = path_of(config, "jobs", record->job_id, from, err);
    if (code == CLM_OK) {
        code = path_of(config, "jobs/done", record->job_id, to, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_rename(from, to, err);
    }
    if (code == CLM_OK) {
        code = clm_net_path(config, from, err, "jobs/%s.lock", record->job_id);
    }
    if (code == CLM_OK) {
        code = clm_fs_unlink(from, err);
    }
    return code == CLM_OK ? prune(config, err) : code;
}

enum clm_code clm_record_lock(const struct clm_config *config, const char *job_id, int *out_fd,
                              struct clm_err *err)
{
    char path[PATH_MAX];

    enum clm_code code = clm_net_path(config, path, err, "jobs/%s.lock", job_id);
    if (code != CLM_OK) {
        return code;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return clm_err_sys(err, errno, "lock of job '%s'", job_id);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_CONFLICT, "job '%s' is being run by another process", job_id);
    }
    *out_fd = fd;
    return CLM_OK;
}
