/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_files - what the certificate and key files of targets hold
 *
 * Shared by the scanners of servers that read PEM files. Key bytes stay in a wiped buffer in here.
 */
#ifndef CLM_SCANNERS_TARGET_FILES_H
#define CLM_SCANNERS_TARGET_FILES_H

#include "agent/base/err.h"
#include "agent/model/io.h"
#include "agent/model/target.h"
#include "scanners/processes.h"
#include "scanners/users.h"

#define CLM_CERT_FILE_MAX ((size_t)1024 * 1024) /* bytes; design.md 11 */

/* What a scanner may leave in key_password before the files are read: a file with a password on each
 * line, and how else the server comes by the password (half a sentence, for the reason). */
#define CLM_PASSWORDS_IN CLM_SECRET_CONF "0:"
#define CLM_PASSWORDS_BY CLM_SECRET_CONF "-:"

/*
 * clm_targets_read_files() - certificate, chain_ok, key_matches, key_perm of every target
 *
 * In      process  the server's main process: files are read where it sees them (mounts.h)
 *         service  targets with cert_path and key_path (equal or "" for a key in the same file).
 *                  Targets that are not manageable are read as well, as far as that is possible;
 *                  those with another store_type than "pem" are their scanner's own.
 * Effect  a target whose files cannot be used gets a reason; key_password of one whose key is
 *         encrypted becomes "conf:LINE:FILE", of others ""
 * Errors  NOMEM
 */
CLM_MUST_USE enum clm_code clm_targets_read_files(const struct clm_io *io,
                                                  const struct clm_process *process,
                                                  struct clm_service *service, struct clm_err *err);

/*
 * clm_targets_to_host() - paths of a server with other mounts than ours become paths of this host
 *
 * In      service  after everything that looks targets up by the paths of the configuration
 * Effect  cert_path, key_path and chain_path of manageable targets; foreign_namespace if one of them
 *         changed, since a test run here would look at other files. Nothing if the server has our
 *         mounts and root.
 * Errors  NOMEM; LIMIT
 */
CLM_MUST_USE enum clm_code clm_targets_to_host(const struct clm_io *io,
                                               const struct clm_process *process,
                                               struct clm_service *service, struct clm_err *err);

/*
 * clm_targets_say_where() - tells targets of several services with one id apart
 *
 * Effect  "@" and the place of the configuration behind the ids of all but the service at the
 *         distribution's own place: "nginx:www.example.com@/etc/nginx-b"
 * Errors  NOMEM
 */
CLM_MUST_USE enum clm_code clm_targets_say_where(struct clm_inventory *inventory,
                                                 struct clm_err *err);

/*
 * clm_targets_check_shared() - finds files that several targets use
 *
 * Two targets with the same pair in different services are remarked. One file in different pairs
 * makes all of them unmanageable: a new certificate for one would break the others. Files are
 * compared by device and inode, so links are seen.
 * Errors  NOMEM
 */
CLM_MUST_USE enum clm_code clm_targets_check_shared(const struct clm_io *io,
                                                    struct clm_inventory *inventory,
                                                    struct clm_err *err);

/* key_perm from what is known of the file at path; a remark if every user can read it. what: "key",
 * "keystore". Errors: NOMEM */
CLM_MUST_USE enum clm_code clm_target_note_perm(struct clm_target *target,
                                                const struct clm_users *users,
                                                const struct clm_stat *st, const char *what,
                                                const char *path, struct clm_err *err);

#endif
