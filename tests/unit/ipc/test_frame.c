/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/ipc/fail.h"
#include "agent/ipc/frame.h"
#include "agent/ipc/guard.h"
#include "agent/ipc/ops.h"

static void pair_open(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void pair_close(const int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void every_operation_has_a_name_and_a_rule(void **state)
{
    (void)state;
    for (unsigned i = 1; i < CLM_OP__COUNT; i++) {
        const char *name = clm_op_name((enum clm_op)i);

        assert_string_not_equal(name, "none");
        assert_int_equal(clm_op_find(name), i);
        assert_int_equal(clm_op_needs_root((enum clm_op)i),
                         i >= CLM_OP_TRUST_PUT && i != CLM_OP_CERTS);
    }
    assert_int_equal(clm_op_find("none"), CLM_OP_NONE);
    assert_int_equal(clm_op_find("SCAN"), CLM_OP_NONE);
    assert_true(clm_op_needs_root(CLM_OP_NONE));
    assert_true(clm_op_needs_root((enum clm_op)CLM_OP__COUNT));
    assert_string_equal(clm_op_name((enum clm_op)200), "none");
}

static void head_survives_encoding(void **state)
{
    (void)state;
    for (unsigned kind = 1; kind < CLM_FRAME__COUNT; kind++) {
        struct clm_frame_head in = {.body_len = 65536, .kind = (enum clm_frame_kind)kind};
        struct clm_frame_head out = {0};
        uint8_t bytes[CLM_FRAME_HEAD_SIZE];

        if (kind == CLM_FRAME_REQUEST) {
            in.op = CLM_OP_LOCAL_VERIFY;
        }
        clm_frame_head_encode(&in, bytes);
        assert_int_equal(clm_frame_head_decode(bytes, &out, NULL), CLM_OK);
        assert_int_equal(out.body_len, in.body_len);
        assert_int_equal(out.kind, in.kind);
        assert_int_equal(out.op, in.op);
    }
}

static void kinds_have_names_and_others_have_not(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < CLM_FRAME__COUNT; kind++) {
        assert_string_not_equal(clm_frame_kind_name((enum clm_frame_kind)kind), "unknown");
    }
    assert_string_equal(clm_frame_kind_name(CLM_FRAME__COUNT), "unknown");
}

static void malformed_heads_are_refused(void **state)
{
    static const struct {
        uint8_t bytes[CLM_FRAME_HEAD_SIZE];
        enum clm_code code;
        const char *why;
    } rows[] = {
        {{2, 0, 0, 0, 0, 0, 0, 0}, CLM_E_PARSE, "kind 0"},
        {{2, 0, 0, 0, 8, 0, 0, 0}, CLM_E_PARSE, "kind beyond the last"},
        {{2, 0, 0, 0, 255, 0, 0, 0}, CLM_E_PARSE, "kind 255"},
        {{2, 0, 0, 0, 1, 0, 0, 0}, CLM_E_PARSE, "request without operation"},
        {{2, 0, 0, 0, 1, CLM_OP__COUNT, 0, 0}, CLM_E_PARSE, "request for an unknown operation"},
        {{2, 0, 0, 0, 1, 255, 0, 0}, CLM_E_PARSE, "request for operation 255"},
        {{2, 0, 0, 0, 6, 2, 0, 0}, CLM_E_PARSE, "reply that names an operation"},
        {{2, 0, 0, 0, 4, 1, 0, 0}, CLM_E_PARSE, "answer that names an operation"},
        {{2, 0, 0, 0, 1, 1, 1, 0}, CLM_E_PARSE, "byte 6 not zero"},
        {{2, 0, 0, 0, 1, 1, 0, 1}, CLM_E_PARSE, "byte 7 not zero"},
        {{0, 0, 0, 0, 1, 1, 0, 0}, CLM_E_PARSE, "no body"},
        {{1, 0, 1, 0, 1, 1, 0, 0}, CLM_E_LIMIT, "65,537 bytes"},
        {{0, 0, 0, 1, 1, 1, 0, 0}, CLM_E_LIMIT, "16 MiB"},
        {{255, 255, 255, 255, 1, 1, 0, 0}, CLM_E_LIMIT, "4 GiB - 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clm_frame_head head = {.kind = CLM_FRAME_END};
        struct clm_err err = {0};

        if (clm_frame_head_decode(rows[i].bytes, &head, &err) != rows[i].code) {
            fail_msg("row %zu (%s): %s", i, rows[i].why, err.msg);
        }
        assert_int_equal(head.kind, CLM_FRAME_END);
    }
}

static void frame_split_at_every_byte_arrives_whole(void **state)
{
    static const char body[] = "{\"v\":1}";
    uint8_t bytes[CLM_FRAME_HEAD_SIZE + sizeof(body) - 1];
    struct clm_frame_head head = {
        .body_len = sizeof(body) - 1, .kind = CLM_FRAME_REQUEST, .op = CLM_OP_HELLO};

    (void)state;
    clm_frame_head_encode(&head, bytes);
    memcpy(bytes + CLM_FRAME_HEAD_SIZE, body, sizeof(body) - 1);
    for (size_t cut = 1; cut < sizeof(bytes); cut++) {
        struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
        struct clm_frame_head out = {0};
        int pair[2];

        pair_open(pair);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)send(pair[1], bytes, cut, 0);
            clm_clock_sleep_ms(2); /* the reader wakes up for the first piece alone */
            (void)send(pair[1], bytes + cut, sizeof(bytes) - cut, 0);
            _exit(0);
        }
        assert_int_equal(clm_frame_recv(pair[0], 5000, 5000, &out, &text, NULL), CLM_OK);
        assert_int_equal(out.kind, CLM_FRAME_REQUEST);
        assert_int_equal(out.op, CLM_OP_HELLO);
        assert_string_equal(clm_buf_str(&text), body);
        clm_buf_done(&text);
        pair_close(pair);
    }
}

