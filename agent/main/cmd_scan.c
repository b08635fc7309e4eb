/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot scan": what runs here, what can be managed, and what is served. */
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/show.h"
#include "agent/model/target.h"
#include "agent/run/probe.h"
#include "scanners/scanner.h"

static const struct clm_table_column columns[] = {
    {.title = "TARGET"},
    {.title = "CERTIFICATE"},
    {.title = "LEFT", .is_right = true, .is_fixed = true},
    {.title = "SERVED", .is_fixed = true},
    {.title = "MANAGE", .is_fixed = true},
};

static const char *served_word(const struct clm_target *target, enum clm_color *out_color)
{
    size_t same = 0;

    *out_color = CLM_COLOR_DIM;
    if (target->served == NULL || target->n_endpoints == 0) {
        return "-";
    }
    for (size_t i = 0; i < target->n_endpoints; i++) {
        if (target->served[i].result != CLM_PROBE_SERVED) {
            *out_color = CLM_COLOR_RED;
            return clm_probe_result_name(target->served[i].result);
        }
        same += strcmp(target->served[i].leaf_sha256, target->certificate.sha256) == 0;
    }
    *out_color = same == target->n_endpoints ? CLM_COLOR_GREEN : CLM_COLOR_YELLOW;
    return same == target->n_endpoints ? "yes" : "another";
}

/* Certificates of today have often no subject, only alternative names. */
static const char *name_of(const struct clm_cert_info *certificate)
{
    if (certificate->subject[0] != '\0') {
        return certificate->subject;
    }
    return certificate->names.dns.n > 0  ? certificate->names.dns.v[0]
           : certificate->names.ip.n > 0 ? certificate->names.ip.v[0]
                                         : "no name";
}

static void add_target(struct clm_table *table, const struct clm_target *target, int64_t now_s,
                       uint32_t expiring_days)
{
    char left[32] = "";
    enum clm_color color = CLM_COLOR_NONE;
    const char *served;

    clm_table_addf(table, CLM_COLOR_NONE, "  %s", target->id);
    if (target->has_certificate) {
        clm_table_add(table, CLM_COLOR_NONE, name_of(&target->certificate));
        color = clm_show_left(target->certificate.not_after_s, now_s, expiring_days, left,
                              sizeof(left));
    } else {
        clm_table_add(table, CLM_COLOR_DIM, "none readable");
    }
    clm_table_add(table, color, left);
    served = served_word(target, &color);
    clm_table_add(table, color, served);
    clm_table_add(table, target->manageable ? CLM_COLOR_GREEN : CLM_COLOR_YELLOW,
                  target->manageable ? "yes" : "no");
}

static void print_reasons(const struct clm_service *service)
{
    for (size_t i = 0; i < service->remarks.n; i++) {
        clm_show_line("  note: %s: %s", service->id, service->remarks.v[i]);
    }
    for (size_t i = 0; i < service->n_targets; i++) {
        const struct clm_target *target = &service->targets[i];

        for (size_t k = 0; k < target->reasons.n; k++) {
            clm_show_line("  %s: %s: %s", target->manageable ? "note" : "not manageable",
                          target->id, target->reasons.v[k]);
        }
    }
}

/* Errors: INVAL no scanner has this name. */
static enum clm_code check_kind(const char *kind, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf known = CLM_BUF_INIT(512);

    for (const struct clm_scanner_ops *const *s = clm_scanners_all(); *s != NULL; s++) {
        if (strcmp((*s)->name, kind) == 0) {
            return CLM_OK;
        }
        clm_ignore(clm_buf_addf(&known, NULL, "%s%s", known.len > 0 ? ", " : "", (*s)->name));
    }
    return clm_err_set(err, CLM_E_INVAL, "there is no kind '%.64s'; there are %s", kind,
                       clm_buf_str(&known));
}

static int print(const struct clm_inventory *inventory, uint32_t expiring_days, bool is_all)
{
    struct clm_table *table = clm_table_new(columns, CLM_ARRAY_LEN(columns));
    int64_t now_s = clm_clock_now_s();
    size_t others = 0;
    int status;

    for (size_t i = 0; i < inventory->n_services; i++) {
        const struct clm_service *service = &inventory->services[i];

        if (strcmp(service->kind, "other") == 0) {
            others++;
            continue;
        }
        clm_table_addf(table, CLM_COLOR_BOLD, "%s%s%s", service->kind,
                       service->version[0] != '\0' ? " " : "", service->version);
        clm_table_add(table, CLM_COLOR_DIM, service->config_path);
        clm_table_add(table, CLM_COLOR_NONE, "");
        clm_table_add(table, CLM_COLOR_NONE, "");
        clm_table_add(table, CLM_COLOR_NONE, service->running ? "" : "stopped");
        for (size_t k = 0; k < service->n_targets; k++) {
            add_target(table, &service->targets[k], now_s, expiring_days);
        }
    }
    if (clm_table_rows(table) == 0) {
        clm_show_line("No server that clmbot knows runs here.");
    }
    status = clm_show_table(table, CLM_EXIT_GOOD);
    for (size_t i = 0; i < inventory->n_services; i++) {
        if (strcmp(inventory->services[i].kind, "other") != 0) {
            print_reasons(&inventory->services[i]);
        }
    }
    for (size_t i = 0; i < inventory->errors.n; i++) {
        clm_show_line("  error: %s", inventory->errors.v[i]);
    }
    if (is_all) {
        clm_show_line("%zu other listening %s, scanned in %u ms", others,
                      others == 1 ? "service" : "services", inventory->duration_ms);
    }
    return status;
}

int clm_cmd_scan(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    struct clm_json *kinds = clm_json_set_array(body, "kinds");
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    for (int i = 0; i < args->n_args; i++) {
        if (check_kind(args->args[i], &err) != CLM_OK) {
            (void)clm_show_error(CLM_E_INVAL, &err, NULL);
            return CLM_EXIT_USAGE;
        }
        clm_json_add_str(kinds, args->args[i]);
    }
    code = clm_hostlink_call(
        &config,
        &(const struct clm_hostlink_ask){.op = CLM_OP_SCAN, .body = body, .progress = false},
        &reply, &fail, &err);
    if (code == CLM_OK) {
        code = clm_inventory_from_json(reply, &inventory, &err);
    }
    if (code == CLM_OK && config.scan.probe && !clm_cli_has(args, "no-probe")) {
        code = clm_probe_inventory(&inventory, &err);
    }
    if (code != CLM_OK) {
        return clm_show_error(code, &err, &fail);
    }
    if (clm_cli_has(args, "json")) {
        struct clm_json *doc = clm_json_new_object();

        clm_inventory_to_json(&inventory, doc);
        return clm_show_json("scan", doc, CLM_EXIT_GOOD);
    }
    return print(&inventory, config.deploy.expiring_days, args->n_args == 0);
}
