/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/job.h"

#include <string.h>

#include "agent/model/fields.h"
#include "agent/model/spec_fields.h"

#define TIMEOUT_MIN_S  10 /* protocol.md 8.1 */
#define TIMEOUT_MAX_S  86400
#define ATTEMPTS_MAX   10
#define LATE_MAX_S     31622400 /* 366 days */
#define RETRY_MAX_S    86400
#define SHORT_TEXT_MAX 256

static const char *const type_names[] = {
    [CLM_JOB_TYPE_CONFIGURE] = "configure",
    [CLM_JOB_TYPE_ORDER] = "order",
    [CLM_JOB_TYPE_GET_DCV] = "get_dcv",
    [CLM_JOB_TYPE_DCV_WRITE] = "dcv_write",
    [CLM_JOB_TYPE_DCV_CLEANUP] = "dcv_cleanup",
    [CLM_JOB_TYPE_DEPLOY] = "deploy",
    [CLM_JOB_TYPE_ROLLBACK] = "rollback",
    [CLM_JOB_TYPE_RENEW] = "renew",
    [CLM_JOB_TYPE_REKEY] = "rekey",
    [CLM_JOB_TYPE_ROTATE] = "rotate",
    [CLM_JOB_TYPE_RECHECK_PINNING] = "recheck_pinning",
    [CLM_JOB_TYPE_REVOKE] = "revoke",
    [CLM_JOB_TYPE_DELETE] = "delete",
    [CLM_JOB_TYPE_SCAN] = "scan",
};
_Static_assert(CLM_ARRAY_LEN(type_names) == CLM_JOB_TYPE__COUNT, "a job type without a name");

const char *const clm_spec_key_types[] = {"ec-p256",  "ec-p384",  "rsa-2048",
                                          "rsa-3072", "rsa-4096", NULL};

#define AT(member)     offsetof(struct clm_job_envelope, member)
#define SIZEOF(member) sizeof(((struct clm_job_envelope *)0)->member)
#define TEXT(key, required, member)                                                                \
    {                                                                                              \
        key, CLM_FIELD_TEXT, required, AT(member), SIZEOF(member), 0, 0                            \
    }
#define U32(key, required, member, min, max)                                                       \
    {                                                                                              \
        key, CLM_FIELD_U32, required, AT(member), 0, min, max                                      \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0                                                    \
    }

static const struct clm_field fields[] = {
    TEXT("job_id", true, job_id),
    TEXT("tenant", true, tenant),
    TEXT("agent_id", true, agent_id),
    TEXT("target", true, target),
    {"target_seq", CLM_FIELD_I64, true, AT(target_seq), 0, 0, CLM_JSON_INT_MAX},
    {"issued_at", CLM_FIELD_TIME, true, AT(issued_s), 0, 0, 0},
    {"not_before", CLM_FIELD_TIME, false, AT(not_before_s), 0, 0, 0},
    {"expires_at", CLM_FIELD_TIME, true, AT(expires_s), 0, 0, 0},
    U32("timeout_s", true, timeout_s, TIMEOUT_MIN_S, TIMEOUT_MAX_S),
    U32("max_attempts", false, max_attempts, 1, ATTEMPTS_MAX),
    U32("priority", false, priority, 0, 100),
    {"offline_ok", CLM_FIELD_BOOL, false, AT(offline_ok), 0, 0, 0},
    TEXT("campaign_id", false, campaign_id),
    TEXT("window_id", false, window_id),
    TEXT("missed_window", false, missed_window),
    U32("max_late_s", false, max_late_s, 0, LATE_MAX_S),
    TEXT("expiry_override", false, expiry_override),
    TEXT("requested_by", false, requested_by),
    END,
};

static const struct clm_field retry_fields[] = {
    U32("base_s", false, retry_base_s, 1, RETRY_MAX_S),
    U32("cap_s", false, retry_cap_s, 1, RETRY_MAX_S),
    END,
};

