/* SPDX-License-Identifier: Apache-2.0 */
/* The five steps of a configuration as they came from an operator: all that is wrong with them at
 * once, each fault with the member it is about, so that a form can show it where it was typed. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/certs.h"
#include "controlplane/configs.h"
#include "controlplane/http.h"
#include "controlplane/inventory.h"

#define POINTER_MAX 128

struct check {
    struct clm_cp_tx *tx;
    const struct clm_json *request;
    const char *agent_id;
    const char *target;
    struct clm_json *body;  /* the steps as they are stored */
    struct clm_json *found; /* the target in the inventory; NULL: it is not there */
    struct clm_json *faults;
    const struct clm_cp_connector *connector; /* NULL: not known */
    const char *on_issue;
    const char *webroot_ref;
};

static void fault(struct check *check, const char *pointer, const char *code, const char *fmt, ...)
    CLM_PRINTF(4, 5);

static void fault(struct check *check, const char *pointer, const char *code, const char *fmt, ...)
{
    char detail[CLM_ERR_MSG_MAX];
    va_list args;
    struct clm_json *obj = clm_json_add_object(check->faults);

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    clm_json_set_str(obj, "pointer", pointer);
    clm_json_set_str(obj, "code", code);
    clm_json_set_str(obj, "detail", detail);
}

/* What a CertificateRequest calls differently, into dst. */
static void translate(const char *pointer, size_t len, char dst[POINTER_MAX])
{
    static const char *const names[][2] = {
        {"/names", "/csr/sans"},
        {"/subject", "/csr/subject"},
        {"/key_type", "/csr/key_type"},
        {"/connector", "/issuer/connector"},
        {"/webroot_ref", "/dcv/webroot_ref"},
    };
    int rest = (int)len;

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        size_t head = strlen(names[i][0]);

        if (len >= head && strncmp(names[i][0], pointer, head) == 0 &&
            (len == head || pointer[head] == '/')) {
            rest = (int)(len - head);
            (void)snprintf(dst, POINTER_MAX, "%s%.*s", names[i][1], rest, pointer + head);
            for (char *p = dst + strlen(names[i][1]); *p != '\0'; p++) {
                *p = (char)tolower((unsigned char)*p);
            }
            return;
        }
    }
    (void)snprintf(dst, POINTER_MAX, "%.*s", rest, pointer);
}

/* "/csr/sans: must not be empty" as a fault; other places are about fallback. Only what is not the
 * operator's doing stays an error. */
static enum clm_code note(struct check *check, enum clm_code code, const struct clm_err *why,
                          const char *fallback)
{
    char pointer[POINTER_MAX];
    const char *end = strstr(why->msg, ": ");

    if (code != CLM_E_PARSE && code != CLM_E_LIMIT && code != CLM_E_INVAL &&
        code != CLM_E_UNSUPPORTED) {
        return code;
    }
    size_t len = end != NULL ? (size_t)(end - why->msg) : 0;

    if (why->msg[0] != '/' || len == 0 || len >= sizeof(pointer) - 16) {
        fault(check, fallback, "invalid", "%s", why->msg);
        return CLM_OK;
    }
    translate(why->msg, len, pointer);
    fault(check, pointer, "invalid", "%s", end + 2);
    return CLM_OK;
}

/* The step of that name; NULL if it is not there or cannot be read. */
static enum clm_code open_step(struct check *check, const char *name, const char *const *known,
                               const struct clm_json **out_step, struct clm_err *err)
{
    char pointer[POINTER_MAX];
    struct clm_err why = {0};
    enum clm_code code = CLM_OK;

    (void)snprintf(pointer, sizeof(pointer), "/%s", name);
    *out_step = clm_json_get(check->request, name);
    if (*out_step != NULL) {
        code = clm_json_object(check->request, name, out_step, &why);
    }
    if (code == CLM_OK && *out_step != NULL && known != NULL) {
        code = clm_json_only(*out_step, known, &why);
    }
    if (code != CLM_OK) {
        *out_step = NULL;
        *err = why;
        return note(check, code, &why, pointer);
    }
    return CLM_OK;
}

/* One member that is a word out of a list; the first is the default. */
static enum clm_code read_choice(struct check *check, const struct clm_json *step,
                                 const char *pointer, const char *const *list, const char **out,
                                 struct clm_err *err)
{
    struct clm_err why = {0};
    const char *key = strrchr(pointer, '/') + 1;
    enum clm_code code = clm_json_str_or(step, key, 64, list[0], out, &why);

    if (code != CLM_OK) {
        *out = list[0];
        *err = why;
        return note(check, code, &why, pointer);
    }
    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(*out, list[i]) == 0) {
            return CLM_OK;
        }
    }
    fault(check, pointer, "unknown", "there is no '%s'", *out);
    *out = list[0];
    return CLM_OK;
}

