/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/inventory.h"

#include <limits.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "agent/crypto/hash.h"
#include "agent/model/target.h"
#include "agent/run/files.h"
#include "agent/run/hostinfo.h"
#include "agent/run/probe.h"
#include "agent/run/spool.h"

/* ---- digest ---- */

static bool is_listed(const char *const *list, const char *key)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(list[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static void copy_without(const struct clm_json *from, const char *const *skip, struct clm_json *to)
{
    for (const struct clm_json *n = clm_json_first(from); n != NULL; n = clm_json_next(n)) {
        if (!is_listed(skip, clm_json_key(n))) {
            clm_json_set_copy(to, clm_json_key(n), n);
        }
    }
}

static void stable_service(const struct clm_json *from, struct clm_json *to)
{
    static const char *const of_service[] = {"pid", "start_ticks", "targets", NULL};
    static const char *const of_target[] = {"observations", NULL}; /* they have their times */
    struct clm_json *targets;

    copy_without(from, of_service, to);
    targets = clm_json_set_array(to, "targets");
    for (const struct clm_json *t = clm_json_first(clm_json_get(from, "targets")); t != NULL;
         t = clm_json_next(t)) {
        copy_without(t, of_target, clm_json_add_object(targets));
    }
}

enum clm_code clm_inventory_digest(const struct clm_json *inventory, char *dst, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_INVENTORY_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *stable = clm_json_new_object();
    struct clm_json *services = clm_json_set_array(stable, "services");
    char hex[CLM_SHA256_HEX_SIZE];

    for (const struct clm_json *s = clm_json_first(clm_json_get(inventory, "services")); s != NULL;
         s = clm_json_next(s)) {
        stable_service(s, clm_json_add_object(services));
    }
    clm_json_set_copy(stable, "errors", clm_json_get(inventory, "errors"));
    clm_json_set_copy(stable, "capabilities", clm_json_get(inventory, "capabilities"));
    enum clm_code code = clm_json_print(stable, false, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    clm_sha256_hex(text.data, text.len, hex);
    return clm_str_fmt(dst, CLM_DIGEST_TEXT_SIZE, err, "sha256:%s", hex);
}

/* ---- what the control plane has ---- */

enum clm_code clm_inventory_sent(const struct clm_config *config, const char *digest,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char path[PATH_MAX];

    enum clm_code code = clm_net_path(config, path, err, "inventory.sent");
    clm_json_set_str(obj, "digest", digest);
    return code == CLM_OK ? clm_file_write_json(path, 4096, obj, err) : code;
}

void clm_inventory_sent_digest(const struct clm_config *config, char *dst)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    char path[PATH_MAX];
    const char *digest = NULL;

    dst[0] = '\0';
    if (clm_net_path(config, path, NULL, "inventory.sent") == CLM_OK &&
        clm_file_read_json(path, 4096, &obj, NULL) == CLM_OK &&
        clm_json_str(obj, "digest", CLM_DIGEST_TEXT_SIZE - 1, &digest, NULL) == CLM_OK) {
        (void)(clm_str_copy(dst, CLM_DIGEST_TEXT_SIZE, digest, NULL) == CLM_OK);
    }
}

/* ---- taking one ---- */

static enum clm_code ask_host(const struct clm_config *config, struct clm_link *link,
                              struct clm_inventory *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;

    struct clm_json *kinds = clm_json_set_array(body, "kinds");
    for (size_t i = 0; i < config->scan.kinds.n; i++) {
        clm_json_add_str(kinds, config->scan.kinds.v[i]);
    }
    enum clm_code code = clm_link_call(link, CLM_OP_SCAN, body, &reply, NULL, err);
    return code == CLM_OK ? clm_inventory_from_json(reply, out, err) : code;
}

static size_t count_targets(const struct clm_inventory *inventory)
{
    size_t n = 0;

    for (size_t i = 0; i < inventory->n_services; i++) {
        n += inventory->services[i].n_targets;
    }
    return n;
}

static enum clm_code describe(const struct clm_config *config,
                              const struct clm_inventory *inventory, struct clm_json *obj,
                              char *digest, struct clm_err *err)
{
    char scan_id[CLM_ID_SIZE];

    clm_inventory_to_json(inventory, obj);
    clm_hostinfo_capabilities(config, clm_json_set_array(obj, "capabilities"));
    enum clm_code code = clm_inventory_digest(obj, digest, err);
    if (code == CLM_OK) {
        code = clm_id_new("scn", scan_id, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(obj, "digest", digest);
        clm_json_set_str(obj, "scan_id", scan_id);
        clm_json_set_str(obj, "scope", "full");
        clm_hostinfo_host(clm_json_set_object(obj, "host"));
    }
    return code;
}

static enum clm_code keep(const struct clm_config *config, const struct clm_json *obj,
                          bool is_changed, struct clm_err *err)
{
    char path[PATH_MAX];
    const struct clm_spool_message message = {.class_no = CLM_SPOOL_INVENTORY,
                                              .method = "PUT",
                                              .path = "/agent/v1/inventory",
                                              .body = obj};

    enum clm_code code = clm_net_path(config, path, err, "inventory.json");
    if (code == CLM_OK) {
        code = clm_file_write_json(path, CLM_INVENTORY_MAX, obj, err);
    }
    if (code == CLM_OK && is_changed) {
        code = clm_net_path(config, path, err, "spool");
        if (code == CLM_OK) {
            code = clm_spool_put(path, &message, err);
        }
    }
    return code;
}

enum clm_code clm_inventory_take(const struct clm_config *config, struct clm_link *link,
                                 struct clm_json **out_summary, struct clm_err *err)
{
    struct clm_inventory inventory = {0};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char digest[CLM_DIGEST_TEXT_SIZE] = "";
    char sent[CLM_DIGEST_TEXT_SIZE];

    enum clm_code code = ask_host(config, link, &inventory, err);
    if (code == CLM_OK && config->scan.probe) {
        code = clm_probe_inventory(&inventory, err);
    }
    if (code == CLM_OK) {
        code = describe(config, &inventory, obj, digest, err);
    }
    clm_inventory_sent_digest(config, sent);
    bool is_changed = strcmp(digest, sent) != 0;
    if (code == CLM_OK) {
        code = keep(config, obj, is_changed, err);
    }
    if (code == CLM_OK) {
        struct clm_json *summary = clm_json_new_object();

        clm_json_set_str(summary, "digest", digest);
        clm_json_set_int(summary, "services", (int64_t)inventory.n_services);
        clm_json_set_int(summary, "targets", (int64_t)count_targets(&inventory));
        clm_json_set_bool(summary, "changed", is_changed);
        *out_summary = summary;
        clm_inventory_note_host(config, link);
    }
    clm_inventory_done(&inventory);
    return code;
}

void clm_inventory_note_host(const struct clm_config *config, struct clm_link *link)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_err why = {0};
    char path[PATH_MAX];

    enum clm_code code = clm_link_call(link, CLM_OP_STATUS, NULL, &reply, NULL, &why);
    if (code == CLM_OK) {
        code = clm_net_path(config, path, &why, "host.json");
    }
    if (code == CLM_OK) {
        code = clm_file_write_json(path, CLM_INVENTORY_MAX, reply, &why);
    }
    if (code != CLM_OK) {
        clm_log_warning("what is installed could not be noted: %s", why.msg);
    }
}
