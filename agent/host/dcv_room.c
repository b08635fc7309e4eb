/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many orders may have validation files here. The network half names the orders, so that without
 * an end it could fill the disk; and it may forget to remove what it asked for.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/host/dcv.h"
#include "agent/host/internal.h"

#define RECORDS_MAX 256
#define OLD_S       INT64_C(691200) /* 8 days; a job may hold them for 7 (CLM_SPEC hold_s) */

struct sweep {
    struct clm_host *host;
    size_t left;
};

/* "ord_01J9....json" of <dir>/dcv; goes if it is old, with the files it speaks of. */
static enum clm_code look(void *arg, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(clm_dcv_record_done) struct clm_dcv_record record = {.roots = NULL};
    static const struct clm_dcv_record none = {.roots = NULL};
    struct sweep *sweep = arg;
    struct clm_host *host = sweep->host;
    char path[PATH_MAX];
    char order_id[CLM_ID_SIZE];
    struct stat st;

    (void)err;
    (void)snprintf(order_id, sizeof(order_id), "%.*s", (int)strcspn(name, "."), name);
    sweep->left++;
    if (clm_str_fmt(path, sizeof(path), NULL, "%s/dcv/%s", host->dir, name) != CLM_OK ||
        stat(path, &st) != 0 || host->io->now_s(host->io->ctx) - st.st_mtime < OLD_S ||
        clm_ledger_dcv_get(host->dir, order_id, &record, NULL) != CLM_OK) {
        return CLM_OK;
    }
    for (size_t i = 0; i < record.n_roots; i++) {
        clm_ignore(clm_dcv_remove(record.roots[i].root, &record.roots[i].made, NULL, NULL));
    }
    if (clm_ledger_dcv_put(host->dir, order_id, &none, NULL) == CLM_OK) {
        sweep->left--;
        clm_log_notice("removed forgotten validation files of order %s", order_id);
    }
    return CLM_OK;
}

enum clm_code clm_host_dcv_room(struct clm_host *host, struct clm_err *err)
{
    struct sweep sweep = {.host = host};
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/dcv", host->dir);

    if (code == CLM_OK) {
        code = clm_fs_list(path, look, &sweep, err);
    }
    if (code == CLM_OK && sweep.left >= RECORDS_MAX) {
        code = clm_err_set(err, CLM_E_LIMIT,
                           "validation files of %zu orders are in place; no more before some of "
                           "them are removed",
                           sweep.left);
    }
    return code;
}
