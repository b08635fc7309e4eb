/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - "clmbot run": the network half, alone or with a host half of its own
 *
 * The main process polls, answers on the status socket and starts children; jobs, scans, renewal of
 * the identity and the emptying of the spool are processes of their own (job_child.h), so between
 * jobs only little stays in memory.
 */
#ifndef CLM_RUN_RUN_H
#define CLM_RUN_RUN_H

#include "agent/base/err.h"
#include "config/config.h"

/*
 * clm_run_main() - the network half until SIGTERM or SIGINT
 *
 * In      config  control_plane.*, scan.*, state_dir (its net/ is ours), run_dir (exists, ours)
 * Effect  Started as root it becomes config->user first. Tells systemd READY, WATCHDOG, STOPPING,
 *         if NOTIFY_SOCKET is set. SIGHUP polls at once. Without an identity it waits for one
 *         (enrolment) and answers on the status socket meanwhile.
 * Errors  CONFLICT another one runs on this state directory; NOTFOUND no such user; PERM; IO
 */
CLM_MUST_USE enum clm_code clm_run_main(const struct clm_config *config, struct clm_err *err);

/*
 * clm_run_supervise() - the same for places without systemd ("--spawn-host")
 *
 * Effect  Binds <run_dir>/host.sock (0660, root and config->group), runs clm_run_main() in a child
 *         and, whenever a client waits on that socket, "clmbot host" with it as systemd would
 *         (LISTEN_FDS=1). A half that ends early is started again after a pause. SIGTERM ends both.
 * Errors  as clm_run_main(); EXISTS somebody listens on host.sock already
 */
CLM_MUST_USE enum clm_code clm_run_supervise(const struct clm_config *config, struct clm_err *err);

#endif
