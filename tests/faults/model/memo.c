/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/model/memo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/crypto/hash.h"
#include "tests/support/scene_int.h"

#define MEMO_MAX 64

/* Not in the headers: the linker sends the oracle's question here (CMakeLists.txt). */
bool __real_scene_store_holds(const char *path, const struct clm_buf *full_pem);
bool __wrap_scene_store_holds(const char *path, const struct clm_buf *full_pem);

struct question {
    char file[CLM_SHA256_HEX_SIZE];
    char other[CLM_SHA256_HEX_SIZE];
};

struct memo {
    struct {
        struct question question;
        char answer[CLM_SHA256_HEX_SIZE];
    } known[MEMO_MAX];
    size_t n;
};

static struct memo pairs;
static struct memo stores;

static void hash_file(const char *path, char dst[CLM_SHA256_HEX_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);

    if (clm_fs_read(path, SCENE_FILE_LIMIT, &data, NULL) != CLM_OK) {
        (void)snprintf(dst, CLM_SHA256_HEX_SIZE, "missing");
        return;
    }
    clm_sha256_hex(data.data, data.len, dst);
}

static const char *answer(const struct memo *memo, const struct question *question)
{
    for (size_t i = 0; i < memo->n; i++) {
        if (memcmp(&memo->known[i].question, question, sizeof(*question)) == 0) {
            return memo->known[i].answer;
        }
    }
    return NULL;
}

static void learn(struct memo *memo, const struct question *question, const char *text)
{
    if (memo->n == MEMO_MAX) { /* other certificates each time? then they are not worth it */
        memo->n = 0;
    }
    memo->known[memo->n].question = *question;
    (void)snprintf(memo->known[memo->n].answer, CLM_SHA256_HEX_SIZE, "%s", text);
    memo->n++;
}

bool __wrap_scene_store_holds(const char *path, const struct clm_buf *full_pem)
{
    struct question question = {.file = ""};
    const char *known;
    bool is_held;

    hash_file(path, question.file);
    clm_sha256_hex(full_pem->data, full_pem->len, question.other);
    known = answer(&stores, &question);
    if (known != NULL) {
        return known[0] == 'y';
    }
    is_held = __real_scene_store_holds(path, full_pem);
    learn(&stores, &question, is_held ? "y" : "n");
    return is_held;
}

/* ---- the server ---- */

static struct clm_io scripted;

/* What fake_io does in a restart that goes well. */
static void started(struct fake_io *server, const char *leaf)
{
    FILE *file = fopen(server->served_path, "we");

    server->restarts++;
    server->reloads++;
    server->reloaded_at_ms = server->now_ms;
    if (file == NULL || fputs(leaf, file) < 0 || fclose(file) != 0) {
        perror(server->served_path);
        abort();
    }
}

static enum clm_code unit_restart(void *ctx, const char *name, uint32_t timeout_ms,
                                  struct clm_err *err)
{
    struct fake_io *server = ctx;
    struct question question = {.file = ""};
    char served[CLM_SHA256_HEX_SIZE];
    const char *leaf;
    enum clm_code code;

    hash_file(server->cert_path, question.file);
    hash_file(server->key_path, question.other);
    leaf = answer(&pairs, &question);
    if (leaf != NULL) {
        started(server, leaf);
        return CLM_OK;
    }
    code = scripted.unit_restart(ctx, name, timeout_ms, err);
    fake_io_served(server, served);
    if (code == CLM_OK && served[0] != '\0') {
        learn(&pairs, &question, served);
    }
    return code;
}

void memo_use(struct subject *s)
{
    scripted = s->scripted;
    s->scripted.unit_restart = unit_restart;
    s->scene.server.io.unit_restart = unit_restart;
}
