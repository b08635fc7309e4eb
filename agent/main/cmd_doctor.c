/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot doctor": each check says what it looked at and, if it is not good, what to do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/landlock.h"
#include "agent/base/user.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/pick.h"
#include "agent/main/show.h"
#include "agent/run/local_api.h"

#define FREE_MIN_BYTES 67108864u           /* protocol.md 11: no new job below */
#define STATUS_MAX     ((size_t)16 * 1024) /* bytes of /proc/PID/status */
#define CLOCK_FLOOR_S  1790000000          /* 2026-09: an earlier clock was never set */

struct finding {
    bool good;
    bool is_note; /* not good, but nothing is broken */
    char text[320];
};

/* Looks at one thing. config is loaded. */
typedef void (*check_fn)(const struct clm_config *config, struct finding *out);

static void say(struct finding *out, bool good, const char *text)
{
    out->good = good;
    clm_ignore(clm_str_fmt(out->text, sizeof(out->text), NULL, "%.300s", text));
}

static void check_user(const struct clm_config *config, struct finding *out)
{
    struct clm_err err = {.code = CLM_OK};
    struct clm_user user;
    enum clm_code code = clm_user_find(config->user, config->group, &user, &err);

    say(out, code == CLM_OK, code == CLM_OK ? config->user : err.msg);
}

static void check_state(const struct clm_config *config, struct finding *out)
{
    struct statvfs fs;
    struct stat st;

    if (stat(config->state_dir, &st) != 0 || statvfs(config->state_dir, &fs) != 0) {
        (void)snprintf(out->text, sizeof(out->text), "%.200s: %s%s", config->state_dir,
                       strerror(errno), errno == ENOENT ? "; it is made by: clmbot enroll" : "");
        out->is_note = errno == ENOENT;
        return;
    }
    if ((uint64_t)fs.f_bavail * fs.f_frsize < FREE_MIN_BYTES) {
        (void)snprintf(out->text, sizeof(out->text),
                       "%.200s: less than 64 MiB free; no job is taken until there is more",
                       config->state_dir);
        return;
    }
    if ((st.st_mode & 022) != 0) {
        (void)snprintf(out->text, sizeof(out->text), "%.200s: others may write; chmod go-w",
                       config->state_dir);
        return;
    }
    say(out, true, config->state_dir);
}

static void check_policy(const struct clm_config *config, struct finding *out)
{
    out->is_note = true;
    if (config->policy.names_allow.n == 0) {
        say(out, false, "policy.names.allow is empty: no certificate can be ordered for this host");
        return;
    }
    (void)snprintf(out->text, sizeof(out->text), "%zu name pattern%s, %zu write root%s",
                   config->policy.names_allow.n, config->policy.names_allow.n == 1 ? "" : "s",
                   config->policy.write_roots.n, config->policy.write_roots.n == 1 ? "" : "s");
    out->good = true;
}

static void check_clock(const struct clm_config *config, struct finding *out)
{
    char text[CLM_TIME_TEXT_SIZE];
    int64_t now_s = clm_clock_now_s();

    (void)config;
    clm_time_format(now_s, text);
    say(out, now_s > CLOCK_FLOOR_S, text);
    if (!out->good) {
        (void)snprintf(out->text, sizeof(out->text), "%s is wrong; set the clock, use NTP", text);
    }
}

static void check_systemd(const struct clm_config *config, struct finding *out)
{
    (void)config;
    out->is_note = true;
    say(out, access("/run/systemd/system", F_OK) == 0, "runs");
    if (!out->good) {
        say(out, false, "does not run: servers are reloaded by signal; use run --spawn-host");
    }
}

static void check_host(const struct clm_config *config, struct finding *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    const char *agent_id;

    if (clm_hostlink_call(
            config,
            &(const struct clm_hostlink_ask){.op = CLM_OP_STATUS, .body = NULL, .progress = false},
            &reply, &fail, &err) != CLM_OK) {
        say(out, false, err.msg);
        return;
    }
    agent_id = clm_pick_text(reply, "agent_id", "");
    if (*agent_id == '\0') {
        out->is_note = true;
        say(out, false, "answers; not enrolled yet: clmbot enroll --token-file FILE");
        return;
    }
    say(out, true, agent_id);
}

