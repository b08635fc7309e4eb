/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4, posix_openpt */
#include "tests/unit/main/stage.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/proc.h"
#include "agent/ipc/frame.h"

#define WORDS_MAX 16
#define LINE_SIZE 1024

int64_t stage_now_s = STAGE_NOW_S;
int64_t __wrap_clm_clock_now_s(void);
int64_t __wrap_clm_clock_now_s(void)
{
    return stage_now_s;
}

/* ---- players: a process of their own, that says what it was told to ---- */

static bool send_frame(int fd, enum clm_frame_kind kind, const char *body, size_t len)
{
    const struct clm_frame_head head = {.body_len = (uint32_t)len, .kind = kind};

    return clm_frame_send(fd, &head, body, 5000, NULL) == CLM_OK;
}

/* In parts, if it is long. */
static bool send_reply(int fd, const char *body)
{
    size_t len = strlen(body);

    while (len > CLM_FRAME_BODY_MAX) {
        if (!send_frame(fd, CLM_FRAME_PART, body, CLM_FRAME_BODY_MAX)) {
            return false;
        }
        body += CLM_FRAME_BODY_MAX;
        len -= CLM_FRAME_BODY_MAX;
    }
    return send_frame(fd, CLM_FRAME_REPLY, body, len);
}

/* Returns false to hang up. */
static bool say(int fd, const struct stage_answer *answer)
{
    for (size_t i = 0; answer->events != NULL && answer->events[i] != NULL; i++) {
        if (!send_frame(fd, CLM_FRAME_EVENT, answer->events[i], strlen(answer->events[i]))) {
            return false;
        }
    }
    if (answer->reply != NULL) {
        return send_reply(fd, answer->reply);
    }
    return answer->fail != NULL &&
           send_frame(fd, CLM_FRAME_FAIL, answer->fail, strlen(answer->fail));
}

static bool answer_one(int fd, const char *ask, const struct stage_answer *answers)
{
    for (const struct stage_answer *at = answers; at->ask != NULL; at++) {
        if (strcmp(at->ask, ask) == 0) {
            return say(fd, at);
        }
    }
    return strcmp(ask, "hello") == 0 && send_reply(fd, "{\"v\":1,\"version\":\"0.1.0\"}");
}

/* "agent:" and the method of a request to the agent. */
static void read_method(const struct clm_buf *body, char *dst, size_t size)
{
    struct clm_json *root = NULL;
    const char *method = NULL;

    if (clm_json_parse((const char *)body->data, body->len, CLM_FRAME_BODY_MAX, &root, NULL) ==
        CLM_OK) {
        method = clm_json_text(clm_json_get(root, "method"));
    }
    (void)snprintf(dst, size, "agent:%s", method != NULL ? method : "?");
    clm_json_free(root);
}

static void talk(int fd, bool is_agent, const struct stage_answer *answers)
{
    struct clm_buf body = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head;
    bool goes_on = true;

    while (goes_on && clm_frame_recv(fd, 20000, 5000, &head, &body, NULL) == CLM_OK &&
           head.kind == CLM_FRAME_REQUEST) {
        char ask[64];

        if (is_agent) {
            read_method(&body, ask, sizeof(ask));
        } else {
            (void)snprintf(ask, sizeof(ask), "%s", clm_op_name(head.op));
        }
        goes_on = answer_one(fd, ask, answers);
    }
    clm_buf_done(&body);
    (void)close(fd);
}

static _Noreturn void play(struct pollfd fds[2], const struct stage_answer *answers)
{
    for (;;) {
        (void)poll(fds, 2, -1);
        for (size_t i = 0; i < 2; i++) {
            if ((fds[i].revents & POLLIN) != 0) {
                talk(accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC), i == 1, answers);
            }
        }
    }
}