static enum clm_code read_text(struct check *check, const struct clm_json *step,
                               const char *pointer, const char *fallback, const char **out,
                               struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = clm_json_str_or(step, strrchr(pointer, '/') + 1, 64, fallback, out, &why);

    if (code != CLM_OK) {
        *out = fallback;
        *err = why;
        return note(check, code, &why, pointer);
    }
    return CLM_OK;
}

static enum clm_code has_capability(struct check *check, const char *name, bool *out_has,
                                    struct clm_err *err)
{
    int64_t n = 0;
    enum clm_code code = clm_cp_db_get_int(
        check->tx->db, 0, &n, err,
        "SELECT count(*) FROM agent a, json_each(a.caps) c WHERE a.id = ?1 AND c.value = ?2",
        CLM_SQL(clm_sql_text(check->agent_id), clm_sql_text(name)));

    *out_has = n > 0;
    return code;
}

/* ---- 1: deployment ---- */

static void check_target(struct check *check, bool is_declared)
{
    if (!clm_target_id_is_valid(check->target) || strcmp(check->target, "host") == 0) {
        fault(check, "/target", "invalid", "must be kind:name, e.g. nginx:www.example.com");
        return;
    }
    if (is_declared) {
        if (!clm_str_starts(check->target, "file:")) {
            fault(check, "/target", "not-declared",
                  "only targets of kind 'file' are declared on the host; others come from a scan");
        }
        return;
    }
    if (check->found == NULL) {
        fault(check, "/target", "not-found",
              "the host has not reported this target: scan it again, or declare a file target");
        return;
    }
    bool manageable = true;
    const struct clm_json *reasons = clm_json_get(check->found, "reasons");
    const char *reason = clm_json_text(clm_json_first(reasons));

    if (clm_json_bool_or(check->found, "manageable", &manageable, NULL) != CLM_OK || !manageable) {
        fault(check, "/target", "not-manageable", "cannot be managed: %.300s",
              reason != NULL ? reason : "the host gives no reason");
    }
}

static enum clm_code check_deployment(struct check *check, struct clm_err *err)
{
    static const char *const known[] = {"source", NULL};
    static const char *const sources[] = {"scan", "declared", NULL};
    const struct clm_json *step = NULL;
    const char *source = NULL;
    enum clm_code code = open_step(check, "deployment", known, &step, err);

    if (code == CLM_OK) {
        code = read_choice(check, step, "/deployment/source", sources, &source, err);
    }
    if (code == CLM_OK) {
        code =
            clm_cp_inventory_target(check->tx, check->agent_id, check->target, &check->found, NULL);
        code = code == CLM_E_NOTFOUND ? CLM_OK : code;
    }
    if (code == CLM_OK) {
        check_target(check, strcmp(source, "declared") == 0);
        clm_json_set_str(clm_json_set_object(check->body, "deployment"), "source", source);
    }
    return code;
}

/* ---- 2: issuer ---- */

static enum clm_code check_issuer(struct check *check, struct clm_err *err)
{
    static const char *const known[] = {"connector", "profile", NULL};
    const struct clm_json *step = NULL;
    const char *connector = NULL;
    const char *profile = NULL;
    enum clm_code code = open_step(check, "issuer", known, &step, err);

