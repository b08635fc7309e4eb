/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4 */
#include "agent/run/local_api.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/ipc/frame.h"
#include "agent/ipc/guard.h"
#include "agent/ipc/link.h"

#define METHOD_MAX 32

/* ---- asking ---- */

enum clm_code clm_status_request(const char *run_dir, const char *method,
                                 const struct clm_json *params, struct clm_json **out_reply,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_link_free_p) struct clm_link *link = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    char path[256];

    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/status.sock", run_dir);
    if (code == CLM_OK) {
        code = clm_link_connect(path, &link, err);
    }
    if (code == CLM_E_NOTFOUND || code == CLM_E_NET) {
        return clm_err_set(err, code, "the agent does not run ('%s'); start clmbot.service", path);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(body, "method", method);
    if (params != NULL) {
        clm_json_set_copy(body, "params", params);
    } else {
        (void)clm_json_set_object(body, "params");
    }
    clm_link_set_silence(link, 2 * CLM_LOCAL_TIME_MS);
    return clm_link_call(link, CLM_OP_STATUS, body, out_reply, NULL, err);
}

/* ---- answering ---- */

struct client {
    int fd; /* -1: free */
    int64_t deadline_ms;
    struct clm_buf in;
    struct clm_buf out;
    size_t sent;
    bool is_answered;
};

struct clm_local_api {
    int fd;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    clm_local_fn answer;
    void *arg;
    struct client clients[CLM_LOCAL_CLIENTS_MAX];
};

static void client_close(struct client *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    clm_buf_done(&c->in);
    clm_buf_done(&c->out);
    *c = (struct client){.fd = -1};
}

static enum clm_code give_to_group(const char *path, const char *group, struct clm_err *err)
{
    struct group entry;
    struct group *found = NULL;
    char text[4096];

    if (group[0] == '\0') {
        return CLM_OK;
    }
    (void)getgrnam_r(group, &entry, text, sizeof(text), &found);
    if (found == NULL) {
        return clm_err_set(err, CLM_E_CONFIG, "group '%s' does not exist", group);
    }
    if (found->gr_gid != getegid() && lchown(path, (uid_t)-1, found->gr_gid) != 0) {
        return clm_err_sys(err, errno, "give '%s' to group '%s'", path, group);
    }
    return CLM_OK;
}

static enum clm_code bind_at(int fd, const char *path, const char *group, struct clm_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, path, strlen(path) + 1);
    (void)unlink(path);
    mode_t old = umask(0117); /* 0660; nobody can connect before listen(2) */
    int failed = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
    int sys = errno;
    (void)umask(old);
    if (failed != 0) {
        return clm_err_sys(err, sys, "status socket '%s'", path);
    }
    enum clm_code code = give_to_group(path, group, err);
    if (code == CLM_OK && listen(fd, CLM_LOCAL_CLIENTS_MAX) != 0) {
        code = clm_err_sys(err, errno, "listen on '%s'", path);
    }
    return code;
}

enum clm_code clm_local_api_open(const char *run_dir, const char *group, clm_local_fn answer,
                                 void *arg, struct clm_local_api **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_local_api_close_p) struct clm_local_api *api = calloc(1, sizeof(*api));

    if (api == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "status socket");
    }
    api->answer = answer;
    api->arg = arg;
    for (size_t i = 0; i < CLM_LOCAL_CLIENTS_MAX; i++) {
        api->clients[i].fd = -1;
    }
    api->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (api->fd < 0) {
        return clm_err_sys(err, errno, "status socket");
    }
    enum clm_code code = clm_str_fmt(api->path, sizeof(api->path), err, "%s/status.sock", run_dir);
    if (code == CLM_OK) {
        code = bind_at(api->fd, api->path, group, err);
    }
    if (code == CLM_OK) {
        *out = CLM_STEAL(api);
    }
    return code;
}

void clm_local_api_close(struct clm_local_api *api)
{
    if (api == NULL) {
        return;
    }
    for (size_t i = 0; i < CLM_LOCAL_CLIENTS_MAX; i++) {
        client_close(&api->clients[i]);
    }
    if (api->fd >= 0) {
        (void)close(api->fd);
    }
    if (api->path[0] != '\0') {
        (void)unlink(api->path);
    }
    free(api);
}

static enum clm_code add_frame(struct clm_buf *out, enum clm_frame_kind kind, const uint8_t *data,
                               size_t len)
{
    const struct clm_frame_head head = {.body_len = (uint32_t)len, .kind = kind};
    uint8_t bytes[CLM_FRAME_HEAD_SIZE];

    clm_frame_head_encode(&head, bytes);
    enum clm_code code = clm_buf_add(out, bytes, sizeof(bytes), NULL);
    return code == CLM_OK ? clm_buf_add(out, data, len, NULL) : code;
}

static enum clm_code add_reply(struct clm_buf *out, const struct clm_buf *text)
{
    enum clm_code code = CLM_OK;

    for (size_t done = 0; code == CLM_OK && done < text->len;) {
        size_t piece = text->len - done;
        bool is_last = piece <= CLM_FRAME_BODY_MAX;

        piece = is_last ? piece : CLM_FRAME_BODY_MAX;
        code = add_frame(out, is_last ? CLM_FRAME_REPLY : CLM_FRAME_PART, text->data + done, piece);
        done += piece;
    }
    return code;
}

