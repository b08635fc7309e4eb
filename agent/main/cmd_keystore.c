/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "clmbot keystore show": what is in a keystore, entry by entry. Needs neither agent nor
 * configuration: it reads the one file it is told to, and the password from another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/harden.h"
#include "agent/base/str.h"
#include "agent/keystore/keystore.h"
#include "agent/keystore/sniff.h"
#include "agent/main/cmds.h"
#include "agent/main/show.h"
#include "agent/model/secret.h"

#define EXPIRING_DAYS 30

/* ---- files ---- */

/* Opens a regular file for reading; never waits for a pipe or device. */
static enum clm_code open_file(const char *path, const char *what, int *out_fd, struct stat *st,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, st) != 0) {
        return clm_err_sys(err, errno, "%s '%s'", what, path);
    }
    if (!S_ISREG(st->st_mode)) {
        return clm_err_set(err, CLM_E_INVAL, "%s '%s' is not a regular file", what, path);
    }
    *out_fd = clm_fs_steal(&fd);
    return CLM_OK;
}

static enum clm_code check_private(const char *path, const struct stat *st, struct clm_err *err)
{
    if ((st->st_mode & 077) != 0) {
        return clm_err_set(err, CLM_E_INVAL,
                           "password file '%s' can be read by others (mode %04o); do: chmod 0600 "
                           "'%s'",
                           path, (unsigned)st->st_mode & 07777u, path);
    }
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        return clm_err_set(err, CLM_E_INVAL,
                           "password file '%s' belongs to user %lu, who could exchange it; do: "
                           "chown root '%s'",
                           path, (unsigned long)st->st_uid, path);
    }
    return CLM_OK;
}

