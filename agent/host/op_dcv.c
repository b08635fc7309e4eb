/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation files: where they go is decided here, from the local policy or from a fresh scan, never
 * from what was asked for. What is going to be made is recorded before it is made.
 */
#include <string.h>

#include "agent/host/dcv.h"
#include "agent/host/internal.h"
#include "scanners/scanner.h"

#define ACME_DIR "/.well-known/acme-challenge"

struct request {
    const char *order_id;
    const char *domain;
    const char *path;
    const char *content;
    char target[CLM_TARGET_ID_SIZE]; /* of the job */
};

/* Where a file for a name goes, and where it can be fetched from. */
struct place {
    char root[PATH_MAX];
    bool strip; /* root answers for the challenge directory itself */
    char addr[CLM_ADDR_SIZE];
    uint16_t port;
};

/* Several servers of a host may answer for one name. */
struct found {
    const struct clm_webroot *root;  /* NULL: none */
    const struct clm_service *by;    /* whose it is */
    const struct clm_service *rival; /* as good, with another directory; NULL: none */
};

static const char *directory_of(const struct clm_webroot *root)
{
    return root->acme_path[0] != '\0' ? root->acme_path : root->path;
}

/* The CA comes to port 80; but where the certificate goes, the operator has said. */
static int rank(const struct clm_service *service, const struct clm_service *owner,
                const struct clm_webroot *root)
{
    return (root->reason[0] == '\0' ? 4 : 0) + (service == owner ? 2 : 0) +
           (root->port == 80 ? 1 : 0);
}

/* The service of the job's target, then one on port 80, then any. */
static struct found find_webroot(const struct clm_inventory *inventory, const char *target,
                                 const char *domain)
{
    const struct clm_service *owner = NULL;
    struct found best = {.root = NULL};
    int best_rank = -1;

    (void)clm_inventory_find(inventory, target, &owner);
    for (size_t i = 0; i < inventory->n_services; i++) {
        const struct clm_service *service = &inventory->services[i];

        for (size_t k = 0; service->running && k < service->n_webroots; k++) {
            const struct clm_webroot *root = &service->webroots[k];
            int n = rank(service, owner, root);

            if (strcmp(root->domain, domain) != 0 || n < best_rank) {
                continue;
            }
            if (n > best_rank) {
                best = (struct found){.root = root, .by = service};
                best_rank = n;
            } else if (service != best.by && best.rival == NULL &&
                       strcmp(directory_of(root), directory_of(best.root)) != 0) {
                best.rival = service;
            }
        }
    }
    return best;
}

/* A location with its own root is a root like any other; only an alias needs the short path. */
static enum clm_code place_from_scan(const struct clm_webroot *found, struct place *out,
                                     struct clm_err *err)
{
    const char *dir = directory_of(found); /* without a slash at its end */
    size_t len = strlen(dir);

    out->strip = dir == found->acme_path;
    if (out->strip && len > strlen(ACME_DIR) && clm_str_ends(dir, ACME_DIR)) {
        len -= strlen(ACME_DIR);
        out->strip = false;
    }
    return clm_str_fmt(out->root, sizeof(out->root), err, "%.*s", (int)len, dir);
}

static enum clm_code judge(struct clm_host_call *call, const struct found *found,
                           const char *domain, struct place *out, struct clm_err *err)
{
    if (found->root == NULL) {
        return clm_refuse(call, err, CLM_E_NOTFOUND, "E_STATE",
                          "no running server here answers for '%s' over plain HTTP", domain);
    }
    if (found->root->reason[0] != '\0') {
        return clm_refuse(call, err, CLM_E_UNSUPPORTED, "E_STATE", "web root of '%s': %s", domain,
                          found->root->reason);
    }
    if (found->rival != NULL) {
        return clm_refuse(call, err, CLM_E_CONFLICT, "E_STATE",
                          "several running servers answer for '%s' over plain HTTP, '%s' and '%s', "
                          "and neither has the target of the order",
                          domain, found->by->id, found->rival->id);
    }
    return place_from_scan(found->root, out, err);
}

static enum clm_code choose(struct clm_host_call *call, const struct request *request,
                            const char *webroot_ref, struct place *out, struct clm_err *err)
{
    const char *domain = request->domain;
    const struct clm_policy *policy = &call->host->config->policy;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    struct found found;
    const struct clm_policy_webroot *declared =
        webroot_ref != NULL ? clm_policy_find_webroot(policy, webroot_ref) : NULL;
    enum clm_code code = clm_scan_host(call->host->io, NULL, &inventory, err);

    if (code != CLM_OK) {
        return code;
    }
    found = find_webroot(&inventory, request->target, domain);
    *out = (struct place){.addr = "127.0.0.1", .port = 80};
    if (found.root != NULL) {
        memcpy(out->addr, found.root->addr, sizeof(out->addr));
        out->port = found.root->port;
    }
    if (webroot_ref != NULL) {
        return declared != NULL
                   ? clm_str_copy(out->root, sizeof(out->root), declared->path, err)
                   : clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                                "web root '%s' is not declared; add it to policy.webroots",
                                webroot_ref);
    }
    clm_host_hint(call, "declare a web root in policy.webroots and name it in the order, or place "
                        "the file by hand");
    if (!policy->webroot_from_scan) {
        return clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                          "policy.webroot_from_scan is off and the order names no web root");
    }
    return judge(call, &found, domain, out, err);
}

