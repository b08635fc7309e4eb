/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/poller.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/ipc/frame.h"
#include "agent/run/api.h"
#include "agent/run/files.h"
#include "agent/run/poll.h"
#include "agent/run/rest.h"

#define CHILD_FD   3
#define ANSWER_MAX 524288u /* a response of CLM_API_RESPONSE_MAX, escaped once more */
#define ANSWER_MS  10000   /* from the first byte of the child's answer to its last */

void clm_poll_outcome_done(struct clm_poll_outcome *outcome)
{
    clm_json_free(outcome->body);
    *outcome = (struct clm_poll_outcome){.body = NULL};
}

/* ---- the child ---- */

struct child {
    const struct clm_config *config;
    const char *boot_id;
    struct clm_api *api;
};

static enum clm_code open_api(struct child *c, struct clm_err *err)
{
    struct clm_identity identity = {0};
    char dir[PATH_MAX];

    if (c->api != NULL) {
        return CLM_OK;
    }
    enum clm_code code = clm_net_path(c->config, dir, err, "identity");
    if (code == CLM_OK) {
        code = clm_identity_load(dir, &identity, err);
    }
    if (code == CLM_OK) {
        code = clm_api_open(c->config, &identity, c->boot_id, &c->api, err);
    }
    clm_identity_done(&identity);
    return code;
}

static void do_poll(struct child *c, const struct clm_json *request, struct clm_json *answer)
{
    struct clm_err why = {0};
    struct clm_api_response response = {0};
    int64_t wait_s = 0;
    char path[64];

    enum clm_code code = clm_json_int(request, "wait_s", 0, 300, &wait_s, &why);
    if (code == CLM_OK) {
        code = open_api(c, &why);
    }
    if (code == CLM_OK) {
        (void)snprintf(path, sizeof(path), "/agent/v1/poll?wait=%d", (int)wait_s);
        const struct clm_api_request poll = {.method = "POST",
                                             .path = path,
                                             .body = clm_json_get(request, "body"),
                                             .idempotency_key = "",
                                             .timeout_ms =
                                                 ((uint32_t)wait_s + CLM_POLL_MARGIN_S) * 1000,
                                             .on_idle = clm_rest};
        code = clm_api_call(c->api, &poll, &response, &why);
    }
    clm_json_set_int(answer, "code", (int64_t)code);
    clm_json_set_str(answer, "message", code == CLM_OK ? "" : why.msg);
    clm_json_set_int(answer, "status", response.status);
    clm_json_set_str(answer, "problem", response.problem);
    clm_json_set_int(answer, "retry_after_s", why.retry_after_s);
    clm_json_set_bool(answer, "has_next_poll", response.has_next_poll);
    clm_json_set_int(answer, "next_poll_s", response.next_poll_s);
    clm_json_set_int(answer, "date_s", response.date_s);
    clm_json_set_copy(answer, "body", response.json);
    clm_api_response_done(&response);
}

static enum clm_code send_answer(const struct clm_json *answer)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(ANSWER_MAX);
    size_t done = 0;

    enum clm_code code = clm_json_print(answer, false, &text, NULL);
    while (code == CLM_OK && done < text.len) {
        struct clm_frame_head head = {.kind = CLM_FRAME_REPLY};
        size_t piece = text.len - done;

        if (piece > CLM_FRAME_BODY_MAX) {
            piece = CLM_FRAME_BODY_MAX;
            head.kind = CLM_FRAME_PART;
        }
        head.body_len = (uint32_t)piece;
        code = clm_frame_send(CHILD_FD, &head, text.data + done, ANSWER_MS, NULL);
        done += piece;
    }
    return code;
}

/* Ends when the main process closes its end, or does. */
static _Noreturn void child_main(struct child *c)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    enum clm_code code = CLM_OK;

    while (code == CLM_OK) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *request = NULL;
        CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = clm_json_new_object();
        struct clm_frame_head head;

        code = clm_frame_recv(CHILD_FD, -1, ANSWER_MS, &head, &text, NULL);
        if (code != CLM_OK || head.kind != CLM_FRAME_REQUEST) {
            break;
        }
        code = clm_json_parse(clm_buf_str(&text), text.len, CLM_FRAME_BODY_MAX, &request, NULL);
        if (code == CLM_OK) {
            do_poll(c, request, answer);
            code = send_answer(answer);
            clm_rest();
        }
    }
    _exit(0);
}

