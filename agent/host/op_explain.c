/* SPDX-License-Identifier: Apache-2.0 */
/* Everything this half knows of one target, for a person who asks why. Changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/host/internal.h"
#include "deployers/deployer.h"
#include "scanners/users.h"

#define HISTORY_SHOWN 5

static void set_time(struct clm_json *obj, const char *key, int64_t at_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(at_s, text);
    clm_json_set_str(obj, key, text[0] != '\0' ? text : NULL);
}

static void add_file(struct clm_json *list, const struct clm_users *users, const char *role,
                     const char *path)
{
    struct clm_json *obj;
    char real[PATH_MAX];
    char user[24];
    char group[24];
    char perm[64];
    struct stat st;

    if (path[0] == '\0') {
        return;
    }
    obj = clm_json_add_object(list);
    clm_json_set_str(obj, "role", role);
    clm_json_set_str(obj, "path", path);
    clm_json_set_str(obj, "real_path", realpath(path, real) != NULL ? real : NULL);
    if (stat(path, &st) != 0) {
        clm_json_set_str(obj, "perm", NULL);
        clm_json_set_str(obj, "problem", errno == ENOENT ? "is not there" : "cannot be reached");
        return;
    }
    clm_users_user(users, st.st_uid, user, sizeof(user));
    clm_users_group(users, st.st_gid, group, sizeof(group));
    (void)snprintf(perm, sizeof(perm), "%04o %s:%s", (unsigned)(st.st_mode & 07777), user, group);
    clm_json_set_str(obj, "perm", perm);
    clm_json_set_str(obj, "problem", NULL);
}

/* One rule and its answer. The message of a refusal says what to change. */
static void add_rule(struct clm_json *list, const char *rule, enum clm_code code,
                     const struct clm_err *why)
{
    struct clm_json *obj = clm_json_add_object(list);

    clm_json_set_str(obj, "rule", rule);
    clm_json_set_bool(obj, "allowed", code == CLM_OK);
    clm_json_set_str(obj, "message", code == CLM_OK ? NULL : why->msg);
}

static void tell_policy(struct clm_host_call *call, const struct clm_target *target)
{
    const struct clm_policy *policy = &call->host->config->policy;
    struct clm_json *list = clm_json_set_array(call->reply, "policy");
    struct clm_err why = {.code = CLM_OK};
    char real[PATH_MAX];

    add_rule(list, "policy.job_types", clm_policy_check_job_type(policy, "deploy", &why), &why);
    add_rule(list, "policy.targets", clm_policy_check_target(policy, target->id, &why), &why);
    if (target->names.dns.n + target->names.ip.n > 0) {
        add_rule(list, "policy.names", clm_policy_check_names(policy, &target->names, &why), &why);
    }
    if (target->cert_path[0] == '/' && realpath(target->cert_path, real) != NULL) {
        add_rule(list, "policy.write_roots", clm_policy_check_write(policy, real, &why), &why);
    }
    add_rule(list, "policy.take_over", clm_host_check_manager(call, target, &why), &why);
    *call->fail = (struct clm_fail){.code = CLM_OK}; /* a refusal is an answer here */
}

static enum clm_code tell_generations(struct clm_host_call *call, const char *target,
                                      struct clm_err *err)
{
    struct clm_json *list = clm_json_set_array(call->reply, "generations");
    struct clm_generations all = {.v = NULL};
    enum clm_code code = clm_store_generation_list(call->host->store, target, &all, err);

    for (size_t i = 0; i < all.n && code == CLM_OK; i++) {
        struct clm_json *obj = clm_json_add_object(list);

        clm_json_set_int(obj, "version", all.v[i].version);
        clm_json_set_str(obj, "sha256", all.v[i].sha256);
        clm_json_set_str(obj, "origin",
                         all.v[i].origin == CLM_GENERATION_IMPORTED ? "imported" : "deployed");
        set_time(obj, "at", all.v[i].at_s);
        clm_json_set_bool(obj, "installed", all.v[i].is_installed);
    }
    clm_generations_done(&all);
    return code;
}

/* What a deployment would meet now: the plan is made and thrown away. */
static void tell_plan(struct clm_host_call *call, const char *target)
{
    CLM_CLEANUP(clm_plan_done) struct clm_plan plan = {.n_steps = 0};
    struct clm_json *obj = clm_json_set_object(call->reply, "plan");
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = clm_host_plan(call, target, NULL, &plan, &why);

    clm_json_set_bool(obj, "ok", code == CLM_OK);
    clm_json_set_int(obj, "steps", (int64_t)plan.n_steps);
    clm_json_set_str(obj, "message", code == CLM_OK ? NULL : why.msg);
    *call->fail = (struct clm_fail){.code = CLM_OK};
}

enum clm_code clm_host_op_explain(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    CLM_CLEANUP(clm_users_done) struct clm_users users = {.passwd = CLM_BUF_INIT(0)};
    const struct clm_target *target = NULL;
    const struct clm_service *service = NULL;
    struct clm_service one;
    struct clm_target copy;
    struct clm_inventory told;
    struct clm_json *files;
    const char *id;
    enum clm_code code = clm_json_str(call->body, "target", CLM_TARGET_ID_SIZE - 1, &id, err);

    if (code == CLM_OK) {
        code = clm_host_find_target(call, id, &inventory, &target, &service, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    copy = *target; /* shallow: the inventory owns all it points to */
    one = *service;
    one.targets = &copy;
    one.n_targets = 1;
    told = (struct clm_inventory){.started_at_s = inventory.started_at_s,
                                  .duration_ms = inventory.duration_ms,
                                  .services = &one,
                                  .n_services = 1};
    clm_inventory_to_json(&told, clm_json_set_object(call->reply, "inventory"));
    code = clm_users_read(call->host->io, &users, err);
    if (code != CLM_OK) {
        return code;
    }
    files = clm_json_set_array(call->reply, "files");
    add_file(files, &users, "certificate", target->cert_path);
    if (strcmp(target->key_path, target->cert_path) != 0) {
        add_file(files, &users, "key", target->key_path);
    }
    add_file(files, &users, "chain", target->chain_path);
    tell_policy(call, target);
    tell_plan(call, target->id);
    code = tell_generations(call, target->id, err);
    return code == CLM_OK ? clm_store_history_list(call->host->store, target->id, HISTORY_SHOWN,
                                                   clm_json_set_array(call->reply, "history"), err)
                          : code;
}
