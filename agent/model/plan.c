/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/model/fields.h"

static const char *const content_names[] = {
    [CLM_CONTENT_LEAF] = "leaf",
    [CLM_CONTENT_CHAIN] = "chain",
    [CLM_CONTENT_FULLCHAIN] = "fullchain",
    [CLM_CONTENT_KEY] = "key",
    [CLM_CONTENT_KEY_FULLCHAIN] = "key_fullchain",
    [CLM_CONTENT_KEY_FIRST] = "key_first",
    [CLM_CONTENT_LEAF_KEY] = "leaf_key",
    [CLM_CONTENT_EDIT] = "edit",
};

static const char *const content_words[] = {
    [CLM_CONTENT_LEAF] = "the certificate",
    [CLM_CONTENT_CHAIN] = "the intermediate certificates",
    [CLM_CONTENT_FULLCHAIN] = "the full chain",
    [CLM_CONTENT_KEY] = "the private key",
    [CLM_CONTENT_KEY_FULLCHAIN] = "the full chain and the private key",
    [CLM_CONTENT_KEY_FIRST] = "the private key and the full chain",
    [CLM_CONTENT_LEAF_KEY] = "the certificate and the private key",
    [CLM_CONTENT_EDIT] = "some changed lines",
};

static const char *const format_names[] = {
    [CLM_FORMAT_PEM] = "pem",       [CLM_FORMAT_DER] = "der",
    [CLM_FORMAT_PKCS7] = "pkcs7",   [CLM_FORMAT_PKCS7_PEM] = "pkcs7_pem",
    [CLM_FORMAT_PKCS12] = "pkcs12", [CLM_FORMAT_JKS] = "jks",
    [CLM_FORMAT_JCEKS] = "jceks",
};

static const char *const format_words[] = {
    [CLM_FORMAT_PEM] = "",
    [CLM_FORMAT_DER] = " in DER",
    [CLM_FORMAT_PKCS7] = " as PKCS#7",
    [CLM_FORMAT_PKCS7_PEM] = " as PKCS#7 in PEM",
    [CLM_FORMAT_PKCS12] = "PKCS#12",
    [CLM_FORMAT_JKS] = "JKS",
    [CLM_FORMAT_JCEKS] = "JCEKS",
};

static const char *const reload_names[] = {
    [CLM_RELOAD_UNIT] = "unit",       [CLM_RELOAD_SIGNAL] = "signal",
    [CLM_RELOAD_RESTART] = "restart", [CLM_RELOAD_MANAGER] = "manager",
    [CLM_RELOAD_HOOK] = "hook",       [CLM_RELOAD_NONE] = "none",
};

static const char *const kind_names[] = {
    [CLM_STEP_CHECK] = "check",           [CLM_STEP_FILE_PUT] = "file.put",
    [CLM_STEP_POST_CHECK] = "post_check", [CLM_STEP_RELOAD] = "reload",
    [CLM_STEP_VERIFY] = "verify",
};

_Static_assert(CLM_ARRAY_LEN(content_names) == CLM_CONTENT__COUNT, "a content without a name");
_Static_assert(CLM_ARRAY_LEN(content_words) == CLM_CONTENT__COUNT, "a content without words");
_Static_assert(CLM_ARRAY_LEN(format_names) == CLM_FORMAT__COUNT, "a format without a name");
_Static_assert(CLM_ARRAY_LEN(format_words) == CLM_FORMAT__COUNT, "a format without words");
_Static_assert(CLM_ARRAY_LEN(reload_names) == CLM_RELOAD__COUNT, "a reload without a name");
_Static_assert(CLM_ARRAY_LEN(kind_names) == CLM_STEP__COUNT, "a step kind without a name");

static void step_done(struct clm_step *step)
{
    clm_strs_done(&step->argv);
    free(step->endpoints);
    step->endpoints = NULL;
    step->n_endpoints = 0;
    for (size_t i = 0; i < step->n_edits; i++) {
        free(step->edits[i].text);
    }
    free(step->edits);
    step->edits = NULL;
    step->n_edits = 0;
}

void clm_plan_done(struct clm_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        step_done(&plan->steps[i]);
    }
    free(plan->steps);
    memset(plan, 0, sizeof(*plan));
}

