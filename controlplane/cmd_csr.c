/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say how a request is made, as the member "csr": docs/csr.md. */
#include <string.h>

#include "agent/base/fs.h"
#include "agent/model/csr_spec.h"
#include "controlplane/client.h"

static const char *const texts[][2] = {
    {"template", "template"},
    {"hash", "hash"},
    {"challenge-password", "challenge_password_ref"},
};

static const char *const options[] = {
    "csr-mode", "csr-file",  "template",    "subject",           "email", "uri", "hash",
    "eku",      "reuse-key", "must-staple", "challenge-password"};

static bool is_wanted(const struct clm_cli_args *args)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(options); i++) {
        if (clm_cli_has(args, options[i])) {
            return true;
        }
    }
    return false;
}

static enum clm_code add_subject(const struct clm_cli_args *args, struct clm_json *csr,
                                 struct clm_err *err)
{
    struct clm_json *subject = NULL;

    for (size_t i = 0; clm_cli_nth(args, "subject", i) != NULL; i++) {
        const char *text = clm_cli_nth(args, "subject", i);
        const char *equal = strchr(text, '=');
        char field[16];

        if (equal == NULL ||
            clm_str_fmt(field, sizeof(field), NULL, "%.*s", (int)(equal - text), text) != CLM_OK) {
            return clm_err_set(err, CLM_E_INVAL,
                               "--subject '%.80s': must be FIELD=VALUE, such as o=Example", text);
        }
        if (subject == NULL) {
            subject = clm_json_set_object(csr, "subject");
        }
        if (strcmp(field, "ou") != 0) {
            clm_json_set_str(subject, field, equal + 1);
            continue;
        }
        if (clm_json_get(subject, "ou") == NULL) {
            (void)clm_json_set_array(subject, "ou");
        }
        if (equal[1] != '\0') {
            clm_json_add_str(clm_json_edit(subject, "ou"), equal + 1);
        }
    }
    return CLM_OK;
}

static void add_list(const struct clm_cli_args *args, const char *option, struct clm_json *obj,
                     const char *member)
{
    struct clm_json *array = NULL;

    for (size_t i = 0; clm_cli_nth(args, option, i) != NULL; i++) {
        if (array == NULL) {
            array = clm_json_set_array(obj, member);
        }
        clm_json_add_str(array, clm_cli_nth(args, option, i));
    }
}

enum clm_code clm_cp_names_option(const struct clm_cli_args *args, struct clm_json *sans,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && clm_cli_nth(args, "name", i) != NULL; i++) {
        code = clm_names_add(&names, clm_cli_nth(args, "name", i), err);
    }
    if (code == CLM_OK) {
        clm_names_to_json(&names, sans);
    }
    return code;
}

static enum clm_code add_file(const char *path, struct clm_json *csr, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CSR_PEM_MAX);
    enum clm_code code = clm_fs_read(path, CLM_CSR_PEM_MAX, &pem, err);

    if (code == CLM_OK && strstr(clm_buf_str(&pem), "PRIVATE KEY") != NULL) {
        code = clm_err_set(err, CLM_E_INVAL,
                           "'%s' holds a private key: it was not sent; hand in the request alone",
                           path);
    }
    if (code == CLM_OK) {
        clm_json_set_str(csr, "csr_pem", clm_buf_str(&pem));
    }
    return code;
}

static void add_flags(const struct clm_cli_args *args, struct clm_json *csr)
{
    if (clm_cli_has(args, "must-staple")) {
        clm_json_set_bool(csr, "must_staple", true);
    }
    if (clm_cli_has(args, "reuse-key")) {
        clm_json_set_str(csr, "key", "reuse");
    }
}

enum clm_code clm_cp_cli_csr(const struct clm_cli_args *args, struct clm_json *body,
                             struct clm_err *err)
{
    const char *mode = clm_cli_has(args, "csr-file") ? "uploaded" : "template";
    struct clm_json *csr = NULL;
    enum clm_code code = CLM_OK;

    if (!is_wanted(args)) {
        return CLM_OK;
    }
    mode = clm_cli_str(args, "csr-mode", mode);
    csr = clm_json_set_object(body, "csr");
    clm_json_set_str(csr, "mode", mode);
    for (size_t i = 0; i < CLM_ARRAY_LEN(texts); i++) {
        if (clm_cli_has(args, texts[i][0])) {
            clm_json_set_str(csr, texts[i][1], clm_cli_str(args, texts[i][0], ""));
        }
    }
    if (clm_cli_has(args, "key") && strcmp(mode, "override") == 0) {
        clm_json_set_str(csr, "key_type", clm_cli_str(args, "key", ""));
    }
    add_flags(args, csr);
    add_list(args, "eku", csr, "eku");
    code = add_subject(args, csr, err);
    /* the names that are given replace those of the installed certificate */
    if (code == CLM_OK && strcmp(mode, "override") == 0 && clm_cli_has(args, "name")) {
        code = clm_cp_names_option(args, clm_json_set_object(csr, "sans"), err);
    }
    if (clm_cli_has(args, "email") || clm_cli_has(args, "uri")) {
        if (clm_json_get(csr, "sans") == NULL) {
            (void)clm_json_set_object(csr, "sans");
        }
        add_list(args, "email", clm_json_edit(csr, "sans"), "email");
        add_list(args, "uri", clm_json_edit(csr, "sans"), "uri");
    }
    if (code == CLM_OK && clm_cli_has(args, "csr-file")) {
        code = add_file(clm_cli_str(args, "csr-file", ""), csr, err);
    }
    return code;
}
