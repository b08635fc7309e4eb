/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "clmbot enroll": root reads the token, an unprivileged child talks to the control plane, and the
 * host half takes the trust document only if the pin in the token vouches for it. So nothing that
 * comes from the network is parsed by root but the one signed document, by the host half.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/user.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/token.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/show.h"
#include "agent/run/enroll.h"

#define APPROVAL_WAIT_S 600     /* an operator needs minutes, not hours; then run it again */
#define ANSWER_MAX      262144u /* what the child tells: certificates and one document */

/* ---- the token ---- */

static enum clm_code read_token(const char *path, struct clm_buf *out, struct clm_err *err)
{
    struct stat st;

    if (strcmp(path, "-") == 0) {
        char chunk[1024];
        size_t n;

        while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
            enum clm_code code = clm_buf_add(out, chunk, n, err);

            if (code != CLM_OK) {
                return clm_err_wrap(err, code, "token on standard input");
            }
        }
        return CLM_OK;
    }
    if (lstat(path, &st) == 0 && (st.st_mode & 077) != 0) {
        (void)fprintf(stderr, "clmbot: warning: others can read '%s'; use mode 0600\n", path);
    }
    return clm_fs_read(path, CLM_TOKEN_TEXT_MAX, out, err);
}

/* Its secret is used up: nobody shall find it on the disk. */
static void destroy_token(const char *path, size_t len)
{
    FILE *file = strcmp(path, "-") == 0 ? NULL : fopen(path, "r+");

    if (file == NULL) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        (void)fputc('0', file);
    }
    (void)fflush(file);
    (void)fsync(fileno(file));
    (void)fclose(file);
    (void)unlink(path);
}

/* ---- the child ---- */

static void on_pending(void *arg, const char *fingerprint, uint32_t waited_s)
{
    (void)arg;
    if (waited_s == 0) {
        (void)fprintf(stderr, "waiting for an operator to approve; fingerprint %s\n", fingerprint);
    }
}

/* {"ok": body} or {"code", "message"} on fd. Never returns. */
static _Noreturn void child(const struct clm_config *config, const struct clm_user *user,
                            const struct clm_enroll_opts *opts, int fd)
{
    struct clm_json *answer = clm_json_new_object();
    struct clm_json *body = NULL;
    struct clm_buf text = CLM_BUF_INIT(ANSWER_MAX);
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = clm_user_drop(user, &err);
    FILE *out = fdopen(fd, "w");

    if (code == CLM_OK) {
        code = clm_enroll(config, opts, &body, &err);
    }
    if (code == CLM_OK) {
        clm_json_set_take(answer, "ok", body);
    } else {
        clm_json_set_int(answer, "code", (int64_t)code);
        clm_json_set_str(answer, "message", err.msg);
    }
    code = clm_json_print(answer, false, &text, &err);
    if (out == NULL || code != CLM_OK || fwrite(clm_buf_str(&text), 1, text.len, out) != text.len ||
        fclose(out) != 0) {
        _exit(1);
    }
    _exit(0);
}

static enum clm_code read_answer(int fd, struct clm_buf *text, struct clm_err *err)
{
    char chunk[4096];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        enum clm_code code = CLM_OK;

        if (n > 0) {
            code = clm_buf_add(text, chunk, (size_t)n, err);
        } else if (errno != EINTR) {
            code = clm_err_sys(err, errno, "answer of the network half");
        }
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

static enum clm_code decode_answer(const struct clm_buf *text, struct clm_json **out_body,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    const char *message;
    int64_t failed = 0;
    enum clm_code code = clm_json_parse(clm_buf_str(text), text->len, ANSWER_MAX, &answer, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "the network half ended without an answer");
    }
    if (clm_json_get(answer, "ok") != NULL) {
        struct clm_json *box = clm_json_new_object();

        clm_json_set_copy(box, "ok", clm_json_get(answer, "ok"));
        *out_body = box;
        return CLM_OK;
    }
    code = clm_json_int(answer, "code", 1, CLM_E__COUNT - 1, &failed, err);
    if (code == CLM_OK) {
        code = clm_json_str(answer, "message", CLM_ERR_MSG_MAX, &message, err);
    }
    return code == CLM_OK ? clm_err_set(err, (enum clm_code)failed, "%s", message) : code;
}