/* Records what will be made, then makes it; takes the record back if it could not be made. */
static enum clm_code record_and_write(struct clm_host *host, const struct place *place,
                                      const struct request *request, char *file,
                                      struct clm_err *err)
{
    const struct clm_dcv_root root = {place->root, place->strip};
    CLM_CLEANUP(clm_dcv_record_done) struct clm_dcv_record before = {0};
    CLM_CLEANUP(clm_dcv_record_done) struct clm_dcv_record record = {0};
    struct clm_dcv_made *made;
    enum clm_code code = clm_ledger_dcv_get(host->dir, request->order_id, &before, err);

    if (code == CLM_OK) {
        code = clm_ledger_dcv_get(host->dir, request->order_id, &record, err);
    }
    if (code == CLM_OK && before.n_roots == 0) {
        code = clm_host_dcv_room(host, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    made = clm_dcv_record_root(&record, place->root);
    if (made == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "record of validation files");
    }
    code = clm_dcv_plan(&root, request->path, &made->made, file, PATH_MAX, err);
    if (code == CLM_OK) {
        code = clm_ledger_dcv_put(host->dir, request->order_id, &record, err);
    }
    if (code == CLM_OK) {
        code = clm_dcv_write(&root, request->path, request->content, err);
        if (code != CLM_OK) {
            clm_ignore(clm_ledger_dcv_put(host->dir, request->order_id, &before, NULL));
        }
    }
    return code;
}

/* The name must be one the job may validate; webroot_ref is what its spec names. */
static enum clm_code check_job(struct clm_host_call *call, const struct clm_job_envelope *job,
                               const char *domain, char *webroot_ref, struct clm_err *err)
{
    CLM_CLEANUP(clm_names_done) struct clm_names names = {0};
    struct clm_job_spec spec;
    const char *ref = NULL;
    enum clm_code code = clm_job_spec_parse(job, &spec, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_names_add_dns(&names, domain, err);
    if (code == CLM_OK) {
        code = clm_policy_check_names(&call->host->config->policy, &names, err);
    }
    if (code != CLM_OK) {
        clm_host_problem(call, "E_NAME_POLICY");
    }
    if (code == CLM_OK && job->type == CLM_JOB_TYPE_ORDER) {
        ref = spec.u.order.webroot_ref;
        if (!clm_names_covers_dns(&spec.u.order.names, domain)) {
            code = clm_refuse(call, err, CLM_E_PERM, "E_NAME_POLICY",
                              "'%s' is not among the names of the order", domain);
        }
    } else if (code == CLM_OK && job->type == CLM_JOB_TYPE_GET_DCV) {
        ref = spec.u.dcv.webroot_ref;
    } else if (code == CLM_OK) {
        code = clm_refuse(call, err, CLM_E_INVAL, "E_STATE", "job '%s' places no validation files",
                          job->job_id);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(webroot_ref, CLM_JOB_NAME_SIZE, ref != NULL ? ref : "", err);
    }
    clm_job_spec_done(&spec);
    return code;
}

static enum clm_code read_request(const struct clm_json *body, struct request *out,
                                  struct clm_err *err)
{
    enum clm_code code = clm_json_str(body, "order_id", CLM_ID_SIZE - 1, &out->order_id, err);

    if (code == CLM_OK) {
        code = clm_json_str(body, "domain", CLM_DNS_NAME_SIZE - 1, &out->domain, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(body, "path", 512, &out->path, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(body, "content", CLM_DCV_CONTENT_MAX, &out->content, err);
    }
    return code == CLM_OK ? clm_dcv_check(out->path, out->content, err) : code;
}

enum clm_code clm_host_op_dcv_put(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct request request = {0};
    struct place place;
    struct clm_json *check;
    char webroot_ref[CLM_JOB_NAME_SIZE];
    char file[PATH_MAX];
    enum clm_code code = read_request(call->body, &request, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_PATH", code);
    }
    code = clm_host_open_job(call, &record, &job, err);
    if (code != CLM_OK) {
        return code;
    }
    code = check_job(call, &job, request.domain, webroot_ref, err);
    memcpy(request.target, job.target, sizeof(request.target));
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    if (code == CLM_OK) {
        code = choose(call, &request, webroot_ref[0] != '\0' ? webroot_ref : NULL, &place, err);
    }
    if (code == CLM_OK) {
        code = record_and_write(call->host, &place, &request, file, err);
        clm_host_problem(call, code == CLM_OK ? "" : code == CLM_E_LIMIT ? "E_LIMIT" : "E_PATH");
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "validation file for '%s'", request.domain);
    }
    clm_json_set_str(call->reply, "file", file);
    clm_json_set_bool(call->reply, "created", true);
    check = clm_json_set_object(call->reply, "check");
    clm_json_set_str(check, "addr", place.addr);
    clm_json_set_int(check, "port", place.port);
    clm_json_set_str(check, "host", request.domain);
    clm_json_set_str(check, "path", request.path);
    return CLM_OK;
}

enum clm_code clm_host_op_dcv_remove(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_dcv_record_done) struct clm_dcv_record record = {0};
    static const struct clm_dcv_record none = {.roots = NULL};
    const char *order_id;
    size_t removed = 0;
    enum clm_code code = clm_json_str(call->body, "order_id", CLM_ID_SIZE - 1, &order_id, err);

    if (code == CLM_OK) {
        code = clm_ledger_dcv_get(call->host->dir, order_id, &record, err);
    }
    for (size_t i = 0; code == CLM_OK && i < record.n_roots; i++) {
        size_t n = 0;

        code = clm_dcv_remove(record.roots[i].root, &record.roots[i].made, &n, err);
        removed += n;
    }
    if (code == CLM_OK) {
        code = clm_ledger_dcv_put(call->host->dir, order_id, &none, err);
    }
    clm_json_set_int(call->reply, "removed", (int64_t)removed);
    return code;
}
