/* SPDX-License-Identifier: Apache-2.0 */
/* Which members of a step go together, as tables. */
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/names.h"
#include "agent/model/plan.h"

#define BIT(x) (1u << (x))
#define PEM    BIT(CLM_FORMAT_PEM)
#define DER    BIT(CLM_FORMAT_DER)
#define PKCS7  (BIT(CLM_FORMAT_PKCS7) | BIT(CLM_FORMAT_PKCS7_PEM))
#define STORES (BIT(CLM_FORMAT_PKCS12) | BIT(CLM_FORMAT_JKS) | BIT(CLM_FORMAT_JCEKS))

static const struct {
    bool has_leaf;
    bool has_key;
    unsigned formats;
} contents[] = {
    [CLM_CONTENT_LEAF] = {true, false, PEM | DER | PKCS7 | STORES},
    [CLM_CONTENT_CHAIN] = {false, false, PEM | PKCS7 | STORES},
    [CLM_CONTENT_FULLCHAIN] = {true, false, PEM | PKCS7 | STORES},
    [CLM_CONTENT_KEY] = {false, true, PEM | DER | STORES},
    [CLM_CONTENT_KEY_FULLCHAIN] = {true, true, PEM | STORES},
    [CLM_CONTENT_KEY_FIRST] = {true, true, PEM | STORES},
    [CLM_CONTENT_LEAF_KEY] = {true, true, PEM | STORES},
    [CLM_CONTENT_EDIT] = {false, false, PEM},
};
_Static_assert(CLM_ARRAY_LEN(contents) == CLM_CONTENT__COUNT, "a content without rules");

bool clm_content_has_key(enum clm_content content)
{
    return (size_t)content < CLM_ARRAY_LEN(contents) && contents[content].has_key;
}

bool clm_content_has_leaf(enum clm_content content)
{
    return (size_t)content < CLM_ARRAY_LEN(contents) && contents[content].has_leaf;
}

bool clm_format_is_keystore(enum clm_file_format format)
{
    return format < CLM_FORMAT__COUNT && (BIT(format) & STORES) != 0;
}

bool clm_plan_waits(const struct clm_plan *plan)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].kind == CLM_STEP_RELOAD && plan->steps[i].how == CLM_RELOAD_NONE) {
            return true;
        }
    }
    return false;
}

bool clm_secret_ref_is_valid(const char *ref)
{
    size_t file = strlen(CLM_SECRET_FILE);

    if (clm_str_starts(ref, CLM_SECRET_FILE)) {
        return ref[file] == '/' && ref[file + 1] != '\0';
    }
    return clm_str_starts(ref, CLM_SECRET_KNOWN) ||
           (clm_str_starts(ref, CLM_SECRET_CONF) && ref[strlen(CLM_SECRET_CONF)] != '\0');
}

static enum clm_code check_ref(const char *member, const char *ref, struct clm_err *err)
{
    return ref[0] == '\0' || clm_secret_ref_is_valid(ref)
               ? CLM_OK
               : clm_err_set(err, CLM_E_PARSE, "'%s': not a reference to a password", member);
}

static enum clm_code check_edits(const struct clm_step *step, struct clm_err *err)
{
    uint64_t end = 0;

    if (step->content != CLM_CONTENT_EDIT) {
        return step->n_edits == 0
                   ? CLM_OK
                   : clm_err_set(err, CLM_E_PARSE, "'edits': for content 'edit' only");
    }
    if (step->n_edits == 0 || step->expect_sha256[0] == '\0' || step->may_create) {
        return clm_err_set(err, CLM_E_PARSE,
                           "'edits': content 'edit' needs edits and 'expect_sha256' of a file that "
                           "exists");
    }
    for (size_t i = 0; i < step->n_edits; i++) {
        const struct clm_text_edit *edit = &step->edits[i];

        if ((i > 0 && edit->offset < end) || edit->len > UINT64_MAX - edit->offset) {
            return clm_err_set(err, CLM_E_PARSE, "'edits': %zu overlaps the one before it", i);
        }
        end = edit->offset + edit->len;
    }
    return CLM_OK;
}