static void frame_cut_off_at_every_byte_is_no_frame(void **state)
{
    static const char body[] = "{\"v\":1}";
    uint8_t bytes[CLM_FRAME_HEAD_SIZE + sizeof(body) - 1];
    struct clm_frame_head head = {.body_len = sizeof(body) - 1, .kind = CLM_FRAME_REPLY};

    (void)state;
    clm_frame_head_encode(&head, bytes);
    memcpy(bytes + CLM_FRAME_HEAD_SIZE, body, sizeof(body) - 1);
    for (size_t cut = 0; cut < sizeof(bytes); cut++) {
        struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
        struct clm_frame_head out = {.kind = CLM_FRAME_REPLY};
        int pair[2];

        pair_open(pair);
        assert_int_equal(send(pair[1], bytes, cut, 0), cut);
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
        enum clm_code code = clm_frame_recv(pair[0], 5000, 5000, &out, &text, NULL);
        if (cut == 0) {
            assert_int_equal(code, CLM_OK);
            assert_int_equal(out.kind, CLM_FRAME_END);
        } else {
            assert_int_equal(code, CLM_E_NET);
        }
        clm_buf_done(&text);
        pair_close(pair);
    }
}

static void slow_frame_and_silence_run_into_the_limit(void **state)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head out = {0};
    int pair[2];

    (void)state;
    pair_open(pair);
    assert_int_equal(clm_frame_recv(pair[0], 10, 5000, &out, &text, NULL), CLM_E_TIMEOUT);
    assert_int_equal(send(pair[1], "\x02\0\0", 3, 0), 3);
    assert_int_equal(clm_frame_recv(pair[0], 5000, 10, &out, &text, NULL), CLM_E_TIMEOUT);
    clm_buf_done(&text);
    pair_close(pair);
}

static void reader_that_does_not_read_ends_the_sending(void **state)
{
    static char body[CLM_FRAME_BODY_MAX];
    struct clm_frame_head head = {.body_len = sizeof(body), .kind = CLM_FRAME_PART};
    enum clm_code code = CLM_OK;
    int pair[2];

    (void)state;
    pair_open(pair);
    for (int i = 0; i < 1000 && code == CLM_OK; i++) {
        code = clm_frame_send(pair[0], &head, body, 20, NULL);
    }
    assert_int_equal(code, CLM_E_TIMEOUT);
    (void)close(pair[1]);
    assert_int_equal(clm_frame_send(pair[0], &head, body, 20, NULL), CLM_E_NET);
    (void)close(pair[0]);
}

static void bodies_out_of_range_are_not_sent(void **state)
{
    static char body[CLM_FRAME_BODY_MAX + 1];
    struct clm_frame_head head = {.body_len = sizeof(body), .kind = CLM_FRAME_PART};
    char byte;
    int pair[2];

    (void)state;
    pair_open(pair);
    assert_int_equal(clm_frame_send(pair[0], &head, body, 100, NULL), CLM_E_LIMIT);
    head.body_len = 0;
    assert_int_equal(clm_frame_send(pair[0], &head, body, 100, NULL), CLM_E_INVAL);
    assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    pair_close(pair);
}

