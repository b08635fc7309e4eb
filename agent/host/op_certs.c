/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory of certificate files, told in pages while the search goes on. */
#include <string.h>

#include "agent/host/internal.h"
#include "scanners/cert_files.h"
#include "scanners/managers.h"
#include "scanners/scanner.h"

#define PAGE_BYTES_MAX 49152u /* of an event, by a guess that is too high; a frame holds 65,536 */
#define PAGE_FILES_MAX 64u
#define PROGRESS_MS    200

/* The search being told of. */
struct telling {
    const struct clm_host_session *session;
    const struct clm_io *io;
    struct clm_json *page; /* array; NULL: empty */
    size_t page_bytes;
    size_t page_files;
    int64_t told_ms; /* of the last progress */
};

/* Bytes of a text in JSON at most: what needs an escape takes up to six. */
static size_t text_bytes(const char *text)
{
    size_t n = 4;

    for (; *text != '\0'; text++) {
        uint8_t c = (uint8_t)*text;

        n += c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? 6 : 1;
    }
    return n;
}

static size_t list_bytes(const struct clm_strs *list)
{
    size_t n = 16;

    for (size_t i = 0; i < list->n; i++) {
        n += text_bytes(list->v[i]);
    }
    return n;
}

static size_t entry_bytes(const struct clm_found_entry *entry)
{
    const struct clm_cert_info *info = &entry->certificate;

    return 600 + text_bytes(entry->alias) + text_bytes(info->subject) + text_bytes(info->issuer) +
           list_bytes(&info->names.dns) + list_bytes(&info->names.ip);
}

static enum clm_code flush(struct telling *t, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *event = NULL;

    if (t->page == NULL) {
        return CLM_OK;
    }
    event = clm_json_new_object();
    clm_json_set_str(event, "kind", "files");
    clm_json_set_take(event, "files", t->page);
    t->page = NULL;
    t->page_bytes = 0;
    t->page_files = 0;
    return t->session->event(t->session->arg, event, err);
}

/* Entries and lists that would not fit a frame are taken from a copy of the struct; the originals
 * are the search's to free. */
static enum clm_code on_found(void *arg, const struct clm_found *found, struct clm_err *err)
{
    struct telling *t = arg;
    struct clm_found told = *found;
    size_t bytes = 500 + text_bytes(told.path) + text_bytes(told.perm);
    size_t kept = 0;

    while (list_bytes(&told.links) > PAGE_BYTES_MAX / 8) {
        told.links.n--;
    }
    while (list_bytes(&told.used_by) > PAGE_BYTES_MAX / 8) {
        told.used_by.n--;
    }
    while (list_bytes(&told.served_by) > PAGE_BYTES_MAX / 8) {
        told.served_by.n--;
    }
    bytes += list_bytes(&told.links) + list_bytes(&told.used_by) + list_bytes(&told.served_by);
    while (kept < told.n_entries && bytes + entry_bytes(&told.entries[kept]) <= PAGE_BYTES_MAX) {
        bytes += entry_bytes(&told.entries[kept++]);
    }
    told.n_more += told.n_entries - kept;
    told.n_entries = kept;
    if (t->page_bytes + bytes > PAGE_BYTES_MAX || t->page_files >= PAGE_FILES_MAX) {
        enum clm_code code = flush(t, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    if (t->page == NULL) {
        t->page = clm_json_new_array();
    }
    clm_found_to_json(&told, false, clm_json_add_object(t->page));
    t->page_bytes += bytes;
    t->page_files++;
    return CLM_OK;
}

static void set_counts(struct clm_json *obj, const struct clm_files_counts *counts)
{
    clm_json_set_int(obj, "directories", (int64_t)counts->directories);
    clm_json_set_int(obj, "files", (int64_t)counts->files);
    clm_json_set_int(obj, "found", (int64_t)counts->found);
    clm_json_set_int(obj, "entries", (int64_t)counts->entries);
    clm_json_set_int(obj, "too_large", (int64_t)counts->too_large);
    clm_json_set_int(obj, "unreadable", (int64_t)counts->unreadable);
    clm_json_set_bool(obj, "complete", !counts->is_cut);
}

static void on_progress(void *arg, const struct clm_files_counts *counts)
{
    struct telling *t = arg;
    int64_t now_ms = t->io->mono_ms(t->io->ctx);

    if (now_ms - t->told_ms >= PROGRESS_MS) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *event = clm_json_new_object();

        t->told_ms = now_ms;
        clm_json_set_str(event, "kind", "progress");
        set_counts(event, counts);
        clm_ignore(t->session->event(t->session->arg, event, NULL));
    }
}

/* Targets whose files are ours: one that was only imported has not been touched yet. */
static enum clm_code list_managed(struct clm_host *host, struct clm_strs *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    enum clm_code code = clm_store_target_list(host->store, &ids, err);

    for (size_t i = 0; i < ids.n && code == CLM_OK; i++) {
        struct clm_generations list = {.v = NULL};

        code = clm_store_generation_list(host->store, ids.v[i], &list, err);
        for (size_t k = 0; k < list.n && code == CLM_OK; k++) {
            if (list.v[k].origin == CLM_GENERATION_DEPLOYED) {
                code = clm_strs_add_once(out, ids.v[i], err);
            }
        }
        clm_generations_done(&list);
    }
    return code;
}

static enum clm_code search(struct clm_host_call *call, const struct clm_files_rules *rules,
                            struct clm_files_counts *counts, struct clm_err *err)
{
    struct telling telling = {.session = call->session, .io = call->host->io};
    const struct clm_files_visitor visitor = {
        .found = on_found, .progress = on_progress, .arg = &telling};
    enum clm_code code = clm_cert_files_scan(rules, &visitor, counts, err);