static enum clm_code check_put(const struct clm_step *step, struct clm_err *err)
{
    bool is_store = clm_format_is_keystore(step->format);
    enum clm_code code;

    if (step->path[0] != '/' || step->path[1] == '\0') {
        return clm_err_set(err, CLM_E_PARSE, "'path': '%.200s' is not an absolute path",
                           step->path);
    }
    if ((size_t)step->content >= CLM_ARRAY_LEN(contents) || step->format >= CLM_FORMAT__COUNT ||
        (contents[step->content].formats & BIT(step->format)) == 0) {
        return clm_err_set(err, CLM_E_PARSE, "'format': '%s' cannot hold content '%s'",
                           clm_file_format_name(step->format), clm_content_name(step->content));
    }
    if (is_store && step->store_password[0] == '\0') {
        return clm_err_set(err, CLM_E_PARSE, "'store_password': a keystore needs one");
    }
    if (!is_store && (step->alias[0] != '\0' || step->store_password[0] != '\0')) {
        return clm_err_set(err, CLM_E_PARSE, "'%s': for keystores only",
                           step->alias[0] != '\0' ? "alias" : "store_password");
    }
    if (step->key_password[0] != '\0' && !is_store &&
        (step->format != CLM_FORMAT_PEM || !clm_content_has_key(step->content))) {
        return clm_err_set(err, CLM_E_PARSE,
                           "'key_password': for keystores and private keys in PEM only");
    }
    code = check_ref("store_password", step->store_password, err);
    if (code == CLM_OK) {
        code = check_ref("key_password", step->key_password, err);
    }
    return code == CLM_OK ? check_edits(step, err) : code;
}

/* A name systemd takes: no path, no option. */
static enum clm_code check_unit(const struct clm_step *step, struct clm_err *err)
{
    const char *unit = step->unit;
    size_t len = strlen(unit);

    if (len > 0 && unit[0] != '-' && unit[0] != '.' &&
        strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") ==
            len) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_PARSE, "'unit': '%s' is not the name of a unit", unit);
}

static enum clm_code check_manager(const struct clm_step *step, struct clm_err *err)
{
    struct clm_err why = {.code = CLM_OK};

    if (clm_url_check_loopback(step->url, &why) != CLM_OK) {
        return clm_err_set(err, CLM_E_PARSE, "'url': %s", why.msg);
    }
    if (step->user[0] == '\0' || strchr(step->user, ':') != NULL) {
        return clm_err_set(err, CLM_E_PARSE, "'user': empty, or holds a colon");
    }
    return step->password[0] == '\0' ? clm_err_set(err, CLM_E_PARSE, "'password': is empty")
                                     : check_ref("password", step->password, err);
}

static enum clm_code check_hook(const struct clm_step *step, struct clm_err *err)
{
    return step->argv.n > 0 && step->argv.v[0][0] == '/'
               ? CLM_OK
               : clm_err_set(err, CLM_E_PARSE, "'argv': element 0 must be an absolute path");
}

enum clm_code clm_step_check(const struct clm_step *step, struct clm_err *err)
{
    static enum clm_code (*const reloads[])(const struct clm_step *, struct clm_err *) = {
        [CLM_RELOAD_UNIT] = check_unit,
        [CLM_RELOAD_RESTART] = check_unit,
        [CLM_RELOAD_MANAGER] = check_manager,
        [CLM_RELOAD_HOOK] = check_hook,
    };

    if (step->kind == CLM_STEP_FILE_PUT) {
        return check_put(step, err);
    }
    if (step->kind == CLM_STEP_RELOAD && (size_t)step->how < CLM_ARRAY_LEN(reloads) &&
        reloads[step->how] != NULL) {
        return reloads[step->how](step, err);
    }
    return CLM_OK;
}
