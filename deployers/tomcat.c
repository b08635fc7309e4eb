/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tomcat has no configuration test worth its name (configtest always exits with 0 and binds the
 * live ports), and its manager says OK to a key that does not belong to its certificate. So the
 * pair, the alias and the passwords are checked by the engine before anything is written.
 *
 * The manager reads files again, never server.xml: an edit needs a restart.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/formats/server_xml.h"
#include "agent/model/policy.h"
#include "deployers/deployers.h"
#include "deployers/pem_server.h"

#define RESTART_DEADLINE_MS 120000u      /* a virtual machine and its applications; design.md 6 */
#define MANAGER_TIMEOUT_MS  10000u       /* it answers within milliseconds */
#define ANSWER_MAX          4096u        /* bytes; serverinfo takes some hundreds */
#define INFO_PATH           "serverinfo" /* a request that changes nothing */
#define KEY_MODE            0640u        /* root's, readable by Tomcat's group */
#define CERT_MODE           0644u

static const struct {
    const char *store_type;
    enum clm_file_format format;
} formats[] = {{"pkcs12", CLM_FORMAT_PKCS12}, {"jks", CLM_FORMAT_JKS}, {"jceks", CLM_FORMAT_JCEKS}};

/* One entry of a keystore; the others keep their bytes. */
static enum clm_code put_entry(struct clm_plan *plan, const struct clm_target *target,
                               struct clm_err *err)
{
    struct clm_step *step = NULL;

    for (size_t i = 0; i < CLM_ARRAY_LEN(formats); i++) {
        if (strcmp(target->store_type, formats[i].store_type) == 0) {
            step = clm_plan_add(plan, CLM_STEP_FILE_PUT, err);
            if (step == NULL) {
                return CLM_E_NOMEM;
            }
            step->content = CLM_CONTENT_KEY_FULLCHAIN;
            step->format = formats[i].format;
            memcpy(step->path, target->cert_path, sizeof(step->path));
            memcpy(step->alias, target->alias, sizeof(step->alias));
            memcpy(step->store_password, target->store_password, sizeof(step->store_password));
            memcpy(step->key_password, target->key_password, sizeof(step->key_password));
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_UNSUPPORTED, "target '%s': files of type '%s' cannot be written",
                       target->id, target->store_type);
}

/* What a plan is made for. */
struct place {
    const struct clm_io *io;
    const struct clm_service *service;
    const struct clm_target *target;
    const struct clm_tomcat *tomcat;
    const struct clm_tomcat_pair *pair;
};

/* A file that does not exist yet, readable by the group that Tomcat runs as. */
static enum clm_code put_new(const struct place *place, struct clm_plan *plan, const char *path,
                             enum clm_content content, struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_FILE_PUT, err);
    struct clm_stat st = {0};
    char proc[32];
    enum clm_code code;

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    code = clm_str_fmt(proc, sizeof(proc), err, "/proc/%d", place->service->pid);
    if (code == CLM_OK) {
        code = place->io->stat(place->io->ctx, proc, true, &st, err);
    }
    step->content = content;
    step->may_create = true;
    step->mode = content == CLM_CONTENT_KEY ? KEY_MODE : CERT_MODE;
    step->gid = st.gid;
    return code == CLM_OK ? clm_str_copy(step->path, sizeof(step->path), path, err) : code;
}

