/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job/txn_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/crc32c.h"
#include "agent/base/str.h"

#define HEAD_FORMAT "clmbot-txn 1 %08x %08x\n" /* length and CRC-32C of the JSON behind it */
#define HEAD_LEN    31u
#define VERSION     1
#define DEADLINE_MS 30000u
#define ID_LIMIT    ((int64_t)UINT32_MAX)

static void file_done(struct clm_txn_file *file)
{
    clm_place_done(&file->place);
    clm_buf_done(&file->data);
    clm_buf_done(&file->old_data);
}

void clm_txn_record_done(struct clm_txn_record *record)
{
    for (size_t i = 0; i < record->n_files; i++) {
        file_done(&record->files[i]);
    }
    free(record->files);
    free(record->endpoints);
    clm_plan_done(&record->plan);
    memset(record, 0, sizeof(*record));
}

struct clm_txn_file *clm_txn_record_add(struct clm_txn_record *record)
{
    struct clm_txn_file *files =
        realloc(record->files, (record->n_files + 1) * sizeof(*record->files));
    struct clm_txn_file *file;

    if (files == NULL) {
        return NULL;
    }
    record->files = files;
    file = &files[record->n_files++];
    memset(file, 0, sizeof(*file));
    file->place.dir_fd = -1;
    file->data.max = CLM_TXN_FILE_MAX;
    file->data.secret = true;
    file->old_data.max = CLM_TXN_FILE_MAX;
    file->old_data.secret = true;
    return file;
}

uint32_t clm_txn_deadline_ms(const struct clm_plan *plan)
{
    uint32_t longest = 0;

    for (size_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].kind == CLM_STEP_VERIFY && plan->steps[i].deadline_ms > longest) {
            longest = plan->steps[i].deadline_ms;
        }
    }
    return longest > 0 ? longest : DEADLINE_MS;
}

/* ---- writing ---- */

static void write_version(const struct clm_txn_version *v, struct clm_json *obj)
{
    clm_json_set_str(obj, "sha256", v->sha256);
    clm_json_set_int(obj, "size", (int64_t)v->size_bytes);
    clm_json_set_int(obj, "mode", v->mode);
    clm_json_set_int(obj, "uid", v->uid);
    clm_json_set_int(obj, "gid", v->gid);
}

static void write_file(const struct clm_txn_file *file, struct clm_json *obj)
{
    clm_json_set_str(obj, "dir", file->dir);
    clm_json_set_str(obj, "name", file->name);
    clm_json_set_str(obj, "temp", file->temp);
    clm_json_set_str(obj, "back", file->back);
    if (file->old_absent) {
        clm_json_set_null(obj, "old");
    } else {
        write_version(&file->old_version, clm_json_set_object(obj, "old"));
    }
    write_version(&file->new_version, clm_json_set_object(obj, "new"));
}

static struct clm_json *to_json(const struct clm_txn_record *record)
{
    struct clm_json *root = clm_json_new_object();
    struct clm_json *list;

    clm_json_set_int(root, "v", VERSION);
    clm_json_set_str(root, "txid", record->txid);
    clm_json_set_int(root, "created_at", record->created_at_s);
    clm_json_set_str(root, "old_leaf", record->old_leaf);
    clm_json_set_str(root, "new_leaf", record->new_leaf);
    clm_json_set_bool(root, "old_expired", record->is_old_expired);
    clm_plan_to_json(&record->plan, clm_json_set_object(root, "plan"));
    list = clm_json_set_array(root, "files");
    for (size_t i = 0; i < record->n_files; i++) {
        write_file(&record->files[i], clm_json_add_object(list));
    }
    list = clm_json_set_array(root, "endpoints");
    for (size_t i = 0; i < record->n_endpoints; i++) {
        const struct clm_txn_endpoint *e = &record->endpoints[i];
        struct clm_json *obj = clm_json_add_object(list);

        clm_endpoint_to_json(&e->endpoint, clm_json_set_object(obj, "endpoint"));
        clm_json_set_bool(obj, "counted", e->is_counted);
        clm_observation_to_json(&e->before, clm_json_set_object(obj, "before"));
    }
    return root;
}

enum clm_code clm_txn_record_encode(const struct clm_txn_record *record, struct clm_buf *out,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = to_json(record);
    enum clm_code code = clm_json_print(root, false, &body, err);

    if (code == CLM_OK) {
        code = clm_buf_addf(out, err, HEAD_FORMAT, (unsigned)body.len,
                            (unsigned)clm_crc32c(0, body.data, body.len));
    }
    return code != CLM_OK ? code : clm_buf_add(out, body.data, body.len, err);
}

/* ---- reading ---- */

static enum clm_code read_u32(const struct clm_json *obj, const char *key, int64_t max,
                              uint32_t *out, struct clm_err *err)
{
    int64_t value = 0;
    enum clm_code code = clm_json_int(obj, key, 0, max, &value, err);

    *out = (uint32_t)value;
    return code;
}

