/* SPDX-License-Identifier: Apache-2.0 */
/* files - where the network half keeps what, and JSON in files */
#ifndef CLM_RUN_FILES_H
#define CLM_RUN_FILES_H

#include <limits.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "config/config.h"

/* "<state_dir>/net/<formatted>" into dst of PATH_MAX bytes. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_net_path(const struct clm_config *config, char *dst,
                                        struct clm_err *err, const char *fmt, ...) CLM_PRINTF(4, 5);

/* One JSON object of at most max bytes. Errors: NOTFOUND; PARSE, LIMIT with the path; PERM, IO. */
CLM_MUST_USE enum clm_code clm_file_read_json(const char *path, size_t max, struct clm_json **out,
                                              struct clm_err *err);
/* Replaces the file durably, mode 0600. Errors: LIMIT beyond max; PERM, IO, NOMEM. */
CLM_MUST_USE enum clm_code clm_file_write_json(const char *path, size_t max,
                                               const struct clm_json *root, struct clm_err *err);

/* Makes <state_dir>/net and what is in it; <state_dir> exists. Errors: PERM, IO. */
CLM_MUST_USE enum clm_code clm_net_dirs(const struct clm_config *config, struct clm_err *err);

#endif