static void child_setup(int fd)
{
    sigset_t none;

    if (fd != CHILD_FD && dup2(fd, CHILD_FD) < 0) {
        _exit(1);
    }
    clm_fs_close_from(CHILD_FD + 1);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "clmbot-poll");
}

/* ---- the main process ---- */

enum clm_code clm_poller_start(const struct clm_config *config, const char *boot_id,
                               struct clm_poller *out, struct clm_err *err)
{
    int pair[2];

    *out = (struct clm_poller){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return clm_err_sys(err, errno, "socket pair for the poller");
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        int sys = errno;

        (void)close(pair[0]);
        (void)close(pair[1]);
        return clm_err_sys(err, sys, "start of the poller");
    }
    if (pid == 0) {
        struct child c = {.config = config, .boot_id = boot_id};

        child_setup(pair[1]);
        child_main(&c);
    }
    (void)close(pair[1]);
    out->pid = pid;
    out->fd = pair[0];
    return CLM_OK;
}

enum clm_code clm_poller_ask(struct clm_poller *poller, const struct clm_json *body,
                             uint32_t wait_s, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *request = clm_json_new_object();

    clm_json_set_int(request, "wait_s", wait_s);
    clm_json_set_copy(request, "body", body);
    enum clm_code code =
        clm_frame_send_json(poller->fd, CLM_FRAME_REQUEST, CLM_OP_STATUS, request, err);
    poller->is_busy = code == CLM_OK;
    return code;
}

static enum clm_code read_answer(const struct clm_json *answer, struct clm_poll_outcome *out,
                                 struct clm_err *err)
{
    int64_t numbers[5] = {0};
    static const char *const keys[5] = {"code", "status", "retry_after_s", "next_poll_s", "date_s"};
    const char *message = NULL;
    const char *problem = NULL;
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < 5; i++) {
        code = clm_json_int(answer, keys[i], 0, CLM_JSON_INT_MAX, &numbers[i], err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(answer, "message", sizeof(out->message) - 1, &message, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(answer, "problem", sizeof(out->problem) - 1, &problem, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool(answer, "has_next_poll", &out->has_next_poll, err);
    }
    if (code == CLM_OK && numbers[0] >= CLM_E__COUNT) {
        code = clm_err_set(err, CLM_E_PARSE, "answer of the poller");
    }
    if (code != CLM_OK) {
        return code;
    }
    out->code = (enum clm_code)numbers[0];
    out->status = (int)numbers[1];
    out->retry_after_s = numbers[2] > UINT32_MAX ? UINT32_MAX : (uint32_t)numbers[2];
    out->next_poll_s = numbers[3] > UINT32_MAX ? UINT32_MAX : (uint32_t)numbers[3];
    out->date_s = numbers[4];
    (void)snprintf(out->message, sizeof(out->message), "%s", message);
    (void)snprintf(out->problem, sizeof(out->problem), "%s", problem);
    if (clm_json_get(answer, "body") != NULL) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *box = clm_json_new_object();

        clm_json_set_copy(box, "body", clm_json_get(answer, "body"));
        out->body = CLM_STEAL(box);
    }
    return CLM_OK;
}

enum clm_code clm_poller_take(struct clm_poller *poller, struct clm_poll_outcome *out,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf joined = CLM_BUF_INIT(ANSWER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_frame_head head = {.kind = CLM_FRAME_PART};
    enum clm_code code = CLM_OK;

    *out = (struct clm_poll_outcome){.body = NULL};
    poller->is_busy = false;
    while (code == CLM_OK && head.kind == CLM_FRAME_PART) {
        code = clm_frame_recv(poller->fd, ANSWER_MS, ANSWER_MS, &head, &text, err);
        if (code == CLM_OK) {
            code = clm_buf_add(&joined, clm_buf_str(&text), text.len, err);
        }
    }
    if (code == CLM_OK && head.kind != CLM_FRAME_REPLY) {
        code = clm_err_set(err, CLM_E_NET, "the poller ended");
    }
    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&joined), joined.len, ANSWER_MAX, &answer, err);
    }
    return code == CLM_OK ? read_answer(answer, out, err) : code;
}

void clm_poller_stop(struct clm_poller *poller)
{
    clm_fs_close_p(&poller->fd);
    if (poller->pid > 0) {
        (void)kill(poller->pid, SIGKILL);
        while (waitpid(poller->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    *poller = (struct clm_poller){.fd = -1};
}
