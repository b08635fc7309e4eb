/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that can be known to fail is found here, while nothing has been written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/hash.h"
#include "agent/job/txn_build.h"
#include "agent/job/txn_int.h"

#define SPARE_BYTES 1048576u /* left free for others; reliability.md 4.4 P2 */
#define KEY_MODE    0600u
#define CERT_MODE   0644u

/* ---- targets ---- */

static enum clm_code refuse(const struct clm_txn_file *file, const char *why, struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CONFLICT, "'%s/%s' %s", file->dir, file->name, why);
}

static enum clm_code judge_file(const struct clm_txn_file *file, const struct clm_fsat_stat *st,
                                struct clm_err *err)
{
    if (!st->is_regular) {
        return refuse(file, "is not a regular file", err);
    }
    if (st->nlink > 1) {
        return refuse(file, "has more than one name (hard links), which a replacement would part",
                      err);
    }
    if (st->is_immutable) {
        return refuse(file, "is immutable or append-only; run: chattr -i -a on it", err);
    }
    if (st->is_mount) {
        return refuse(file, "is a mount point of its own; mount its directory instead", err);
    }
    return CLM_OK;
}

static enum clm_code read_old(struct clm_txn_file *file, const struct clm_fsat_stat *st,
                              struct clm_err *err)
{
    struct clm_fsat_stat now = {0};
    enum clm_code code =
        clm_fsat_read(file->place.dir_fd, file->name, CLM_TXN_FILE_MAX, &file->old_data, &now, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'%s'", file->dir);
    }
    if (now.ino != st->ino || now.dev != st->dev) {
        return refuse(file, "is being replaced by someone else; try again", err);
    }
    file->old_version = (struct clm_txn_version){
        .size_bytes = file->old_data.len, .mode = now.mode, .uid = now.uid, .gid = now.gid};
    clm_sha256_hex(file->old_data.data, file->old_data.len, file->old_version.sha256);
    file->new_version.mode = now.mode & 01777u;
    file->new_version.uid = now.uid;
    file->new_version.gid = now.gid;
    return CLM_OK;
}

static uint32_t default_mode(const struct clm_step *step)
{
    return clm_content_has_key(step->content) || clm_format_is_keystore(step->format) ? KEY_MODE
                                                                                      : CERT_MODE;
}

static enum clm_code look_at(struct clm_txn_file *file, const struct clm_step *step,
                             struct clm_err *err)
{
    struct clm_fsat_stat st = {0};
    enum clm_code code = clm_fsat_stat(file->place.dir_fd, file->name, &st, err);

    if (code == CLM_E_NOTFOUND) {
        if (!step->may_create) {
            return refuse(file, "does not exist", err);
        }
        file->old_absent = true;
        file->new_version.mode = step->mode != 0 ? step->mode & 0777u : default_mode(step);
        file->new_version.uid = step->uid;
        file->new_version.gid = step->gid;
        return CLM_OK;
    }
    if (code == CLM_OK) {
        code = judge_file(file, &st, err);
    }
    return code != CLM_OK ? code : read_old(file, &st, err);
}

static enum clm_code check_place(struct clm_txn *t, struct clm_txn_file *file, struct clm_err *err)
{
    char path[PATH_MAX];
    uint64_t free_bytes = 0;
    enum clm_code code = clm_place_path(&file->place, path, sizeof(path), err);

