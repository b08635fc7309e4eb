/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/spool.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/str.h"

#define MESSAGE_MAX    4198400u /* the body and what stands around it */
#define INVENTORY_NAME "inventory.json"
#define SUFFIX         ".json"
#define PATH_SIZE      (PATH_MAX + 64) /* a name behind the longest directory */

static const char *const class_dirs[CLM_SPOOL_CLASSES] = {"0", "1", "2"};

/* Never cut: what is too long for the kernel is refused by it. */
static void path_of(char dst[PATH_SIZE], const char *dir, const char *sub, const char *name)
{
    (void)snprintf(dst, PATH_SIZE, "%s/%s%s%s", dir, sub, name[0] == '\0' ? "" : "/", name);
}

/* ---- listing ---- */

static enum clm_code collect(void *arg, const char *name, struct clm_err *err)
{
    struct clm_strs *names = arg;

    if (name[0] == '.' || !clm_str_ends(name, SUFFIX) ||
        strlen(name) >= sizeof(((struct clm_spool_entry *)NULL)->name)) {
        return CLM_OK; /* a temporary file of a write in progress, or not ours */
    }
    return clm_strs_add(names, name, err);
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;

    return strcmp(*left, *right);
}

/* ULIDs sort by time. */
static enum clm_code list_sorted(const char *dir, const char *sub, struct clm_strs *names,
                                 struct clm_err *err)
{
    char path[PATH_SIZE];

    path_of(path, dir, sub, "");
    enum clm_code code = clm_fs_list(path, collect, names, err);
    if (code == CLM_OK && names->n > 1) {
        qsort(names->v, names->n, sizeof(names->v[0]), compare_names);
    }
    return code;
}

/* 0 of one that another process sent meanwhile. */
static uint64_t size_of(const char *dir, const char *sub, const char *name)
{
    char path[PATH_SIZE];
    struct stat st;

    path_of(path, dir, sub, name);
    return lstat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t bytes_of(const char *dir, const char *sub, const struct clm_strs *names)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < names->n; i++) {
        sum += size_of(dir, sub, names->v[i]);
    }
    return sum;
}

enum clm_code clm_spool_init(const char *dir, struct clm_err *err)
{
    static const char *const subs[] = {"0", "1", "2", "dead", "archive"};
    char path[PATH_SIZE];

    enum clm_code code = clm_fs_mkdir(dir, 0700, err);
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(subs); i++) {
        path_of(path, dir, subs[i], "");
        code = clm_fs_mkdir(path, 0700, err);
    }
    return code;
}

/* ---- putting ---- */

bool clm_spool_has_room(const char *dir)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};

    if (list_sorted(dir, class_dirs[CLM_SPOOL_RESULT], &names, NULL) != CLM_OK) {
        return false;
    }
    return names.n < CLM_SPOOL_FILES_MAX &&
           bytes_of(dir, class_dirs[CLM_SPOOL_RESULT], &names) < CLM_SPOOL_BYTES_MAX_0;
}

/* Removes the oldest until there is room for one more. */
static enum clm_code drop_oldest(const char *dir, const char *sub, size_t files_max,
                                 uint64_t bytes_max, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    char path[PATH_SIZE];
    size_t first = 0;

    enum clm_code code = list_sorted(dir, sub, &names, err);
    if (code != CLM_OK) {
        return code;
    }
    uint64_t bytes = bytes_of(dir, sub, &names);
    while (code == CLM_OK && first < names.n &&
           (names.n - first >= files_max || bytes >= bytes_max)) {
        uint64_t size = size_of(dir, sub, names.v[first]);

        bytes -= size < bytes ? size : bytes; /* it may have grown meanwhile */
        path_of(path, dir, sub, names.v[first]);
        code = clm_fs_unlink(path, err);
        first++;
    }
    return code;
}

