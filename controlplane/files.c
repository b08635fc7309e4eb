/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/files.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/model/cert_info.h"
#include "controlplane/http.h"

#define BODY_MAX    ((size_t)1 << 20) /* of one file: a keystore of a thousand entries */
#define SEARCH_MAX  ((size_t)32 * 1024)
#define ENTRIES_MAX 1000
#define USERS_MAX   100
#define TEXT_MAX    512

static const char *const formats[] = {"pem", "der", "pkcs7", "pkcs12", "jks", "jceks", NULL};
static const char *const statuses[] = {"managed", "monitored", "ignored", NULL};
static const char *const kinds[] = {"certificate", "key", "trusted", "other", NULL};
static const char *const problems[] = {"expired",      "expiring",       "not_yet_valid",
                                       "weak_key",     "weak_signature", "key_readable",
                                       "key_mismatch", "chain_broken",   NULL};

/* "/entries/3" before a place that was told relative to it; the reader of JSON knows whole ones. */
static enum clm_code place_in(struct clm_err *err, enum clm_code code, const char *list, size_t i)
{
    char text[CLM_ERR_MSG_MAX];

    if (clm_str_starts(err->msg, "/files/")) {
        return code;
    }
    (void)snprintf(text, sizeof(text), "/%s/%zu%.400s", list, i, err->msg);
    return clm_err_set(err, code, "%s", text);
}

/* One file as its row. */
struct row {
    const char *path;
    const char *format;
    const char *status;
    const char *manager;
    bool in_use;
    bool locked;
    int64_t leaf_end_s;  /* earliest of the certificates that are no CAs; NEVER: there is none */
    int64_t other_end_s; /* of the others, but not of those that are only trusted */
    struct clm_buf problems; /* " expired weak_key " */
    struct clm_buf search;
    bool is_short; /* of memory: search lacks something */
    struct clm_strs sha256s;
};