/* Both attributes go to the same place, so that one edit holds them. */
static enum clm_code edit_certificate(const struct clm_tomcat_pair *pair,
                                      const struct clm_target *target, struct clm_step *step,
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT((size_t)4 * PATH_MAX);
    struct clm_text_edit cert = {.text = NULL};
    struct clm_text_edit key = {.text = NULL};
    enum clm_code code = clm_xml_set(pair->node, "certificateFile", target->cert_path, &cert, err);

    if (code == CLM_OK) {
        code = clm_xml_set(pair->node, "certificateKeyFile", target->key_path, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_addf(&text, err, "%s%s", cert.text, key.text);
    }
    if (code == CLM_OK) {
        code = clm_step_add_edit(step, cert.offset, cert.len, clm_buf_str(&text), err);
    }
    free(cert.text);
    free(key.text);
    return code;
}

static enum clm_code edit_host(const struct clm_tomcat *tomcat, const struct clm_tomcat_pair *pair,
                               const struct clm_target *target, struct clm_step *step,
                               struct clm_err *err)
{
    const char *const attrs[] = {"certificateFile", target->cert_path, "certificateKeyFile",
                                 target->key_path, NULL};
    struct clm_text_edit edit = {.text = NULL};
    enum clm_code code = clm_xml_add(&tomcat->xml, pair->host, "Certificate", attrs, &edit, err);

    if (code == CLM_OK) {
        code = clm_step_add_edit(step, edit.offset, edit.len, edit.text, err);
    }
    free(edit.text);
    return code;
}

/* server.xml names no certificate here: make the files, and name them. */
static enum clm_code put_first(const struct place *place, struct clm_plan *plan,
                               struct clm_err *err)
{
    const struct clm_tomcat *tomcat = place->tomcat;
    const struct clm_target *target = place->target;
    struct clm_step *step;
    enum clm_code code = put_new(place, plan, target->key_path, CLM_CONTENT_KEY, err);

    if (code == CLM_OK) {
        code = put_new(place, plan, target->cert_path, CLM_CONTENT_FULLCHAIN, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    step = clm_plan_add(plan, CLM_STEP_FILE_PUT, err);
    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    step->content = CLM_CONTENT_EDIT;
    clm_sha256_hex(tomcat->text.data, tomcat->text.len, step->expect_sha256);
    code = clm_str_copy(step->path, sizeof(step->path), tomcat->args.config, err);
    if (code != CLM_OK) {
        return code;
    }
    return place->pair->node == place->pair->host
               ? edit_host(tomcat, place->pair, target, step, err)
               : edit_certificate(place->pair, target, step, err);
}

/* The pair of the target, by the line it was found at. */
static const struct clm_tomcat_pair *find_pair(const struct clm_tomcat *tomcat,
                                               const struct clm_target *target,
                                               const struct clm_tomcat_connector **out_connector)
{
    for (size_t c = 0; c < tomcat->n_connectors; c++) {
        for (size_t p = 0; p < tomcat->connectors[c].n_pairs; p++) {
            const struct clm_tomcat_pair *pair = &tomcat->connectors[c].pairs[p];
            char at[sizeof(target->configured_at)];

            if (clm_str_fmt(at, sizeof(at), NULL, "%s:%u", tomcat->args.config, pair->node->line) ==
                    CLM_OK &&
                strcmp(at, target->configured_at) == 0) {
                *out_connector = &tomcat->connectors[c];
                return pair;
            }
        }
    }
    return NULL;
}

/* Its manager can read files again since 8.5. */
static bool is_too_old(const struct clm_service *service)
{
    return clm_str_starts(service->version, "7.") || clm_str_starts(service->version, "8.0.");
}

static bool may_restart(const struct clm_io *io, const struct clm_service *service)
{
    struct clm_unit unit = {.name = ""};

    return service->unit[0] != '\0' &&
           io->unit_state(io->ctx, service->unit, &unit, NULL) == CLM_OK &&
           unit.state == CLM_UNIT_ACTIVE && unit.main_pid == service->pid &&
           clm_policy_check_restart(io->policy, service->unit, NULL) == CLM_OK;
}

/* "Authorization: Basic ..." (RFC 7617) */
static enum clm_code make_header(const struct clm_io *io, const struct clm_step *step,
                                 struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf pair = CLM_BUF_SECRET_INIT(sizeof(step->user) + CLM_SECRET_MAX + 1);
    enum clm_code code = clm_buf_addf(&pair, err, "%s:", step->user);

    if (code == CLM_OK) {
        code = clm_secret_read(io, step->password, &pair, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(out, "Authorization: Basic ", err);
    }
    return code == CLM_OK ? clm_b64_encode(pair.data, pair.len, out, err) : code;
}

/* A request that changes nothing, to the same application: wrong credentials are found before
 * anything is written. *out: it is there and answers. */
static enum clm_code ask_manager(const struct clm_io *io, const struct clm_step *step, bool *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf header = CLM_BUF_SECRET_INIT(2 * (sizeof(step->user) + CLM_SECRET_MAX));
    const char *headers[2] = {NULL, NULL};
    struct clm_http_response answer = {.status = 0};
    char url[sizeof(step->url)];
    const struct clm_http_request request = {.method = "GET",
                                             .url = url,
                                             .headers = headers,
                                             .response_max = ANSWER_MAX,
                                             .timeout_ms = MANAGER_TIMEOUT_MS};
    enum clm_code code = clm_str_fmt(url, sizeof(url), err, "%.*s" INFO_PATH,
                                     (int)(strstr(step->url, "sslReload") - step->url), step->url);

    if (code == CLM_OK) {
        code = make_header(io, step, &header, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    headers[0] = clm_buf_str(&header);
    code = io->http(io->ctx, &request, &answer, err);
    *out =
        code == CLM_OK && answer.status == 200 && clm_str_starts(clm_buf_str(&answer.body), "OK -");
    clm_buf_done(&answer.body);
    if (code == CLM_OK && (answer.status == 401 || answer.status == 403)) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "the manager at '%s' refused user '%s' (status %d): "
                           "policy.tomcat_manager needs a user with the role manager-script and "
                           "its password",
                           url, step->user, answer.status);
    }
    return code == CLM_E_NET ? CLM_OK : code; /* nobody there: it is no way to reload */
}

/* Sets *out if step now is a request to the manager. */
static enum clm_code try_manager(const struct clm_io *io, const char *url, struct clm_step *step,
                                 bool *out, struct clm_err *err)
{
    enum clm_code code = clm_str_copy(step->url, sizeof(step->url), url, err);

    *out = false;
    if (code != CLM_OK || url[0] == '\0' || io->policy == NULL ||
        io->policy->tomcat_manager.user[0] == '\0') {
        step->url[0] = '\0';
        return code;
    }
    memcpy(step->user, io->policy->tomcat_manager.user, sizeof(step->user));
    code = clm_str_fmt(step->password, sizeof(step->password), err, CLM_SECRET_FILE "%s",
                       io->policy->tomcat_manager.password_file);
    if (code == CLM_OK) {
        code = ask_manager(io, step, out, err);
    }
    if (!*out) {
        step->url[0] = '\0';
        step->user[0] = '\0';
        step->password[0] = '\0';
    }
    return code;
}

/* url: of the manager; "" it cannot help. Best first: nobody notices; connections are lost; later. */
static enum clm_code add_reload(const struct clm_io *io, const struct clm_service *service,
                                const char *url, struct clm_plan *plan, struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_RELOAD, err);
    bool can_manage = false;
    enum clm_code code;

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    code = try_manager(io, url, step, &can_manage, err);
    if (code != CLM_OK) {
        return code;
    }
    if (can_manage) {
        step->how = CLM_RELOAD_MANAGER;
        return CLM_OK;
    }
    if (may_restart(io, service)) {
        step->how = CLM_RELOAD_RESTART;
        return clm_str_copy(step->unit, sizeof(step->unit), service->unit, err);
    }
    step->how = CLM_RELOAD_NONE;
    return CLM_OK;
}

static enum clm_code add_verify(const struct clm_target *target, struct clm_plan *plan,
                                struct clm_err *err)
{
    bool is_restart = plan->steps[plan->n_steps - 1].how == CLM_RELOAD_RESTART;
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_VERIFY, err);

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    step->deadline_ms = is_restart ? RESTART_DEADLINE_MS : CLM_PEM_DEADLINE_MS;
    return clm_step_set_endpoints(step, target->endpoints, target->n_endpoints, err);
}

static enum clm_code make(const struct clm_io *io, const struct clm_tomcat *tomcat,
                          const struct clm_service *service, const struct clm_target *target,
                          struct clm_plan *out, struct clm_err *err)
{
    const struct clm_tomcat_connector *connector = NULL;
    const struct clm_tomcat_pair *pair = find_pair(tomcat, target, &connector);
    struct place place = {.io = io, .service = service, .target = target, .tomcat = tomcat};
    bool is_pem = strcmp(target->store_type, "pem") == 0;
    bool is_first;
    char url[CLM_TOMCAT_URL_SIZE] = "";
    enum clm_code code;

    if (pair == NULL) {
        return clm_err_set(err, CLM_E_CONFLICT,
                           "target '%s' is not at '%s' any more: server.xml is being changed",
                           target->id, target->configured_at);
    }
    place.pair = pair;
    is_first = is_pem && clm_tomcat_pair_is_bare(pair);
    code = is_first ? put_first(&place, out, err)
           : is_pem ? clm_pem_puts(io, out, target, err)
                    : put_entry(out, target, err);
    if (code == CLM_OK && !is_first && !is_too_old(service)) {
        const struct clm_tomcat_wish wish = {
            .process = service, .service = connector->service, .host_name = pair->host_name};

        code = clm_tomcat_manager_url(io, tomcat, &wish, url, err);
    }
    if (code == CLM_OK) {
        code = add_reload(io, service, url, out, err);
    }
    return code == CLM_OK ? add_verify(target, out, err) : code;
}

static enum clm_code plan(const struct clm_io *io, const struct clm_service *service,
                          const struct clm_target *target, const struct clm_bundle *bundle,
                          struct clm_plan *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_tomcat_args_done) struct clm_tomcat_args args = {.pid = 0};
    CLM_CLEANUP(clm_tomcat_done) struct clm_tomcat tomcat = {.n_connectors = 0};
    enum clm_code code = clm_target_check(service, target, bundle, err);

    if (code == CLM_OK) {
        code = clm_tomcat_args_read(io, service->pid, &args, err);
    }
    if (code == CLM_OK) {
        code = clm_tomcat_load(io, &args, &tomcat, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->target, sizeof(out->target), target->id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->deployer, sizeof(out->deployer), "tomcat", err);
    }
    return code == CLM_OK ? make(io, &tomcat, service, target, out, err) : code;
}

const struct clm_deployer_ops clm_deployer_tomcat = {
    .name = "tomcat",
    .summary = "PEM files or one keystore entry of Apache Tomcat, read again through its manager "
               "or by a restart",
    .plan = plan,
    .secret = clm_tomcat_secret_find,
};