    if (code == CLM_OK && t->env->policy != NULL) {
        code = clm_policy_check_write(t->env->policy, path, err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_free_bytes(file->place.dir_fd, file->dir, &free_bytes, err);
    }
    if (code == CLM_OK && free_bytes < 2 * file->data.len + SPARE_BYTES) {
        code = clm_err_set(err, CLM_E_IO, "the file system of '%s' has only %llu bytes free",
                           file->dir, (unsigned long long)free_bytes);
    }
    return code;
}

static bool is_listed(const struct clm_txn *t, const struct clm_txn_file *file)
{
    for (size_t i = 0; i + 1 < t->rec.n_files; i++) {
        const struct clm_txn_file *other = &t->rec.files[i];

        if (strcmp(other->name, file->name) == 0 && strcmp(other->dir, file->dir) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code fill_file(struct clm_txn *t, const struct clm_step *step,
                               struct clm_txn_file *file, struct clm_err *err)
{
    enum clm_code code = clm_fsat_open(step->path, &file->place, err);

    if (code != CLM_OK) {
        return code;
    }
    memcpy(file->dir, file->place.dir, sizeof(file->dir));
    memcpy(file->name, file->place.name, sizeof(file->name));
    if (is_listed(t, file)) {
        return clm_err_set(err, CLM_E_INVAL, "'%s/%s' stands in the plan twice", file->dir,
                           file->name);
    }
    code = clm_fsat_temp_name(file->name, file->temp, err);
    if (code == CLM_OK) {
        code = clm_fsat_temp_name(file->name, file->back, err);
    }
    return code != CLM_OK ? code : look_at(file, step, err);
}

/* Keystores are opened again after they were written: worth a line of its own. */
static enum clm_code make_content(struct clm_txn *t, const struct clm_txn_maker *maker,
                                  const struct clm_step *step, struct clm_txn_file *file,
                                  struct clm_err *err)
{
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code code =
        clm_txn_build(maker, step, file->old_absent ? NULL : &file->old_data, &file->data, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'%s/%s'", file->dir, file->name);
    }
    file->new_version.size_bytes = file->data.len;
    clm_sha256_hex(file->data.data, file->data.len, file->new_version.sha256);
    if (clm_format_is_keystore(step->format) &&
        strcmp(file->new_version.sha256, file->old_version.sha256) != 0) {
        clm_txn_step_done(t, "keystore", "ok", start_ms, "'%s' made and opened again", file->name);
    }
    return CLM_OK;
}

static enum clm_code add_file(struct clm_txn *t, const struct clm_txn_maker *maker,
                              const struct clm_step *step, struct clm_err *err)
{
    struct clm_txn_file *file;
    enum clm_code code;

    if (t->rec.n_files >= CLM_TXN_FILES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "the plan has more than %d files", CLM_TXN_FILES_MAX);
    }
    file = clm_txn_record_add(&t->rec);
    if (file == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "files");
    }
    code = fill_file(t, step, file, err);
    if (code == CLM_OK) {
        code = make_content(t, maker, step, file, err);
    }
    return code != CLM_OK ? code : check_place(t, file, err);
}

/* ---- the certificate that is there ---- */

/* SHA-256 of the first certificate in a PEM text; "" if there is none. */
static void leaf_of(const struct clm_buf *pem, char *dst)
{
    const char *text = clm_buf_str(pem);
    size_t len = pem->len;
    struct clm_armor block;

    dst[0] = '\0';
    while (clm_armor_next(&text, &len, &block, NULL) == CLM_OK) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CERT_DER_MAX);

        if (strcmp(block.label, "CERTIFICATE") == 0) {
            if (clm_armor_decode(&block, &der, NULL) == CLM_OK) {
                clm_sha256_hex(der.data, der.len, dst);
            }
            return;
        }
    }
}

/* Expired, if that can be told; a certificate that cannot be parsed counts as good. */
static bool is_expired(const struct clm_cert_chain *chain, int64_t now_s)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {0};

    return clm_cert_info(chain, 0, &info, NULL) == CLM_OK && info.not_after_s < now_s;
}

static bool may_hold_leaf(const struct clm_step *step)
{
    return clm_content_has_leaf(step->content) || clm_format_is_keystore(step->format);
}

static enum clm_code find_old_leaf(struct clm_txn *t, const struct clm_txn_maker *maker,
                                   const struct clm_step *step, struct clm_err *err)
{
    CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts parts = {0};
    const struct clm_io *io = t->env->io;
    const struct clm_txn_file *file = &t->rec.files[t->rec.n_files - 1];
    size_t len = 0;
    const uint8_t *der;
    enum clm_code code;

    if (file->old_absent || t->rec.old_leaf[0] != '\0' || !may_hold_leaf(step)) {
        return CLM_OK;
    }
    if (step->format == CLM_FORMAT_PEM) { /* also one that cannot be parsed has a hash */
        leaf_of(&file->old_data, t->rec.old_leaf);
    }
    code = clm_txn_take_apart(maker, step, &file->old_data, false, &parts, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'%s/%s'", file->dir, file->name);
    }
    if (parts.chain != NULL) {
        der = clm_cert_chain_der(parts.chain, 0, &len);
        clm_sha256_hex(der, len, t->rec.old_leaf);
        t->rec.is_old_expired = is_expired(parts.chain, io->now_s(io->ctx));
    }
    return CLM_OK;
}

static enum clm_code check_expected(const struct clm_txn *t, const char *expect,
                                    struct clm_err *err)
{
    if (expect == NULL || strcmp(expect, t->rec.old_leaf) == 0 ||
        strcmp(t->rec.new_leaf, t->rec.old_leaf) == 0) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_CONFLICT, "the installed certificate is %s, expected was %s",
                       t->rec.old_leaf[0] != '\0' ? t->rec.old_leaf : "none", expect);
}

/* ---- the whole ---- */

/* A deep copy by way of its JSON form, which is also what recovery will read. */
static enum clm_code copy_plan(const struct clm_plan *from, struct clm_plan *to,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *again = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    enum clm_code code;

    clm_plan_to_json(from, obj);
    code = clm_json_print(obj, false, &text, err);
    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&text), text.len, CLM_JSON_TEXT_MAX, &again, err);
    }
    if (code == CLM_OK) {
        code = clm_plan_from_json(again, to, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "plan");
}

static enum clm_code list_endpoints(struct clm_txn *t, struct clm_err *err)
{
    const struct clm_plan *plan = &t->rec.plan;
    size_t n = 0;

