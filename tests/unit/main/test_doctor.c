/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot doctor": each check, good, worth a note and bad. */
#define _GNU_SOURCE /* statvfs64 */
#include "tests/unit/main/stage.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the host as it is pretended to be ---- */

static struct {
    bool has_systemd;
    bool is_full;
    bool is_sick; /* the file system does not say how much is free */
    int landlock;
} host;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    if (strcmp(path, "/run/systemd/system") == 0) {
        errno = ENOENT;
        return host.has_systemd ? 0 : -1;
    }
    return __real_access(path, mode);
}

int __wrap_statvfs64(const char *path, struct statvfs64 *out);
int __wrap_statvfs64(const char *path, struct statvfs64 *out)
{
    (void)path;
    memset(out, 0, sizeof(*out));
    out->f_frsize = 4096;
    out->f_bavail = host.is_full ? 16383 : 16384;
    errno = EIO;
    return host.is_sick ? -1 : 0;
}

int __wrap_clm_landlock_abi(void);
int __wrap_clm_landlock_abi(void)
{
    return host.landlock;
}

/* A process that runs until it is killed, restricted as the unit restricts the network half, or not
 * all of it. */
static pid_t start_restricted(bool is_filtered)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {.len = 1, .filter = all};
    int pair[2];
    char ready = 0;
    pid_t pid;

    assert_int_equal(pipe(pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        ready = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                (!is_filtered || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
        (void)!write(pair[1], &ready, 1);
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(read(pair[0], &ready, 1), 1);
    assert_true(ready);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return pid;
}

static void stop(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- the checks ---- */

#define ROOT "user: root\ngroup: root\n"
#define ENROLLED                                                                                   \
    {                                                                                              \
        .ask = "status", .reply = "{\"agent_id\":\"agt_1\"}"                                       \
    }
#define AGENT(body)                                                                                \
    {                                                                                              \
        .ask = "agent:status", .reply = body                                                       \
    }
#define CONNECTED "\"control_plane\":{\"state\":\"connected\"}"

/* The stage's own directory is the state directory; more lines may follow. */
static void try_at(const char *more, const struct stage_case *c, mode_t mode)
{
    static struct stage s;
    char line[256];
    char path[128];
    FILE *file;

    stage_open(&s, more);
    (void)snprintf(line, sizeof(line), "%s/state", s.dir);
    assert_int_equal(mkdir(line, 0700), 0);
    assert_int_equal(chmod(line, mode), 0);
    (void)snprintf(path, sizeof(path), "%s/clmbot.yaml", s.dir);
    file = fopen(path, "a");
    assert_non_null(file);
    if (strstr(more, "state_dir") == NULL) {
        (void)fprintf(file, "state_dir: %s\n", line);
    }
    assert_int_equal(fclose(file), 0);
    stage_try(&s, c, 1);
    stage_close(&s);
}

static void host_in_good_order_has_nothing_to_say(void **state)
{
    static char reply[256];
    struct stage_case c = {
        {ENROLLED, AGENT(reply)},
        "doctor",
        CLM_EXIT_GOOD,
        {"user of the network half  ok  root\n", "state directory           ok  /tmp/clm-main-",
         "policy                    ok  1 name pattern, 1 write root\n",
         "clock                     ok  2027-01-15T08:00:00Z\n",
         "systemd                   ok  runs\n", "host half                 ok  agt_1\n",
         "agent                     ok  runs; control plane connected\n",
         "sandbox                   ok  of the network half: no new privileges on, system calls "
         "filtered, Landlock on\n"},
        NULL,
        NULL};
    static const char policy[] = ROOT "policy:\n  names:\n    allow: [\"*.example.com\"]\n"
                                      "  write_roots: [/etc]\n";
    pid_t pid = start_restricted(true);

    (void)state;
    host.has_systemd = true;
    host.landlock = 3;
    (void)snprintf(reply, sizeof(reply), "{\"agent\":{\"pid\":%d,\"landlock\":3}," CONNECTED "}",
                   (int)pid);
    try_at(policy, &c, 0700);
    c.line = "doctor --json";
    c.out[0] = "\"schema\": \"clmbot.doctor\"";
    c.out[1] = "\"check\": \"state directory\",\n      \"result\": \"ok\"";
    c.out[2] = NULL;
    try_at(policy, &c, 0700);
    c.line = "doctor";
    c.out[0] = "system calls filtered, Landlock not in this kernel\n";
    c.out[1] = NULL;
    host.landlock = 0;
    (void)snprintf(reply, sizeof(reply), "{\"agent\":{\"pid\":%d}," CONNECTED "}", (int)pid);
    try_at(policy, &c, 0700);
    host.landlock = 3;
    c.status = CLM_EXIT_ATTENTION;
    c.out[0] = "system calls filtered, Landlock off; its unit sets them: systemctl start clmbot\n";
    try_at(policy, &c, 0700);
    stop(pid);
}

static void half_of_a_sandbox_is_none(void **state)
{
    static char reply[256];
    static const struct stage_case c = {{ENROLLED, AGENT(reply)},
                                        "doctor",
                                        CLM_EXIT_ATTENTION,
                                        {"no new privileges on, system calls not filtered, "
                                         "Landlock on; its unit sets them"},
                                        NULL,
                                        NULL};
    pid_t pid = start_restricted(false);
    char text[4096] = "";
    FILE *file = fopen("/proc/self/status", "r");

    (void)state;
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    (void)fclose(file);
    if (strstr(text, "Seccomp:\t0") != NULL) { /* else all of this host's processes are */
        (void)snprintf(reply, sizeof(reply), "{\"agent\":{\"pid\":%d,\"landlock\":3}}", (int)pid);
        try_at(ROOT, &c, 0700);
    }
    stop(pid);
}

static void notes_call_for_attention_only(void **state)
{
    static const struct stage_case c = {
        {{.ask = "status", .reply = "{}"},
         AGENT("{\"agent\":{\"pid\":2147483647},\"control_plane\":{\"state\":\"offline\","
               "\"message\":\"no route\"}}")},
        "doctor",
        CLM_EXIT_ATTENTION,
        {"user of the network half  ok    root\n",
         "state directory           note  /nonexistent/clm: No such file or directory; it is made "
         "by: clmbot enroll\n",
         "policy                    note  policy.names.allow is empty",
         "systemd                   note  does not run: servers are reloaded by signal",
         "host half                 note  answers; not enrolled yet",
         "agent                     note  runs; control plane offline: no route\n",
         "sandbox                   note  of the network half: no new privileges off, system calls "
         "not filtered, Landlock off; its unit"},
        "FAIL",
        NULL};

    (void)state;
    host.has_systemd = false;
    host.landlock = 3;
    try_at(ROOT "state_dir: /nonexistent/clm\n", &c, 0700);
}

static void what_is_broken_fails(void **state)
{
    static const struct {
        const char *config;
        mode_t mode;
        bool is_full;
        bool is_sick;
        struct stage_case c;
    } rows[] = {
        {"user: nobody-has-this\n",
         0700,
         false,
         false,
         {{{.ask = "status", .fail = STAGE_FAIL("conflict", "busy", "")},
           {.ask = "agent:status", .fail = STAGE_FAIL("permission", "not for you", "")}},
          "doctor",
          CLM_EXIT_FAILED,
          {"user of the network half  FAIL  user 'nobody-has-this' ",
           "host half                 FAIL  busy\n",
           "agent                     FAIL  not for you\n",
           "sandbox                   note  not for you\n"},
          NULL,
          NULL}},
        {ROOT "state_dir: /dev/null/x\n",
         0700,
         false,
         false,
         {{{.ask = NULL}},
          "doctor",
          CLM_EXIT_FAILED,
          {"state directory           FAIL  /dev/null/x: Not a directory\n",
           "agent                     FAIL  does not run: systemctl start clmbot",
           "sandbox                   note  of the network half: not known, it does not run\n"},
          NULL,
          NULL}},
        {ROOT,
         0700,
         true,
         false,
         {{ENROLLED},
          "doctor",
          CLM_EXIT_FAILED,
          {"state directory           FAIL  /tmp/clm-main-", ": less than 64 MiB free; "},
          NULL,
          NULL}},
        {ROOT,
         0700,
         false,
         true,
         {{ENROLLED},
          "doctor",
          CLM_EXIT_FAILED,
          {"state directory           FAIL  /tmp/clm-main-", ": Input/output error\n"},
          NULL,
          NULL}},
        {ROOT "policy:\n  names:\n    allow: [a.example, b.example]\n  write_roots: [/etc, /srv]\n",
         0720,
         false,
         false,
         {{ENROLLED, {.ask = "agent:status"}},
          "doctor",
          CLM_EXIT_FAILED,
          {"state directory           FAIL  /tmp/clm-main-", ": others may write; chmod go-w\n",
           "policy                    ok    2 name patterns, 2 write roots\n",
           "agent                     FAIL  does not run: "},
          NULL,
          NULL}},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        host.is_full = rows[i].is_full;
        host.is_sick = rows[i].is_sick;
        try_at(rows[i].config, &rows[i].c, rows[i].mode);
    }
    host.is_full = false;
    host.is_sick = false;
}

static void clock_that_was_never_set_is_noticed(void **state)
{
    static const struct stage_case c = {
        {ENROLLED, AGENT("{}")},
        "doctor",
        CLM_EXIT_FAILED,
        {"clock                     FAIL  1970-01-01T00:00:01Z is wrong; set the clock, use NTP\n",
         "agent                     note  runs; control plane unknown: ?\n"},
        NULL,
        NULL};

    (void)state;
    stage_now_s = 1;
    try_at(ROOT, &c, 0700);
    stage_now_s = STAGE_NOW_S;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_in_good_order_has_nothing_to_say),
        cmocka_unit_test(half_of_a_sandbox_is_none),
        cmocka_unit_test(notes_call_for_attention_only),
        cmocka_unit_test(what_is_broken_fails),
        cmocka_unit_test(clock_that_was_never_set_is_noticed),
    };

    return cmocka_run_group_tests_name("main_doctor", tests, NULL, NULL);
}
