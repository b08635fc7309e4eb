/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config/opt.h"
#include "config/options.h"
#include "config/source.h"
#include "config/yaml.h"

#define DROP_IN_DIR "clmbot.d"

struct load {
    struct clm_config *config;
    struct clm_opt_seen seen;
    struct clm_strs files; /* names that seen refers to: each is a string of its own */
};

void clm_config_done(struct clm_config *config)
{
    if (config != NULL) {
        clm_policy_done(&config->policy);
        clm_strs_done(&config->scan.kinds);
        clm_strs_done(&config->scan.files.roots);
        clm_strs_done(&config->scan.files.exclude);
        clm_strs_done(&config->scan.files.ignore);
        memset(config, 0, sizeof(*config));
    }
}

static enum clm_code make_absolute(const char *path, char *dst, size_t size, struct clm_err *err)
{
    char cwd[PATH_MAX];
    enum clm_code code;

    if (path[0] == '/') {
        code = clm_str_copy(dst, size, path, err);
    } else if (getcwd(cwd, sizeof(cwd)) == NULL) {
        code = clm_err_sys(err, errno, "current directory");
    } else {
        code = clm_str_fmt(dst, size, err, "%s/%s", cwd, path);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "configuration file");
}

static enum clm_code load_file(struct load *load, const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_YAML_TEXT_MAX);
    CLM_CLEANUP(clm_yaml_free_p) struct clm_yaml *root = NULL;
    const char *file;
    enum clm_code code = clm_source_read(path, &text, err);

    if (code == CLM_OK) {
        code = clm_strs_add(&load->files, path, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    file = load->files.v[load->files.n - 1];
    code = clm_yaml_parse(file, clm_buf_str(&text), text.len, &root, err);
    if (code != CLM_OK) {
        return code;
    }
    return clm_opt_apply(clm_options(), root, file, &load->seen, load->config, err);
}

static enum clm_code load_drop_ins(struct load *load, const char *beside, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    char dir[PATH_MAX];
    char path[PATH_MAX];
    const char *slash = strrchr(beside, '/');
    enum clm_code code =
        clm_str_fmt(dir, sizeof(dir), err, "%.*s/%s", (int)(slash - beside), beside, DROP_IN_DIR);

    if (code == CLM_OK) {
        code = clm_source_list(dir, ".yaml", &names, err);
    }
    for (size_t i = 0; i < names.n && code == CLM_OK; i++) {
        code = clm_str_fmt(path, sizeof(path), err, "%s/%s", dir, names.v[i]);
        if (code == CLM_OK) {
            code = load_file(load, path, err);
        }
    }
    return code;
}

enum clm_code clm_config_load(const char *path, struct clm_config *out, struct clm_err *err)
{
    struct load load = {.config = out};
    char absolute[PATH_MAX];
    enum clm_code code = make_absolute(path == NULL ? CLM_CONFIG_DEFAULT_PATH : path, absolute,
                                       sizeof(absolute), err);

    memset(out, 0, sizeof(*out));
    if (code == CLM_OK) {
        code = clm_opt_defaults(clm_options(), out, err);
    }
    if (code == CLM_OK) {
        code = load_file(&load, absolute, err);
        if (code == CLM_OK) {
            code = clm_str_copy(out->path, sizeof(out->path), absolute, err);
        } else if (code == CLM_E_NOTFOUND && path == NULL) {
            code = CLM_OK;
        }
    }
    if (code == CLM_OK) {
        code = load_drop_ins(&load, absolute, err);
    }
    if (code == CLM_OK) {
        code = clm_policy_declare(&out->policy, err);
        code = code == CLM_OK ? code : clm_err_wrap(err, code, "%s", absolute);
    }
    clm_strs_done(&load.files);
    if (code != CLM_OK) {
        clm_config_done(out);
    }
    return code;
}
