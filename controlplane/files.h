/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files - the certificate files that hosts found on their disks
 *
 * A host uploads one scan in pages. What came in is kept apart from what counts until the last page
 * is there; then the new set replaces the old one in one transaction. A scan that was never finished
 * goes with the next one, or with clm_cp_files_clean().
 */
#ifndef CLM_CONTROLPLANE_FILES_H
#define CLM_CONTROLPLANE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "controlplane/tx.h"

#define CLM_CP_FILES_PER_PAGE  100
#define CLM_CP_FILE_PAGES      1000           /* 100,000 files on one host */
#define CLM_CP_FILE_NEVER_S    253402300799LL /* of a file in which nothing ends; year 9999 */
#define CLM_CP_FILES_PARTIAL_S 3600           /* a scan may take so long to come in */
#define CLM_CP_FILES_LIST_MAX  500
#define CLM_CP_FILES_LIST_SIZE ((size_t)4 << 20) /* bytes of one list; then it goes on elsewhere */

struct clm_cp_file_page {
    const char *agent_id;
    const char *scan_id;
    int64_t page; /* from 1 */
    bool is_last;
    const struct clm_json *files; /* array of FILE (docs/openapi.yaml, CertificateFile) */
};

/*
 * clm_cp_files_put() - takes one page; the last one makes the scan count
 *
 * Out     out_missing  a page before the last one that is not there (send it, then the last again);
 *                      0: none
 * Effect  A page that came before is replaced: sending again is harmless.
 * Errors  PARSE, LIMIT with the place in the page; EXISTS a path stands twice in the scan
 */
CLM_MUST_USE enum clm_code clm_cp_files_put(struct clm_cp_tx *tx,
                                            const struct clm_cp_file_page *page,
                                            int64_t *out_missing, struct clm_err *err);
/* Removes scans that are neither finished nor recent. */
CLM_MUST_USE enum clm_code clm_cp_files_clean(struct clm_cp_tx *tx, struct clm_err *err);

/* NULL and negative numbers: any. Texts are borrowed. */
struct clm_cp_file_filter {
    const char *agent_id;
    const char *status;  /* managed, monitored, ignored */
    const char *format;  /* pem, der ... */
    const char *problem; /* one of the names, or "any" */
    const char *manager; /* a name, or "none" */
    const char *sha256;  /* a certificate in it */
    const char *text; /* part of path, subject, name, alias, user; ASCII letters of either case */
    int64_t in_use;   /* 0, 1 */
    int64_t ends_before_s;
    bool by_expiry; /* the earliest end first; else by path */
    int64_t limit;
    const char *cursor; /* "next" of the list before; NULL: from the start */
};

/* {"files", "next", "total", "managers"}; the last two only without a cursor, else null. Errors:
 * PARSE the cursor. */
CLM_MUST_USE enum clm_code clm_cp_files_list(struct clm_cp_tx *tx,
                                             const struct clm_cp_file_filter *filter,
                                             struct clm_json *obj, struct clm_err *err);

#endif
