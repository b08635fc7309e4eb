/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "clmbot enroll": root reads the token, an unprivileged child talks to the control plane, and the
 * host half takes the trust document only if the pin in the token vouches for it. So nothing that
 * comes from the network is parsed by root but the one signed document, by the host half.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/harden.h"
#include "agent/base/user.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/token.h"
#include "agent/ipc/frame.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/show.h"
#include "agent/run/enroll.h"

#define APPROVAL_WAIT_S 600 /* an operator needs minutes, not hours; then run it again */

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

/* The child asks, with the body of trust_put; the parent answers; the child says how it ended. */
static void on_pending(void *arg, const char *fingerprint, uint32_t waited_s)
{
    (void)arg;
    if (waited_s == 0) {
        (void)fprintf(stderr, "waiting for an operator to approve; fingerprint %s\n", fingerprint);
    }
}

/* {} or {"code", "message"}. */
static enum clm_code say(int fd, enum clm_frame_kind kind, enum clm_code code,
                         const struct clm_err *why, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();

    if (code != CLM_OK) {
        clm_json_set_int(body, "code", (int64_t)code);
        clm_json_set_str(body, "message", why->msg);
    }
    return clm_frame_send_json(fd, kind, CLM_OP_NONE, body, err);
}

/* The error that say() wrote. */
static enum clm_code heard(const struct clm_json *body, struct clm_err *err)
{
    const char *message = NULL;
    int64_t failed = 0;
    enum clm_code code = clm_json_int_or(body, "code", 0, CLM_E__COUNT - 1, &failed, err);

    if (code == CLM_OK && failed != 0) {
        code = clm_json_str(body, "message", CLM_ERR_MSG_MAX, &message, err);
        return code == CLM_OK ? clm_err_set(err, (enum clm_code)failed, "%s", message) : code;
    }
    return code;
}

/* The next frame; END is an error. */
static enum clm_code hear(int fd, struct clm_frame_head *head, struct clm_json **out_body,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    enum clm_code code = clm_frame_recv(fd, -1, CLM_FRAME_TIMEOUT_MS, head, &text, err);

    if (code == CLM_OK && head->kind == CLM_FRAME_END) {
        code = clm_err_set(err, CLM_E_IO, "the network half ended without an answer");
    }
    return code == CLM_OK
               ? clm_json_parse(clm_buf_str(&text), text.len, CLM_FRAME_BODY_MAX, out_body, err)
               : code;
}

static enum clm_code ask_parent(void *arg, const struct clm_json *trust, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    const int *fd = arg;
    struct clm_frame_head head;
    enum clm_code code = clm_frame_send_json(*fd, CLM_FRAME_CALL, CLM_OP_NONE, trust, err);

    if (code == CLM_OK) {
        code = hear(*fd, &head, &answer, err);
    }
    return code == CLM_OK ? heard(answer, err) : code;
}