static const struct clm_field recipe_fields[] = {
    TEXT("name", true, recipe_name),
    {"version", CLM_FIELD_I64, true, AT(recipe_version), 0, 1, CLM_JSON_INT_MAX},
    {"sha256", CLM_FIELD_SHA256, true, AT(recipe_sha256), 0, 0, 0},
    END,
};

const char *clm_job_type_name(enum clm_job_type type)
{
    size_t i = (size_t)type;

    return i < CLM_ARRAY_LEN(type_names) ? type_names[i] : "unknown";
}

bool clm_job_type_from_name(const char *name, enum clm_job_type *out_type)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(type_names); i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out_type = (enum clm_job_type)i;
            return true;
        }
    }
    return false;
}

const char *const *clm_key_type_names(void)
{
    return clm_spec_key_types;
}

bool clm_job_name_is_valid(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len < CLM_JOB_NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len &&
           strchr("._-", name[0]) == NULL;
}

void clm_job_envelope_done(struct clm_job_envelope *job)
{
    if (job != NULL) {
        clm_json_free(job->root);
        memset(job, 0, sizeof(*job));
    }
}

/* ---- checks of single members ---- */

static enum clm_code check_version(const struct clm_json *root, struct clm_err *err)
{
    int64_t version = 0;
    enum clm_code code = clm_json_int(root, "spec_version", 0, CLM_JSON_INT_MAX, &version, err);

    if (code == CLM_OK && version != 1) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "'spec_version': %lld, this version of clmbot takes 1; upgrade it",
                           (long long)version);
    }
    return code;
}

static enum clm_code read_type(const struct clm_json *root, struct clm_job_envelope *job,
                               struct clm_err *err)
{
    const char *name = NULL;
    enum clm_code code = clm_json_str(root, "type", 64, &name, err);

    if (code == CLM_OK && !clm_job_type_from_name(name, &job->type)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "'type': '%s' is not a job type of protocol 1",
                           name);
    }
    return code;
}

static enum clm_code check_id(const char *key, const char *prefix, const char *value,
                              struct clm_err *err)
{
    if (clm_id_is_valid(prefix, value)) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_INVAL, "'%s': '%s' is not an id of the form %s_<26 characters>",
                       key, value, prefix);
}

static enum clm_code check_choice(const char *key, char *value, size_t size,
                                  const char *const *choices, struct clm_err *err)
{
    if (value[0] == '\0') {
        return clm_str_copy(value, size, choices[0], err);
    }
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], value) == 0) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_INVAL, "'%s': unknown value '%s'", key, value);
}

static enum clm_code check_ids(const struct clm_job_envelope *job, struct clm_err *err)
{
    enum clm_code code = check_id("job_id", "job", job->job_id, err);

    if (code == CLM_OK) {
        code = check_id("agent_id", "agt", job->agent_id, err);
    }
    if (code == CLM_OK && job->campaign_id[0] != '\0') {
        code = check_id("campaign_id", "cmp", job->campaign_id, err);
    }
    if (code == CLM_OK && job->tenant[0] == '\0') {
        code = clm_err_set(err, CLM_E_INVAL, "'tenant': is empty");
    }
    if (code == CLM_OK && !clm_target_id_is_valid(job->target)) {
        code = clm_err_set(err, CLM_E_INVAL, "'target': '%s' is not a target id", job->target);
    }
    return code;
}

static enum clm_code check_times(struct clm_job_envelope *job, struct clm_err *err)
{
    if (job->not_before_s == 0) {
        job->not_before_s = job->issued_s;
    }
    if (job->expires_s <= job->issued_s || job->expires_s <= job->not_before_s) {
        return clm_err_set(err, CLM_E_INVAL,
                           "'expires_at': not after 'issued_at' and 'not_before'");
    }
    if (job->expires_s - job->issued_s > CLM_JOB_LIFE_MAX_S) {
        return clm_err_set(err, CLM_E_INVAL, "'expires_at': more than 90 days after 'issued_at'");
    }
    return CLM_OK;
}

