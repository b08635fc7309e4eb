/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, documents made from the tables, version. */
#include <string.h>

#include "agent/base/log.h"
#include "agent/main/cmds.h"
#include "agent/main/show.h"
#include "config/docgen.h"

static const struct {
    const char *name;
    enum clm_log_level level;
} levels[] = {
    {"error", CLM_LOG_ERROR}, {"warning", CLM_LOG_WARNING}, {"notice", CLM_LOG_NOTICE},
    {"info", CLM_LOG_INFO},   {"debug", CLM_LOG_DEBUG},
};

bool clm_cmd_config(const struct clm_cli_args *args, struct clm_config *out, int *out_status)
{
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = clm_config_load(clm_cli_str(args, "config", NULL), out, &err);

    if (code != CLM_OK) {
        (void)clm_show_error(code, &err, NULL);
        *out_status = code == CLM_E_NOMEM ? CLM_EXIT_FAILED : CLM_EXIT_CONFIG;
        return false;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(levels); i++) {
        if (strcmp(levels[i].name, out->log.level) == 0) {
            clm_log_set_level(levels[i].level);
        }
    }
    return true;
}

int clm_cmd_config_check(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    static const char no_names[] =
        "policy.names.allow is empty: no certificate can be ordered for this host";
    struct clm_json *doc;
    struct clm_json *notes;
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    status = config.policy.names_allow.n > 0 ? CLM_EXIT_GOOD : CLM_EXIT_ATTENTION;
    if (clm_cli_has(args, "json")) {
        doc = clm_json_new_object();
        clm_json_set_bool(doc, "ok", true);
        clm_json_set_str(doc, "path", config.path);
        notes = clm_json_set_array(doc, "notes");
        if (status != CLM_EXIT_GOOD) {
            clm_json_add_str(notes, no_names);
        }
        return clm_show_json("config-check", doc, status);
    }
    clm_show_line("%s: good", config.path[0] != '\0' ? config.path : "built-in defaults");
    if (status != CLM_EXIT_GOOD) {
        clm_show_line("note: %s", no_names);
    }
    return status;
}

static int print(const struct clm_buf *text, enum clm_code code, const struct clm_err *err)
{
    return code == CLM_OK ? clm_show_text(text, CLM_EXIT_GOOD) : clm_show_error(code, err, NULL);
}

int clm_cmd_config_doc(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_DOC_MAX);
    bool is_mdoc = strcmp(clm_cli_str(args, "format", "markdown"), "mdoc") == 0;
    struct clm_err err = {.code = CLM_OK};

    (void)ctx;
    return print(&text, is_mdoc ? clm_docgen_mdoc(&text, &err) : clm_docgen_markdown(&text, &err),
                 &err);
}

int clm_cmd_completion(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_DOC_MAX);
    struct clm_err err = {.code = CLM_OK};

    (void)ctx;
    return print(&text, clm_cli_completion(args->app, &text, &err), &err);
}

int clm_cmd_mdoc(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_DOC_MAX);
    struct clm_err err = {.code = CLM_OK};

    (void)ctx;
    return print(&text, clm_cli_mdoc(args->app, &text, &err), &err);
}

int clm_cmd_version(const struct clm_cli_args *args, void *ctx)
{
    struct clm_json *doc;

    (void)ctx;
    if (!clm_cli_has(args, "json")) {
        clm_show_line("clmbot " CLM_VERSION);
        return CLM_EXIT_GOOD;
    }
    doc = clm_json_new_object();
    clm_json_set_str(doc, "clmbot", CLM_VERSION);
    return clm_show_json("version", doc, CLM_EXIT_GOOD);
}
