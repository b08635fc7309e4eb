/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/world.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/frame.h"
#include "agent/run/local_api.h"

struct fixture {
    struct home home;
    struct clm_local_api *api;
};

/* "echo" gives the params back, "long" more than one frame holds, "key" what must not get out. */
static enum clm_code answer(void *arg, const char *method, const struct clm_json *params,
                            struct clm_json *reply, struct clm_err *err)
{
    static char line[8001];

    (void)arg;
    if (strcmp(method, "echo") == 0) {
        clm_json_set_copy(reply, "params", params);
        return CLM_OK;
    }
    if (strcmp(method, "long") == 0) {
        struct clm_json *list = clm_json_set_array(reply, "list");

        memset(line, 'x', sizeof(line) - 1);
        for (int i = 0; i < 100; i++) {
            clm_json_add_str(list, line);
        }
        return CLM_OK;
    }
    if (strcmp(method, "key") == 0) {
        clm_json_set_str(reply, "k", "-----BEGIN PRIVATE KEY-----");
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_INVAL, "no method '%s'", method);
}

static int setup(void **state)
{
    static struct fixture f;

    home_open(&f.home);
    assert_int_equal(clm_local_api_open(f.home.dir, "", answer, &f, &f.api, NULL), CLM_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    clm_local_api_close(f->api);
    home_close(&f->home);
    return 0;
}

/* One turn of the main loop at that time. */
static void turn(struct fixture *f, int64_t now_ms, int wait_ms)
{
    struct pollfd fds[CLM_LOCAL_CLIENTS_MAX + 1];
    int64_t lowered_ms = wait_ms;
    size_t n = clm_local_api_poll(f->api, fds, now_ms, &lowered_ms);

    assert_true(poll(fds, (nfds_t)n, wait_ms) >= 0);
    clm_local_api_work(f->api, fds, n, now_ms);
}

/* Serves while a child asks; returns the child's exit status. */
static int serve_child(struct fixture *f, pid_t pid)
{
    int status = -1;

    for (int i = 0; i < 10000; i++) {
        turn(f, clm_clock_mono_ms(), 20);
        if (waitpid(pid, &status, WNOHANG) == pid) {
            assert_true(WIFEXITED(status));
            return WEXITSTATUS(status);
        }
    }
    fail_msg("the client never ended");
    return -1;
}

static int connect_raw(const struct fixture *f)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/status.sock", f->home.dir);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void answer_reaches_the_client(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct clm_json *params = clm_json_new_object();
        struct clm_json *reply = NULL;
        int64_t n = 0;

        clm_json_set_int(params, "n", 42);
        if (clm_status_request(f->home.dir, "echo", params, &reply, NULL) != CLM_OK ||
            clm_json_int(clm_json_get(reply, "params"), "n", 0, 100, &n, NULL) != CLM_OK) {
            _exit(1);
        }
        _exit(n == 42 ? 0 : 2);
    }
    assert_int_equal(serve_child(f, pid), 0);
}

static void long_answer_comes_in_parts(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct clm_json *reply = NULL;

        if (clm_status_request(f->home.dir, "long", NULL, &reply, NULL) != CLM_OK) {
            _exit(1);
        }
        _exit(clm_json_len(clm_json_get(reply, "list")) == 100 ? 0 : 2);
    }
    assert_int_equal(serve_child(f, pid), 0);
}

static void errors_reach_the_client_and_keys_do_not(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct clm_json *reply = NULL;
        struct clm_err err = {0};

        if (clm_status_request(f->home.dir, "nonsense", NULL, &reply, &err) != CLM_E_INVAL ||
            strstr(err.msg, "no method 'nonsense'") == NULL) {
            _exit(1);
        }
        _exit(clm_status_request(f->home.dir, "key", NULL, &reply, &err) == CLM_E_BUG ? 0 : 2);
    }
    assert_int_equal(serve_child(f, pid), 0);
}

