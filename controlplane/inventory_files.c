/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate files that hosts report, page by page, and the same for operators. */
#include <assert.h>
#include <string.h>

#include "controlplane/files.h"
#include "controlplane/handlers.h"
#include "controlplane/server.h"

#define LIST_DEFAULT 100
#define DAYS_MAX     36500
#define TEXT_MAX     256

/* "{id}/{page}" of the path. */
static enum clm_code read_place(const struct clm_cp_request *req, char *scan_id,
                                struct clm_cp_file_page *out, struct clm_err *err)
{
    const char *slash = strchr(req->param, '/');
    size_t len = (size_t)(slash - req->param);

    if (len >= CLM_ID_SIZE || strspn(req->param, "abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRST"
                                                 "UVWXYZ0123456789") != len) {
        return clm_err_set(err, CLM_E_PARSE, "the scan's id is not one");
    }
    memcpy(scan_id, req->param, len);
    scan_id[len] = '\0';
    out->scan_id = scan_id;
    enum clm_code code = clm_str_to_int(slash + 1, 1, CLM_CP_FILE_PAGES, &out->page, err);

    return code == CLM_OK ? code : clm_err_wrap(err, code, "page");
}

static enum clm_code read_page(const struct clm_cp_request *req, struct clm_cp_file_page *out,
                               struct clm_err *err)
{
    const char *scan_id = NULL;
    int64_t schema = 0;
    int64_t page = 0;

    assert(out->scan_id != NULL);
    enum clm_code code = clm_json_int(req->body, "schema", 1, 1, &schema, err);

    if (code == CLM_OK) {
        code = clm_json_str(req->body, "scan_id", CLM_ID_SIZE - 1, &scan_id, err);
    }
    if (code == CLM_OK && strcmp(scan_id, out->scan_id) != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "/scan_id: is not that of the path");
    }
    if (code == CLM_OK) {
        code = clm_json_int(req->body, "page", 1, CLM_CP_FILE_PAGES, &page, err);
    }
    if (code == CLM_OK && page != out->page) {
        code = clm_err_set(err, CLM_E_PARSE, "/page: is not that of the path");
    }
    if (code == CLM_OK) {
        code = clm_json_bool(req->body, "last", &out->is_last, err);
    }
    return code == CLM_OK
               ? clm_json_array(req->body, "files", CLM_CP_FILES_PER_PAGE, &out->files, err)
               : code;
}

CLM_CP_HANDLER(clm_cp_put_inventory_files)
{
    struct clm_cp_file_page page = {.agent_id = req->agent_id};
    char scan_id[CLM_ID_SIZE];
    int64_t missing = 0;
    enum clm_code code = read_place(req, scan_id, &page, err);

    if (code == CLM_OK) {
        code = read_page(req, &page, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_files_put(req->tx, &page, &missing, err);
    }
    if (code == CLM_E_EXISTS) {
        return clm_cp_answer_problem(req, answer, CLM_CP_SCHEMA, "%.400s", err->msg);
    }
    if (code == CLM_OK && missing > 0) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "page %lld of this scan is missing", (long long)missing);
    }
    return code == CLM_OK ? clm_cp_answer_empty(answer, 204) : code;
}

static enum clm_code read_sort(const struct clm_cp_request *req, bool *out_by_expiry,
                               struct clm_err *err)
{
    const char *sort = clm_cp_request_query(req, "sort");

    *out_by_expiry = sort != NULL && strcmp(sort, "expiry") == 0;
    if (sort != NULL && !*out_by_expiry && strcmp(sort, "path") != 0) {
        return clm_err_set(err, CLM_E_PARSE, "query parameter 'sort': 'path' or 'expiry'");
    }
    return CLM_OK;
}

CLM_CP_HANDLER(clm_cp_op_get_inventory_files)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_cp_file_filter filter = {
        .agent_id = clm_cp_request_query(req, "agent_id"),
        .status = clm_cp_request_query(req, "status"),
        .format = clm_cp_request_query(req, "format"),
        .problem = clm_cp_request_query(req, "problem"),
        .manager = clm_cp_request_query(req, "manager"),
        .sha256 = clm_cp_request_query(req, "sha256"),
        .text = clm_cp_request_query(req, "q"),
        .cursor = clm_cp_request_query(req, "cursor"),
        .in_use = -1,
        .limit = LIST_DEFAULT,
    };
    int64_t days = -1;
    enum clm_code code =
        clm_cp_request_number(req, "limit", CLM_CP_FILES_LIST_MAX, &filter.limit, err);

    if (code == CLM_OK) {
        code = clm_cp_request_number(req, "in_use", 1, &filter.in_use, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_request_number(req, "days", DAYS_MAX, &days, err);
    }
    if (code == CLM_OK) {
        code = read_sort(req, &filter.by_expiry, err);
    }
    if (code == CLM_OK && filter.text != NULL && strlen(filter.text) > TEXT_MAX) {
        code = clm_err_set(err, CLM_E_LIMIT, "query parameter 'q': at most %d bytes", TEXT_MAX);
    }
    filter.ends_before_s = days >= 0 ? req->tx->now_s + days * 86400 : -1;
    if (code == CLM_OK) {
        code = clm_cp_files_list(req->tx, &filter, obj, err);
    }
    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}
