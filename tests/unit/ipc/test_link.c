/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ipc/peer.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/link.h"
#include "agent/ipc/spawn.h"

struct world {
    struct clm_link *link;
    int peer;
    int events;
    int probes;
    char last_event[64];
};

static int world_open(void **state)
{
    static struct world w;
    int pair[2];

    w = (struct world){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(clm_link_from_fd_take(pair[0], &w.link, NULL), CLM_OK);
    w.peer = pair[1];
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    clm_link_free(w->link);
    (void)close(w->peer);
    return 0;
}

static void note_event(void *arg, const struct clm_json *event)
{
    struct world *w = arg;
    const char *kind = clm_json_text(clm_json_get(event, "kind"));

    w->events++;
    (void)snprintf(w->last_event, sizeof(w->last_event), "%s", kind == NULL ? "?" : kind);
}

static void make_probe(void *arg, const struct clm_endpoint *endpoint, struct clm_observation *out)
{
    struct world *w = arg;

    w->probes++;
    *out = (struct clm_observation){.result = CLM_PROBE_REFUSED};
    (void)snprintf(out->detail, sizeof(out->detail), "port %u", endpoint->port);
}

/* The frames are in the socket before the call is made: the buffers of a socket pair hold them. */
static enum clm_code call(struct world *w, struct clm_json **out_reply, struct clm_fail *out_fail,
                          struct clm_err *err)
{
    const struct clm_link_handlers handlers = {
        .on_event = note_event, .on_probe = make_probe, .arg = w};

    clm_link_set_handlers(w->link, &handlers);
    clm_link_set_silence(w->link, 200);
    return clm_link_call(w->link, CLM_OP_STATUS, NULL, out_reply, out_fail, err);
}

static void request_is_sent_and_reply_returned(void **state)
{
    struct world *w = *state;
    struct clm_json *reply = NULL;
    struct clm_fail why = {.code = CLM_E_BUG};
    char text[64];

    put(w->peer, CLM_FRAME_REPLY, 0, "{\"agent_id\":\"x\"}");
    assert_int_equal(call(w, &reply, &why, NULL), CLM_OK);
    assert_int_equal(why.code, CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(reply, "agent_id")), "x");
    assert_int_equal(get(w->peer, text, sizeof(text)), CLM_FRAME_REQUEST);
    assert_string_equal(text, "{}");
    clm_json_free(reply);
}

static void events_and_probe_calls_go_to_the_handlers(void **state)
{
    struct world *w = *state;
    char text[2048];

    put(w->peer, CLM_FRAME_EVENT, 0, "{\"kind\":\"phase\",\"phase\":\"stage\"}");
    put(w->peer, CLM_FRAME_CALL, 0,
        "{\"probe\":{\"addr\":\"127.0.0.1\",\"port\":8443,\"sni\":\"a.example\","
        "\"timeout_ms\":1000}}");
    put(w->peer, CLM_FRAME_EVENT, 0, "{\"kind\":\"log\"}");
    put(w->peer, CLM_FRAME_REPLY, 0, "{}");
    assert_int_equal(call(w, NULL, NULL, NULL), CLM_OK);
    assert_int_equal(w->events, 2);
    assert_string_equal(w->last_event, "log");
    assert_int_equal(w->probes, 1);
    assert_int_equal(get(w->peer, text, sizeof(text)), CLM_FRAME_REQUEST);
    assert_int_equal(get(w->peer, text, sizeof(text)), CLM_FRAME_ANSWER);
    assert_non_null(strstr(text, "refused"));
    assert_non_null(strstr(text, "port 8443"));
}