static void absent_agent_is_told_from_a_refusal(void **state)
{
    struct fixture *f = *state;
    struct clm_json *reply = NULL;
    struct clm_err err = {0};

    clm_local_api_close(f->api);
    f->api = NULL;
    assert_int_equal(clm_status_request(f->home.dir, "status", NULL, &reply, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "does not run"));
    /* Nobody listens at what a crash left. */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/status.sock", f->home.dir);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    (void)close(fd);
    assert_int_equal(clm_status_request(f->home.dir, "status", NULL, &reply, &err), CLM_E_NET);
    assert_non_null(strstr(err.msg, "does not run"));
}

static void path_that_is_too_long_for_a_socket_is_told(void **state)
{
    static const size_t lengths[] = {120, 300}; /* for a socket, for anybody */
    struct fixture *f = *state;
    struct clm_local_api *other = NULL;
    struct clm_json *reply = NULL;
    char dir[512];

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct clm_err err = {0};

        memset(dir, '/', lengths[i]);
        dir[lengths[i]] = '\0';
        assert_int_equal(clm_local_api_open(dir, "", answer, f, &other, &err), CLM_E_LIMIT);
        assert_int_equal(clm_status_request(dir, "status", NULL, &reply, &err), CLM_E_LIMIT);
        assert_null(strstr(err.msg, "does not run"));
    }
    assert_null(other);
}

static void main_loop_wakes_for_the_client_that_has_to_hurry(void **state)
{
    struct fixture *f = *state;
    struct pollfd fds[CLM_LOCAL_CLIENTS_MAX + 1];
    int64_t now_ms = clm_clock_mono_ms();
    int64_t waits_ms[] = {-1, 10, CLM_LOCAL_TIME_MS + 1};
    static const int64_t expected_ms[] = {CLM_LOCAL_TIME_MS, 10, CLM_LOCAL_TIME_MS};
    int fd = connect_raw(f);

    turn(f, now_ms, 100);
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        assert_int_equal(clm_local_api_poll(f->api, fds, now_ms, &waits_ms[i]), 2);
        assert_int_equal(waits_ms[i], expected_ms[i]);
    }
    (void)close(fd);
}

static void socket_is_for_owner_and_group_only(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    struct clm_local_api *again = NULL;
    struct clm_err err = {0};

    (void)snprintf(path, sizeof(path), "%s/status.sock", f->home.dir);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    /* A socket that a crash left is replaced. */
    assert_int_equal(clm_local_api_open(f->home.dir, "", answer, f, &again, NULL), CLM_OK);
    clm_local_api_close(again);
    const struct group *own = getgrgid(getegid());
    assert_non_null(own);
    assert_int_equal(clm_local_api_open(f->home.dir, own->gr_name, answer, f, &again, NULL),
                     CLM_OK);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_gid, getegid());
    assert_int_equal(st.st_mode & 07777, 0660);
    clm_local_api_close(again);
    assert_int_equal(clm_local_api_open(f->home.dir, "no-such-group-here", answer, f, &again, &err),
                     CLM_E_CONFIG);
}

static void rule_breakers_are_closed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } rows[] = {
#define ROW(text, why) {text, sizeof(text) - 1, why}
        ROW("GET / HTTP/1.1\r\n\r\n", "another protocol"),
        ROW("\x02\0\0\0\x06\0\0\0{}", "a reply"),
        ROW("\x02\0\0\0\x01\x08\0\0{}", "an operation of the host half"),
        ROW("\x01\0\x01\0\x01\x0c\0\0", "too long"),
        ROW("\x02\0\0\0\x01\x0c\0\0{}{}", "more than one request"),
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = connect_raw(f);
        char byte;

        assert_int_equal(send(fd, rows[i].bytes, rows[i].len, 0), (ssize_t)rows[i].len);
        turn(f, clm_clock_mono_ms(), 100);
        turn(f, clm_clock_mono_ms(), 100);
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n > 0 || (n < 0 && errno == EAGAIN)) {
            fail_msg("row %zu (%s) was answered or is open", i, rows[i].why);
        }
        (void)close(fd);
    }
}