static enum clm_code write_message(const char *path, const struct clm_json *message,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(MESSAGE_MAX);

    enum clm_code code = clm_json_print(message, false, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    return clm_fs_replace(path, text.data, text.len, 0600, err);
}

static enum clm_code make_room(const char *dir, int class_no, struct clm_err *err)
{
    if (class_no == CLM_SPOOL_RESULT && !clm_spool_has_room(dir)) {
        return clm_err_set(err, CLM_E_LIMIT,
                           "spool '%s' is full: %u results wait for the control plane; "
                           "no job is accepted until it takes them",
                           dir, CLM_SPOOL_FILES_MAX);
    }
    if (class_no == CLM_SPOOL_EVENT) {
        return drop_oldest(dir, class_dirs[class_no], CLM_SPOOL_FILES_MAX, CLM_SPOOL_BYTES_MAX_1,
                           err);
    }
    return CLM_OK;
}

enum clm_code clm_spool_put(const char *dir, const struct clm_spool_message *message,
                            struct clm_err *err)
{
    char ulid[CLM_ULID_SIZE];
    char name[CLM_ULID_SIZE + sizeof(SUFFIX)];
    char path[PATH_SIZE];

    assert(message->class_no >= 0 && message->class_no < CLM_SPOOL_CLASSES);
    enum clm_code code = make_room(dir, message->class_no, err);
    if (code == CLM_OK) {
        code = clm_ulid_new(ulid, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)snprintf(name, sizeof(name), "%s%s", ulid, SUFFIX);
    path_of(path, dir, class_dirs[message->class_no],
            message->class_no == CLM_SPOOL_INVENTORY ? INVENTORY_NAME : name);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    clm_json_set_int(obj, "v", 1);
    clm_json_set_str(obj, "job_id", message->job_id == NULL ? "" : message->job_id);
    clm_json_set_str(obj, "method", message->method);
    clm_json_set_str(obj, "path", message->path);
    clm_json_set_str(obj, "idempotency_key", ulid);
    clm_json_set_int(obj, "attempts", 0);
    clm_json_set_int(obj, "first_s", clm_clock_now_s());
    clm_json_set_int(obj, "next_try_s", 0);
    clm_json_set_copy(obj, "body", message->body);
    return write_message(path, obj, err);
}

/* ---- taking out ---- */

void clm_spool_entry_done(struct clm_spool_entry *entry)
{
    clm_json_free(entry->message);
    *entry = (struct clm_spool_entry){0};
}

static enum clm_code parse_entry(struct clm_spool_entry *entry, int64_t *out_next_try_s,
                                 struct clm_err *err)
{
    const struct clm_json *m = entry->message;
    const char *job_id = NULL;
    int64_t attempts = 0;

    const struct {
        const char *key;
        size_t max;
        const char **value;
    } texts[] = {
        {"method", 8, &entry->method},
        {"path", 256, &entry->path},
        {"idempotency_key", 64, &entry->idempotency_key},
        {"job_id", CLM_ID_SIZE - 1, &job_id},
    };
    const struct {
        const char *key;
        int64_t max;
        int64_t *value;
    } numbers[] = {
        {"attempts", INT32_MAX, &attempts},
        {"first_s", CLM_JSON_INT_MAX, &entry->first_s},
        {"next_try_s", CLM_JSON_INT_MAX, out_next_try_s},
    };

    enum clm_code code = clm_json_object(m, "body", &entry->body, err);
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(texts); i++) {
        code = clm_json_str(m, texts[i].key, texts[i].max, texts[i].value, err);
    }
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(numbers); i++) {
        code = clm_json_int(m, numbers[i].key, 0, numbers[i].max, numbers[i].value, err);
    }
    if (code == CLM_OK) {
        (void)snprintf(entry->job_id, sizeof(entry->job_id), "%s", job_id);
        entry->attempts = (unsigned)attempts;
    }
    return code;
}

static enum clm_code read_entry(const char *dir, int class_no, const char *name,
                                struct clm_spool_entry *out, int64_t *out_next_try_s,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(MESSAGE_MAX);
    char path[PATH_SIZE];

    *out = (struct clm_spool_entry){.class_no = class_no};
    (void)snprintf(out->name, sizeof(out->name), "%s", name); /* collect() took no longer one */
    path_of(path, dir, class_dirs[class_no], name);
    enum clm_code code = clm_fs_read(path, MESSAGE_MAX, &text, err);
    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&text), text.len, MESSAGE_MAX, &out->message, err);
    }
    if (code == CLM_OK) {
        code = parse_entry(out, out_next_try_s, err);
    }
    return code;
}