static enum clm_code check_window(struct clm_job_envelope *job, struct clm_err *err)
{
    static const char *const missed[] = {"run_next_window", "skip", "fail", "run_asap", NULL};
    static const char *const override[] = {"alert", "never", "deploy", NULL};
    enum clm_code code =
        check_choice("missed_window", job->missed_window, sizeof(job->missed_window), missed, err);

    if (code == CLM_OK) {
        code = check_choice("expiry_override", job->expiry_override, sizeof(job->expiry_override),
                            override, err);
    }
    if (code == CLM_OK && job->window_id[0] != '\0' && !clm_job_name_is_valid(job->window_id)) {
        code = clm_err_set(err, CLM_E_INVAL, "'window_id': '%s' is not a name", job->window_id);
    }
    return code;
}

static enum clm_code read_on_failure(const struct clm_json *root, struct clm_job_envelope *job,
                                     struct clm_err *err)
{
    const char *text = NULL;
    enum clm_code code = clm_json_str_or(root, "on_failure", 16, "rollback", &text, err);

    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(text, "rollback") != 0 && strcmp(text, "stop") != 0) {
        return clm_err_set(err, CLM_E_INVAL, "'on_failure': unknown value '%s'", text);
    }
    job->on_failure = text[0] == 's' ? CLM_ON_FAILURE_STOP : CLM_ON_FAILURE_ROLLBACK;
    return CLM_OK;
}

/* ---- members that are objects or lists ---- */

/* *out is NULL if the member is missing or null. */
static enum clm_code optional_object(const struct clm_json *root, const char *key,
                                     const char *const *allowed, const struct clm_json **out,
                                     struct clm_err *err)
{
    enum clm_code code;

    *out = clm_json_get(root, key);
    if (*out == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(root, key, out, err);
    if (code == CLM_OK) {
        code = clm_json_only(*out, allowed, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "%s", key);
        }
    }
    return code;
}

static enum clm_code read_retry(const struct clm_json *root, struct clm_job_envelope *job,
                                struct clm_err *err)
{
    static const char *const allowed[] = {"base_s", "cap_s", NULL};
    const struct clm_json *node = NULL;
    enum clm_code code = optional_object(root, "retry", allowed, &node, err);

    if (code == CLM_OK && node != NULL) {
        code = clm_fields_from_json(retry_fields, node, job, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "retry");
        }
    }
    return code;
}

static enum clm_code read_recipe(const struct clm_json *root, struct clm_job_envelope *job,
                                 struct clm_err *err)
{
    static const char *const allowed[] = {"name", "version", "sha256", NULL};
    const struct clm_json *node = NULL;
    enum clm_code code = optional_object(root, "recipe", allowed, &node, err);

    if (code != CLM_OK || node == NULL) {
        return code;
    }
    code = clm_fields_from_json(recipe_fields, node, job, err);
    if (code == CLM_OK && !clm_job_name_is_valid(job->recipe_name)) {
        code = clm_err_set(err, CLM_E_INVAL, "'name': '%s' is not a name", job->recipe_name);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "recipe");
}

static enum clm_code check_workflow(const struct clm_json *root, struct clm_err *err)
{
    static const char *const allowed[] = {"id", "step", "of", NULL};
    const struct clm_json *node = NULL;
    const char *id = NULL;
    int64_t number = 0;
    enum clm_code code = optional_object(root, "workflow", allowed, &node, err);