static enum clm_code read_password(const char *path, struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct stat st = {.st_mode = 0};
    uint8_t *end;
    enum clm_code code = open_file(path, "password file", &fd, &st, err);

    if (code == CLM_OK) {
        code = check_private(path, &st, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_read_fd(fd, path, CLM_SECRET_MAX + 2, out, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    /* the first line; an empty file is an empty password */
    end = out->len > 0 ? memchr(out->data, '\n', out->len) : NULL;
    if (end != NULL) {
        out->len = (size_t)(end - out->data);
    }
    if (out->len > 0 && out->data[out->len - 1] == '\r') {
        out->len--;
    }
    return CLM_OK;
}

/* What the file is instead, and who shows that. */
static enum clm_code not_a_store(const char *path, const struct clm_sniff *sniff,
                                 struct clm_err *err)
{
    static const char *const kinds[CLM_CERT_FILE__COUNT] = {
        [CLM_CERT_FILE_PEM] = "PEM",
        [CLM_CERT_FILE_DER] = "DER",
        [CLM_CERT_FILE_PKCS7] = "a PKCS#7 bag of certificates",
    };

    if (sniff->kind == CLM_CERT_FILE_OTHER_STORE) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "'%s' is a keystore of BouncyCastle (BKS, UBER, BCFKS), which is not "
                           "supported",
                           path);
    }
    if (kinds[sniff->kind] != NULL) {
        return clm_err_set(err, CLM_E_INVAL,
                           "'%s' is no keystore but %s; such files are shown by: clmbot certs",
                           path, kinds[sniff->kind]);
    }
    return clm_err_set(err, CLM_E_INVAL, "'%s' is no keystore: neither PKCS#12 nor JKS nor JCEKS",
                       path);
}

static enum clm_code open_store(const char *path, const struct clm_buf *password,
                                struct clm_keystore **out_store, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    enum clm_keystore_type type = CLM_KEYSTORE_PKCS12;
    struct stat st;
    enum clm_code code = open_file(path, "keystore", &fd, &st, err);

    if (code == CLM_OK) {
        code = clm_fs_read_fd(fd, path, CLM_KEYSTORE_MAX, &file, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (file.len == 0 || !clm_keystore_detect(file.data, file.len, &type)) {
        struct clm_sniff sniff = clm_cert_file_sniff(file.data, file.len);

        return not_a_store(path, &sniff, err);
    }
    code = clm_keystore_open(file.data, file.len, password, out_store, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "keystore '%s'", path);
}

/* ---- what can be said of one entry ---- */

static const char *kind_name(enum clm_entry_kind kind)
{
    switch (kind) {
    case CLM_ENTRY_KEY:
        return "key";
    case CLM_ENTRY_TRUSTED:
        return "trusted";
    case CLM_ENTRY_SECRET:
        return "secret";
    case CLM_ENTRY_OTHER:
        break;
    }
    return "other";
}

/* "matches", "differs" (the certificate is for another key), "locked" (no password, or another one),
 * "unreadable", "" (there is none to look at). Errors: NOMEM. */
static enum clm_code key_state(const struct clm_keystore *store, size_t i, bool has_password,
                               const char **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    bool matches = false;
    enum clm_code code;

    *out = "";
    if (clm_keystore_entry(store, i)->kind != CLM_ENTRY_KEY) {
        return CLM_OK;
    }
    *out = "locked";
    if (!has_password && clm_keystore_entry(store, i)->protection[0] != '\0') {
        return CLM_OK;
    }
    code = clm_keystore_key(store, i, NULL, &key, err);
    if (code == CLM_E_CRYPTO) {
        return CLM_OK;
    }
    *out = "unreadable";
    if (code == CLM_OK) {
        code = clm_keystore_chain(store, i, &chain, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_matches_key(chain, 0, key, &matches, err);
        *out = matches ? "matches" : "differs";
    }
    return code == CLM_E_NOMEM ? code : CLM_OK;
}

/* Certificate k of entry i by itself: one that cannot be read does not hide the others. */
static enum clm_code info_of(const struct clm_keystore *store, size_t i, size_t k,
                             struct clm_cert_info *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    size_t len = 0;
    const uint8_t *der = clm_keystore_cert_der(store, i, k, &len);
    enum clm_code code = clm_cert_chain_from_der(der, len, &chain, err);

    return code == CLM_OK ? clm_cert_info(chain, 0, out, err) : code;
}

/* Errors: NOMEM. */
static enum clm_code find_expired(const struct clm_keystore *store, int64_t now_s,
                                  bool *out_expired, struct clm_err *err)
{
    for (size_t i = 0; i < clm_keystore_count(store) && !*out_expired; i++) {
        CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
        const struct clm_keystore_entry *entry = clm_keystore_entry(store, i);
        enum clm_code code;

        if (entry->kind != CLM_ENTRY_KEY || entry->n_certs == 0) {
            continue;
        }
        code = info_of(store, i, 0, &info, err);
        if (code == CLM_E_NOMEM) {
            return code;
        }
        *out_expired = code == CLM_OK && info.not_after_s <= now_s;
    }
    return CLM_OK;
}

/* ---- JSON ---- */

static void add_time(struct clm_json *obj, const char *name, int64_t at_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(at_s, text);
    clm_json_set_str(obj, name, text[0] != '\0' && at_s > 0 ? text : NULL);
}

static enum clm_code cert_to_json(const struct clm_keystore *store, size_t i, size_t k,
                                  struct clm_json *list, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
    struct clm_json *obj = clm_json_add_object(list);
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = info_of(store, i, k, &info, &why);

    if (code == CLM_OK) {
        clm_cert_info_to_json(&info, obj);
    } else {
        clm_json_set_str(obj, "error", why.msg);
    }
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

static enum clm_code entry_to_json(const struct clm_keystore *store, size_t i, bool has_password,
                                   struct clm_json *list, struct clm_err *err)
{
    const struct clm_keystore_entry *entry = clm_keystore_entry(store, i);
    struct clm_json *obj = clm_json_add_object(list);
    struct clm_json *certs;
    const char *state;
    enum clm_code code = key_state(store, i, has_password, &state, err);

    clm_json_set_str(obj, "alias", entry->alias);
    clm_json_set_str(obj, "kind", kind_name(entry->kind));
    add_time(obj, "created", entry->created_ms / 1000);
    clm_json_set_str(obj, "protection", entry->protection);
    clm_json_set_str(obj, "key", state[0] != '\0' ? state : NULL);
    clm_json_set_bool(obj, "java_trusts", entry->java_trusts);
    certs = clm_json_set_array(obj, "certificates");
    for (size_t k = 0; k < entry->n_certs && code == CLM_OK; k++) {
        code = cert_to_json(store, i, k, certs, err);
    }
    return code;
}

static int show_json(const char *path, const struct clm_keystore *store, bool has_password,
                     int status)
{
    struct clm_json *doc = clm_json_new_object();
    struct clm_json *entries;
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = CLM_OK;

    clm_json_set_str(doc, "path", path);
    clm_json_set_str(doc, "type", clm_keystore_type_name(clm_keystore_type_of(store)));
    clm_json_set_str(doc, "integrity", clm_keystore_integrity(store));
    clm_json_set_bool(doc, "is_checked", has_password && clm_keystore_integrity(store)[0] != '\0');
    clm_json_set_bool(doc, "is_locked", clm_keystore_is_locked(store));
    clm_json_set_str(doc, "read_only", clm_keystore_read_only(store));
    entries = clm_json_set_array(doc, "entries");
    for (size_t i = 0; i < clm_keystore_count(store) && code == CLM_OK; i++) {
        code = entry_to_json(store, i, has_password, entries, &err);
    }
    if (code != CLM_OK) {
        clm_json_free(doc);
        return clm_show_error(code, &err, NULL);
    }
    return clm_show_json("keystore", doc, status);
}

/* ---- text ---- */

/* What the rows of one keystore have in common. */
struct rows {
    struct clm_table *table;
    const struct clm_keystore *store;
    bool has_password;
    int64_t now_s;
};

static enum clm_code add_cert_cells(const struct rows *rows, size_t i, size_t k,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
    struct clm_table *table = rows->table;
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = info_of(rows->store, i, k, &info, &why);
    enum clm_color color;
    char left[32];
    char hash[16];

    if (code != CLM_OK) {
        clm_table_add(table, CLM_COLOR_RED, why.msg);
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
    }
    color = clm_show_left(info.not_after_s, rows->now_s, EXPIRING_DAYS, left, sizeof(left));
    clm_show_hash(info.sha256, hash, sizeof(hash));
    clm_table_add(table, CLM_COLOR_NONE,
                  info.subject[0] != '\0' || info.names.dns.n == 0 ? info.subject
                                                                   : info.names.dns.v[0]);
    clm_table_add(table, color, left);
    clm_table_add(table, CLM_COLOR_NONE, info.key_type);
    clm_table_add(table, CLM_COLOR_DIM, hash);
    return CLM_OK;
}

static enum clm_code add_rows(const struct rows *rows, size_t i, struct clm_err *err)
{
    const struct clm_keystore_entry *entry = clm_keystore_entry(rows->store, i);
    struct clm_table *table = rows->table;
    const char *state;
    enum clm_code code = key_state(rows->store, i, rows->has_password, &state, err);
    char created[CLM_TIME_TEXT_SIZE] = "";

    clm_time_format(entry->created_ms / 1000, created);
    created[10] = '\0'; /* the day */
    clm_table_add(table, CLM_COLOR_BOLD, entry->alias[0] != '\0' ? entry->alias : "-");
    clm_table_add(table, CLM_COLOR_NONE, kind_name(entry->kind));
    clm_table_add(table, strcmp(state, "differs") == 0 ? CLM_COLOR_RED : CLM_COLOR_NONE,
                  state[0] != '\0' ? state : "-");
    clm_table_add(table, CLM_COLOR_NONE, entry->created_ms > 0 ? created : "-");
    if (entry->n_certs > 0 && code == CLM_OK) {
        code = add_cert_cells(rows, i, 0, err);
    }
    clm_table_end_row(table);
    for (size_t k = 1; k < entry->n_certs && code == CLM_OK; k++) {
        for (int blank = 0; blank < 4; blank++) {
            clm_table_add(table, CLM_COLOR_NONE, NULL);
        }
        code = add_cert_cells(rows, i, k, err);
        clm_table_end_row(table);
    }
    return code;
}

/* Each way of protection once: entries of one store nearly always share one. */
static void show_protections(const struct clm_keystore *store)
{
    for (size_t i = 0; i < clm_keystore_count(store); i++) {
        const struct clm_keystore_entry *entry = clm_keystore_entry(store, i);
        size_t first = 0;

        while (clm_keystore_entry(store, first)->kind != entry->kind ||
               strcmp(clm_keystore_entry(store, first)->protection, entry->protection) != 0) {
            first++;
        }
        if (entry->kind == CLM_ENTRY_KEY && first == i) {
            clm_show_line("keys are protected by %s",
                          entry->protection[0] != '\0' ? entry->protection : "nothing");
        }
    }
}

static int show_text(const char *path, const struct clm_keystore *store, bool has_password,
                     int status)
{
    static const struct clm_table_column columns[] = {
        {.title = "ALIAS"},
        {.title = "KIND", .is_fixed = true},
        {.title = "KEY", .is_fixed = true},
        {.title = "CREATED", .is_fixed = true},
        {.title = "CERTIFICATE"},
        {.title = "LEFT", .is_right = true, .is_fixed = true},
        {.title = "TYPE", .is_fixed = true},
        {.title = "SHA-256", .is_fixed = true},
    };
    const struct rows rows = {.table = clm_table_new(columns, CLM_ARRAY_LEN(columns)),
                              .store = store,
                              .has_password = has_password,
                              .now_s = clm_clock_now_s()};
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = CLM_OK;
    size_t n = clm_keystore_count(store);
    const char *why = clm_keystore_read_only(store);

    clm_show_line("%s: %s, %zu %s, %s%s", path, clm_keystore_type_name(clm_keystore_type_of(store)),
                  n, n == 1 ? "entry" : "entries",
                  clm_keystore_integrity(store)[0] != '\0' ? clm_keystore_integrity(store)
                                                           : "no integrity check",
                  has_password && clm_keystore_integrity(store)[0] != '\0' ? ", password is right"
                                                                           : "");
    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        code = add_rows(&rows, i, &err);
    }
    if (code != CLM_OK) {
        clm_table_free(rows.table);
        return clm_show_error(code, &err, NULL);
    }
    status = clm_show_table(rows.table, status);
    show_protections(store);
    if (!has_password) {
        clm_show_line("note: without --password-file %s",
                      clm_keystore_is_locked(store) ? "what is encrypted cannot be seen"
                                                    : "keys and integrity are not checked");
    } else if (why[0] != '\0') {
        clm_show_line("note: clmbot does not change this file: %s", why);
    }
    return status;
}

int clm_cmd_keystore_show(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX + 2);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    const char *password_file = clm_cli_str(args, "password-file", NULL);
    const char *path = args->args[0];
    bool is_expired = false;
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = CLM_OK;
    int status;

    (void)ctx;
    clm_harden();
    if (password_file != NULL) {
        code = read_password(password_file, &password, &err);
    }
    if (code == CLM_OK) {
        code = open_store(path, password_file != NULL ? &password : NULL, &store, &err);
    }
    if (code == CLM_OK) {
        code = find_expired(store, clm_clock_now_s(), &is_expired, &err);
    }
    if (code != CLM_OK) {
        return clm_show_error(code, &err, NULL);
    }
    status = clm_keystore_is_locked(store) || is_expired ? CLM_EXIT_ATTENTION : CLM_EXIT_GOOD;
    return clm_cli_has(args, "json") ? show_json(path, store, password_file != NULL, status)
                                     : show_text(path, store, password_file != NULL, status);
}
