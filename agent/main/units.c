/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"

#define MANAGER_NAME  "org.freedesktop.systemd1"
#define MANAGER_PATH  "/org/freedesktop/systemd1"
#define MANAGER_IFACE "org.freedesktop.systemd1.Manager"
#define SERVICE_IFACE "org.freedesktop.systemd1.Service"
#define UNIT_IFACE    "org.freedesktop.systemd1.Unit"
#define CALL_USEC     (10 * 1000000ull) /* a healthy PID 1 answers in milliseconds */

static void bus_close_p(sd_bus **bus)
{
    *bus = sd_bus_flush_close_unref(*bus);
}

static void message_unref_p(sd_bus_message **message)
{
    *message = sd_bus_message_unref(*message);
}

static void slot_unref_p(sd_bus_slot **slot)
{
    *slot = sd_bus_slot_unref(*slot);
}

/* PID 1 is asked directly where we may (root), so a stopped bus daemon is no obstacle. */
static enum clm_code open_bus(sd_bus **out_bus, struct clm_err *err)
{
    CLM_CLEANUP(bus_close_p) sd_bus *bus = NULL;
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

static enum clm_code bus_error(struct clm_err *err, const sd_bus_error *error, int r,
                               const char *what, const char *name)
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

static enum clm_unit_state state_of(const char *active)
{
    if (strcmp(active, "active") == 0 || strcmp(active, "reloading") == 0) {
        return CLM_UNIT_ACTIVE;
    }
    if (strcmp(active, "failed") == 0) {
        return CLM_UNIT_FAILED;
    }
    return strcmp(active, "inactive") == 0 ? CLM_UNIT_INACTIVE : CLM_UNIT_UNKNOWN;
}

static void read_main_pid(sd_bus *bus, const char *path, struct clm_unit *unit)
{
    uint32_t pid = 0;

    if (sd_bus_get_property_trivial(bus, MANAGER_NAME, path, SERVICE_IFACE, "MainPID", NULL, 'u',
                                    &pid) >= 0) {
        unit->main_pid = (int32_t)pid;
    }
}

static enum clm_code visit_reply(sd_bus *bus, sd_bus_message *reply, clm_io_unit_fn visit,
                                 void *arg, struct clm_err *err)
{
    const char *name;
    const char *active;
    const char *path;
    int r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");

    while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &active,
                                              NULL, NULL, &path, NULL, NULL, NULL)) > 0) {
        struct clm_unit unit = {.state = state_of(active)};
        enum clm_code code;

        if (!clm_str_ends(name, ".service") ||
            (unit.state != CLM_UNIT_ACTIVE && unit.state != CLM_UNIT_FAILED) ||
            clm_str_copy(unit.name, sizeof(unit.name), name, NULL) != CLM_OK) {
            continue;
        }
        if (unit.state == CLM_UNIT_ACTIVE) {
            read_main_pid(bus, path, &unit);
        }
        code = visit(arg, &unit, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    if (r < 0) {
        return clm_err_set(err, CLM_E_PARSE, "list of units from systemd: %s", strerror(-r));
    }
    return CLM_OK;
}

enum clm_code clm_units_list(void *ctx, clm_io_unit_fn visit, void *arg, struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    CLM_CLEANUP(bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(message_unref_p) sd_bus_message *reply = NULL;
    enum clm_code code = open_bus(&bus, err);
    int r;

    (void)ctx;
    if (code != CLM_OK) {
        return code;
    }
    r = sd_bus_call_method(bus, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE, "ListUnits", &error,
                           &reply, "");
    if (r < 0) {
        return bus_error(err, &error, r, "list units", "*");
    }
    return visit_reply(bus, reply, visit, arg, err);
}

static void read_string(sd_bus *bus, const char *path, const char *property, char *dst, size_t size)
{
    char *text = NULL;

    if (sd_bus_get_property_string(bus, MANAGER_NAME, path, UNIT_IFACE, property, NULL, &text) >=
        0) {
        clm_ignore(clm_str_copy(dst, size, text, NULL));
        free(text);
    }
}

enum clm_code clm_units_state(void *ctx, const char *name, struct clm_unit *out,
                              struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    CLM_CLEANUP(bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(message_unref_p) sd_bus_message *reply = NULL;
    struct clm_unit unit = {.state = CLM_UNIT_UNKNOWN};
    const char *path = NULL;
    char active[32] = "";
    enum clm_code code = open_bus(&bus, err);
    int r;

    (void)ctx;
    if (code != CLM_OK) {
        return code;
    }
    r = sd_bus_call_method(bus, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE, "GetUnit", &error,
                           &reply, "s", name);
    if (r < 0) {
        return bus_error(err, &error, r, "state of unit", name);
    }
    r = sd_bus_message_read(reply, "o", &path);
    if (r < 0) {
        return clm_err_set(err, CLM_E_PARSE, "state of unit '%s': %s", name, strerror(-r));
    }
    code = clm_str_copy(unit.name, sizeof(unit.name), name, err);
    if (code != CLM_OK) {
        return code;
    }
    read_string(bus, path, "ActiveState", active, sizeof(active));
    read_string(bus, path, "FragmentPath", unit.fragment_path, sizeof(unit.fragment_path));
    unit.state = state_of(active);
    read_main_pid(bus, path, &unit);
    *out = unit;
    return CLM_OK;
}

/* What the match callback learns of the job we wait for. */
struct wait {
    const char *job;    /* object path; NULL until the reply came */
    char early[4][128]; /* jobs that ended before the reply told us ours */
    char early_result[4][16];
    size_t n_early;
    char result[16];
};

static int job_removed(sd_bus_message *message, void *arg, sd_bus_error *error)
{
    struct wait *wait = arg;
    const char *path;
    const char *result;

    (void)error;
    if (sd_bus_message_read(message, "uoss", NULL, &path, NULL, &result) < 0) {
        return 0;
    }
    if (wait->job != NULL && strcmp(path, wait->job) == 0) {
        clm_ignore(clm_str_copy(wait->result, sizeof(wait->result), result, NULL));
    } else if (wait->job == NULL && wait->n_early < CLM_ARRAY_LEN(wait->early)) {
        clm_ignore(clm_str_copy(wait->early[wait->n_early], sizeof(wait->early[0]), path, NULL));
        clm_ignore(clm_str_copy(wait->early_result[wait->n_early], sizeof(wait->early_result[0]),
                                result, NULL));
        wait->n_early++;
    }
    return 0;
}

/* What systemd is asked to do with a unit. */
struct action {
    const char *method; /* of the manager */
    const char *word;   /* for messages */
    const char *name;   /* of the unit */
    uint32_t timeout_ms;
};

static enum clm_code wait_for_job(sd_bus *bus, struct wait *wait, const struct action *action,
                                  struct clm_err *err)
{
    const char *name = action->name;
    uint32_t timeout_ms = action->timeout_ms;
    int64_t end_ms = clm_clock_mono_ms() + timeout_ms;

    for (size_t i = 0; i < wait->n_early; i++) {
        if (strcmp(wait->early[i], wait->job) == 0) {
            memcpy(wait->result, wait->early_result[i], sizeof(wait->result));
        }
    }
    while (wait->result[0] == '\0') {
        int64_t left_ms = end_ms - clm_clock_mono_ms();
        int r = sd_bus_process(bus, NULL);

        if (r == 0) {
            if (left_ms <= 0) {
                return clm_err_set(err, CLM_E_TIMEOUT, "%s of '%s' took longer than %u s",
                                   action->word, name, timeout_ms / 1000u);
            }
            r = sd_bus_wait(bus, (uint64_t)left_ms * 1000u);
        }
        if (r < 0 && r != -EINTR) {
            return clm_err_set(err, CLM_E_IO, "%s of '%s': lost systemd: %s", action->word, name,
                               strerror(-r));
        }
    }
    if (strcmp(wait->result, "done") != 0) {
        return clm_err_set(err, CLM_E_IO, "%s of '%s' ended with '%s'; see: journalctl -u %s",
                           action->word, name, wait->result, name);
    }
    return CLM_OK;
}

static enum clm_code act(const struct action *action, struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    CLM_CLEANUP(bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(slot_unref_p) sd_bus_slot *slot = NULL;
    CLM_CLEANUP(message_unref_p) sd_bus_message *reply = NULL;
    struct wait wait = {.job = NULL};
    enum clm_code code = open_bus(&bus, err);
    int r;

    if (code != CLM_OK) {
        return code;
    }
    r = sd_bus_match_signal(bus, &slot, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE, "JobRemoved",
                            job_removed, &wait);
    if (r >= 0) {
        r = sd_bus_call_method(bus, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE, "Subscribe", &error,
                               NULL, "");
    }
    if (r >= 0) {
        r = sd_bus_call_method(bus, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE, action->method,
                               &error, &reply, "ss", action->name, "replace");
    }
    if (r < 0) {
        return bus_error(err, &error, r, action->word, action->name);
    }
    r = sd_bus_message_read(reply, "o", &wait.job);
    if (r < 0) {
        return clm_err_set(err, CLM_E_PARSE, "%s of '%s': %s", action->word, action->name,
                           strerror(-r));
    }
    return wait_for_job(bus, &wait, action, err);
}

enum clm_code clm_units_reload(void *ctx, const char *name, uint32_t timeout_ms,
                               struct clm_err *err)
{
    const struct action action = {"ReloadUnit", "reload", name, timeout_ms};

    (void)ctx;
    return act(&action, err);
}

enum clm_code clm_units_restart(void *ctx, const char *name, uint32_t timeout_ms,
                                struct clm_err *err)
{
    const struct action action = {"RestartUnit", "restart", name, timeout_ms};

    (void)ctx;
    return act(&action, err);
}