static void row_done(struct row *row)
{
    clm_buf_done(&row->problems);
    clm_buf_done(&row->search);
    clm_strs_done(&row->sha256s);
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(text, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code read_choice(const struct clm_json *obj, const char *key,
                                 const char *const *list, const char **out, struct clm_err *err)
{
    enum clm_code code = clm_json_str(obj, key, 32, out, err);

    if (code == CLM_OK && !is_one_of(*out, list)) {
        return clm_err_set(err, CLM_E_PARSE, "/%s: there is no '%s'", key, *out);
    }
    return code;
}

/* What is too long for the index is not found by its end; the file itself is whole. */
static void add_search(struct row *row, const char *text)
{
    if (text == NULL || row->search.len + strlen(text) + 1 > SEARCH_MAX) {
        return;
    }
    row->is_short |= clm_buf_add(&row->search, "\n", 1, NULL) != CLM_OK;
    for (const char *p = text; *p != '\0'; p++) {
        char c = (char)tolower((unsigned char)*p);

        row->is_short |= clm_buf_add(&row->search, &c, 1, NULL) != CLM_OK;
    }
}

/* Each string of a list of strings. */
typedef enum clm_code (*text_fn)(struct row *row, const char *text, struct clm_err *err);

static enum clm_code each_text(const struct clm_json *obj, const char *key, struct row *row,
                               text_fn visit, struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(obj, key, USERS_MAX, &list, err);

    for (const struct clm_json *n = clm_json_first(list); code == CLM_OK && n != NULL;
         n = clm_json_next(n)) {
        const char *text = clm_json_text(n);

        code = text == NULL || strlen(text) > TEXT_MAX
                   ? clm_err_set(err, CLM_E_PARSE, "/%s: must hold short strings", key)
                   : visit(row, text, err);
    }
    return code;
}

static enum clm_code add_user(struct row *row, const char *text, struct clm_err *err)
{
    (void)err;
    add_search(row, text);
    return CLM_OK;
}

static enum clm_code add_problem(struct row *row, const char *text, struct clm_err *err)
{
    if (!is_one_of(text, problems)) {
        return clm_err_set(err, CLM_E_PARSE, "/problems: there is no '%s'", text);
    }
    return clm_buf_addf(&row->problems, err, "%s%s ", row->problems.len == 0 ? " " : "", text);
}

static enum clm_code take_certificate(const struct clm_json *node, bool is_trusted, struct row *row,
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {0};
    enum clm_code code = clm_cert_info_from_json(node, &info, err);

    if (code != CLM_OK) {
        return clm_str_starts(err->msg, "/") ? code : clm_err_wrap(err, code, "/certificate");
    }
    int64_t *end_s = info.is_ca ? &row->other_end_s : &row->leaf_end_s;

    if (!is_trusted && info.not_after_s > 0 && info.not_after_s < *end_s) {
        *end_s = info.not_after_s;
    }
    add_search(row, info.subject);
    add_search(row, info.issuer);
    add_search(row, info.serial);
    add_search(row, info.sha256);
    for (size_t i = 0; i < info.names.dns.n; i++) {
        add_search(row, info.names.dns.v[i]);
    }
    for (size_t i = 0; i < info.names.ip.n; i++) {
        add_search(row, info.names.ip.v[i]);
    }
    return clm_strs_add_once(&row->sha256s, info.sha256, err);
}

static enum clm_code take_entry(const struct clm_json *entry, struct row *row, struct clm_err *err)
{
    const struct clm_json *certificate = clm_json_get(entry, "certificate");
    const char *kind = NULL;
    const char *alias = NULL;
    bool flag = false;
    enum clm_code code = read_choice(entry, "kind", kinds, &kind, err);

    if (code == CLM_OK) {
        code = clm_json_str_or(entry, "alias", TEXT_MAX, NULL, &alias, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool_or(entry, "chain_ok", &flag, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool_or(entry, "key_matches", &flag, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    add_search(row, alias);
    return certificate != NULL
               ? take_certificate(certificate, strcmp(kind, "trusted") == 0, row, err)
               : CLM_OK;
}

static enum clm_code take_entries(const struct clm_json *file, struct row *row, struct clm_err *err)
{
    const struct clm_json *entries = NULL;
    enum clm_code code = clm_json_array(file, "entries", ENTRIES_MAX, &entries, err);
    size_t i = 0;

    for (const struct clm_json *e = clm_json_first(entries); code == CLM_OK && e != NULL;
         e = clm_json_next(e), i++) {
        code = take_entry(e, row, err);
        if (code != CLM_OK) {
            return place_in(err, code, "entries", i);
        }
    }
    return code;
}

static enum clm_code take_file(const struct clm_json *file, struct row *row, struct clm_err *err)
{
    const char *perm = NULL;
    enum clm_code code = clm_json_str(file, "path", PATH_MAX - 1, &row->path, err);

    if (code == CLM_OK && row->path[0] != '/') {
        code = clm_err_set(err, CLM_E_PARSE, "/path: must be absolute");
    }
    if (code == CLM_OK) {
        code = read_choice(file, "format", formats, &row->format, err);
    }
    if (code == CLM_OK) {
        code = read_choice(file, "status", statuses, &row->status, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(file, "perm", TEXT_MAX, &perm, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(file, "manager", 64, "", &row->manager, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool(file, "in_use", &row->in_use, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool_or(file, "locked", &row->locked, err);
    }
    add_search(row, row->path);
    if (code == CLM_OK) {
        code = each_text(file, "used_by", row, add_user, err);
    }
    if (code == CLM_OK) {
        code = each_text(file, "problems", row, add_problem, err);
    }
    if (code == CLM_OK) {
        code = take_entries(file, row, err);
    }
    return code == CLM_OK && row->is_short ? clm_err_set(err, CLM_E_NOMEM, "index of files") : code;
}

static enum clm_code insert(struct clm_cp_tx *tx, const struct clm_cp_file_page *page,
                            const struct clm_json *file, struct row *row, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(BODY_MAX);
    bool has_leaf = row->leaf_end_s < CLM_CP_FILE_NEVER_S;
    enum clm_code code = clm_json_print(file, false, &body, err);

    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "INSERT INTO file (agent_id, scan_id, page, path, format, status, in_use, manager,"
            " locked, not_after, problems, search, body)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            CLM_SQL(clm_sql_text(page->agent_id), clm_sql_text(page->scan_id),
                    clm_sql_int(page->page), clm_sql_text(row->path), clm_sql_text(row->format),
                    clm_sql_text(row->status), clm_sql_int(row->in_use ? 1 : 0),
                    clm_sql_text(row->manager), clm_sql_int(row->locked ? 1 : 0),
                    clm_sql_int(has_leaf ? row->leaf_end_s : row->other_end_s),
                    clm_sql_text(clm_buf_str(&row->problems)),
                    clm_sql_text(clm_buf_str(&row->search)), clm_sql_text(clm_buf_str(&body))));
    }
    if (code == CLM_E_EXISTS) {
        return clm_err_set(err, code, "'%.200s' stands twice in this scan", row->path);
    }
    for (size_t i = 0; code == CLM_OK && i < row->sha256s.n; i++) {
        code = clm_cp_db_exec(tx->db, err,
                              "INSERT INTO file_cert (sha256, file_id) SELECT ?1, id FROM file"
                              " WHERE agent_id = ?2 AND scan_id = ?3 AND path = ?4",
                              CLM_SQL(clm_sql_text(row->sha256s.v[i]), clm_sql_text(page->agent_id),
                                      clm_sql_text(page->scan_id), clm_sql_text(row->path)));
    }
    return code;
}

static enum clm_code insert_all(struct clm_cp_tx *tx, const struct clm_cp_file_page *page,
                                struct clm_err *err)
{
    enum clm_code code = CLM_OK;
    size_t i = 0;

    for (const struct clm_json *file = clm_json_first(page->files); code == CLM_OK && file != NULL;
         file = clm_json_next(file), i++) {
        struct row row = {.problems = CLM_BUF_INIT(TEXT_MAX),
                          .search = CLM_BUF_INIT(SEARCH_MAX),
                          .leaf_end_s = CLM_CP_FILE_NEVER_S,
                          .other_end_s = CLM_CP_FILE_NEVER_S};

        code = take_file(file, &row, err);
        if (code != CLM_OK) {
            (void)place_in(err, code, "files", i);
        } else {
            code = insert(tx, page, file, &row, err);
        }
        row_done(&row);
    }
    return code;
}

/* Rows of this page that came before; with the first page, what other scans left behind. */
static enum clm_code make_room(struct clm_cp_tx *tx, const struct clm_cp_file_page *page,
                               struct clm_err *err)
{
    static const char *const scripts[] = {
        "DELETE FROM file WHERE agent_id = ?1 AND ((scan_id = ?2 AND page = ?3) OR (?3 = 1 AND"
        " scan_id <> ?2 AND scan_id NOT IN (SELECT scan_id FROM file_set WHERE agent_id = ?1)))",
        "DELETE FROM file_page WHERE agent_id = ?1 AND ?3 = 1 AND scan_id <> ?2"
        " AND scan_id NOT IN (SELECT scan_id FROM file_set WHERE agent_id = ?1)",
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(scripts); i++) {
        code = clm_cp_db_exec(tx->db, err, scripts[i],
                              CLM_SQL(clm_sql_text(page->agent_id), clm_sql_text(page->scan_id),
                                      clm_sql_int(page->page)));
    }
    return code;
}

/* The first page from 1 that is not there: one above the longest run of pages. */
static enum clm_code find_gap(struct clm_cp_tx *tx, const struct clm_cp_file_page *page,
                              int64_t *out_page, struct clm_err *err)
{
    return clm_cp_db_get_int(
        tx->db, 1, out_page, err,
        "SELECT min(n) FROM (SELECT 1 AS n UNION SELECT page + 1 FROM file_page"
        " WHERE agent_id = ?1 AND scan_id = ?2) WHERE n NOT IN"
        " (SELECT page FROM file_page WHERE agent_id = ?1 AND scan_id = ?2)",
        CLM_SQL(clm_sql_text(page->agent_id), clm_sql_text(page->scan_id)));
}

static enum clm_code make_it_count(struct clm_cp_tx *tx, const struct clm_cp_file_page *page,
                                   struct clm_err *err)
{
    static const char *const scripts[] = {
        "INSERT INTO file_set (agent_id, scan_id, files, at) SELECT ?1, ?2, sum(files), ?3"
        " FROM file_page WHERE agent_id = ?1 AND scan_id = ?2 ON CONFLICT (agent_id) DO UPDATE"
        " SET scan_id = excluded.scan_id, files = excluded.files, at = excluded.at",
        "DELETE FROM file WHERE agent_id = ?1 AND scan_id <> ?2 AND ?3 > 0",
        "DELETE FROM file_page WHERE agent_id = ?1 AND scan_id <> ?2 AND ?3 > 0",
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(scripts); i++) {
        code = clm_cp_db_exec(tx->db, err, scripts[i],
                              CLM_SQL(clm_sql_text(page->agent_id), clm_sql_text(page->scan_id),
                                      clm_sql_int(tx->now_s)));
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "inventory", page->agent_id, "files", err) : code;
}

enum clm_code clm_cp_files_put(struct clm_cp_tx *tx, const struct clm_cp_file_page *page,
                               int64_t *out_missing, struct clm_err *err)
{
    int64_t gap = 0;
    enum clm_code code = make_room(tx, page, err);

    *out_missing = 0;
    if (code == CLM_OK) {
        code = insert_all(tx, page, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx->db, err,
                              "INSERT INTO file_page (agent_id, scan_id, page, files, at)"
                              " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE"
                              " SET files = excluded.files, at = excluded.at",
                              CLM_SQL(clm_sql_text(page->agent_id), clm_sql_text(page->scan_id),
                                      clm_sql_int(page->page),
                                      clm_sql_int((int64_t)clm_json_len(page->files)),
                                      clm_sql_int(tx->now_s)));
    }
    if (code != CLM_OK || !page->is_last) {
        return code;
    }
    code = find_gap(tx, page, &gap, err);
    if (code == CLM_OK && gap <= page->page) {
        *out_missing = gap;
        return CLM_OK;
    }
    return code == CLM_OK ? make_it_count(tx, page, err) : code;
}

enum clm_code clm_cp_files_clean(struct clm_cp_tx *tx, struct clm_err *err)
{
    static const char *const scripts[] = {
        "DELETE FROM file_page WHERE (agent_id, scan_id) IN (SELECT p.agent_id, p.scan_id"
        " FROM file_page p LEFT JOIN file_set s ON s.agent_id = p.agent_id AND"
        " s.scan_id = p.scan_id WHERE s.scan_id IS NULL GROUP BY 1, 2 HAVING max(p.at) < ?1)",
        "DELETE FROM file WHERE (agent_id, scan_id) NOT IN"
        " (SELECT agent_id, scan_id FROM file_page) AND ?1 > 0",
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(scripts); i++) {
        code = clm_cp_db_exec(tx->db, err, scripts[i],
                              CLM_SQL(clm_sql_int(tx->now_s - CLM_CP_FILES_PARTIAL_S)));
    }
    return code;
}