    if (code != CLM_OK || node == NULL) {
        return code;
    }
    code = clm_json_str(node, "id", CLM_ID_SIZE - 1, &id, err);
    if (code == CLM_OK) {
        code = check_id("id", "wf", id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(node, "step", 0, 1000, &number, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(node, "of", 0, 1000, &number, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "workflow");
}

struct text_list {
    const char *key;
    const char *id_prefix; /* NULL: any text */
    const char **v;
    size_t *n;
    size_t max;
};

static enum clm_code read_texts(const struct clm_json *root, const struct text_list *list,
                                struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(root, list->key);
    enum clm_code code;

    if (array == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(root, list->key, list->max, &array, err);
    if (code != CLM_OK) {
        return code;
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node)) {
        const char *text = clm_json_text(node);

        if (text == NULL || text[0] == '\0' || strlen(text) > SHORT_TEXT_MAX) {
            return clm_err_set(err, CLM_E_PARSE, "'%s': element %zu is no text of 1..%d bytes",
                               list->key, *list->n, SHORT_TEXT_MAX);
        }
        if (list->id_prefix != NULL) {
            code = check_id(list->key, list->id_prefix, text, err);
            if (code != CLM_OK) {
                return code;
            }
        }
        list->v[(*list->n)++] = text;
    }
    return CLM_OK;
}

static enum clm_code read_lists(const struct clm_json *root, struct clm_job_envelope *job,
                                struct clm_err *err)
{
    const struct text_list lists[] = {
        {"depends_on", "job", job->depends_on, &job->n_depends_on, CLM_JOB_DEPENDS_MAX},
        {"requires", NULL, job->requires, &job->n_requires, CLM_JOB_REQUIRES_MAX},
        {"approved_by", NULL, job->approved_by, &job->n_approved_by, CLM_JOB_APPROVERS_MAX},
        {"optional_fields", NULL, job->optional, &job->n_optional, CLM_JOB_OPTIONAL_MAX},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(lists); i++) {
        enum clm_code code = read_texts(root, &lists[i], err);

        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

/* ---- the whole ---- */

static enum clm_code read_values(const struct clm_json *root, struct clm_job_envelope *job,
                                 struct clm_err *err)
{
    enum clm_code code = read_type(root, job, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(fields, root, job, err);
    }
    if (code == CLM_OK) {
        code = check_ids(job, err);
    }
    if (code == CLM_OK) {
        code = check_times(job, err);
    }
    if (code == CLM_OK) {
        code = check_window(job, err);
    }
    return code == CLM_OK ? read_on_failure(root, job, err) : code;
}

static enum clm_code read_nested(const struct clm_json *root, struct clm_job_envelope *job,
                                 struct clm_err *err)
{
    enum clm_code code = read_retry(root, job, err);

    if (code == CLM_OK) {
        code = read_recipe(root, job, err);
    }
    if (code == CLM_OK) {
        code = check_workflow(root, err);
    }
    if (code == CLM_OK) {
        code = read_lists(root, job, err);
    }
    return code == CLM_OK ? clm_json_object(root, "spec", &job->spec, err) : code;
}

static enum clm_code read_envelope(const struct clm_json *root, struct clm_job_envelope *job,
                                   struct clm_err *err)
{
    static const char *const allowed[] = {
        "spec_version", "job_id",     "tenant",          "agent_id",        "type",
        "target",       "target_seq", "campaign_id",     "workflow",        "depends_on",
        "requires",     "priority",   "issued_at",       "not_before",      "expires_at",
        "window_id",    "max_late_s", "expiry_override", "missed_window",   "offline_ok",
        "timeout_s",    "retry",      "max_attempts",    "on_failure",      "recipe",
        "requested_by", "spec",       "approved_by",     "optional_fields", NULL};
    enum clm_code code;

    if (clm_json_kind(root) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "not an object");
    }
    code = check_version(root, err);
    if (code == CLM_OK) {
        code = clm_json_only(root, allowed, err);
    }
    if (code == CLM_OK) {
        code = read_values(root, job, err);
    }
    return code == CLM_OK ? read_nested(root, job, err) : code;
}

enum clm_code clm_job_envelope_parse(const char *payload, size_t len, struct clm_job_envelope *out,
                                     struct clm_err *err)
{
    struct clm_job_envelope job = {
        .max_attempts = 3, .retry_base_s = 60, .retry_cap_s = 3600, .priority = 50};
    enum clm_code code = clm_json_parse(payload, len, CLM_JOB_PAYLOAD_MAX, &job.root, err);

    if (code == CLM_OK) {
        code = read_envelope(job.root, &job, err);
    }
    if (code != CLM_OK) {
        clm_job_envelope_done(&job);
        return clm_err_wrap(err, code, "job");
    }
    *out = job;
    return CLM_OK;
}