static bool is_sha256(const char *text)
{
    return strlen(text) == CLM_SHA256_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == CLM_SHA256_HEX_SIZE - 1;
}

static enum clm_code read_sha256(const struct clm_json *obj, const char *key, bool may_be_empty,
                                 char *dst, struct clm_err *err)
{
    const char *text = NULL;
    enum clm_code code = clm_json_str(obj, key, CLM_SHA256_HEX_SIZE, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    if (!is_sha256(text) && !(may_be_empty && text[0] == '\0')) {
        return clm_err_set(err, CLM_E_PARSE, "%s: not a SHA-256", key);
    }
    return clm_str_copy(dst, CLM_SHA256_HEX_SIZE, text, err);
}

static enum clm_code read_version(const struct clm_json *obj, struct clm_txn_version *out,
                                  struct clm_err *err)
{
    static const char *const allowed[] = {"sha256", "size", "mode", "uid", "gid", NULL};
    int64_t size = 0;
    enum clm_code code = clm_json_only(obj, allowed, err);

    if (code == CLM_OK) {
        code = read_sha256(obj, "sha256", false, out->sha256, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(obj, "size", 0, CLM_TXN_FILE_MAX, &size, err);
    }
    out->size_bytes = (uint64_t)size;
    if (code == CLM_OK) {
        code = read_u32(obj, "mode", 07777, &out->mode, err);
    }
    if (code == CLM_OK) {
        code = read_u32(obj, "uid", ID_LIMIT, &out->uid, err);
    }
    return code != CLM_OK ? code : read_u32(obj, "gid", ID_LIMIT, &out->gid, err);
}

static enum clm_code read_name(const struct clm_json *obj, const char *key, char *dst,
                               struct clm_err *err)
{
    const char *text = NULL;
    enum clm_code code = clm_json_str(obj, key, CLM_FSAT_NAME_SIZE, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    if (!clm_fsat_name_is_valid(text)) {
        return clm_err_set(err, CLM_E_PARSE, "%s: not a file name", key);
    }
    return clm_str_copy(dst, CLM_FSAT_NAME_SIZE, text, err);
}

/* Recovery removes what is under these names: they must be ours by their form. */
static enum clm_code check_temp(const struct clm_txn_file *file, const char *temp,
                                struct clm_err *err)
{
    size_t len = strlen(file->name);

    if (temp[0] != '.' || strncmp(temp + 1, file->name, len) != 0 ||
        strncmp(temp + 1 + len, ".clmbot.", 8) != 0 || strcmp(file->temp, file->back) == 0) {
        return clm_err_set(err, CLM_E_PARSE, "'%s' is no temporary name of '%s'", temp, file->name);
    }
    return CLM_OK;
}

static enum clm_code read_names(const struct clm_json *obj, struct clm_txn_file *file,
                                struct clm_err *err)
{
    const char *dir = NULL;
    enum clm_code code = clm_json_str(obj, "dir", PATH_MAX, &dir, err);

    if (code == CLM_OK && dir[0] != '/') {
        code = clm_err_set(err, CLM_E_PARSE, "dir: not absolute");
    }
    if (code == CLM_OK) {
        code = clm_str_copy(file->dir, sizeof(file->dir), dir, err);
    }
    if (code == CLM_OK) {
        code = read_name(obj, "name", file->name, err);
    }
    if (code == CLM_OK) {
        code = read_name(obj, "temp", file->temp, err);
    }
    if (code == CLM_OK) {
        code = read_name(obj, "back", file->back, err);
    }
    if (code == CLM_OK) {
        code = check_temp(file, file->temp, err);
    }
    return code != CLM_OK ? code : check_temp(file, file->back, err);
}

static enum clm_code read_file(const struct clm_json *obj, struct clm_txn_record *out,
                               struct clm_err *err)
{
    static const char *const allowed[] = {"dir", "name", "temp", "back", "old", "new", NULL};
    struct clm_txn_file *file = clm_txn_record_add(out);
    const struct clm_json *version = NULL;
    enum clm_code code;

    if (file == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "files");
    }
    code = clm_json_only(obj, allowed, err);
    if (code == CLM_OK) {
        code = read_names(obj, file, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    version = clm_json_get(obj, "old");
    file->old_absent = version == NULL;
    if (version != NULL) {
        code = read_version(version, &file->old_version, err);
    }
    if (code == CLM_OK) {
        code = clm_json_object(obj, "new", &version, err);
    }
    return code != CLM_OK ? code : read_version(version, &file->new_version, err);
}

static enum clm_code read_files(const struct clm_json *root, struct clm_txn_record *out,
                                struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(root, "files", CLM_TXN_FILES_MAX, &list, err);

    for (const struct clm_json *node = clm_json_first(list); code == CLM_OK && node != NULL;
         node = clm_json_next(node)) {
        code = read_file(node, out, err);
        if (code != CLM_OK) {
            code = clm_err_wrap(err, code, "file %zu", out->n_files);
        }
    }
    return code;
}

static enum clm_code read_endpoint(const struct clm_json *obj, struct clm_txn_endpoint *out,
                                   struct clm_err *err)
{
    static const char *const allowed[] = {"endpoint", "counted", "before", NULL};
    const struct clm_json *part = NULL;
    enum clm_code code = clm_json_only(obj, allowed, err);

    if (code == CLM_OK) {
        code = clm_json_object(obj, "endpoint", &part, err);
    }
    if (code == CLM_OK) {
        code = clm_json_only(part, clm_endpoint_members, err);
    }
    if (code == CLM_OK) {
        code = clm_endpoint_from_json(part, &out->endpoint, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool(obj, "counted", &out->is_counted, err);
    }
    if (code == CLM_OK) {
        code = clm_json_object(obj, "before", &part, err);
    }
    if (code == CLM_OK) {
        code = clm_json_only(part, clm_observation_members, err);
    }
    return code != CLM_OK ? code : clm_observation_from_json(part, &out->before, err);
}

static enum clm_code read_endpoints(const struct clm_json *root, struct clm_txn_record *out,
                                    struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(root, "endpoints", CLM_TXN_ENDPOINTS_MAX, &list, err);

    if (code != CLM_OK || clm_json_len(list) == 0) {
        return code;
    }
    out->endpoints = calloc(clm_json_len(list), sizeof(*out->endpoints));
    if (out->endpoints == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "endpoints");
    }
    for (const struct clm_json *node = clm_json_first(list); code == CLM_OK && node != NULL;
         node = clm_json_next(node)) {
        code = read_endpoint(node, &out->endpoints[out->n_endpoints], err);
        out->n_endpoints++;
    }
    return code;
}

static enum clm_code read_head(const struct clm_json *root, struct clm_txn_record *out,
                               struct clm_err *err)
{
    static const char *const allowed[] = {"v",         "txid",        "created_at", "old_leaf",
                                          "new_leaf",  "old_expired", "plan",       "files",
                                          "endpoints", NULL};
    const char *txid = NULL;
    int64_t version = 0;
    enum clm_code code = clm_json_only(root, allowed, err);

    if (code == CLM_OK) {
        code = clm_json_int(root, "v", VERSION, VERSION, &version, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(root, "txid", CLM_ID_SIZE, &txid, err);
    }
    if (code == CLM_OK && !clm_id_is_valid("txn", txid)) {
        code = clm_err_set(err, CLM_E_PARSE, "txid: not a transaction id");
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->txid, sizeof(out->txid), txid, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(root, "created_at", 0, CLM_JSON_INT_MAX, &out->created_at_s, err);
    }
    if (code == CLM_OK) {
        code = read_sha256(root, "old_leaf", true, out->old_leaf, err);
    }
    if (code == CLM_OK) {
        code = read_sha256(root, "new_leaf", false, out->new_leaf, err);
    }
    return code != CLM_OK ? code : clm_json_bool(root, "old_expired", &out->is_old_expired, err);
}

static enum clm_code from_json(const struct clm_json *root, struct clm_txn_record *out,
                               struct clm_err *err)
{
    const struct clm_json *plan = NULL;
    enum clm_code code = read_head(root, out, err);

    if (code == CLM_OK) {
        code = clm_json_object(root, "plan", &plan, err);
    }
    if (code == CLM_OK) {
        code = clm_plan_from_json(plan, &out->plan, err);
    }
    if (code == CLM_OK) {
        code = read_files(root, out, err);
    }
    return code != CLM_OK ? code : read_endpoints(root, out, err);
}

/* True if the first line fits the bytes behind it: written again it is the same. */
static bool head_fits(const char *text, size_t len)
{
    char head[HEAD_LEN + 1];

    if (len <= HEAD_LEN || len - HEAD_LEN > CLM_TXN_RECORD_MAX) {
        return false;
    }
    (void)snprintf(head, sizeof(head), HEAD_FORMAT, (unsigned)(len - HEAD_LEN),
                   (unsigned)clm_crc32c(0, text + HEAD_LEN, len - HEAD_LEN));
    return memcmp(head, text, HEAD_LEN) == 0;
}

enum clm_code clm_txn_record_decode(const char *text, size_t len, struct clm_txn_record *out,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    enum clm_code code;

    if (!head_fits(text, len)) {
        return clm_err_set(err, CLM_E_PARSE, "length or checksum is wrong");
    }
    code = clm_json_parse(text + HEAD_LEN, len - HEAD_LEN, CLM_TXN_RECORD_MAX, &root, err);
    if (code == CLM_OK) {
        code = from_json(root, out, err);
    }
    if (code != CLM_OK && code != CLM_E_NOMEM) {
        code = CLM_E_PARSE;
    }
    return code;
}
