/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot explain": one target in short lines, from how it was found to what to do next. */
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/pick.h"
#include "agent/main/show.h"
#include "agent/model/target.h"
#include "agent/run/local_api.h"
#include "agent/run/probe.h"

#define NAMES_SHOWN 8

/* What is known, from the host half, handshakes and the running agent. */
struct story {
    const struct clm_service *service;
    const struct clm_target *target;
    const struct clm_json *reply;
    const struct clm_json *last_job; /* NULL: none, or the agent does not run */
    int64_t now_s;
    uint32_t expiring_days;
};

static bool is_other(const struct clm_observation *seen, const struct clm_target *target)
{
    return seen->result == CLM_PROBE_SERVED && target->has_certificate &&
           strcmp(seen->leaf_sha256, target->certificate.sha256) != 0;
}

/* ---- text ---- */

static void tell_where(const struct story *s)
{
    const struct clm_service *service = s->service;

    clm_show_line("%s", s->target->id);
    clm_show_line("Found");
    clm_show_line("  %s%s%s runs as process %d%s%s", service->kind,
                  service->version[0] != '\0' ? " " : "", service->version, service->pid,
                  service->unit[0] != '\0' ? " of unit " : ", in no unit", service->unit);
    clm_show_line("  program %s, user %s", service->exe, service->user);
    clm_show_line("  configured at %s", s->target->configured_at[0] != '\0'
                                            ? s->target->configured_at
                                            : service->config_path);
    for (size_t i = 0; i < service->remarks.n; i++) {
        clm_show_line("  note: %s", service->remarks.v[i]);
    }
}

static void tell_files(const struct story *s)
{
    clm_show_line("Files");
    for (const struct clm_json *at = clm_json_first(clm_json_get(s->reply, "files")); at != NULL;
         at = clm_json_next(at)) {
        const char *path = clm_pick_text(at, "path", "?");
        const char *real = clm_pick_text(at, "real_path", path);
        bool is_link = strcmp(path, real) != 0;

        clm_show_line("  %-12s%s%s%s, %s", clm_pick_text(at, "role", "?"), path,
                      is_link ? " -> " : "", is_link ? real : "",
                      clm_pick_text(at, "perm", clm_pick_text(at, "problem", "?")));
    }
    if (s->target->store_type[0] != '\0') {
        clm_show_line("  %-12s%s%s%s", "format", s->target->store_type,
                      s->target->alias[0] != '\0' ? ", alias " : "", s->target->alias);
    }
}

static void tell_certificate(const struct story *s)
{
    const struct clm_cert_info *cert = &s->target->certificate;
    char names[NAMES_SHOWN * (CLM_DNS_NAME_SIZE + 2)] = "";
    size_t len = 0;
    char left[32];

    clm_show_line("Certificate");
    if (!s->target->has_certificate) {
        clm_show_line("  none that can be read");
        return;
    }
    (void)clm_show_left(cert->not_after_s, s->now_s, s->expiring_days, left, sizeof(left));
    for (size_t i = 0; i < cert->names.dns.n && i < NAMES_SHOWN; i++) {
        (void)snprintf(names + len, sizeof(names) - len, "%s%s", i > 0 ? ", " : "",
                       cert->names.dns.v[i]);
        len += strlen(names + len);
    }
    clm_show_line("  %s%s", cert->subject[0] != '\0' ? cert->subject : "no subject",
                  cert->names.dns.n > NAMES_SHOWN ? ", many names" : "");
    clm_show_line("  names %s%s", len > 0 ? names : "none",
                  cert->names.dns.n > NAMES_SHOWN ? " ..." : "");
    clm_show_line("  issued by %s, key %s", cert->issuer, cert->key_type);
    clm_show_line("  %s%s", strcmp(left, "expired") == 0 ? "" : "time left: ", left);
    clm_show_line("  chain %s, key %s", s->target->chain_ok ? "in order" : "not in order",
                  s->target->key_matches ? "belongs to it" : "is not known to belong to it");
}

static void tell_served(const struct story *s)
{
    const struct clm_target *target = s->target;

    clm_show_line("Served");
    if (target->n_endpoints == 0) {
        clm_show_line("  nowhere that a handshake could show");
    }
    for (size_t i = 0; i < target->n_endpoints; i++) {
        const struct clm_endpoint *endpoint = &target->endpoints[i];
        const struct clm_observation *seen = target->served == NULL ? NULL : &target->served[i];
        char hash[16];

        if (seen == NULL) {
            clm_show_line("  %s port %u, name %s: not asked", endpoint->addr, endpoint->port,
                          endpoint->sni);
            continue;
        }
        clm_show_hash(seen->leaf_sha256, hash, sizeof(hash));
        clm_show_line("  %s port %u, name %s: %s%s", endpoint->addr, endpoint->port,
                      endpoint->sni[0] != '\0' ? endpoint->sni : "none",
                      seen->result != CLM_PROBE_SERVED ? clm_probe_result_name(seen->result)
                      : is_other(seen, target)         ? "another certificate than the file, "
                                                       : "the certificate of the file, ",
                      seen->result != CLM_PROBE_SERVED ? "" : hash);
    }
}