static _Noreturn void child(const struct clm_config *config, const struct clm_user *user,
                            const struct clm_enroll_opts *opts, int fd)
{
    struct clm_enroll_opts mine = *opts;
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = clm_user_drop(user, &why);

    (void)signal(SIGPIPE, SIG_IGN);
    /* Without the parent nobody takes the document: a host that only the control plane knows. Not
     * before, as giving up rights takes this back. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    mine.on_trust = ask_parent;
    mine.arg = &fd;
    if (code == CLM_OK) {
        code = clm_enroll(config, &mine, &why);
    }
    _exit(say(fd, CLM_FRAME_REPLY, code, &why, NULL) == CLM_OK ? 0 : 1);
}

/* ---- the parent ---- */

/* The directories of the network half belong to its user; only root can make that so. */
static enum clm_code make_net_dir(const struct clm_config *config, const struct clm_user *user,
                                  struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/net", config->state_dir);

    if (code == CLM_OK) {
        code = clm_fs_mkdir(config->state_dir, 0755, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_mkdir(path, 0700, err);
    }
    if (code == CLM_OK && geteuid() == 0 && lchown(path, user->uid, user->gid) != 0) {
        code = clm_err_sys(err, errno, "owner of '%s'", path);
    }
    return code;
}

struct enrolment {
    const struct clm_config *config;
    struct clm_token token;
    struct clm_json *reply; /* of the host half */
    struct clm_fail fail;
};

static void enrolment_done(struct enrolment *e)
{
    clm_token_done(&e->token);
    clm_json_free(e->reply);
}

static enum clm_code give_trust(struct enrolment *e, struct clm_json *body, struct clm_err *err)
{
    const struct clm_hostlink_ask ask = {.op = CLM_OP_TRUST_PUT, .body = body, .progress = false};

    /* the pins are those root read in the token, whatever the child says */
    clm_json_remove(body, "pins");
    clm_token_add_pins(&e->token, clm_json_set_array(body, "pins"));
    clm_json_free(e->reply);
    e->reply = NULL;
    return clm_hostlink_call(e->config, &ask, &e->reply, &e->fail, err);
}

/* Until the child says how it ended: nothing of it is kept unless the host half took its document. */
static enum clm_code serve_child(struct enrolment *e, int fd, struct clm_err *err)
{
    struct clm_frame_head head = {.kind = CLM_FRAME_CALL};
    enum clm_code code = CLM_OK;

    while (code == CLM_OK && head.kind == CLM_FRAME_CALL) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;

        code = hear(fd, &head, &body, err);
        if (code == CLM_OK && head.kind == CLM_FRAME_CALL) {
            struct clm_err why = {.code = CLM_OK};
            enum clm_code taken = give_trust(e, body, &why);

            code = say(fd, CLM_FRAME_ANSWER, taken, &why, err);
        } else if (code == CLM_OK) {
            code = heard(body, err);
        }
    }
    if (code == CLM_OK && e->reply == NULL) {
        code = clm_err_set(err, CLM_E_REMOTE,
                           "the network half is done, but the host half took no trust document");
    }
    return code;
}

static enum clm_code talk(struct enrolment *e, const struct clm_user *user,
                          const struct clm_enroll_opts *opts, struct clm_err *err)
{
    int ends[2];
    enum clm_code code;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return clm_err_sys(err, errno, "socket pair for the network half");
    }
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child(e->config, user, opts, ends[1]);
    }
    (void)close(ends[1]);
    code =
        pid < 0 ? clm_err_sys(err, errno, "start the network half") : serve_child(e, ends[0], err);
    (void)close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return code;
}

static enum clm_code enroll(struct enrolment *e, const struct clm_buf *text, bool force,
                            struct clm_err *err)
{
    const struct clm_enroll_opts opts = {
        .token = clm_buf_str(text),
        .token_len = text->len,
        .policy_digest = "",
        .force = force,
        .approval_wait_s = APPROVAL_WAIT_S,
        .on_pending = on_pending,
    };
    struct clm_user user;
    enum clm_code code = clm_token_parse(clm_buf_str(text), text->len, &e->token, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "token");
    }
    code = clm_user_find(e->config->user, e->config->group, &user, err);
    if (code == CLM_OK) {
        code = make_net_dir(e->config, &user, err);
    }
    return code == CLM_OK ? talk(e, &user, &opts, err) : code;
}

int clm_cmd_enroll(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    CLM_CLEANUP(enrolment_done) struct enrolment e = {.config = &config};
    const char *path = clm_cli_str(args, "token-file", NULL);
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    clm_harden();
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
        code = enroll(&e, &text, clm_cli_has(args, "force"), &err);
    }
    if (code != CLM_OK) {
        return clm_show_error(code, &err, &e.fail);
    }
    destroy_token(path, text.len);
    if (clm_cli_has(args, "json")) {
        return clm_show_json("enroll", CLM_STEAL(e.reply), status);
    }
    clm_show_line("enrolled as %s with tenant '%s'",
                  clm_json_text(clm_json_get(e.reply, "agent_id")),
                  clm_json_text(clm_json_get(e.reply, "tenant")));
    clm_show_line("next: systemctl start clmbot, or: clmbot run --spawn-host; then: clmbot status");
    return status;
}
