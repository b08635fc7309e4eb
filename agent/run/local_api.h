/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_api - the status socket: <run_dir>/status.sock, for members of config.group
 *
 * The frames of agent/ipc, one request a connection, read-only; docs/ipc.md "Status socket". Served
 * by the main process between its other work: never blocks, few clients, each with little time.
 */
#ifndef CLM_RUN_LOCAL_API_H
#define CLM_RUN_LOCAL_API_H

#include <poll.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/fail.h"

#define CLM_LOCAL_CLIENTS_MAX 8
#define CLM_LOCAL_TIME_MS     5000 /* for a whole request and its answer */
#define CLM_LOCAL_REPLY_MAX   4194304u

/*
 * clm_status_request() - asks the running agent (any process)
 *
 * In      method  "status", "jobs", "job" (params {"job_id"}), "poll"
 *         params  NULL: {}
 * Out     out_reply the caller's
 * Errors  NOTFOUND, NET the agent does not run; PERM not a member of the group; NOTFOUND also: no
 *         such job; INVAL no such method; TIMEOUT
 */
CLM_MUST_USE enum clm_code clm_status_request(const char *run_dir, const char *method,
                                              const struct clm_json *params,
                                              struct clm_json **out_reply, struct clm_err *err);

/* Answers one request. reply is an empty object. The error goes to the client. */
typedef enum clm_code (*clm_local_fn)(void *arg, const char *method, const struct clm_json *params,
                                      struct clm_json *reply, struct clm_err *err);

struct clm_local_api;

/*
 * clm_local_api_open() - binds and listens
 *
 * In      run_dir  ours; an old socket in it is replaced
 *         group    name; "" leaves the group as it is
 * Errors  LIMIT path too long; PERM; IO; NOMEM
 */
CLM_MUST_USE enum clm_code clm_local_api_open(const char *run_dir, const char *group,
                                              clm_local_fn answer, void *arg,
                                              struct clm_local_api **out, struct clm_err *err);
/* Accepts NULL. Removes the socket. */
void clm_local_api_close(struct clm_local_api *api);
CLM_DEFINE_CLEANUP(struct clm_local_api, clm_local_api_close);

/* Descriptors to wait for, at most CLM_LOCAL_CLIENTS_MAX + 1; returns how many. *io_wait_ms is
 * lowered to the first client's deadline. */
size_t clm_local_api_poll(const struct clm_local_api *api, struct pollfd *fds, int64_t now_ms,
                          int64_t *io_wait_ms);
/* Does what can be done without waiting, for the same fds with revents; lets slow clients go. */
void clm_local_api_work(struct clm_local_api *api, const struct pollfd *fds, size_t n,
                        int64_t now_ms);

#endif
