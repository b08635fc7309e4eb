/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/main/bus.h"

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

    if (sd_bus_get_property_trivial(bus, CLM_BUS_NAME, path, CLM_BUS_SERVICE, "MainPID", NULL, 'u',
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
    CLM_CLEANUP(clm_bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *reply = NULL;
    enum clm_code code = clm_bus_open(&bus, err);
    int r;

    (void)ctx;
    if (code != CLM_OK) {
        return code;
    }
    r = sd_bus_call_method(bus, CLM_BUS_NAME, CLM_BUS_PATH, CLM_BUS_MANAGER, "ListUnits", &error,
                           &reply, "");
    if (r < 0) {
        return clm_bus_error(err, &error, r, "list units", "*");
    }
    return visit_reply(bus, reply, visit, arg, err);
}

static void read_string(sd_bus *bus, const char *path, const char *property, char *dst, size_t size)
{
    char *text = NULL;

    if (sd_bus_get_property_string(bus, CLM_BUS_NAME, path, CLM_BUS_UNIT, property, NULL, &text) >=
        0) {
        clm_ignore(clm_str_copy(dst, size, text, NULL));
        free(text);
    }
}

enum clm_code clm_units_state(void *ctx, const char *name, struct clm_unit *out,
                              struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    CLM_CLEANUP(clm_bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *reply = NULL;
    struct clm_unit unit = {.state = CLM_UNIT_UNKNOWN};
    const char *path = NULL;
    char active[32] = "";
    enum clm_code code = clm_bus_open(&bus, err);
    int r;

    (void)ctx;
    if (code != CLM_OK) {
        return code;
    }
    r = sd_bus_call_method(bus, CLM_BUS_NAME, CLM_BUS_PATH, CLM_BUS_MANAGER, "GetUnit", &error,
                           &reply, "s", name);
    if (r < 0) {
        return clm_bus_error(err, &error, r, "state of unit", name);
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

/* What systemd is asked to do with a unit. */
struct action {
    const char *method; /* of the manager */
    const char *word;   /* for messages */
    const char *name;   /* of the unit */
    uint32_t timeout_ms;
};

static enum clm_code act(const struct action *action, struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    CLM_CLEANUP(clm_bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(clm_bus_slot_p) sd_bus_slot *slot = NULL;
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *reply = NULL;
    struct clm_bus_job job = {.path = NULL};
    enum clm_code code = clm_bus_open(&bus, err);
    int r;

    if (code != CLM_OK) {
        return code;
    }
    r = clm_bus_watch_jobs(bus, &job, &slot, &error);
    if (r >= 0) {
        r = sd_bus_call_method(bus, CLM_BUS_NAME, CLM_BUS_PATH, CLM_BUS_MANAGER, action->method,
                               &error, &reply, "ss", action->name, "replace");
    }
    if (r < 0) {
        return clm_bus_error(err, &error, r, action->word, action->name);
    }
    r = sd_bus_message_read(reply, "o", &job.path);
    if (r < 0) {
        return clm_err_set(err, CLM_E_PARSE, "%s of '%s': %s", action->word, action->name,
                           strerror(-r));
    }
    code = clm_bus_wait_job(bus, &job, action->word, action->name, action->timeout_ms, err);
    if (code == CLM_OK && strcmp(job.result, "done") != 0) {
        code = clm_err_set(err, CLM_E_IO, "%s of '%s' ended with '%s'; see: journalctl -u %s",
                           action->word, action->name, job.result, action->name);
    }
    return code;
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