static void tell_rules(const struct story *s)
{
    clm_show_line("Manageable");
    clm_show_line("  %s", s->target->manageable ? "yes" : "no");
    for (size_t i = 0; i < s->target->reasons.n; i++) {
        clm_show_line("  %s", s->target->reasons.v[i]);
    }
    if (s->target->manager[0] != '\0') {
        clm_show_line("  renewed by %s", s->target->manager);
    }
    clm_show_line("Policy");
    for (const struct clm_json *at = clm_json_first(clm_json_get(s->reply, "policy")); at != NULL;
         at = clm_json_next(at)) {
        bool ok = clm_pick_true(at, "allowed");

        clm_show_line("  %s%s", ok ? clm_pick_text(at, "rule", "?") : "",
                      ok ? ": allowed" : clm_pick_text(at, "message", "refused"));
    }
}

static void tell_past(const struct story *s)
{
    const struct clm_json *generations = clm_json_get(s->reply, "generations");
    const struct clm_json *last = clm_json_first(clm_json_get(s->reply, "history"));
    char ago[48];
    char hash[16];

    clm_show_line("Kept");
    if (clm_json_len(generations) == 0) {
        clm_show_line("  nothing: clmbot has not installed anything here");
    }
    for (const struct clm_json *at = clm_json_first(generations); at != NULL;
         at = clm_json_next(at)) {
        clm_show_hash(clm_pick_text(at, "sha256", ""), hash, sizeof(hash));
        clm_show_line("  version %lld, %s, %s%s", (long long)clm_pick_int(at, "version"), hash,
                      clm_pick_text(at, "origin", "?"),
                      clm_pick_true(at, "installed") ? ", installed" : "");
    }
    if (last != NULL) {
        clm_show_ago(clm_pick_int(last, "at"), s->now_s, ago, sizeof(ago));
        clm_show_line("  last change %s: %s", ago, clm_pick_text(last, "result", "?"));
    }
    if (s->last_job != NULL) {
        clm_show_line(
            "  last job %s, %s: %s", clm_pick_text(s->last_job, "job_id", "?"),
            clm_pick_text(s->last_job, "type", "?"),
            clm_pick_text(s->last_job, "outcome", clm_pick_text(s->last_job, "state", "?")));
    }
}

/* ---- what to do next ---- */

static bool is_served_differently(const struct clm_target *target)
{
    for (size_t i = 0; target->served != NULL && i < target->n_endpoints; i++) {
        if (is_other(&target->served[i], target)) {
            return true;
        }
    }
    return false;
}

/* The one thing that matters most; *out_status is the exit status that goes with it. */
static void next_step(const struct story *s, char *dst, size_t size, int *out_status)
{
    const struct clm_target *target = s->target;
    const struct clm_json *plan = clm_json_get(s->reply, "plan");
    const struct clm_cert_info *cert = &target->certificate;

    *out_status = CLM_EXIT_ATTENTION;
    if (is_served_differently(target)) {
        *out_status = CLM_EXIT_DIFFERS;
        (void)snprintf(dst, size,
                       "reload the server: it serves another certificate than its file holds");
    } else if (!clm_pick_true(plan, "ok")) {
        (void)snprintf(dst, size, "%s",
                       clm_pick_text(plan, "message", "see why it is not manageable"));
    } else if (target->has_certificate && cert->not_after_s <= s->now_s) {
        (void)snprintf(dst, size, "order a new certificate: this one has expired");
    } else if (target->has_certificate &&
               cert->not_after_s < s->now_s + (int64_t)s->expiring_days * 86400) {
        (void)snprintf(dst, size, "order a new certificate: this one expires soon");
    } else {
        *out_status = CLM_EXIT_GOOD;
        (void)snprintf(dst, size, "nothing: 'clmbot plan %.200s' shows what a deployment would do",
                       target->id);
    }
}