static void fail_becomes_its_code_message_and_hint(void **state)
{
    struct world *w = *state;
    struct clm_fail why = {0};
    struct clm_err err = {0};

    put(w->peer, CLM_FRAME_FAIL, 0,
        "{\"code\":\"permission\",\"problem\":\"E_POLICY\",\"message\":\"not allowed\","
        "\"hint\":\"add it\",\"retryable\":false}");
    assert_int_equal(call(w, NULL, &why, &err), CLM_E_PERM);
    assert_string_equal(err.msg, "not allowed");
    assert_string_equal(why.problem, "E_POLICY");
    assert_string_equal(why.hint, "add it");
    /* A fail is an answer: the link goes on. */
    put(w->peer, CLM_FRAME_REPLY, 0, "{}");
    assert_int_equal(call(w, NULL, &why, &err), CLM_OK);
}

static void reply_in_parts_is_joined(void **state)
{
    struct world *w = *state;
    struct clm_json *reply = NULL;

    put(w->peer, CLM_FRAME_PART, 0, "{\"a\":");
    put(w->peer, CLM_FRAME_PART, 0, "[1,2");
    put(w->peer, CLM_FRAME_REPLY, 0, ",3]}");
    assert_int_equal(call(w, &reply, NULL, NULL), CLM_OK);
    assert_int_equal(clm_json_len(clm_json_get(reply, "a")), 3);
    clm_json_free(reply);
}

