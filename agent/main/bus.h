/* SPDX-License-Identifier: Apache-2.0 */
/* bus - the connection to systemd over D-Bus, and waiting for the jobs it does */
#ifndef CLM_MAIN_BUS_H
#define CLM_MAIN_BUS_H

#include <stdint.h>

#include <systemd/sd-bus.h>

#include "agent/base/err.h"

#define CLM_BUS_NAME    "org.freedesktop.systemd1"
#define CLM_BUS_PATH    "/org/freedesktop/systemd1"
#define CLM_BUS_MANAGER "org.freedesktop.systemd1.Manager"
#define CLM_BUS_SERVICE "org.freedesktop.systemd1.Service"
#define CLM_BUS_UNIT    "org.freedesktop.systemd1.Unit"

/* for CLM_CLEANUP */
void clm_bus_close_p(sd_bus **bus);
void clm_bus_message_p(sd_bus_message **message);
void clm_bus_slot_p(sd_bus_slot **slot);

/* Out: a connection for clm_bus_close_p(). Errors: UNSUPPORTED systemd does not run, or does not
 * answer. */
CLM_MUST_USE enum clm_code clm_bus_open(sd_bus **out_bus, struct clm_err *err);

/* What a call that answered r means: what it was for, and of which unit. Never CLM_OK. */
CLM_MUST_USE enum clm_code clm_bus_error(struct clm_err *err, const sd_bus_error *error, int r,
                                         const char *what, const char *name);

/* What the match callback learns of the job we wait for. Zero-initialise it. */
struct clm_bus_job {
    const char *path; /* of the object; a signal that came before the reply waits until we wait */
    char result[16];  /* "done", "failed", "timeout" ... */
};

/* Signals of ended jobs go to *job as long as *out_slot lives. Answers as sd_bus_call_method(). */
int clm_bus_watch_jobs(sd_bus *bus, struct clm_bus_job *job, sd_bus_slot **out_slot,
                       sd_bus_error *error);

/*
 * clm_bus_wait_job() - until job->path has ended; job->result then says how
 *
 * In      what, name  for messages: "reload", "nginx.service"
 * Errors  TIMEOUT; IO systemd is gone
 */
CLM_MUST_USE enum clm_code clm_bus_wait_job(sd_bus *bus, struct clm_bus_job *job, const char *what,
                                            const char *name, uint32_t timeout_ms,
                                            struct clm_err *err);

#endif
