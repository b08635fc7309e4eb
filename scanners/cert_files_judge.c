/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a file beyond its content: its names, who uses it, whose it is, who may read it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scanners/cert_files_int.h"

/* FNV-1a of a name up to its last dot: "www.crt" and "www.key" are a pair by name. */
uint64_t clm_files_stem(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t len = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 1099511628211u;
    }
    return hash;
}

static enum clm_code add_link(struct clm_found *found, const char *path, struct clm_err *err)
{
    if (strcmp(path, found->path) == 0 || found->links.n >= CLM_FOUND_LINKS_MAX) {
        return CLM_OK;
    }
    return clm_strs_add_once(&found->links, path, err);
}

static enum clm_code add_links(const struct clm_link_table *table, const struct stat *st,
                               struct clm_found *found, struct clm_err *err)
{
    size_t n = 0;
    struct clm_link_row *rows = clm_links_find(table, st->st_dev, st->st_ino, &n);
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        rows[i].is_met = true;
        code = add_link(found, rows[i].path, err);
    }
    return code;
}

/* The group of a file that a service's user is meant to read by: its own name, or one that
 * distributions made for keys. */
static bool is_known_group(const struct clm_files_scan *scan, uint32_t gid,
                           const struct clm_used_row *rows, size_t n)
{
    static const char *const made_for_keys[] = {"root", "ssl-cert", "certs", "wheel"};
    char group[64];

    clm_users_group(&scan->users, gid, group, sizeof(group));
    for (size_t i = 0; i < CLM_ARRAY_LEN(made_for_keys); i++) {
        if (strcmp(group, made_for_keys[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(group, rows[i].service->user) == 0) {
            return true;
        }
    }
    return false;
}

static void judge_perm(const struct clm_files_scan *scan, const struct clm_files_file *file,
                       const struct clm_used_row *rows, size_t n, struct clm_found *found)
{
    const struct stat *st = &file->st;
    char user[24];
    char group[24];

    clm_users_user(&scan->users, st->st_uid, user, sizeof(user));
    clm_users_group(&scan->users, st->st_gid, group, sizeof(group));
    (void)snprintf(found->perm, sizeof(found->perm), "%04o %s:%s", (unsigned)(st->st_mode & 07777),
                   user, group);
    if (!file->dir->is_open) {
        return; /* the directory keeps others out */
    }
    if ((st->st_mode & S_IROTH) != 0 || ((st->st_mode & S_IRGRP) != 0 && strcmp(user, group) != 0 &&
                                         !is_known_group(scan, st->st_gid, rows, n))) {
        found->problems |= CLM_FOUND_KEY_READABLE;
    }
}

static enum clm_code judge_use(struct clm_used_row *rows, size_t n, struct clm_found *found,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        rows[i].is_met = true;
        found->in_use = true;
        code = clm_strs_add_once(&found->used_by, rows[i].target->id, err);
        if (code == CLM_OK) {
            code = add_link(found, rows[i].path, err);
        }
    }
    return code;
}

static bool holds_leaf(const struct clm_found *found, const char *sha256)
{
    for (size_t i = 0; i < found->n_entries; i++) {
        if (found->entries[i].kind != CLM_FOUND_TRUSTED &&
            strcmp(found->entries[i].certificate.sha256, sha256) == 0) {
            return true;
        }
    }
    return false;
}

/* Targets whose own file holds the same leaf: this may be a copy of it. */
static enum clm_code judge_served(const struct clm_files_scan *scan, struct clm_found *found,
                                  struct clm_err *err)
{
    const struct clm_inventory *inventory = scan->rules->inventory;
    enum clm_code code = CLM_OK;

    for (size_t s = 0; inventory != NULL && s < inventory->n_services; s++) {
        for (size_t t = 0; t < inventory->services[s].n_targets && code == CLM_OK; t++) {
            const struct clm_target *target = &inventory->services[s].targets[t];

            if (target->has_certificate && holds_leaf(found, target->certificate.sha256)) {
                code = clm_strs_add_once(&found->served_by, target->id, err);
            }
        }
    }
    return code;
}

static bool is_spki(const uint8_t spki[CLM_SHA256_SIZE], const struct clm_cert_info *certificate)
{
    char hex[CLM_SHA256_HEX_SIZE];

    clm_hex_encode(spki, CLM_SHA256_SIZE, hex);
    return strcmp(hex, certificate->spki_sha256) == 0;
}

/* What is known of the key of one certificate. */
struct key_word {
    bool is_own;   /* the key was found */
    bool is_meant; /* a key is meant for it: if it is not its own, it is the wrong one */
};

/* Keys of the same directory; meant for it if the name is the same. */
static void ask_directory(const struct clm_files_scan *scan, const char *name,
                          const struct clm_cert_info *certificate, struct key_word *io_word)
{
    uint64_t stem = clm_files_stem(name);

    for (size_t k = 0; k < scan->n_keys && !io_word->is_own; k++) {
        io_word->is_own = is_spki(scan->keys[k].spki, certificate);
        io_word->is_meant = io_word->is_meant || scan->keys[k].stem == stem;
    }
}

/* A server names a key for it. */
static void ask_targets(const struct clm_used_row *rows, size_t n,
                        const struct clm_cert_info *certificate, struct key_word *io_word)
{
    for (size_t k = 0; k < n && !io_word->is_own; k++) {
        const struct clm_target *target = rows[k].target;

        if (target->has_certificate &&
            strcmp(target->certificate.sha256, certificate->sha256) == 0) {
            io_word->is_own = target->key_matches;
            io_word->is_meant = io_word->is_meant || target->key_perm[0] != '\0';
        }
    }
}

/* In the file itself, named by a server, or in the same directory. */
static void judge_key(const struct clm_files_scan *scan, const struct clm_files_file *file,
                      const struct clm_files_content *content, const struct clm_used_row *rows,
                      size_t n, struct clm_found *found)
{
    for (size_t i = 0; i < found->n_entries; i++) {
        struct clm_found_entry *entry = &found->entries[i];
        struct key_word word = {.is_own = false};

        if (entry->kind != CLM_FOUND_CERTIFICATE) {
            continue;
        }
        if (content->has_key_spki) {
            word.is_own = is_spki(content->key_spki, &entry->certificate);
            word.is_meant = true;
        } else {
            ask_directory(scan, file->name, &entry->certificate, &word);
        }
        ask_targets(rows, n, &entry->certificate, &word);
        if (word.is_own || (word.is_meant && content->n_leafs == 1)) {
            entry->key_matches = word.is_own ? CLM_FOUND_YES : CLM_FOUND_NO;
            found->problems |= word.is_own ? 0u : CLM_FOUND_KEY_MISMATCH;
        }
    }
}

/* A certificate that its manager has replaced and keeps is no reason for attention. */
static void judge_manager(const struct clm_files_scan *scan, struct clm_found *found)
{
    const struct clm_manager *owner = clm_managers_of(scan->rules->managers, found->path);
    for (size_t i = 0; i < found->links.n && owner == NULL; i++) {
        owner = clm_managers_of(scan->rules->managers, found->links.v[i]);
    }
    if (owner == NULL) {
        return;
    }
    (void)snprintf(found->manager, sizeof(found->manager), "%s", owner->name);
    if (owner->keeps_history && found->links.n == 0 && !found->in_use) {
        found->problems &= ~(uint32_t)(CLM_FOUND_EXPIRED | CLM_FOUND_EXPIRING);
    }
}

static void judge_status(const struct clm_files_scan *scan, const struct clm_used_row *rows,
                         size_t n, struct clm_found *found)
{
    const struct clm_files_rules *rules = scan->rules;

    for (size_t i = 0; i < n; i++) {
        if (rules->managed != NULL && clm_strs_has(rules->managed, rows[i].target->id)) {
            found->status = CLM_FOUND_MANAGED;
        }
    }
    for (size_t i = 0; rules->ignore != NULL && i < rules->ignore->n; i++) {
        if (found->status != CLM_FOUND_MANAGED && clm_str_glob(rules->ignore->v[i], found->path)) {
            found->status = CLM_FOUND_IGNORED;
            found->problems = 0;
        }
    }
}

enum clm_code clm_files_judge(struct clm_files_scan *scan, const struct clm_files_file *file,
                              const struct clm_files_content *content, struct clm_found *found,
                              struct clm_err *err)
{
    size_t n = 0;
    struct clm_used_row *rows = clm_used_find(&scan->used, file->st.st_dev, file->st.st_ino, &n);
    enum clm_code code;

    (void)snprintf(found->path, sizeof(found->path), "%s", file->path);
    found->problems = content->problems;
    code = add_links(&scan->links, &file->st, found, err);
    if (code == CLM_OK) {
        code = add_links(&scan->hard, &file->st, found, err);
    }
    if (code == CLM_OK) {
        code = judge_use(rows, n, found, err);
    }
    if (code == CLM_OK) {
        code = judge_served(scan, found, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    judge_key(scan, file, content, rows, n, found);
    judge_perm(scan, file, rows, n, found);
    if (!content->has_key) {
        found->problems &= ~(uint32_t)CLM_FOUND_KEY_READABLE;
    }
    judge_manager(scan, found);
    judge_status(scan, rows, n, found);
    return CLM_OK;
}
