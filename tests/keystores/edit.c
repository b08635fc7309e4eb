/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keystore_edit - edits keystores by hand, for tests and benchmarks only: the agent has no such command
 *
 *   keystore_edit replace FILE ALIAS KEY CHAIN PASSWORD-FILE [ENTRY-PASSWORD-FILE]
 *   keystore_edit new TYPE FILE COUNT KEY-DIR PASSWORD-FILE [ENTRY-PASSWORD-FILE]
 *   keystore_edit remove FILE ALIAS PASSWORD-FILE
 *
 * TYPE is pkcs12, pkcs12-legacy, jks or jceks. COUNT entries e0, e1 ... take key-0.pem, key-1.pem ...
 * (four keys in turn) and chain-0.pem ... from KEY-DIR. Files are written in place, not durably.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/keystore/keystore.h"

#define PEM_MAX 1048576u
#define KEYS    4

static int fail(const struct clm_err *err)
{
    (void)fprintf(stderr, "keystore_edit: %s\n", err->msg);
    return 1;
}

/* What one run holds; zero-initialised, freed by free_all(). */
struct run {
    struct clm_rng *rng;
    struct clm_keystore *store;
    struct clm_buf file;
    struct clm_buf password;
    struct clm_buf entry_password;
    bool has_entry_password;
};

static void free_all(struct run *r)
{
    clm_keystore_free(r->store);
    clm_rng_free(r->rng);
    clm_buf_done(&r->file);
    clm_buf_done(&r->password);
    clm_buf_done(&r->entry_password);
}

static enum clm_code read_passwords(struct run *r, char **files, int n, struct clm_err *err)
{
    enum clm_code code = clm_fs_read(files[0], CLM_KEYSTORE_PASSWORD_MAX, &r->password, err);

    r->has_entry_password = n > 1;
    return code == CLM_OK && n > 1
               ? clm_fs_read(files[1], CLM_KEYSTORE_PASSWORD_MAX, &r->entry_password, err)
               : code;
}

static enum clm_code put(struct run *r, const char *alias, const char *key_path,
                         const char *chain_path, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf chain_pem = CLM_BUF_INIT(PEM_MAX);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_keystore_put what = {.alias = alias, .now_ms = clm_clock_now_ms()};
    enum clm_code code = clm_fs_read(key_path, PEM_MAX, &key_pem, err);

    if (code == CLM_OK) {
        code = clm_key_from_pem(key_pem.data, key_pem.len, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_read(chain_path, PEM_MAX, &chain_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(chain_pem.data, chain_pem.len, &chain, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    what.key = key;
    what.chain = chain;
    what.password = r->has_entry_password ? &r->entry_password : NULL;
    return clm_keystore_put_key(r->store, r->rng, &what, err);
}

static enum clm_code write_file(struct run *r, const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    enum clm_code code = clm_keystore_write(r->store, r->rng, &r->password, &out, err);
    FILE *file = code == CLM_OK ? fopen(path, "wb") : NULL;

    if (code != CLM_OK) {
        return code;
    }
    if (file == NULL || fwrite(out.data, 1, out.len, file) != out.len || fclose(file) != 0) {
        return clm_err_set(err, CLM_E_IO, "write '%s'", path);
    }
    return CLM_OK;
}

static enum clm_code open_store(struct run *r, const char *path, struct clm_err *err)
{
    enum clm_code code = clm_fs_read(path, CLM_KEYSTORE_MAX, &r->file, err);

    return code == CLM_OK
               ? clm_keystore_open(r->file.data, r->file.len, &r->password, &r->store, err)
               : code;
}

static enum clm_code replace(struct run *r, char **args, int n, struct clm_err *err)
{
    enum clm_code code = read_passwords(r, args + 4, n - 4, err);

    if (code == CLM_OK) {
        code = open_store(r, args[0], err);
    }
    if (code == CLM_OK) {
        code = put(r, args[1], args[2], args[3], err);
    }
    return code == CLM_OK ? write_file(r, args[0], err) : code;
}

static enum clm_code make(struct run *r, char **args, int n, struct clm_err *err)
{
    bool is_legacy = strcmp(args[0], "pkcs12-legacy") == 0;
    enum clm_keystore_type type = CLM_KEYSTORE_PKCS12;
    int64_t count = 0;
    enum clm_code code = clm_keystore_type_parse(is_legacy ? "pkcs12" : args[0], &type, err);

    if (code == CLM_OK) {
        code = clm_str_to_int(args[2], 0, 10000, &count, err);
    }
    if (code == CLM_OK) {
        code = read_passwords(r, args + 4, n - 4, err);
    }
    if (code == CLM_OK) {
        code = clm_keystore_new(type, is_legacy ? CLM_KEYSTORE_LEGACY : CLM_KEYSTORE_MODERN,
                                &r->store, err);
    }
    for (int i = 0; i < count && code == CLM_OK; i++) {
        char alias[32];
        char key[512];
        char chain[512];

        (void)snprintf(alias, sizeof(alias), "e%d", i);
        (void)snprintf(key, sizeof(key), "%s/key-%d.pem", args[3], i % KEYS);
        (void)snprintf(chain, sizeof(chain), "%s/chain-%d.pem", args[3], i);
        if (!r->has_entry_password) { /* a new store has no password yet */
            code = clm_buf_add(&r->entry_password, r->password.data, r->password.len, err);
            r->has_entry_password = true;
        }
        if (code == CLM_OK) {
            code = put(r, alias, key, chain, err);
        }
    }
    return code == CLM_OK ? write_file(r, args[1], err) : code;
}

static enum clm_code take_away(struct run *r, char **args, int n, struct clm_err *err)
{
    enum clm_code code = read_passwords(r, args + 2, n - 2, err);

    if (code == CLM_OK) {
        code = open_store(r, args[0], err);
    }
    if (code == CLM_OK) {
        code = clm_keystore_remove(r->store, args[1], err);
    }
    return code == CLM_OK ? write_file(r, args[0], err) : code;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int min;
        int max;
        enum clm_code (*run)(struct run *r, char **args, int n, struct clm_err *err);
    } verbs[] = {{"replace", 5, 6, replace}, {"new", 5, 6, make}, {"remove", 3, 3, take_away}};
    struct run r = {.file = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX),
                    .password = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_PASSWORD_MAX),
                    .entry_password = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_PASSWORD_MAX)};
    struct clm_err err = {.code = CLM_OK};

    for (size_t i = 0; argc > 1 && i < CLM_ARRAY_LEN(verbs); i++) {
        int n = argc - 2;
        enum clm_code code;

        if (strcmp(verbs[i].name, argv[1]) != 0 || n < verbs[i].min || n > verbs[i].max) {
            continue;
        }
        code = clm_rng_new(&r.rng, &err);
        if (code == CLM_OK) {
            code = verbs[i].run(&r, argv + 2, n, &err);
        }
        free_all(&r);
        return code == CLM_OK ? 0 : fail(&err);
    }
    (void)fprintf(stderr, "usage: keystore_edit replace|new|remove ...\n");
    return 64;
}
