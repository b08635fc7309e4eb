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

/* What a CertificateRequest calls differently, into dst. pointer goes on behind len with ": why". */
static void translate(const char *pointer, size_t len, char dst[POINTER_MAX])
{
    static const char *const names[][2] = {
        {"/names", "/csr/sans"},
        {"/subject", "/csr/subject"},
        {"/key_type", "/csr/key_type"},
        {"/connector", "/issuer/connector"},
        {"/webroot_ref", "/dcv/webroot_ref"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        size_t head = strlen(names[i][0]);

        if (clm_str_starts(pointer, names[i][0])) {
            (void)snprintf(dst, POINTER_MAX, "%s%.*s", names[i][1], (int)(len - head),
                           pointer + head);
            for (char *p = dst + strlen(names[i][1]); *p != '\0'; p++) {
                *p = (char)tolower((unsigned char)*p);
            }
            return;
        }
    }
    (void)snprintf(dst, POINTER_MAX, "%.*s", (int)len, pointer);
}

/* "/csr/sans: must not be empty" as a fault; other places are about fallback. */
static void note(struct check *check, const struct clm_err *why, const char *fallback)
{
    char pointer[POINTER_MAX];
    const char *end = strstr(why->msg, ": ");

    if (why->msg[0] != '/' || end == NULL || end - why->msg >= POINTER_MAX - 16) {
        fault(check, fallback, "invalid", "%s", why->msg);
        return;
    }
    translate(why->msg, (size_t)(end - why->msg), pointer);
    fault(check, pointer, "invalid", "%s", end + 2);
}

/* The step of that name; NULL if it is not there or cannot be read. known: its members, NULL: any. */
static const struct clm_json *open_step(struct check *check, const char *name,
                                        const char *const *known)
{
    char pointer[POINTER_MAX];
    struct clm_err why = {0};
    const struct clm_json *step = clm_json_get(check->request, name);
    enum clm_code code = CLM_OK;

    if (step == NULL) {
        return NULL;
    }
    code = clm_json_object(check->request, name, &step, &why);
    if (code == CLM_OK && known != NULL) {
        code = clm_json_only(step, known, &why);
    }
    if (code != CLM_OK) {
        (void)snprintf(pointer, sizeof(pointer), "/%s", name);
        note(check, &why, pointer);
        return NULL;
    }
    return step;
}

static const char *read_text(struct check *check, const struct clm_json *step, const char *pointer,
                             const char *fallback)
{
    struct clm_err why = {0};
    const char *text = NULL;

    if (clm_json_str_or(step, strrchr(pointer, '/') + 1, 64, fallback, &text, &why) != CLM_OK) {
        note(check, &why, pointer);
        return fallback;
    }
    return text;
}

/* One member that is a word out of a list; the first is the default. */
static const char *read_choice(struct check *check, const struct clm_json *step,
                               const char *pointer, const char *const *list)
{
    const char *word = read_text(check, step, pointer, list[0]);

    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(word, list[i]) == 0) {
            return list[i];
        }
    }
    fault(check, pointer, "unknown", "there is no '%s'", word);
    return list[0];
}

static int64_t read_number(struct check *check, const struct clm_json *step, const char *pointer,
                           int64_t max, int64_t fallback)
{
    struct clm_err why = {0};
    int64_t number = fallback;

    if (clm_json_int_or(step, strrchr(pointer, '/') + 1, 1, max, &number, &why) != CLM_OK) {
        note(check, &why, pointer);
        return fallback;
    }
    return number;
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
    const struct clm_json *step = open_step(check, "deployment", known);
    const char *source = read_choice(check, step, "/deployment/source", sources);
    enum clm_code code =
        clm_cp_inventory_target(check->tx, check->agent_id, check->target, &check->found, err);

    if (code != CLM_OK && code != CLM_E_NOTFOUND) {
        return code;
    }
    check_target(check, strcmp(source, "declared") == 0);
    clm_json_set_str(clm_json_set_object(check->body, "deployment"), "source", source);
    return CLM_OK;
}

/* ---- 2: issuer ---- */

static enum clm_code check_issuer(struct check *check, struct clm_err *err)
{
    static const char *const known[] = {"connector", "profile", NULL};
    const struct clm_json *step = open_step(check, "issuer", known);
    const char *connector =
        read_text(check, step, "/issuer/connector", check->tx->conf->default_connector);
    const char *profile = read_text(check, step, "/issuer/profile", NULL);

    (void)err;
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
    /* Without a mode the rest would have no meaning. */
    static const char *const plain[] = {"sans", "subject", "key_type", NULL};
    struct clm_json *obj = clm_json_set_object(check->body, "csr");
    bool has_mode = clm_json_get(clm_json_get(check->request, "csr"), "mode") != NULL;
    const struct clm_json *step = open_step(check, "csr", has_mode ? NULL : plain);

    (void)err;
    for (const struct clm_json *m = clm_json_first(step); m != NULL; m = clm_json_next(m)) {
        clm_json_set_copy(obj, clm_json_key(m), m);
    }
    return CLM_OK;
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
    const struct clm_json *step = open_step(check, "dcv", known);
    const char *method = read_choice(check, step, "/dcv/method", is_asked ? asked : not_asked);

    (void)err;
    check->webroot_ref = read_text(check, step, "/dcv/webroot_ref", NULL);
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
    const struct clm_json *step = open_step(check, "schedule", known);
    int64_t renew_days = read_number(check, step, "/schedule/renew_days", CLM_CP_RENEW_DAYS_MAX,
                                     CLM_CP_RENEW_DAYS_DEFAULT);
    const char *deploy = read_choice(check, step, "/schedule/deploy", deploys);
    const char *on_failure = read_choice(check, step, "/schedule/on_failure", failures);
    int64_t retain = read_number(check, step, "/schedule/retain", CLM_CP_RETAIN_MAX, 0);
    enum clm_code code = check_abilities(check, on_failure, retain, err);

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

    if (code == CLM_OK) {
        code = clm_cp_cert_draft_fill(check->tx, &draft, &why);
    }
    if (code == CLM_E_PARSE || code == CLM_E_LIMIT || code == CLM_E_INVAL ||
        code == CLM_E_UNSUPPORTED) { /* the operator's doing */
        note(check, &why, "/csr");
        return CLM_OK;
    }
    if (code != CLM_OK) {
        *err = why;
    }
    return code;
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
    /* What was lost on the way would be a certificate with fewer names. */
    if (code == CLM_OK && !(clm_json_is_whole(out->cert) && clm_json_is_whole(out->body) &&
                            clm_json_is_whole(out->faults))) {
        code = clm_err_set(err, CLM_E_NOMEM, "configuration");
    }
    clm_json_free(check.found);
    return code;
}
