/* SPDX-License-Identifier: Apache-2.0 */
/* store_int - what the files of the store share; internal to agent/job */
#ifndef CLM_JOB_STORE_INT_H
#define CLM_JOB_STORE_INT_H

#include "agent/job/store.h"

/* "/bundles/" with a directory entry, "/" and a file, and what is written beside that: always fits. */
#define CLM_STORE_BELOW_MAX 300

struct clm_store {
    char dir[PATH_MAX - CLM_STORE_BELOW_MAX];
};

/* One file of a directory that appears complete. */
struct clm_store_file {
    const char *name;
    const struct clm_buf *data;
};

/* Writes <dir>/<kind>/.new with the files and renames it to <dir>/<kind>/<name>. Errors: EXISTS. */
CLM_MUST_USE enum clm_code clm_store_publish(const struct clm_store *store, const char *kind,
                                             const char *name, const struct clm_store_file *files,
                                             size_t n, struct clm_err *err);
/* Takes <dir>/<kind>/<name> out of sight by one rename, then deletes it. Missing is success. */
CLM_MUST_USE enum clm_code clm_store_withdraw(const struct clm_store *store, const char *kind,
                                              const char *name, struct clm_err *err);
/* "<dir>/<kind>", "<dir>/<kind>/<name>", "<dir>/<kind>/<name>/<file>" into dst of PATH_MAX; name, and
 * with it file, may be NULL. name is that of a directory entry, at most NAME_MAX bytes. */
void clm_store_path(const struct clm_store *store, const char *kind, const char *name,
                    const char *file, char *dst);
/* Appends a file; a missing one is an empty one. */
CLM_MUST_USE enum clm_code clm_store_read_text(const char *path, struct clm_buf *out,
                                               struct clm_err *err);
/* Reads and parses one JSON file. Errors: NOTFOUND; PARSE with the path. */
CLM_MUST_USE enum clm_code clm_store_read_json(const char *path, struct clm_json **out,
                                               struct clm_err *err);
bool clm_store_sha256_is_valid(const char *text);
/* A bundle's meta.json. Errors: INVAL sha256; NOTFOUND. */
CLM_MUST_USE enum clm_code clm_store_bundle_read(const struct clm_store *store, const char *sha256,
                                                 struct clm_json **out, struct clm_err *err);

struct clm_store_new_bundle {
    const struct clm_buf *key_pem;
    const char *key_ref; /* "" for an imported one */
    const struct clm_cert_info *leaf;
    const struct clm_buf *leaf_pem;
    const struct clm_buf *chain_pem;
    const struct clm_json *meta; /* may be NULL */
};
CLM_MUST_USE enum clm_code clm_store_bundle_write(struct clm_store *store,
                                                  const struct clm_store_new_bundle *bundle,
                                                  struct clm_err *err);
/* clm_store_generation_add() for generation 0 of a target that has none. */
CLM_MUST_USE enum clm_code clm_store_generation_import(struct clm_store *store, const char *target,
                                                       const char *sha256, int64_t now_s,
                                                       struct clm_err *err);

#endif
