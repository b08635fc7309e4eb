/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/declared.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/io.h"

#define ACCOUNTS_MAX 4194304u /* bytes of /etc/passwd */
#define ID_MAX       ((int64_t)UINT32_MAX - 1)
#define KEY_MODE     0600u
#define CERT_MODE    0644u

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
    struct clm_err why = {.code = CLM_OK};
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
    if (code == CLM_OK && clm_step_check(step, &why) != CLM_OK) {
        code = clm_err_set(err, CLM_E_CONFIG, "'%s': %s", output->path, why.msg);
    }
    return code;
}

/* The third field of the line that begins with the name. */
static bool find_id(const char *text, const char *name, uint32_t *out)
{
    size_t len = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        char digits[16];
        int64_t value = 0;
        const char *at;

        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ':') {
            continue;
        }
        at = line + len + 1;
        at += strcspn(at, ":\n");
        if (*at != ':' ||
            clm_str_fmt(digits, sizeof(digits), NULL, "%.*s", (int)strcspn(at + 1, ":\n"),
                        at + 1) != CLM_OK ||
            clm_str_to_int(digits, 0, ID_MAX, &value, NULL) != CLM_OK) {
            return false;
        }
        *out = (uint32_t)value;
        return true;
    }
    return false;
}

static enum clm_code look_up(const struct clm_io *io, const char *file, const char *name,
                             uint32_t *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(ACCOUNTS_MAX);
    int64_t value = 0;
    enum clm_code code;

    *out = 0;
    if (name[0] == '\0') {
        return CLM_OK;
    }
    if (clm_str_to_int(name, 0, ID_MAX, &value, NULL) == CLM_OK) {
        *out = (uint32_t)value;
        return CLM_OK;
    }
    if (strpbrk(name, ":\n") != NULL) {
        return clm_err_set(err, CLM_E_CONFIG, "there is no '%s' in %s", name, file);
    }
    code = io->read_file(io->ctx, file, ACCOUNTS_MAX, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    return find_id(clm_buf_str(&text), name, out)
               ? CLM_OK
               : clm_err_set(err, CLM_E_CONFIG, "there is no '%s' in %s", name, file);
}

enum clm_code clm_declared_owner(const struct clm_io *io, const struct clm_declared_output *output,
                                 struct clm_step *step, struct clm_err *err)
{
    enum clm_code code = look_up(io, "/etc/passwd", output->owner, &step->uid, err);

    if (code == CLM_OK) {
        code = look_up(io, "/etc/group", output->group, &step->gid, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "owner of '%s'", output->path);
}
