/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/bus.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"

#define CALL_USEC (10 * 1000000ull) /* a healthy PID 1 answers in milliseconds */

void clm_bus_close_p(sd_bus **bus)
{
    *bus = sd_bus_flush_close_unref(*bus);
}

void clm_bus_message_p(sd_bus_message **message)
{
    *message = sd_bus_message_unref(*message);
}

void clm_bus_slot_p(sd_bus_slot **slot)
{
    *slot = sd_bus_slot_unref(*slot);
}

enum clm_code clm_bus_open(sd_bus **out_bus, struct clm_err *err)
{
    CLM_CLEANUP(clm_bus_close_p) sd_bus *bus = NULL;
    int r;

    if (access("/run/systemd/system", F_OK) != 0) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "systemd does not run here");
    }
    r = sd_bus_open_system(&bus);
    if (r < 0) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "no connection to systemd over D-Bus: %s",
                           strerror(-r));
    }
    (void)sd_bus_set_method_call_timeout(bus, CALL_USEC);
    *out_bus = CLM_STEAL(bus);
    return CLM_OK;
}

enum clm_code clm_bus_error(struct clm_err *err, const sd_bus_error *error, int r, const char *what,
                            const char *name)
{
    const char *text = error->message != NULL ? error->message : strerror(-r);

    if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.NoSuchUnit")) {
        return clm_err_set(err, CLM_E_NOTFOUND, "%s '%s': no such unit", what, name);
    }
    if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.JobTypeNotApplicable")) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "%s '%s': the unit has no ExecReload", what,
                           name);
    }
    return clm_err_set(err, r == -ETIMEDOUT ? CLM_E_TIMEOUT : CLM_E_IO, "%s '%s': %s", what, name,
                       text);
}

static int job_removed(sd_bus_message *message, void *arg, sd_bus_error *error)
{
    struct clm_bus_job *job = arg;
    const char *path;
    const char *result;

    (void)error;
    if (sd_bus_message_read(message, "uoss", NULL, &path, NULL, &result) < 0) {
        return 0;
    }
    if (strcmp(path, job->path) == 0) {
        clm_ignore(clm_str_copy(job->result, sizeof(job->result), result, NULL));
    }
    return 0;
}

int clm_bus_watch_jobs(sd_bus *bus, struct clm_bus_job *job, sd_bus_slot **out_slot,
                       sd_bus_error *error)
{
    int r = sd_bus_match_signal(bus, out_slot, CLM_BUS_NAME, CLM_BUS_PATH, CLM_BUS_MANAGER,
                                "JobRemoved", job_removed, job);

    return r < 0 ? r
                 : sd_bus_call_method(bus, CLM_BUS_NAME, CLM_BUS_PATH, CLM_BUS_MANAGER, "Subscribe",
                                      error, NULL, "");
}

enum clm_code clm_bus_wait_job(sd_bus *bus, struct clm_bus_job *job, const char *what,
                               const char *name, uint32_t timeout_ms, struct clm_err *err)
{
    int64_t end_ms = clm_clock_mono_ms() + timeout_ms;

    while (job->result[0] == '\0') {
        int64_t left_ms = end_ms - clm_clock_mono_ms();
        int r = sd_bus_process(bus, NULL);

        if (r == 0) {
            if (left_ms <= 0) {
                return clm_err_set(err, CLM_E_TIMEOUT, "%s of '%s' took longer than %u s", what,
                                   name, timeout_ms / 1000u);
            }
            r = sd_bus_wait(bus, (uint64_t)left_ms * 1000u);
        }
        if (r < 0 && r != -EINTR) {
            return clm_err_set(err, CLM_E_IO, "%s of '%s': lost systemd: %s", what, name,
                               strerror(-r));
        }
    }
    return CLM_OK;
}