static enum clm_code talk(const struct clm_config *config, const struct clm_user *user,
                          const struct clm_enroll_opts *opts, struct clm_json **out_body,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(ANSWER_MAX);
    int ends[2];
    enum clm_code code;
    pid_t pid;

    if (pipe(ends) != 0) {
        return clm_err_sys(err, errno, "pipe to the network half");
    }
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child(config, user, opts, ends[1]);
    }
    (void)close(ends[1]);
    code = pid < 0 ? clm_err_sys(err, errno, "start the network half")
                   : read_answer(ends[0], &text, err);
    (void)close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return code == CLM_OK ? decode_answer(&text, out_body, err) : code;
}

/* ---- the parent ---- */

/* The directories of the network half belong to its user; only root can make that so. */
static enum clm_code make_net_dir(const struct clm_config *config, const struct clm_user *user,
                                  struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_fs_mkdir(config->state_dir, 0755, err);

    if (code == CLM_OK) {
        code = clm_str_fmt(path, sizeof(path), err, "%s/net", config->state_dir);
    }
    if (code == CLM_OK) {
        code = clm_fs_mkdir(path, 0700, err);
    }
    if (code == CLM_OK && geteuid() == 0 && lchown(path, user->uid, user->gid) != 0) {
        code = clm_err_sys(err, errno, "owner of '%s'", path);
    }
    return code;
}

/* The pins are those root read in the token, whatever the child says. */
static void set_pins(struct clm_json *body, const struct clm_token *token)
{
    struct clm_json *list;

    clm_json_remove(body, "pins");
    list = clm_json_set_array(body, "pins");
    for (size_t i = 0; i < token->n_pins; i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf pin = CLM_BUF_INIT(CLM_PIN_SIZE);

        if (clm_buf_add_str(&pin, "sha256/", NULL) == CLM_OK &&
            clm_b64_encode(token->pins[i], CLM_SHA256_SIZE, &pin, NULL) == CLM_OK) {
            clm_json_add_str(list, clm_buf_str(&pin));
        }
    }
}

static enum clm_code enroll(const struct clm_config *config, const struct clm_buf *text,
                            struct clm_json **out_reply, struct clm_fail *fail, struct clm_err *err)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *box = NULL;
    const struct clm_enroll_opts opts = {
        .token = clm_buf_str(text),
        .token_len = text->len,
        .policy_digest = "",
        .approval_wait_s = APPROVAL_WAIT_S,
        .on_pending = on_pending,
    };
    struct clm_user user;
    enum clm_code code = clm_token_parse(clm_buf_str(text), text->len, &token, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "token");
    }
    code = clm_user_find(config->user, config->group, &user, err);
    if (code == CLM_OK) {
        code = make_net_dir(config, &user, err);
    }
    if (code == CLM_OK) {
        code = talk(config, &user, &opts, &box, err);
    }
    if (code == CLM_OK) {
        struct clm_json *body = clm_json_edit(box, "ok");

        set_pins(body, &token);
        code = clm_hostlink_call(config,
                                 &(const struct clm_hostlink_ask){
                                     .op = CLM_OP_TRUST_PUT, .body = body, .progress = false},
                                 out_reply, fail, err);
    }
    return code;
}

int clm_cmd_enroll(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    const char *path = clm_cli_str(args, "token-file", NULL);
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    if (path == NULL) {
        (void)fprintf(stderr, "clmbot: no token\n"
                              "        give --token-file FILE, or - to read standard input\n");
        return CLM_EXIT_USAGE;
    }
    code = read_token(path, &text, &err);
    if (code == CLM_OK) {
        code = enroll(&config, &text, &reply, &fail, &err);
    }
    if (code != CLM_OK) {
        return clm_show_error(code, &err, &fail);
    }
    destroy_token(path, text.len);
    if (clm_cli_has(args, "json")) {
        return clm_show_json("enroll", CLM_STEAL(reply), status);
    }
    clm_show_line("enrolled as %s with tenant '%s'", clm_json_text(clm_json_get(reply, "agent_id")),
                  clm_json_text(clm_json_get(reply, "tenant")));
    clm_show_line("next: systemctl start clmbot, or: clmbot run --spawn-host; then: clmbot status");
    return status;
}
