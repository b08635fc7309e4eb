/* SPDX-License-Identifier: Apache-2.0 */
/* Which Tomcat a process is: its command line, and the process of a given server.xml. */
#include <stdlib.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "agent/formats/server_args.h"
#include "agent/formats/server_xml.h"

#define MAIN_CLASS "org.apache.catalina.startup.Bootstrap"

/* "/usr/bin/java", "jsvc.exec"; not "runuser", which has all the same arguments. */
bool clm_tomcat_is(const struct clm_strs *argv)
{
    const char *slash = argv->n == 0 ? NULL : strrchr(argv->v[0], '/');
    const char *name = argv->n == 0 ? "" : slash != NULL ? slash + 1 : argv->v[0];

    return (clm_str_starts(name, "java") || clm_str_starts(name, "jsvc")) &&
           clm_strs_has(argv, MAIN_CLASS);
}

void clm_tomcat_args_done(struct clm_tomcat_args *args)
{
    clm_strs_done(&args->defines);
}

/* The value of the last -Dname=; NULL if there is none. */
static const char *defined(const struct clm_tomcat_args *args, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = args->defines.n; i > 0; i--) {
        const char *text = args->defines.v[i - 1];

        if (strncmp(text, name, len) == 0 && text[len] == '=') {
            return text + len + 1;
        }
    }
    return NULL;
}

/* Arguments of the virtual machine stand before the main class, those of Tomcat behind it. */
static enum clm_code split(const struct clm_strs *argv, struct clm_tomcat_args *out,
                           const char **config, struct clm_err *err)
{
    bool is_behind = false;
    enum clm_code code = CLM_OK;

    for (size_t i = 1; i < argv->n && code == CLM_OK; i++) {
        const char *word = argv->v[i];

        if (strcmp(word, MAIN_CLASS) == 0) {
            is_behind = true;
        } else if (!is_behind && clm_str_starts(word, "-D")) {
            code = clm_strs_add(&out->defines, word + 2, err);
        } else if (is_behind && strcmp(word, "-config") == 0 && i + 1 < argv->n) {
            *config = argv->v[++i];
        }
    }
    return code;
}

enum clm_code clm_tomcat_args_parse(const struct clm_strs *argv, int32_t pid,
                                    struct clm_tomcat_args *out, struct clm_err *err)
{
    const char *config = "conf/server.xml";
    const char *base;
    const char *home;
    enum clm_code code = split(argv, out, &config, err);

    if (code != CLM_OK) {
        return code;
    }
    out->pid = pid;
    home = defined(out, "catalina.home");
    base = defined(out, "catalina.base");
    base = base != NULL ? base : home;
    if (base == NULL || base[0] != '/') {
        return clm_err_set(err, CLM_E_CONFIG,
                           "the command line of process %d names no absolute -Dcatalina.base", pid);
    }
    if (strstr(config, "://") != NULL || clm_str_starts(config, "file:")) {
        return clm_err_set(err, CLM_E_CONFIG, "its configuration is the URL '%.200s', no file",
                           config);
    }
    code = clm_str_copy(out->base, sizeof(out->base), base, err);
    if (code == CLM_OK) {
        code = clm_str_copy(out->home, sizeof(out->home), home != NULL ? home : base, err);
    }
    return code == CLM_OK ? clm_conf_path(base, config, out->config, sizeof(out->config), err)
                          : code;
}

enum clm_code clm_tomcat_args_read(const struct clm_io *io, int32_t pid,
                                   struct clm_tomcat_args *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs argv = {0};
    enum clm_code code = clm_cmdline_read(io, pid, &argv, err);

    if (code == CLM_OK && !clm_tomcat_is(&argv)) {
        code = clm_err_set(err, CLM_E_NOTFOUND, "process %d is no Tomcat any more", pid);
    }
    return code == CLM_OK ? clm_tomcat_args_parse(&argv, pid, out, err) : code;
}

struct search {
    const struct clm_io *io;
    const char *config;
    struct clm_tomcat_args *out;
    bool found;
};

static enum clm_code look_at(void *arg, const char *name, struct clm_err *err)
{
    struct search *search = arg;
    struct clm_tomcat_args args = {.pid = 0};
    int64_t pid = 0;
    enum clm_code code;

    if (search->found || clm_str_to_int(name, 1, INT32_MAX, &pid, NULL) != CLM_OK) {
        return CLM_OK;
    }
    code = clm_tomcat_args_read(search->io, (int32_t)pid, &args, NULL);
    if (code == CLM_OK && strcmp(args.config, search->config) == 0) {
        *search->out = args;
        search->found = true;
        return CLM_OK;
    }
    clm_tomcat_args_done(&args);
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "command line of a process") : CLM_OK;
}

enum clm_code clm_tomcat_args_find(const struct clm_io *io, const char *config,
                                   struct clm_tomcat_args *out, struct clm_err *err)
{
    struct search search = {.io = io, .config = config, .out = out};
    char conf[PATH_MAX];
    enum clm_code code = io->list_dir(io->ctx, "/proc", look_at, &search, err);

    if (code != CLM_OK || search.found) {
        return code;
    }
    code = clm_str_copy(out->config, sizeof(out->config), config, err);
    if (code == CLM_OK) {
        code = clm_conf_dirname(config, conf, sizeof(conf), err);
    }
    if (code == CLM_OK) {
        code = clm_conf_dirname(conf, out->base, sizeof(out->base), err);
    }
    return code == CLM_OK ? clm_str_copy(out->home, sizeof(out->home), out->base, err) : code;
}