struct clm_step *clm_plan_add(struct clm_plan *plan, enum clm_step_kind kind, struct clm_err *err)
{
    void *items = plan->steps;
    struct clm_step *step = clm_array_grow(&items, &plan->n_steps, sizeof(*plan->steps));

    plan->steps = items;
    if (step == NULL) {
        (void)clm_err_set(err, CLM_E_NOMEM, "step of a plan");
        return NULL;
    }
    step->kind = kind;
    return step;
}

enum clm_code clm_step_set_endpoints(struct clm_step *step, const struct clm_endpoint *endpoints,
                                     size_t n, struct clm_err *err)
{
    struct clm_endpoint *copy = NULL;

    if (n > 0) {
        copy = calloc(n, sizeof(*copy));
        if (copy == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "endpoints of a step");
        }
        memcpy(copy, endpoints, n * sizeof(*copy));
    }
    free(step->endpoints);
    step->endpoints = copy;
    step->n_endpoints = n;
    return CLM_OK;
}

enum clm_code clm_step_add_edit(struct clm_step *step, uint64_t offset, uint64_t len,
                                const char *text, struct clm_err *err)
{
    void *items = step->edits;
    struct clm_text_edit *edit = clm_array_grow(&items, &step->n_edits, sizeof(*step->edits));

    step->edits = items;
    if (edit != NULL) {
        edit->offset = offset;
        edit->len = len;
        edit->text = strdup(text);
    }
    return edit != NULL && edit->text != NULL ? CLM_OK
                                              : clm_err_set(err, CLM_E_NOMEM, "edit of a step");
}

const char *clm_content_name(enum clm_content content)
{
    size_t i = (size_t)content;

    return i < CLM_ARRAY_LEN(content_names) ? content_names[i] : "unknown";
}

const char *clm_step_kind_name(enum clm_step_kind kind)
{
    size_t i = (size_t)kind;

    return i < CLM_ARRAY_LEN(kind_names) ? kind_names[i] : "unknown";
}

const char *clm_file_format_name(enum clm_file_format format)
{
    size_t i = (size_t)format;

    return i < CLM_ARRAY_LEN(format_names) ? format_names[i] : "unknown";
}

const char *clm_reload_name(enum clm_reload_how how)
{
    size_t i = (size_t)how;

    return i < CLM_ARRAY_LEN(reload_names) ? reload_names[i] : "unknown";
}

/* ---- for people ---- */

static const char *signal_name(int signo)
{
    static const struct {
        int signo;
        const char *name;
    } names[] = {{1, "SIGHUP"},   {3, "SIGQUIT"},  {10, "SIGUSR1"},
                 {12, "SIGUSR2"}, {15, "SIGTERM"}, {28, "SIGWINCH"}};

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        if (names[i].signo == signo) {
            return names[i].name;
        }
    }
    return NULL;
}

static enum clm_code describe_command(const struct clm_strs *argv, struct clm_buf *out,
                                      struct clm_err *err)
{
    for (size_t i = 0; i < argv->n; i++) {
        enum clm_code code = clm_buf_addf(out, err, "%s%s", i == 0 ? "" : " ", argv->v[i]);

        if (code != CLM_OK) {
            return code;
        }
    }
    return clm_buf_add_str(out, "'", err);
}

static enum clm_code describe_signal(const struct clm_step *step, struct clm_buf *out,
                                     struct clm_err *err)
{
    const char *name = signal_name(step->signo);

    return name == NULL
               ? clm_buf_addf(out, err, "send signal %d to process %d", step->signo, step->pid)
               : clm_buf_addf(out, err, "send %s to process %d", name, step->pid);
}

static enum clm_code describe_reload(const struct clm_step *step, struct clm_buf *out,
                                     struct clm_err *err)
{
    enum clm_code code;