    for (size_t i = 0; i < plan->n_steps; i++) {
        n += plan->steps[i].kind == CLM_STEP_VERIFY ? plan->steps[i].n_endpoints : 0;
    }
    if (n > CLM_TXN_ENDPOINTS_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "the plan has more than %d endpoints",
                           CLM_TXN_ENDPOINTS_MAX);
    }
    t->rec.endpoints = calloc(n + 1, sizeof(*t->rec.endpoints));
    if (t->rec.endpoints == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "endpoints");
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct clm_step *step = &plan->steps[i];

        for (size_t k = 0; step->kind == CLM_STEP_VERIFY && k < step->n_endpoints; k++) {
            t->rec.endpoints[t->rec.n_endpoints].endpoint = step->endpoints[k];
            t->rec.endpoints[t->rec.n_endpoints++].is_counted = true;
        }
    }
    return CLM_OK;
}

static enum clm_code list_files(struct clm_txn *t, const struct clm_bundle *bundle,
                                struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    CLM_CLEANUP(clm_txn_maker_done)
    struct clm_txn_maker maker = {.plan = &t->rec.plan,
                                  .bundle = bundle,
                                  .secrets = t->env->secrets,
                                  .now_s = io->now_s(io->ctx)};
    enum clm_code code = clm_txn_maker_load(&maker, err);

    for (size_t i = 0; code == CLM_OK && i < t->rec.plan.n_steps; i++) {
        const struct clm_step *step = &t->rec.plan.steps[i];

        if (step->kind == CLM_STEP_FILE_PUT) {
            code = add_file(t, &maker, step, err);
            if (code == CLM_OK) {
                code = find_old_leaf(t, &maker, step, err);
            }
        }
    }
    return code;
}

static enum clm_code check_state_dir(struct clm_txn *t, struct clm_err *err)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    uint64_t free_bytes = 0;
    uint64_t needed = SPARE_BYTES;
    enum clm_code code = clm_fsat_open_real(t->env->dir, "lock", &place, err);

    for (size_t i = 0; i < t->rec.n_files; i++) {
        needed += 2 * t->rec.files[i].old_data.len;
    }
    if (code == CLM_OK) {
        code = clm_fsat_free_bytes(place.dir_fd, t->env->dir, &free_bytes, err);
    }
    if (code == CLM_OK && free_bytes < needed) {
        code = clm_err_set(err, CLM_E_IO, "the file system of '%s' has only %llu bytes free",
                           t->env->dir, (unsigned long long)free_bytes);
    }
    return code;
}

/* Files that hold the wanted content already are no part of the transaction. */
static void drop_equal(struct clm_txn_record *rec)
{
    size_t kept = 0;

    for (size_t i = 0; i < rec->n_files; i++) {
        struct clm_txn_file *file = &rec->files[i];

        if (!file->old_absent && strcmp(file->old_version.sha256, file->new_version.sha256) == 0) {
            clm_place_done(&file->place);
            clm_buf_done(&file->data);
            clm_buf_done(&file->old_data);
        } else {
            if (kept != i) {
                rec->files[kept] = *file;
            }
            kept++;
        }
    }
    rec->n_files = kept;
}

enum clm_code clm_txn_take_plan(struct clm_txn *t, const struct clm_plan *plan,
                                const char *leaf_sha256, struct clm_err *err)
{
    enum clm_code code = copy_plan(plan, &t->rec.plan, err);

    if (code == CLM_OK) {
        code = clm_str_copy(t->rec.new_leaf, sizeof(t->rec.new_leaf), leaf_sha256, err);
    }
    return code != CLM_OK ? code : list_endpoints(t, err);
}

static enum clm_code check_bundle(const struct clm_bundle *bundle, struct clm_err *err)
{
    char sha256[CLM_SHA256_HEX_SIZE];

    leaf_of(&bundle->leaf_pem, sha256);
    if (strcmp(sha256, bundle->leaf.sha256) != 0) {
        return clm_err_set(err, CLM_E_INVAL, "the new certificate is not the one it is said to be");
    }
    return CLM_OK;
}

enum clm_code clm_txn_preflight(struct clm_txn *t, const struct clm_plan *plan,
                                const struct clm_bundle *bundle, const char *expect_old_sha256,
                                struct clm_err *err)
{
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code code = check_bundle(bundle, err);

    if (code == CLM_OK) {
        code = clm_txn_take_plan(t, plan, bundle->leaf.sha256, err);
    }
    if (code == CLM_OK) {
        code = list_files(t, bundle, err);
    }
    memcpy(t->out->before_sha256, t->rec.old_leaf, sizeof(t->out->before_sha256));
    memcpy(t->out->after_sha256, t->rec.old_leaf, sizeof(t->out->after_sha256));
    if (code == CLM_OK) {
        code = check_expected(t, expect_old_sha256, err);
    }
    if (code == CLM_OK) {
        code = check_state_dir(t, err);
    }
    if (code == CLM_OK) {
        code = clm_txn_check_reloads(t, err);
    }
    if (code == CLM_OK) {
        drop_equal(&t->rec);
        code = clm_txn_journal_is_free(t, err);
    }
    clm_txn_step_done(t, "preflight", code == CLM_OK ? "ok" : "failed", start_ms,
                      "%zu files to change", t->rec.n_files);
    return code;
}