static int print(const struct story *s)
{
    char step[CLM_ERR_MSG_MAX + 64];
    int status;

    tell_where(s);
    tell_files(s);
    tell_certificate(s);
    tell_served(s);
    tell_rules(s);
    tell_past(s);
    next_step(s, step, sizeof(step), &status);
    clm_show_line("Next");
    clm_show_line("  %s", step);
    return status;
}

/* Times as in every shape: the host half keeps them as numbers. */
static void set_history(const struct story *s, struct clm_json *doc)
{
    struct clm_json *list = clm_json_set_array(doc, "history");

    for (const struct clm_json *at = clm_json_first(clm_json_get(s->reply, "history")); at != NULL;
         at = clm_json_next(at)) {
        struct clm_json *one = clm_json_add_object(list);
        char when[CLM_TIME_TEXT_SIZE];

        for (const struct clm_json *m = clm_json_first(at); m != NULL; m = clm_json_next(m)) {
            clm_json_set_copy(one, clm_json_key(m), m);
        }
        clm_time_format(clm_pick_int(at, "at"), when);
        clm_json_set_str(one, "at", when);
    }
}

static int print_json(const struct story *s, const struct clm_inventory *inventory)
{
    static const char *const members[] = {"files", "policy", "plan", "generations"};
    struct clm_json *doc = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *all = clm_json_new_object();
    char step[CLM_ERR_MSG_MAX + 64];
    struct clm_err err = {.code = CLM_OK};
    int status;

    clm_inventory_to_json(inventory, all);
    clm_json_set_copy(doc, "service", clm_json_first(clm_json_get(all, "services")));
    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        clm_json_set_copy(doc, members[i], clm_json_get(s->reply, members[i]));
    }
    if (!clm_json_is_whole(all)) {
        clm_json_free(doc);
        return clm_show_error(clm_err_set(&err, CLM_E_NOMEM, "answer"), &err, NULL);
    }
    set_history(s, doc);
    clm_json_set_copy(doc, "last_job", s->last_job);
    next_step(s, step, sizeof(step), &status);
    clm_json_set_str(doc, "next", step);
    return clm_show_json("explain", doc, status);
}

/* The newest job of this target; NULL if there is none or the agent does not run. */
static const struct clm_json *find_job(const struct clm_json *jobs, const char *target)
{
    for (const struct clm_json *at = clm_json_first(clm_json_get(jobs, "jobs")); at != NULL;
         at = clm_json_next(at)) {
        if (strcmp(clm_pick_text(at, "target", ""), target) == 0) {
            return at;
        }
    }
    return NULL;
}

/* What the host half said. */
struct answer {
    struct clm_json *reply;
    struct clm_inventory inventory;
    struct clm_fail fail;
};

static void answer_done(struct answer *answer)
{
    clm_json_free(answer->reply);
    clm_inventory_done(&answer->inventory);
}

static enum clm_code ask(const struct clm_config *config, const char *target, bool probe,
                         struct answer *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_json *obj;
    enum clm_code code;

    clm_json_set_str(body, "target", target);
    code = clm_hostlink_call(config,
                             &(const struct clm_hostlink_ask){.op = CLM_OP_EXPLAIN, .body = body},
                             &out->reply, &out->fail, err);
    if (code == CLM_OK) {
        code = clm_json_object(out->reply, "inventory", &obj, err);
    }
    if (code == CLM_OK) {
        code = clm_inventory_from_json(obj, &out->inventory, err);
    }
    return code == CLM_OK && probe ? clm_probe_inventory(&out->inventory, err) : code;
}

int clm_cmd_explain(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jobs = NULL;
    CLM_CLEANUP(answer_done) struct answer answer = {.reply = NULL};
    struct story s = {.now_s = clm_clock_now_s()};
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    code = ask(&config, args->args[0], config.scan.probe && !clm_cli_has(args, "no-probe"), &answer,
               &err);
    if (code != CLM_OK) {
        return clm_show_error(code, &err, &answer.fail);
    }
    s.target = clm_inventory_find(&answer.inventory, args->args[0], &s.service);
    if (s.target == NULL) {
        code = clm_err_set(&err, CLM_E_PARSE, "the answer has no target '%s'", args->args[0]);
        return clm_show_error(code, &err, NULL);
    }
    /* an agent that does not run or refuses has no job to tell of */
    if (clm_status_request(config.run_dir, "jobs", NULL, &jobs, &err) == CLM_E_NOMEM) {
        return clm_show_error(CLM_E_NOMEM, &err, NULL);
    }
    s.reply = answer.reply;
    s.last_job = find_job(jobs, s.target->id);
    s.expiring_days = config.deploy.expiring_days;
    return clm_cli_has(args, "json") ? print_json(&s, &answer.inventory) : print(&s);
}