static void error_without_a_code_is_a_bug_of_ours(void **state)
{
    const struct clm_err none = {.code = CLM_OK};
    struct clm_fail fail;

    (void)state;
    clm_fail_from_err(&fail, "E_INTERNAL", &none, NULL);
    assert_int_equal(fail.code, CLM_E_BUG);
    assert_string_equal(fail.hint, "");
}

/* One byte of it would tell the client that a failure is a success. */
static void fails_of_another_shape_are_refused(void **state)
{
    static const char *const rows[] = {
        "{}",
        "{\"code\":1,\"problem\":\"p\",\"message\":\"m\"}",
        "{\"code\":\"io\",\"message\":\"m\"}",
        "{\"code\":\"io\",\"problem\":\"p\"}",
        "{\"code\":\"io\",\"problem\":\"p\",\"message\":\"m\",\"hint\":7}",
        "{\"code\":\"io\",\"problem\":\"p\",\"message\":\"m\",\"retryable\":\"yes\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clm_fail fail = {.code = CLM_E_LIMIT};
        struct clm_json *obj = NULL;

        assert_int_equal(clm_json_parse(rows[i], strlen(rows[i]), 1000, &obj, NULL), CLM_OK);
        if (clm_fail_from_json(obj, &fail, NULL) != CLM_E_PARSE || fail.code != CLM_E_LIMIT) {
            fail_msg("row %zu", i);
        }
        clm_json_free(obj);
    }
}

static void fail_survives_the_socket(void **state)
{
    struct clm_err err = {0};
    struct clm_fail in;
    struct clm_fail out = {0};

    (void)state;
    for (unsigned i = CLM_OK + 1; i < CLM_E__COUNT; i++) {
        struct clm_json *obj = clm_json_new_object();

        (void)clm_err_set(&err, (enum clm_code)i, "it is %s", "so");
        clm_fail_from_err(&in, "E_POLICY", &err, "change it");
        clm_fail_to_json(&in, obj);
        assert_int_equal(clm_fail_from_json(obj, &out, NULL), CLM_OK);
        assert_int_equal(out.code, i);
        assert_string_equal(out.problem, "E_POLICY");
        assert_string_equal(out.message, err.msg);
        assert_string_equal(out.hint, "change it");
        assert_int_equal(out.retryable, clm_code_is_transient((enum clm_code)i));
        clm_json_set_str(obj, "code", "from-a-later-version");
        assert_int_equal(clm_fail_from_json(obj, &out, NULL), CLM_OK);
        assert_int_equal(out.code, CLM_E_REMOTE);
        clm_json_set_str(obj, "code", "ok");
        assert_int_equal(clm_fail_from_json(obj, &out, NULL), CLM_OK);
        assert_int_equal(out.code, CLM_E_REMOTE);
        clm_json_remove(obj, "problem");
        assert_int_equal(clm_fail_from_json(obj, &out, NULL), CLM_E_PARSE);
        clm_json_free(obj);
    }
}

static void private_keys_are_seen_anywhere_in_a_text(void **state)
{
    static const char *const bad[] = {
        "-----BEGIN PRIVATE KEY-----",
        "{\"a\":\"-----BEGIN EC PRIVATE KEY-----\\nMHc\"}",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "x PRIVATE KEY",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(clm_guard_text(bad[i], strlen(bad[i]), NULL), CLM_E_BUG);
    }
    assert_int_equal(clm_guard_text("-----BEGIN PUBLIC KEY-----", 26, NULL), CLM_OK);
    assert_int_equal(clm_guard_text("a private network", 17, NULL), CLM_OK);
    assert_int_equal(clm_guard_text(NULL, 0, NULL), CLM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_a_name_and_a_rule),
        cmocka_unit_test(head_survives_encoding),
        cmocka_unit_test(kinds_have_names_and_others_have_not),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(frame_split_at_every_byte_arrives_whole),
        cmocka_unit_test(frame_cut_off_at_every_byte_is_no_frame),
        cmocka_unit_test(slow_frame_and_silence_run_into_the_limit),
        cmocka_unit_test(reader_that_does_not_read_ends_the_sending),
        cmocka_unit_test(bodies_out_of_range_are_not_sent),
        cmocka_unit_test(error_without_a_code_is_a_bug_of_ours),
        cmocka_unit_test(fails_of_another_shape_are_refused),
        cmocka_unit_test(fail_survives_the_socket),
        cmocka_unit_test(private_keys_are_seen_anywhere_in_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