    switch (step->how) {
    case CLM_RELOAD_UNIT:
        return clm_buf_addf(out, err, "reload '%s' through systemd", step->unit);
    case CLM_RELOAD_SIGNAL:
        return describe_signal(step, out, err);
    case CLM_RELOAD_RESTART:
        return clm_buf_addf(out, err, "restart '%s' through systemd, which ends its connections",
                            step->unit);
    case CLM_RELOAD_MANAGER:
        return clm_buf_addf(out, err, "ask the manager at '%s' as '%s' to read its files again",
                            step->url, step->user);
    case CLM_RELOAD_HOOK:
        code = clm_buf_add_str(out, "run the hook '", err);
        return code == CLM_OK ? describe_command(&step->argv, out, err) : code;
    case CLM_RELOAD_NONE:
        return clm_buf_add_str(
            out, "restart nothing: the old certificate is served until somebody does", err);
    case CLM_RELOAD__COUNT:
        break;
    }
    return clm_err_set(err, CLM_E_BUG, "unknown kind of reload: %d", (int)step->how);
}

static enum clm_code describe_put(const struct clm_step *step, struct clm_buf *out,
                                  struct clm_err *err)
{
    size_t content = (size_t)step->content;
    size_t format = (size_t)step->format;

    if (content >= CLM_ARRAY_LEN(content_words) || format >= CLM_ARRAY_LEN(format_words)) {
        return clm_err_set(err, CLM_E_BUG, "unknown content or format");
    }
    if (step->content == CLM_CONTENT_EDIT) {
        return clm_buf_addf(out, err, "change %zu place%s in '%s'", step->n_edits,
                            step->n_edits == 1 ? "" : "s", step->path);
    }
    if (clm_format_is_keystore(step->format)) {
        return clm_buf_addf(out, err,
                            "put the private key and the full chain into %s%s%s of the "
                            "%s keystore '%s'",
                            step->alias[0] != '\0' ? "entry '" : "the key entry", step->alias,
                            step->alias[0] != '\0' ? "'" : "", format_words[format], step->path);
    }
    return clm_buf_addf(out, err, "%s %s%s to '%s'", step->may_create ? "create or write" : "write",
                        content_words[content], format_words[format], step->path);
}

static enum clm_code describe_verify(const struct clm_step *step, struct clm_buf *out,
                                     struct clm_err *err)
{
    enum clm_code code = clm_buf_add_str(out, "see the new certificate in handshakes with", err);

    for (size_t i = 0; i < step->n_endpoints && code == CLM_OK; i++) {
        const struct clm_endpoint *endpoint = &step->endpoints[i];
        bool bracket = strchr(endpoint->addr, ':') != NULL;

        code = clm_buf_addf(out, err, "%s %s%s%s:%u", i == 0 ? "" : ",", bracket ? "[" : "",
                            endpoint->addr, bracket ? "]" : "", (unsigned)endpoint->port);
        if (code == CLM_OK && endpoint->sni[0] != '\0') {
            code = clm_buf_addf(out, err, " as '%s'", endpoint->sni);
        }
    }
    return code != CLM_OK
               ? code
               : clm_buf_addf(out, err, " within %u s", (unsigned)(step->deadline_ms / 1000));
}

static enum clm_code describe(const struct clm_step *step, struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    switch (step->kind) {
    case CLM_STEP_CHECK:
    case CLM_STEP_POST_CHECK:
        code = clm_buf_add_str(out,
                               step->kind == CLM_STEP_CHECK
                                   ? "test the configuration with '"
                                   : "test the configuration with the new files with '",
                               err);
        return code == CLM_OK ? describe_command(&step->argv, out, err) : code;
    case CLM_STEP_FILE_PUT:
        return describe_put(step, out, err);
    case CLM_STEP_RELOAD:
        return describe_reload(step, out, err);
    case CLM_STEP_VERIFY:
        return describe_verify(step, out, err);
    case CLM_STEP__COUNT:
        break;
    }
    return clm_err_set(err, CLM_E_BUG, "unknown kind of step: %d", (int)step->kind);
}

enum clm_code clm_step_describe(const struct clm_step *step, char *dst, size_t size,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(size - 1);
    enum clm_code code = describe(step, &text, err);

    dst[0] = '\0';
    if (code != CLM_OK) {
        return code;
    }
    memcpy(dst, clm_buf_str(&text), text.len + 1);
    for (char *p = dst; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    return CLM_OK;
}
