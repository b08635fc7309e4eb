/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/run/job_child.h"

static bool is_job(const struct clm_child *child)
{
    return child->pid > 0 && child->id[0] != '@';
}

static const struct clm_child *find(const struct clm_children *children, const char *id)
{
    for (size_t i = 0; i < CLM_CHILDREN_MAX; i++) {
        const struct clm_child *child = &children->list[i];

        if (child->pid > 0 && strcmp(child->id, id) == 0) {
            return child;
        }
    }
    return NULL;
}

bool clm_children_has(const struct clm_children *children, const char *id)
{
    return find(children, id) != NULL;
}

bool clm_children_has_target(const struct clm_children *children, const char *target)
{
    for (size_t i = 0; i < CLM_CHILDREN_MAX; i++) {
        if (is_job(&children->list[i]) && strcmp(children->list[i].target, target) == 0) {
            return true;
        }
    }
    return false;
}

unsigned clm_children_jobs(const struct clm_children *children)
{
    unsigned n = 0;

    for (size_t i = 0; i < CLM_CHILDREN_MAX; i++) {
        n += is_job(&children->list[i]) ? 1 : 0;
    }
    return n;
}

unsigned clm_children_all(const struct clm_children *children)
{
    unsigned n = 0;

    for (size_t i = 0; i < CLM_CHILDREN_MAX; i++) {
        n += children->list[i].pid > 0 ? 1 : 0;
    }
    return n;
}

/* Between fork and exec: async-signal-safe calls only. */
static _Noreturn void become(const char *exe, const char **argv, const char **env)
{
    sigset_t none;

    clm_fs_close_from(STDERR_FILENO + 1);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execve(exe, (char *const *)(void *)argv, (char *const *)(void *)env);
    _exit(CLM_JOB_EXIT_FAULT);
}

/* Only what the child needs: PATH and the proxy, which libcurl reads; the journal, if there is one. */
static size_t fill_env(const struct clm_children *children, char (*text)[512], const char **env)
{
    static const char *const kept[] = {
        "PATH",     "LANG",     "TZ",        "https_proxy",    "HTTPS_PROXY",
        "no_proxy", "NO_PROXY", "all_proxy", "JOURNAL_STREAM", "GNUTLS_NO_IMPLICIT_INIT"};
    size_t n = 0;

    for (size_t i = 0; i < CLM_ARRAY_LEN(kept); i++) {
        const char *value = getenv(kept[i]);

        if (value != NULL && clm_str_fmt(text[n], 512, NULL, "%s=%s", kept[i], value) == CLM_OK) {
            env[n] = text[n];
            n++;
        }
    }
    (void)snprintf(text[n], 512, "%s=%s", CLM_JOB_ENV_BOOT, children->boot_id);
    env[n] = text[n];
    env[n + 1] = NULL;
    return n + 1;
}

enum clm_code clm_children_start(struct clm_children *children, const char *id, const char *target,
                                 struct clm_err *err)
{
    const char *exe = children->exe == NULL ? "/proc/self/exe" : children->exe;
    const char *argv[] = {"clmbot", "_job", id, NULL, NULL, NULL};
    char text[16][512];
    const char *env[17];
    struct clm_child *free_slot = NULL;

    for (size_t i = 0; i < CLM_CHILDREN_MAX && free_slot == NULL; i++) {
        free_slot = children->list[i].pid == 0 ? &children->list[i] : NULL;
    }
    if (free_slot == NULL) {
        return clm_err_set(err, CLM_E_LIMIT, "%d processes run already", CLM_CHILDREN_MAX);
    }
    enum clm_code code = clm_str_copy(free_slot->id, sizeof(free_slot->id), id, err);
    if (code == CLM_OK) {
        code = clm_str_copy(free_slot->target, sizeof(free_slot->target), target, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (children->config_path[0] != '\0') {
        argv[3] = "--config";
        argv[4] = children->config_path;
    }
    (void)fill_env(children, text, env);
    pid_t pid = fork();
    if (pid < 0) {
        return clm_err_sys(err, errno, "start of job '%s'", id);
    }
    if (pid == 0) {
        become(exe, argv, env);
    }
    free_slot->pid = pid;
    return CLM_OK;
}

void clm_children_signal(const struct clm_children *children, const char *id, int signo)
{
    for (size_t i = 0; i < CLM_CHILDREN_MAX; i++) {
        const struct clm_child *child = &children->list[i];

        if (child->pid > 0 && (id == NULL || strcmp(child->id, id) == 0)) {
            (void)kill(child->pid, signo);
        }
    }
}

bool clm_children_reap(struct clm_children *children, struct clm_child *out, int *out_status)
{
    for (size_t i = 0; i < CLM_CHILDREN_MAX; i++) {
        struct clm_child *child = &children->list[i];
        int status = 0;

        if (child->pid == 0 || waitpid(child->pid, &status, WNOHANG) != child->pid) {
            continue;
        }
        *out = *child;
        *out_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        *child = (struct clm_child){.pid = 0};
        return true;
    }
    return false;
}