static int listen_at(const struct stage *s, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", s->dir, name);
    (void)unlink(addr.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(chmod(addr.sun_path, 0666), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void stop_players(struct stage *s)
{
    char path[sizeof(s->dir) + 16];

    if (s->players != 0) {
        (void)kill(s->players, SIGKILL);
        (void)waitpid(s->players, NULL, 0);
        s->players = 0;
    }
    (void)snprintf(path, sizeof(path), "%s/status.sock", s->dir);
    (void)unlink(path);
}

void stage_play(struct stage *s, const struct stage_answer *answers)
{
    struct pollfd fds[2] = {{.fd = -1, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    bool has_agent = false;

    stop_players(s);
    for (const struct stage_answer *at = answers; at->ask != NULL; at++) {
        has_agent = has_agent || strncmp(at->ask, "agent:", 6) == 0;
    }
    fds[0].fd = listen_at(s, "host.sock");
    fds[1].fd = has_agent ? listen_at(s, "status.sock") : -1;
    s->players = fork();
    assert_true(s->players >= 0);
    if (s->players == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        play(fds, answers);
    }
    (void)close(fds[0].fd);
    if (has_agent) {
        (void)close(fds[1].fd);
    }
}

/* ---- the stage ---- */

void stage_open(struct stage *s, const char *more)
{
    char path[sizeof(s->dir) + 16];
    FILE *file;

    memset(s, 0, sizeof(*s));
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/clm-main-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(chmod(s->dir, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/clmbot.yaml", s->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "run_dir: %s\n%s", s->dir, more);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

void stage_close(struct stage *s)
{
    const char *const argv[] = {"/bin/rm", "-rf", s->dir, NULL};
    const struct clm_proc rm = {.argv = argv, .timeout_ms = 10000};
    int status = -1;

    stop_players(s);
    assert_int_equal(clm_proc_run(&rm, &status, NULL, NULL), CLM_OK);
    assert_int_equal(status, 0);
}

/* The slave's side of a new terminal; the master is s->tty. */
static int open_tty(struct stage *s)
{
    s->tty = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(s->tty >= 0);
    assert_int_equal(grantpt(s->tty), 0);
    assert_int_equal(unlockpt(s->tty), 0);
    return open(ptsname(s->tty), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int open_file(const struct stage *s, const char *name)
{
    char path[sizeof(s->dir) + 16];

    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void put_in_place(int from, int to, int *out_saved)
{
    assert_true(from >= 0);
    *out_saved = dup(to);
    assert_int_equal(dup2(from, to), to);
    (void)close(from);
}

void stage_redirect(struct stage *s)
{
    (void)fflush(stdout);
    (void)fflush(stderr);
    put_in_place(s->out_to != NULL ? open(s->out_to, O_WRONLY | O_CLOEXEC) : open_file(s, "out"),
                 STDOUT_FILENO, &s->saved[0]);
    put_in_place(s->is_tty ? open_tty(s) : open_file(s, "err"), STDERR_FILENO, &s->saved[1]);
}

/* What was written through fd, from the beginning. */
static void read_back(int fd, bool is_file, char *dst, size_t size)
{
    size_t len = 0;
    ssize_t n;

    if (is_file) {
        (void)lseek(fd, 0, SEEK_SET);
    }
    while (len + 1 < size && (n = read(fd, dst + len, size - 1 - len)) > 0) {
        len += (size_t)n;
    }
    dst[len] = '\0';
}

void stage_restore(struct stage *s)
{
    (void)fflush(stdout);
    clearerr(stdout);
    s->out[0] = '\0';
    if (s->out_to == NULL) {
        read_back(STDOUT_FILENO, true, s->out, sizeof(s->out));
    }
    read_back(s->is_tty ? s->tty : STDERR_FILENO, !s->is_tty, s->err, sizeof(s->err));
    if (s->is_tty) {
        (void)close(s->tty);
    }
    assert_int_equal(dup2(s->saved[0], STDOUT_FILENO), STDOUT_FILENO);
    assert_int_equal(dup2(s->saved[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(s->saved[0]);
    (void)close(s->saved[1]);
}

int stage_command(const struct stage *s, const char *line)
{
    char words[LINE_SIZE];
    char config[sizeof(s->dir) + 32];
    char *argv[WORDS_MAX + 3] = {NULL};
    char program[] = "clmbot";
    char *rest = words;
    int argc = 0;

    (void)snprintf(words, sizeof(words), "%s", line);
    (void)snprintf(config, sizeof(config), "--config=%s/clmbot.yaml", s->dir);
    argv[argc++] = program;
    for (char *word = strtok_r(words, " ", &rest); word != NULL && argc < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    argv[argc++] = config;
    return clm_cli_main(&clm_cmd_app, argc, argv, NULL);
}

int stage_run(struct stage *s, const char *line)
{
    int status;

    stage_redirect(s);
    status = stage_command(s, line);
    stage_restore(s);
    return status;
}

void stage_has(const char *text, const char *piece)
{
    if (strstr(text, piece) == NULL) {
        fail_msg("no '%s' in:\n%s", piece, text);
    }
}

void stage_has_not(const char *text, const char *piece)
{
    if (strstr(text, piece) != NULL) {
        fail_msg("'%s' in:\n%s", piece, text);
    }
}

static void try_case(struct stage *s, const struct stage_case *c)
{
    const char *rest = s->out;
    int status;

    stage_play(s, c->answers);
    status = stage_run(s, c->line);
    if (status != c->status) {
        fail_msg("'%s': exit status %d, not %d\n%s%s", c->line, status, c->status, s->out, s->err);
    }
    for (size_t i = 0; i < STAGE_PIECES_MAX && c->out[i] != NULL; i++) {
        stage_has(rest, c->out[i]);
        rest = strstr(rest, c->out[i]) + strlen(c->out[i]);
    }
    if (c->out_not != NULL) {
        stage_has_not(s->out, c->out_not);
    }
    if (c->err != NULL) {
        stage_has(s->err, c->err);
    } else {
        assert_string_equal(s->err, "");
    }
}

void stage_try(struct stage *s, const struct stage_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        try_case(s, &cases[i]);
    }
}