static void malformed_request_gets_a_fail(void **state)
{
    static const char *const bodies[] = {"{}", "[]", "{\"method\":7}", "{\"method\":\"echo\""};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct clm_frame_head head = {.body_len = (uint32_t)strlen(bodies[i]),
                                      .kind = CLM_FRAME_REQUEST,
                                      .op = CLM_OP_STATUS};
        struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
        int fd = connect_raw(f);

        assert_int_equal(clm_frame_send(fd, &head, bodies[i], 1000, NULL), CLM_OK);
        for (int k = 0; k < 3; k++) {
            turn(f, clm_clock_mono_ms(), 100);
        }
        assert_int_equal(clm_frame_recv(fd, 1000, 1000, &head, &text, NULL), CLM_OK);
        assert_int_equal(head.kind, CLM_FRAME_FAIL);
        clm_buf_done(&text);
        (void)close(fd);
    }
}

static void slow_clients_lose_their_place(void **state)
{
    struct fixture *f = *state;
    int fds[CLM_LOCAL_CLIENTS_MAX + 4];
    int64_t now_ms = clm_clock_mono_ms();
    char byte;

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        fds[i] = connect_raw(f);
        turn(f, now_ms, 0); /* eight are taken, four wait in the kernel */
    }
    turn(f, now_ms + CLM_LOCAL_TIME_MS - 1, 0);
    assert_int_equal(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1);
    turn(f, now_ms + CLM_LOCAL_TIME_MS, 0);
    assert_int_equal(recv(fds[0], &byte, 1, MSG_DONTWAIT), 0);
    turn(f, now_ms + CLM_LOCAL_TIME_MS, 100);
    assert_int_equal(recv(fds[CLM_LOCAL_CLIENTS_MAX], &byte, 1, MSG_DONTWAIT), -1);
    turn(f, now_ms + 2 * CLM_LOCAL_TIME_MS, 0);
    assert_int_equal(recv(fds[CLM_LOCAL_CLIENTS_MAX], &byte, 1, MSG_DONTWAIT), 0);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        (void)close(fds[i]);
    }
}

static void request_byte_by_byte_is_answered(void **state)
{
    static const char body[] = "{\"method\":\"echo\",\"params\":{}}";
    struct clm_frame_head head = {
        .body_len = sizeof(body) - 1, .kind = CLM_FRAME_REQUEST, .op = CLM_OP_STATUS};
    uint8_t bytes[CLM_FRAME_HEAD_SIZE + sizeof(body) - 1];
    struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct fixture *f = *state;
    int fd = connect_raw(f);

    clm_frame_head_encode(&head, bytes);
    memcpy(bytes + CLM_FRAME_HEAD_SIZE, body, sizeof(body) - 1);
    turn(f, clm_clock_mono_ms(), 100);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(send(fd, bytes + i, 1, 0), 1);
        turn(f, clm_clock_mono_ms(), 100);
    }
    turn(f, clm_clock_mono_ms(), 100);
    assert_int_equal(clm_frame_recv(fd, 1000, 1000, &head, &text, NULL), CLM_OK);
    assert_int_equal(head.kind, CLM_FRAME_REPLY);
    assert_string_equal(clm_buf_str(&text), "{\"params\":{}}");
    clm_buf_done(&text);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(answer_reaches_the_client),
        WITH(long_answer_comes_in_parts),
        WITH(errors_reach_the_client_and_keys_do_not),
        WITH(absent_agent_is_told_from_a_refusal),
        WITH(path_that_is_too_long_for_a_socket_is_told),
        WITH(main_loop_wakes_for_the_client_that_has_to_hurry),
        WITH(socket_is_for_owner_and_group_only),
        WITH(rule_breakers_are_closed),
        WITH(malformed_request_gets_a_fail),
        WITH(slow_clients_lose_their_place),
        WITH(request_byte_by_byte_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
