/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/declared.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"

#define KEY_MODE  0600u
#define CERT_MODE 0644u

void clm_declared_done(struct clm_declared *declared)
{
    free(declared->outputs);
    declared->outputs = NULL;
    declared->n_outputs = 0;
}

static enum clm_code parse_names(const struct clm_declared_output *output, struct clm_step *step,
                                 struct clm_err *err)
{
    int content = 0;
    int format = 0;

    while (format < CLM_FORMAT__COUNT &&
           strcmp(output->format, clm_file_format_name((enum clm_file_format)format)) != 0) {
        format++;
    }
    if (format == CLM_FORMAT__COUNT) {
        return clm_err_set(err, CLM_E_CONFIG, "'%s': unknown format '%s'", output->path,
                           output->format);
    }
    step->format = (enum clm_file_format)format;
    if (clm_format_is_keystore(step->format)) {
        if (output->content[0] != '\0') {
            return clm_err_set(err, CLM_E_CONFIG,
                               "'%s': a keystore holds the private key and the full chain; remove "
                               "'content'",
                               output->path);
        }
        step->content = CLM_CONTENT_KEY_FULLCHAIN;
        return CLM_OK;
    }
    while (content < CLM_CONTENT_EDIT &&
           strcmp(output->content, clm_content_name((enum clm_content)content)) != 0) {
        content++;
    }
    step->content = (enum clm_content)content;
    return content < CLM_CONTENT_EDIT
               ? CLM_OK
               : clm_err_set(err, CLM_E_CONFIG, "'%s': 'content' must say what goes in",
                             output->path);
}

static enum clm_code set_ref(const char *file, char *dst, size_t size, struct clm_err *err)
{
    return file[0] == '\0' ? CLM_OK : clm_str_fmt(dst, size, err, CLM_SECRET_FILE "%s", file);
}

static enum clm_code set_mode(const struct clm_declared_output *output, struct clm_step *step,
                              struct clm_err *err)
{
    const char *text = output->mode;
    bool has_key = clm_format_is_keystore(step->format) || clm_content_has_key(step->content);

    step->mode = has_key ? KEY_MODE : CERT_MODE;
    if (text[0] == '\0') {
        return CLM_OK;
    }
    step->mode = (uint32_t)strtoul(text, NULL, 8);
    if (strlen(text) > 4 || strspn(text, "01234567") != strlen(text) || step->mode > 0777u) {
        return clm_err_set(err, CLM_E_CONFIG, "'%s': mode '%s' is not octal, such as \"0640\"",
                           output->path, text);
    }
    if (has_key && (step->mode & 07u) != 0) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "'%s': mode %s would let everybody use the private key", output->path,
                           text);
    }
    return CLM_OK;
}

enum clm_code clm_declared_step(const struct clm_declared_output *output, struct clm_step *step,
                                struct clm_err *err)
{
    enum clm_code code = parse_names(output, step, err);
    bool is_store;

    if (code != CLM_OK) {
        return code;
    }
    is_store = clm_format_is_keystore(step->format);
    step->may_create = true;
    code = clm_str_copy(step->path, sizeof(step->path), output->path, err);
    if (code == CLM_OK) {
        code = clm_str_copy(step->alias, sizeof(step->alias), output->alias, err);
    }
    if (code == CLM_OK) {
        code = is_store ? set_ref(output->password_file, step->store_password,
                                  sizeof(step->store_password), err)
                        : set_ref(output->password_file, step->key_password,
                                  sizeof(step->key_password), err);
    }
    if (code == CLM_OK && output->key_password_file[0] != '\0') {
        code = is_store ? set_ref(output->key_password_file, step->key_password,
                                  sizeof(step->key_password), err)
                        : clm_err_set(err, CLM_E_CONFIG,
                                      "'%s': 'key_password_file' is for keystores", output->path);
    }
    if (code == CLM_OK) {
        code = set_mode(output, step, err);
    }
    if (code == CLM_OK && clm_step_check(step, err) != CLM_OK) {
        code = clm_err_wrap(err, CLM_E_CONFIG, "'%s'", output->path);
    }
    return code;
}
