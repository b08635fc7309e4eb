/* SPDX-License-Identifier: Apache-2.0 */
/* units - systemd over D-Bus: the members unit_* of struct clm_io. Nothing is kept between calls. */
#ifndef CLM_MAIN_UNITS_H
#define CLM_MAIN_UNITS_H

#include "agent/model/io.h"

/* Visits every loaded service unit that is active or failed. Errors: UNSUPPORTED without systemd. */
enum clm_code clm_units_list(void *ctx, clm_io_unit_fn visit, void *arg, struct clm_err *err);

/* Errors: NOTFOUND no such unit; UNSUPPORTED without systemd. */
enum clm_code clm_units_state(void *ctx, const char *name, struct clm_unit *out,
                              struct clm_err *err);

/*
 * clm_units_reload() - asks systemd to reload a unit and waits for the job's result
 *
 * In      name  "nginx.service"
 *         timeout_ms  for the whole of it
 * Errors  UNSUPPORTED without systemd or if the unit has no reload; IO the job ended other than
 *         "done" (the message says how); TIMEOUT.
 * Source  org.freedesktop.systemd1(5), ReloadUnit and the signal JobRemoved
 */
enum clm_code clm_units_reload(void *ctx, const char *name, uint32_t timeout_ms,
                               struct clm_err *err);
/* The same with RestartUnit: connections end. The caller has asked the policy. */
enum clm_code clm_units_restart(void *ctx, const char *name, uint32_t timeout_ms,
                                struct clm_err *err);

#endif