static void add_fail(struct clm_buf *out, const struct clm_err *why)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_fail fail;

    clm_fail_from_err(&fail, "E_STATE", why, NULL);
    clm_fail_to_json(&fail, obj);
    if (clm_json_print(obj, false, &text, NULL) == CLM_OK) {
        (void)(add_frame(out, CLM_FRAME_FAIL, text.data, text.len) == CLM_OK);
    }
}

static enum clm_code make_reply(struct clm_local_api *api, const char *body, size_t len,
                                struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *request = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_LOCAL_REPLY_MAX);
    const char *method = NULL;

    enum clm_code code = clm_json_parse(body, len, CLM_FRAME_BODY_MAX, &request, err);
    if (code == CLM_OK) {
        code = clm_json_str(request, "method", METHOD_MAX, &method, err);
    }
    if (code == CLM_OK) {
        code = api->answer(api->arg, method, clm_json_get(request, "params"), reply, err);
    }
    if (code == CLM_OK) {
        code = clm_json_print(reply, false, &text, err);
    }
    if (code == CLM_OK) {
        code = clm_guard_text(text.data, text.len, err);
    }
    return code == CLM_OK ? add_reply(out, &text) : code;
}

/* Answers once the whole request is here. A client that breaks the rules is closed. */
static void try_answer(struct clm_local_api *api, struct client *c)
{
    struct clm_frame_head head;
    struct clm_err why = {0};

    if (c->in.len < CLM_FRAME_HEAD_SIZE) {
        return;
    }
    if (clm_frame_head_decode(c->in.data, &head, NULL) != CLM_OK ||
        head.kind != CLM_FRAME_REQUEST || head.op != CLM_OP_STATUS ||
        c->in.len > CLM_FRAME_HEAD_SIZE + head.body_len) {
        client_close(c);
        return;
    }
    if (c->in.len < CLM_FRAME_HEAD_SIZE + head.body_len) {
        return;
    }
    c->is_answered = true;
    if (make_reply(api, clm_buf_str(&c->in) + CLM_FRAME_HEAD_SIZE, head.body_len, &c->out, &why) !=
        CLM_OK) {
        clm_buf_reset(&c->out);
        add_fail(&c->out, &why);
    }
}

static void client_read(struct clm_local_api *api, struct client *c)
{
    char chunk[4096];
    ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || clm_buf_add(&c->in, chunk, (size_t)n, NULL) != CLM_OK) {
        client_close(c);
        return;
    }
    try_answer(api, c);
}

static void client_write(struct client *c)
{
    ssize_t n =
        send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n > 0) {
        c->sent += (size_t)n;
    }
    if (n <= 0 || c->sent == c->out.len) {
        client_close(c);
    }
}

static void accept_all(struct clm_local_api *api, int64_t now_ms)
{
    for (size_t i = 0; i < CLM_LOCAL_CLIENTS_MAX; i++) {
        struct client *c = &api->clients[i];

        if (c->fd >= 0) {
            continue;
        }
        c->fd = accept4(api->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c->fd < 0) {
            return;
        }
        c->deadline_ms = now_ms + CLM_LOCAL_TIME_MS;
        c->in.max = CLM_FRAME_HEAD_SIZE + CLM_FRAME_BODY_MAX;
        c->out.max = CLM_LOCAL_REPLY_MAX + CLM_LOCAL_REPLY_MAX / 64;
    }
}

size_t clm_local_api_poll(const struct clm_local_api *api, struct pollfd *fds, int64_t now_ms,
                          int64_t *io_wait_ms)
{
    size_t n = 1;
    bool is_full = true;

    for (size_t i = 0; i < CLM_LOCAL_CLIENTS_MAX; i++) {
        const struct client *c = &api->clients[i];

        if (c->fd < 0) {
            is_full = false;
            continue;
        }
        fds[n++] =
            (struct pollfd){.fd = c->fd, .events = (short)(c->is_answered ? POLLOUT : POLLIN)};
        int64_t left_ms = c->deadline_ms > now_ms ? c->deadline_ms - now_ms : 0;
        if (*io_wait_ms < 0 || left_ms < *io_wait_ms) {
            *io_wait_ms = left_ms;
        }
    }
    fds[0] = (struct pollfd){.fd = is_full ? -1 : api->fd, .events = POLLIN};
    return n;
}

void clm_local_api_work(struct clm_local_api *api, const struct pollfd *fds, size_t n,
                        int64_t now_ms)
{
    size_t at = 1;

    for (size_t i = 0; i < CLM_LOCAL_CLIENTS_MAX; i++) {
        struct client *c = &api->clients[i];

        if (c->fd < 0) {
            continue;
        }
        assert(at < n && fds[at].fd == c->fd); /* as clm_local_api_poll() filled them in */
        bool is_ready = fds[at++].revents != 0;

        if (now_ms >= c->deadline_ms) {
            client_close(c);
        } else if (is_ready && c->is_answered) {
            client_write(c);
        } else if (is_ready) {
            client_read(api, c);
        }
    }
    if (fds[0].revents != 0) {
        accept_all(api, now_ms);
    }
}