    if (code == CLM_OK) {
        code = read_text(check, step, "/issuer/connector", check->tx->conf->default_connector,
                         &connector, err);
    }
    if (code == CLM_OK) {
        code = read_text(check, step, "/issuer/profile", NULL, &profile, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    check->connector = clm_cp_conf_connector(check->tx->conf, connector);
    if (check->connector == NULL) {
        fault(check, "/issuer/connector", "unknown", "there is no connector '%s'", connector);
    } else if (profile != NULL && check->connector->type != CLM_CP_CONNECTOR_ACME) {
        fault(check, "/issuer/profile", "unsupported", "the connector '%s' has no profiles",
              connector);
    }
    struct clm_json *obj = clm_json_set_object(check->body, "issuer");

    clm_json_set_str(obj, "connector", connector);
    clm_json_set_str(obj, "profile", profile);
    return CLM_OK;
}

/* ---- 3: csr; what is in it is checked with the certificate ---- */

static enum clm_code check_csr(struct check *check, struct clm_err *err)
{
    const struct clm_json *step = NULL;
    /* Without a mode the rest would have no meaning. */
    static const char *const plain[] = {"sans", "subject", "key_type", NULL};
    struct clm_json *obj = clm_json_set_object(check->body, "csr");
    bool has_mode = clm_json_get(clm_json_get(check->request, "csr"), "mode") != NULL;
    enum clm_code code = open_step(check, "csr", has_mode ? NULL : plain, &step, err);

    for (const struct clm_json *m = clm_json_first(step); m != NULL; m = clm_json_next(m)) {
        clm_json_set_copy(obj, clm_json_key(m), m);
    }
    return code;
}

/* ---- 4: dcv ---- */

static enum clm_code check_dcv(struct check *check, struct clm_err *err)
{
    static const char *const known[] = {"method", "webroot_ref", NULL};
    static const char *const asked[] = {"http-01", "manual", "none", NULL};
    static const char *const not_asked[] = {"none", "http-01", "manual", NULL};
    const struct clm_cp_connector *connector = check->connector;
    bool is_asked =
        connector != NULL && (connector->type == CLM_CP_CONNECTOR_ACME || connector->dcv);
    const struct clm_json *step = NULL;
    const char *method = NULL;
    enum clm_code code = open_step(check, "dcv", known, &step, err);

    if (code == CLM_OK) {
        code = read_choice(check, step, "/dcv/method", is_asked ? asked : not_asked, &method, err);
    }
    if (code == CLM_OK) {
        code = read_text(check, step, "/dcv/webroot_ref", NULL, &check->webroot_ref, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (is_asked && strcmp(method, "none") == 0) {
        fault(check, "/dcv/method", "required", "'%s' issues only to who proves control",
              connector->name);
    }
    if (check->webroot_ref != NULL && strcmp(method, "http-01") != 0) {
        fault(check, "/dcv/webroot_ref", "unused", "has a meaning only with the method http-01");
    }
    struct clm_json *obj = clm_json_set_object(check->body, "dcv");

    clm_json_set_str(obj, "method", method);
    clm_json_set_str(obj, "webroot_ref", check->webroot_ref);
    return CLM_OK;
}

/* ---- 5: schedule ---- */

static enum clm_code read_number(struct check *check, const struct clm_json *step,
                                 const char *pointer, int64_t max, int64_t *io, struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = clm_json_int_or(step, strrchr(pointer, '/') + 1, 1, max, io, &why);

    if (code != CLM_OK) {
        *err = why;
        return note(check, code, &why, pointer);
    }
    return CLM_OK;
}

/* What an agent does not know would be dropped in silence. */
static enum clm_code check_abilities(struct check *check, const char *on_failure, int64_t retain,
                                     struct clm_err *err)
{
    bool can_leave = true;
    bool can_retain = true;
    enum clm_code code = CLM_OK;

    if (strcmp(on_failure, "leave") == 0) {
        code = has_capability(check, "deploy.leave/1", &can_leave, err);
    }
    if (code == CLM_OK && retain > 0) {
        code = has_capability(check, "deploy.retain/1", &can_retain, err);
    }
    if (code == CLM_OK && !can_leave) {
        fault(check, "/schedule/on_failure", "unsupported",
              "the agent of this host always goes back to what was there before");
    }
    if (code == CLM_OK && !can_retain) {
        fault(check, "/schedule/retain", "unsupported",
              "this host decides itself how many it keeps: deploy.retain in its clmbot.yaml");
    }
    return code;
}

static enum clm_code check_schedule(struct check *check, struct clm_err *err)
{
    static const char *const known[] = {"renew_days", "deploy", "on_failure", "retain", NULL};
    static const char *const deploys[] = {"now", "approval", NULL};
    static const char *const failures[] = {"rollback", "leave", NULL};
    int64_t renew_days = CLM_CP_RENEW_DAYS_DEFAULT;
    int64_t retain = 0;
    const char *deploy = NULL;
    const char *on_failure = NULL;
    const struct clm_json *step = NULL;
    enum clm_code code = open_step(check, "schedule", known, &step, err);

    if (code == CLM_OK) {
        code = read_number(check, step, "/schedule/renew_days", CLM_CP_RENEW_DAYS_MAX, &renew_days,
                           err);
    }
    if (code == CLM_OK) {
        code = read_choice(check, step, "/schedule/deploy", deploys, &deploy, err);
    }
    if (code == CLM_OK) {
        code = read_choice(check, step, "/schedule/on_failure", failures, &on_failure, err);
    }
    if (code == CLM_OK) {
        code = read_number(check, step, "/schedule/retain", CLM_CP_RETAIN_MAX, &retain, err);
    }
    if (code == CLM_OK) {
        code = check_abilities(check, on_failure, retain, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    struct clm_json *obj = clm_json_set_object(check->body, "schedule");

    check->on_issue = strcmp(deploy, "now") == 0 ? "deploy" : "notify";
    clm_json_set_int(obj, "renew_days", renew_days);
    clm_json_set_str(obj, "deploy", deploy);
    clm_json_set_str(obj, "on_failure", on_failure);
    if (retain > 0) {
        clm_json_set_int(obj, "retain", retain);
    } else {
        clm_json_set_null(obj, "retain");
    }
    return CLM_OK;
}

/* ---- the certificate that goes with it ---- */

/* Names that the operator did not give are those the target answers for. */
static void add_names(const struct check *check, const struct clm_json *csr, struct clm_json *cert)
{
    const struct clm_json *sans = clm_json_get(csr, "sans");

    if (clm_json_kind(sans) == CLM_JSON_OBJECT &&
        clm_json_len(clm_json_get(sans, "dns")) + clm_json_len(clm_json_get(sans, "ip")) > 0) {
        struct clm_json *names = clm_json_set_object(cert, "names");

        clm_json_set_copy(names, "dns", clm_json_get(sans, "dns"));
        clm_json_set_copy(names, "ip", clm_json_get(sans, "ip"));
        return;
    }
    const char *mode = clm_json_text(clm_json_get(csr, "mode"));

    if (clm_json_get(csr, "csr_pem") != NULL) {
        return; /* the names are those of the request */
    }
    const struct clm_json *installed =
        clm_json_get(clm_json_get(check->found, "certificate"), "sans");
    bool takes_over = mode != NULL && strcmp(mode, "template") != 0 && clm_json_len(installed) > 0;
    const struct clm_json *list = takes_over ? installed : clm_json_get(check->found, "names");

    clm_json_set_copy(cert, "names", list);
}

/* The subject as certificates call it. */
static void add_subject(const struct clm_json *csr, struct clm_json *cert)
{
    static const char *const names[][2] = {{"cn", "CN"}, {"o", "O"}, {"ou", "OU"},      {"l", "L"},
                                           {"st", "ST"}, {"c", "C"}, {"email", "email"}};
    const struct clm_json *subject = clm_json_get(csr, "subject");
    struct clm_json *obj = clm_json_set_object(cert, "subject");

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        const struct clm_json *member = clm_json_get(subject, names[i][0]);

        if (member != NULL) {
            clm_json_set_copy(obj, names[i][1], member);
        }
    }
}

static struct clm_json *make_cert(const struct check *check)
{
    const struct clm_json *csr = clm_json_get(check->body, "csr");
    const struct clm_json *key_type = clm_json_get(csr, "key_type");
    struct clm_json *cert = clm_json_new_object();

    clm_json_set_str(cert, "agent_id", check->agent_id);
    clm_json_set_str(cert, "target", check->target);
    add_names(check, csr, cert);
    add_subject(csr, cert);
    if (key_type != NULL) {
        clm_json_set_copy(cert, "key_type", key_type);
    }
    if (check->connector != NULL) {
        clm_json_set_str(cert, "connector", check->connector->name);
    }
    if (clm_json_get(csr, "mode") != NULL) {
        clm_json_set_copy(cert, "csr", csr);
    }
    clm_json_set_str(cert, "on_issue", check->on_issue);
    clm_json_set_str(cert, "webroot_ref", check->webroot_ref);
    return cert;
}

/* Everything that the certificate's own check finds is about step 3. */
static enum clm_code check_cert(struct check *check, const struct clm_json *cert,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_cert_draft_done) struct clm_cp_cert_draft draft = {0};
    struct clm_err why = {0};

    if (clm_json_len(check->faults) > 0) {
        return CLM_OK; /* one fault is not told twice */
    }
    enum clm_code code = clm_cp_cert_draft_read(check->tx->conf, cert, &draft, &why);

    if (code != CLM_OK) {
        *err = why;
        return note(check, code, &why, "/csr");
    }
    return CLM_OK;
}

void clm_cp_config_draft_done(struct clm_cp_config_draft *draft)
{
    clm_json_free(draft->body);
    clm_json_free(draft->cert);
    clm_json_free(draft->faults);
}

enum clm_code clm_cp_config_check(struct clm_cp_tx *tx, const struct clm_json *request,
                                  const char *agent_id, const char *target,
                                  struct clm_cp_config_draft *out, struct clm_err *err)
{
    static enum clm_code (*const steps[])(struct check *, struct clm_err *) = {
        check_deployment, check_issuer, check_csr, check_dcv, check_schedule};
    struct check check = {.tx = tx, .request = request, .agent_id = agent_id, .target = target};
    enum clm_code code = CLM_OK;

    *out =
        (struct clm_cp_config_draft){.body = clm_json_new_object(), .faults = clm_json_new_array()};
    check.body = out->body;
    check.faults = out->faults;
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(steps); i++) {
        code = steps[i](&check, err);
    }
    if (code == CLM_OK) {
        out->cert = make_cert(&check);
        code = check_cert(&check, out->cert, err);
    }
    clm_json_free(check.found);
    return code;
}