static void broken_conversations_break_the_link(void **state)
{
    static const struct {
        unsigned kinds[3];
        const char *bodies[3];
        enum clm_code code;
        const char *why;
    } rows[] = {
        {{CLM_FRAME_REPLY}, {"[]"}, CLM_E_PARSE, "reply that is no object"},
        {{CLM_FRAME_REPLY}, {"{"}, CLM_E_PARSE, "reply that is no JSON"},
        {{CLM_FRAME_REPLY}, {"{} x"}, CLM_E_PARSE, "trailing bytes"},
        {{CLM_FRAME_REPLY}, {"{\"a\":1,\"a\":2}"}, CLM_E_PARSE, "duplicate key"},
        {{CLM_FRAME_ANSWER}, {"{}"}, CLM_E_PARSE, "answer in the wrong direction"},
        {{CLM_FRAME_EVENT, CLM_FRAME_REPLY}, {"7", "{}"}, CLM_E_PARSE, "event is no object"},
        {{CLM_FRAME_CALL, CLM_FRAME_REPLY}, {"{}", "{}"}, CLM_E_PARSE, "call without a probe"},
        {{CLM_FRAME_CALL, CLM_FRAME_REPLY},
         {"{\"probe\":{\"addr\":7}}", "{}"},
         CLM_E_PARSE,
         "call for no endpoint"},
        {{CLM_FRAME_PART, CLM_FRAME_EVENT}, {"{", "{}"}, CLM_E_PARSE, "event between parts"},
        {{CLM_FRAME_PART, CLM_FRAME_FAIL}, {"{", "{}"}, CLM_E_PARSE, "fail between parts"},
        {{CLM_FRAME_FAIL}, {"{}"}, CLM_E_PARSE, "fail without members"},
        {{CLM_FRAME_PART}, {"{"}, CLM_E_TIMEOUT, "the rest never comes"},
        {{CLM_FRAME_REPLY},
         {"{\"k\":\"-----BEGIN PRIVATE KEY-----\"}"},
         CLM_E_BUG,
         "a private key"},
        {{CLM_FRAME_PART, CLM_FRAME_REPLY},
         {"{\"k\":\"-----BEGIN PRIV", "ATE KEY-----\"}"},
         CLM_E_BUG,
         "a private key across two parts"},
        {{CLM_FRAME_EVENT, CLM_FRAME_REPLY},
         {"{\"msg\":\"-----BEGIN EC PRIVATE KEY-----\"}", "{}"},
         CLM_E_BUG,
         "a private key in an event"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = *state;
        struct clm_err err = {0};

        for (size_t k = 0; k < 3 && rows[i].kinds[k] != 0; k++) {
            put(w->peer, rows[i].kinds[k], 0, rows[i].bodies[k]);
        }
        if (call(w, NULL, NULL, &err) != rows[i].code) {
            fail_msg("row %zu (%s): %d %s", i, rows[i].why, err.code, err.msg);
        }
        put(w->peer, CLM_FRAME_REPLY, 0, "{}");
        assert_int_equal(call(w, NULL, NULL, &err), CLM_E_NET);
        assert_int_equal(world_close(state), 0);
        assert_int_equal(world_open(state), 0);
    }
}

static void keys_and_other_bodies_are_not_taken(void **state)
{
    static const struct {
        unsigned kind;
        const char *body;
        enum clm_code code;
    } rows[] = {
        {CLM_FRAME_REPLY, "{\"a\":\"-----BEGIN PRIVATE KEY-----\"}", CLM_E_BUG},
        {CLM_FRAME_EVENT, "{\"a\":\"-----BEGIN PRIVATE KEY-----\"}", CLM_E_BUG},
        {CLM_FRAME_EVENT, "[]", CLM_E_PARSE},
        {CLM_FRAME_FAIL, "[]", CLM_E_PARSE},
        {CLM_FRAME_FAIL, "{", CLM_E_PARSE},
        {CLM_FRAME_REPLY, "7", CLM_E_PARSE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = *state;
        struct clm_json *reply = NULL;

        put(w->peer, rows[i].kind, 0, rows[i].body);
        clm_link_set_handlers(w->link, NULL);
        clm_link_set_silence(w->link, 200);
        if (clm_link_call(w->link, CLM_OP_STATUS, NULL, &reply, NULL, NULL) != rows[i].code) {
            fail_msg("row %zu", i);
        }
        assert_null(reply);
        clm_link_rest(w->link); /* one that cannot be connected again stays broken */
        assert_int_equal(clm_link_call(w->link, CLM_OP_STATUS, NULL, NULL, NULL, NULL), CLM_E_NET);
        assert_int_equal(world_close(state), 0);
        assert_int_equal(world_open(state), 0);
    }
    clm_link_free(NULL);
}

static void fail_is_told_to_those_who_do_not_ask_for_it(void **state)
{
    struct world *w = *state;
    struct clm_err err = {0};

    put(w->peer, CLM_FRAME_FAIL, 0,
        "{\"code\":\"limit\",\"problem\":\"E_LIMIT\",\"message\":\"too much\"}");
    assert_int_equal(call(w, NULL, NULL, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "too much");
}

struct stop {
    int asked;
    int told_at; /* the how-manieth time it is told */
};

static bool is_told_to_stop(void *arg)
{
    struct stop *stop = arg;

    return ++stop->asked >= stop->told_at;
}

/* What a worker asks while systemd holds the host half back until the worker has ended. */
static void told_to_stop_it_does_not_wait_for_who_never_began(void **state)
{
    struct world *w = *state;
    struct stop stop = {.told_at = 3};
    struct clm_err err = {0};
    int64_t begun_ms = clm_clock_mono_ms();

    clm_link_set_stop(w->link, is_told_to_stop, &stop);
    assert_int_equal(clm_link_call(w->link, CLM_OP_STATUS, NULL, NULL, NULL, &err),
                     CLM_E_CANCELLED);
    assert_non_null(strstr(err.msg, "status: told to stop"));
    assert_true(clm_clock_mono_ms() - begun_ms >= CLM_LINK_STOP_MS);
    assert_int_equal(stop.asked, 3);
    assert_int_equal(clm_link_call(w->link, CLM_OP_STATUS, NULL, NULL, NULL, NULL), CLM_E_NET);
}

static void told_to_stop_it_hears_who_answers(void **state)
{
    struct world *w = *state;
    struct stop stop = {.told_at = 1};

    clm_link_set_stop(w->link, is_told_to_stop, &stop);
    put(w->peer, CLM_FRAME_REPLY, 0, "{}");
    assert_int_equal(call(w, NULL, NULL, NULL), CLM_OK);
    /* Who has begun is waited for as ever: here 200 ms. */
    put(w->peer, CLM_FRAME_EVENT, 0, "{\"kind\":\"phase\",\"phase\":\"stage\"}");
    assert_int_equal(call(w, NULL, NULL, NULL), CLM_E_TIMEOUT);
    assert_int_equal(w->events, 1);
    assert_int_equal(stop.asked, 0);
}

static void not_told_to_stop_it_waits_as_ever(void **state)
{
    struct world *w = *state;
    struct stop stop = {.told_at = INT_MAX};

    clm_link_set_stop(w->link, is_told_to_stop, &stop);
    assert_int_equal(call(w, NULL, NULL, NULL), CLM_E_TIMEOUT);
    assert_true(stop.asked > 0);
}

static void requests_from_the_host_half_are_refused(void **state)
{
    struct world *w = *state;

    put(w->peer, CLM_FRAME_REQUEST, CLM_OP_SCAN, "{}");
    assert_int_equal(call(w, NULL, NULL, NULL), CLM_E_PARSE);
}

static void end_without_reply_is_a_network_error(void **state)
{
    struct world *w = *state;
    struct clm_err err = {0};

    assert_int_equal(shutdown(w->peer, SHUT_WR), 0);
    assert_int_equal(call(w, NULL, NULL, &err), CLM_E_NET);
    assert_non_null(strstr(err.msg, "status: "));
}

static void reply_beyond_four_mebibytes_is_refused(void **state)
{
    struct world *w = *state;
    static char piece[CLM_FRAME_BODY_MAX];

    memset(piece, ' ', sizeof(piece) - 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 70; i++) {
            uint8_t head[8] = {0xff, 0xff, 0, 0, CLM_FRAME_PART, 0, 0, 0};

            if (send(w->peer, head, 8, MSG_NOSIGNAL) != 8 ||
                send(w->peer, piece, sizeof(piece) - 1, MSG_NOSIGNAL) !=
                    (ssize_t)sizeof(piece) - 1) {
                _exit(0);
            }
        }
        _exit(0);
    }
    assert_int_equal(call(w, NULL, NULL, NULL), CLM_E_LIMIT);
    assert_int_equal(kill(pid, SIGKILL), 0); /* it may wait for somebody to read the rest */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The last piece counts as well. */
static void reply_one_byte_too_long_is_refused(void **state)
{
    struct world *w = *state;
    struct clm_err err = {0};
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        static char piece[CLM_FRAME_BODY_MAX + 1];

        memset(piece, ' ', CLM_FRAME_BODY_MAX);
        for (unsigned i = 0; i < CLM_FRAME_JOINED_MAX / CLM_FRAME_BODY_MAX; i++) {
            put(w->peer, CLM_FRAME_PART, 0, piece);
        }
        put(w->peer, CLM_FRAME_REPLY, 0, "{}");
        _exit(0);
    }
    assert_int_equal(call(w, NULL, NULL, &err), CLM_E_LIMIT);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void connecting_tells_why_it_failed(void **state)
{
    struct clm_link *link = NULL;
    struct clm_err err = {0};
    char path[300];
    char dir[] = "/tmp/clm-link-XXXXXX";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/host.sock", dir);
    assert_int_equal(clm_link_connect(path, &link, &err), CLM_E_NOTFOUND);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/host.sock", dir);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(clm_link_connect(path, &link, &err), CLM_E_NET);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(clm_link_connect(path, &link, &err), CLM_OK);
    clm_link_free(link);
    (void)close(fd);
    (void)unlink(path);
    (void)rmdir(dir);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(clm_link_connect(path, &link, &err), CLM_E_LIMIT);
    assert_int_equal(clm_link_connect("", &link, &err), CLM_E_LIMIT);
}

static void serve_two(int listen_fd)
{
    char text[64];

    for (int i = 0; i < 2; i++) {
        int fd = accept(listen_fd, NULL, NULL);

        if (get(fd, text, sizeof(text)) != CLM_FRAME_REQUEST) {
            _exit(1);
        }
        put(fd, CLM_FRAME_REPLY, 0, i == 0 ? "{\"n\":1}" : "{\"n\":2}");
        if (get(fd, text, sizeof(text)) != CLM_FRAME_END) {
            _exit(2); /* it must be let go, not kept */
        }
        (void)close(fd);
    }
    _exit(0);
}

static void rested_link_lets_go_and_connects_again(void **state)
{
    char dir[] = "/tmp/clm-link-XXXXXX";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct clm_link *link = NULL;
    int status = -1;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 1), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        serve_two(fd);
    }
    assert_int_equal(clm_link_connect(addr.sun_path, &link, NULL), CLM_OK);
    for (int i = 1; i <= 2; i++) {
        struct clm_json *reply = NULL;
        int64_t n = 0;

        assert_int_equal(clm_link_call(link, CLM_OP_STATUS, NULL, &reply, NULL, NULL), CLM_OK);
        assert_int_equal(clm_json_int(reply, "n", 0, 9, &n, NULL), CLM_OK);
        assert_int_equal(n, i);
        clm_json_free(reply);
        clm_link_rest(link);
        clm_link_rest(link); /* it rests already */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(fd);
    (void)unlink(addr.sun_path);
    (void)rmdir(dir);
    assert_int_equal(clm_link_call(link, CLM_OP_STATUS, NULL, NULL, NULL, NULL), CLM_E_NOTFOUND);
    clm_link_free(link);
}

/* A script in place of clmbot: descriptor 3 is the connection, the arguments are as documented. */
static void spawned_host_half_gets_the_socket_and_the_arguments(void **state)
{
    char path[] = "/tmp/clm-spawn-XXXXXX";
    struct clm_link *link = NULL;
    struct clm_json *reply = NULL;
    static const char script[] =
        "#!/bin/sh\n"
        "[ \"$*\" = 'host --fd 3 --config /etc/x.yaml' ] || exit 9\n"
        "[ -e /proc/self/fd/4 ] && exit 8\n"
        "head -c 10 <&3 >/dev/null\n"
        "printf '\\015\\000\\000\\000\\006\\000\\000\\000{\"from\":\"it\"}' >&3\n";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, sizeof(script) - 1), (ssize_t)sizeof(script) - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    (void)close(fd);
    assert_int_equal(clm_link_spawn(path, "/etc/x.yaml", &link, NULL), CLM_OK);
    clm_link_set_silence(link, 5000);
    assert_int_equal(clm_link_call(link, CLM_OP_HELLO, NULL, &reply, NULL, NULL), CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(reply, "from")), "it");
    clm_json_free(reply);
    clm_link_rest(link); /* a child is not started again: it is kept */
    clm_link_free(link);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    (void)unlink(path);
    assert_int_equal(clm_link_spawn(path, NULL, &link, NULL), CLM_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)
        IN_WORLD(request_is_sent_and_reply_returned),
        IN_WORLD(events_and_probe_calls_go_to_the_handlers),
        IN_WORLD(fail_becomes_its_code_message_and_hint),
        IN_WORLD(reply_in_parts_is_joined),
        IN_WORLD(broken_conversations_break_the_link),
        IN_WORLD(keys_and_other_bodies_are_not_taken),
        IN_WORLD(fail_is_told_to_those_who_do_not_ask_for_it),
        IN_WORLD(told_to_stop_it_does_not_wait_for_who_never_began),
        IN_WORLD(told_to_stop_it_hears_who_answers),
        IN_WORLD(not_told_to_stop_it_waits_as_ever),
        IN_WORLD(requests_from_the_host_half_are_refused),
        IN_WORLD(end_without_reply_is_a_network_error),
        IN_WORLD(reply_beyond_four_mebibytes_is_refused),
        IN_WORLD(reply_one_byte_too_long_is_refused),
        cmocka_unit_test(connecting_tells_why_it_failed),
        cmocka_unit_test(rested_link_lets_go_and_connects_again),
        cmocka_unit_test(spawned_host_half_gets_the_socket_and_the_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