/* Keeps the newest CLM_SPOOL_KEPT_MAX of what is put aside for a person to look at. */
static enum clm_code put_aside(const char *dir, const struct clm_spool_entry *entry,
                               const char *where, struct clm_err *err)
{
    char ulid[CLM_ULID_SIZE];
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    char name[2 * CLM_ULID_SIZE + 16];

    enum clm_code code = drop_oldest(dir, where, CLM_SPOOL_KEPT_MAX, CLM_SPOOL_BYTES_MAX_1, err);
    if (code == CLM_OK) {
        code = clm_ulid_new(ulid, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)snprintf(name, sizeof(name), "%s%s", ulid, SUFFIX);
    path_of(from, dir, class_dirs[entry->class_no], entry->name);
    path_of(to, dir, where, name);
    return clm_fs_rename(from, to, err);
}

struct search {
    const char *dir;
    int64_t now_s;
    const char *only_job;
    struct clm_strs blocked; /* jobs with an earlier message that must go first */
    int64_t wait_s;
};

/* One class: fills out and sets wait_s to 0, or lowers wait_s to the earliest time one is due. */
static enum clm_code search_class(struct search *s, int class_no, struct clm_spool_entry *out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};

    enum clm_code code = list_sorted(s->dir, class_dirs[class_no], &names, err);
    for (size_t i = 0; code == CLM_OK && i < names.n; i++) {
        int64_t next_try_s = 0;
        enum clm_code read = read_entry(s->dir, class_no, names.v[i], out, &next_try_s, err);

        if (read == CLM_E_NOTFOUND) {
            clm_spool_entry_done(out); /* another process sent it meanwhile */
            continue;
        }
        if (read != CLM_OK && read != CLM_E_PARSE && read != CLM_E_LIMIT) {
            return read;
        }
        if (read != CLM_OK) {
            code = put_aside(s->dir, out, "dead", err);
            clm_spool_entry_done(out);
            continue;
        }
        bool is_blocked = out->job_id[0] != '\0' && clm_strs_has(&s->blocked, out->job_id);
        bool is_asked = s->only_job == NULL || strcmp(s->only_job, out->job_id) == 0;
        if (is_asked && !is_blocked) {
            int64_t left_s = next_try_s - s->now_s;

            if (left_s <= 0) {
                s->wait_s = 0;
                return CLM_OK;
            }
            s->wait_s = s->wait_s < 0 || left_s < s->wait_s ? left_s : s->wait_s;
        }
        code = clm_strs_add_once(&s->blocked, out->job_id, err);
        clm_spool_entry_done(out);
    }
    return code;
}

enum clm_code clm_spool_next(const char *dir, int64_t now_s, const char *only_job,
                             struct clm_spool_entry *out, int64_t *out_wait_s, struct clm_err *err)
{
    struct search s = {.dir = dir, .now_s = now_s, .only_job = only_job, .wait_s = -1};
    enum clm_code code = CLM_OK;

    *out = (struct clm_spool_entry){0};
    for (int c = 0; code == CLM_OK && c < CLM_SPOOL_CLASSES && s.wait_s != 0; c++) {
        code = search_class(&s, c, out, err);
    }
    clm_strs_done(&s.blocked);
    *out_wait_s = s.wait_s;
    return code;
}

enum clm_code clm_spool_finish(const char *dir, const struct clm_spool_entry *entry,
                               enum clm_spool_verdict verdict, struct clm_err *err)
{
    char path[PATH_SIZE];

    switch (verdict) {
    case CLM_SPOOL_ARCHIVED:
        return put_aside(dir, entry, "archive", err);
    case CLM_SPOOL_DEAD:
        return put_aside(dir, entry, "dead", err);
    case CLM_SPOOL_DELIVERED:
        break;
    }
    path_of(path, dir, class_dirs[entry->class_no], entry->name);
    return clm_fs_unlink(path, err);
}

enum clm_code clm_spool_defer(const char *dir, const struct clm_spool_entry *entry,
                              int64_t next_try_s, struct clm_err *err)
{
    char path[PATH_SIZE];

    path_of(path, dir, class_dirs[entry->class_no], entry->name);
    clm_json_set_int(entry->message, "attempts", (int64_t)entry->attempts + 1);
    clm_json_set_int(entry->message, "next_try_s", next_try_s);
    return write_message(path, entry->message, err);
}

void clm_spool_stats(const char *dir, int64_t now_s, struct clm_spool_stats *out)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs dead = {0};

    *out = (struct clm_spool_stats){0};
    for (int c = 0; c < CLM_SPOOL_CLASSES; c++) {
        CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
        char path[PATH_SIZE];
        struct stat st;

        if (list_sorted(dir, class_dirs[c], &names, NULL) != CLM_OK || names.n == 0) {
            continue;
        }
        out->n += names.n;
        out->bytes += bytes_of(dir, class_dirs[c], &names);
        path_of(path, dir, class_dirs[c], names.v[0]);
        if (lstat(path, &st) == 0 && now_s - (int64_t)st.st_mtime > out->oldest_s) {
            out->oldest_s = now_s - (int64_t)st.st_mtime;
        }
    }
    if (list_sorted(dir, "dead", &dead, NULL) == CLM_OK) {
        out->dead = dead.n;
    }
}