static void check_agent(const struct clm_config *config, struct finding *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    const struct clm_json *plane;
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = clm_status_request(config->run_dir, "status", NULL, &reply, &err);
    const char *state;

    if (code == CLM_E_NET || code == CLM_E_NOTFOUND) {
        say(out, false, "does not run: systemctl start clmbot, or clmbot run --spawn-host");
        return;
    }
    if (code != CLM_OK) {
        say(out, false, err.msg);
        return;
    }
    plane = clm_json_get(reply, "control_plane");
    state = clm_pick_text(plane, "state", "unknown");
    out->good = strcmp(state, "connected") == 0;
    out->is_note = true;
    (void)snprintf(out->text, sizeof(out->text), "runs; control plane %s%s%.200s", state,
                   out->good ? "" : ": ", out->good ? "" : clm_pick_text(plane, "message", "?"));
}

/* The number behind "Name:" in /proc/PID/status; -1: not there. */
static int status_number(const char *text, const char *name)
{
    const char *line = strstr(text, name);

    return line == NULL ? -1 : (int)strtol(line + strlen(name), NULL, 10);
}

/* What restricts the network half now. Its unit sets all of it; started by hand, nothing does. */
static void check_sandbox(const struct clm_config *config, struct finding *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(STATUS_MAX);
    const struct clm_json *agent;
    int64_t landlock = 0;
    int64_t pid = 0;
    char path[64];

    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = clm_status_request(config->run_dir, "status", NULL, &reply, &err);

    out->is_note = true;
    if (code != CLM_OK) {
        say(out, false,
            code == CLM_E_NET || code == CLM_E_NOTFOUND
                ? "of the network half: not known, it does not run"
                : err.msg);
        return;
    }
    agent = clm_json_get(reply, "agent");
    clm_ignore(clm_json_int_or(agent, "pid", 1, INT32_MAX, &pid, NULL));
    clm_ignore(clm_json_int_or(agent, "landlock", 0, INT32_MAX, &landlock, NULL));
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (clm_fs_read(path, STATUS_MAX - 1, &text, &err) == CLM_E_NOMEM) {
        say(out, false, err.msg);
        return;
    }
    bool has_nnp = status_number(clm_buf_str(&text), "NoNewPrivs:") == 1;
    bool has_seccomp = status_number(clm_buf_str(&text), "Seccomp:") == 2;
    out->good = has_nnp && has_seccomp && (landlock > 0 || clm_landlock_abi() == 0);
    (void)snprintf(out->text, sizeof(out->text),
                   "of the network half: no new privileges %s, system calls %s, Landlock %s%s",
                   has_nnp ? "on" : "off", has_seccomp ? "filtered" : "not filtered",
                   landlock > 0              ? "on"
                   : clm_landlock_abi() == 0 ? "not in this kernel"
                                             : "off",
                   out->good ? "" : "; its unit sets them: systemctl start clmbot");
}

static const struct {
    const char *name;
    check_fn check;
} checks[] = {
    {"user of the network half", check_user},
    {"state directory", check_state},
    {"policy", check_policy},
    {"clock", check_clock},
    {"systemd", check_systemd},
    {"host half", check_host},
    {"agent", check_agent},
    {"sandbox", check_sandbox},
};

static const struct clm_table_column columns[] = {
    {.title = NULL, .is_fixed = true}, {.title = NULL, .is_fixed = true}, {.title = NULL}};

int clm_cmd_doctor(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *doc = clm_json_new_object();
    struct clm_json *list = clm_json_set_array(doc, "checks");
    struct clm_table *table;
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    table = clm_table_new(columns, CLM_ARRAY_LEN(columns));
    for (size_t i = 0; i < CLM_ARRAY_LEN(checks); i++) {
        struct finding found = {.good = false};
        struct clm_json *obj = clm_json_add_object(list);
        const char *word;

        checks[i].check(&config, &found);
        word = found.good ? "ok" : found.is_note ? "note" : "FAIL";
        if (!found.good && (!found.is_note || status == CLM_EXIT_GOOD)) {
            status = found.is_note ? CLM_EXIT_ATTENTION : CLM_EXIT_FAILED;
        }
        clm_table_add(table, CLM_COLOR_NONE, checks[i].name);
        clm_table_add(table,
                      found.good      ? CLM_COLOR_GREEN
                      : found.is_note ? CLM_COLOR_YELLOW
                                      : CLM_COLOR_RED,
                      word);
        clm_table_add(table, CLM_COLOR_NONE, found.text);
        clm_json_set_str(obj, "check", checks[i].name);
        clm_json_set_str(obj, "result", word);
        clm_json_set_str(obj, "text", found.text);
    }
    if (clm_cli_has(args, "json")) {
        clm_table_free(table);
        return clm_show_json("doctor", CLM_STEAL(doc), status);
    }
    return clm_show_table(table, status);
}