    if (code == CLM_OK) {
        code = flush(&telling, err);
    }
    clm_json_free(telling.page);
    return code;
}

enum clm_code clm_host_op_certs(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    CLM_CLEANUP(clm_managers_free_p) struct clm_managers *managers = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs managed = {0};
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    CLM_CLEANUP(clm_files_counts_done) struct clm_files_counts counts = {0};
    struct clm_host *host = call->host;
    const struct clm_config *config = host->config;
    const struct clm_io *io = host->io;
    int64_t start_ms = io->mono_ms(io->ctx);
    struct clm_json *list;
    enum clm_code code;

    if (strcmp(config->scan.files.mode, "off") == 0) {
        return clm_refuse(call, err, CLM_E_UNSUPPORTED, "E_STATE",
                          "scan.files.mode is 'off': no inventory of certificate files is made");
    }
    code = clm_scan_host(io, NULL, &inventory, err);
    if (code == CLM_OK) {
        code = clm_managers_load(io, &managers, err);
    }
    if (code == CLM_OK) {
        code = list_managed(host, &managed, err);
    }
    if (code == CLM_OK) {
        const struct clm_files_rules rules = {
            .mode =
                strcmp(config->scan.files.mode, "in_use") == 0 ? CLM_FILES_IN_USE : CLM_FILES_ALL,
            .roots = &config->scan.files.roots,
            .exclude = &config->scan.files.exclude,
            .ignore = &config->scan.files.ignore,
            .own_dir = config->state_dir,
            .depth = config->scan.files.depth,
            .files_max = config->scan.files.files_max,
            .time_max_ms = (int64_t)config->scan.files.time_max_s * 1000,
            .cross_mounts = config->scan.files.cross_mounts,
            .expiring_days = config->deploy.expiring_days,
            .now_s = io->now_s(io->ctx),
            .io = io,
            .inventory = &inventory,
            .managers = managers,
            .managed = &managed,
        };

        code = search(call, &rules, &counts, err);
    }
    if (code == CLM_OK) {
        code = clm_managers_names(managers, &names, err);
    }
    set_counts(clm_json_set_object(call->reply, "counts"), &counts);
    clm_json_set_int(call->reply, "duration_ms", io->mono_ms(io->ctx) - start_ms);
    list = clm_json_set_array(call->reply, "managers");
    for (size_t i = 0; i < names.n; i++) {
        clm_json_add_str(list, names.v[i]);
    }
    list = clm_json_set_array(call->reply, "remarks");
    for (size_t i = 0; i < counts.remarks.n; i++) {
        clm_json_add_str(list, counts.remarks.v[i]);
    }
    return code;
}
