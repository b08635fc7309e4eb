/* SPDX-License-Identifier: Apache-2.0 */
/* The key and its request; the certificate that comes back, good and wrong in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/unit/host/host_world.h"

#define SITE "nginx:www.example.com"
#define ORDER                                                                                      \
    "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"subject\":{\"CN\":"                  \
    "\"www.example.com\"},\"sans\":{\"dns\":[\"www.example.com\"]},\"key\":{\"type\":"             \
    "\"ec-p256\"},\"dcv\":{\"method\":\"http-01\"}}"

static int setup(void **state)
{
    *state = host_world_new();
    return 0;
}

static int teardown(void **state)
{
    host_world_free(*state);
    return 0;
}

static struct clm_json *body_of(const char *job_id)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_str(body, "job_id", job_id);
    return body;
}

static void ask_csr(struct host_world *world, const char *job_id, char sha256[65])
{
    struct clm_json *reply = NULL;

    assert_int_equal(host_world_ask(world, CLM_OP_CSR, body_of(job_id), &reply), CLM_OK);
    (void)snprintf(sha256, 65, "%s", clm_json_text(clm_json_get(reply, "csr_sha256")));
    clm_json_free(reply);
}

/* The private key that waits for the job, read from the store as the host half does. */
static struct clm_key *waiting_key(struct host_world *world, const char *job_id)
{
    struct clm_buf pem = CLM_BUF_SECRET_INIT(16384);
    struct clm_key *key = NULL;
    char path[PATH_MAX + 128];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/host/keys/key_%s/key.pem", world->state_dir,
                   job_id + strlen("job_"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(clm_fs_read(path, 16384, &pem, NULL), CLM_OK);
    assert_int_equal(clm_key_from_pem(pem.data, pem.len, &key, NULL), CLM_OK);
    clm_buf_done(&pem);
    return key;
}

static enum clm_code put_certificate(struct host_world *world, const char *job_id, const char *pem)
{
    struct clm_json *body = body_of(job_id);

    clm_json_set_str(body, "chain_pem", pem);
    return host_world_ask(world, CLM_OP_CERT_PUT, body, NULL);
}

static size_t bundles(struct host_world *world)
{
    char pattern[PATH_MAX + 32];
    glob_t found;
    size_t n;

    (void)snprintf(pattern, sizeof(pattern), "%s/host/bundles/*", world->state_dir);
    n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static void asking_twice_gives_the_same_key_also_after_a_crash(void **state)
{
    struct host_world *world = *state;
    char job_id[CLM_ID_SIZE];
    char first[65];
    char second[65];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    ask_csr(world, job_id, first);
    host_world_restart(world);
    ask_csr(world, job_id, second);
    assert_string_equal(first, second);
}

static void the_certificate_of_our_key_is_taken(void **state)
{
    struct host_world *world = *state;
    struct clm_test_leaf leaf = {.key = NULL};
    struct clm_key *key;
    char job_id[CLM_ID_SIZE];
    char sha256[65];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    ask_csr(world, job_id, sha256);
    key = waiting_key(world, job_id);
    clm_test_leaf_for_key(world->ca, "www.example.com", key, &leaf);
    if (put_certificate(world, job_id, clm_buf_str(&leaf.full_pem)) != CLM_OK) {
        fail_msg("%s", world->err.msg);
    }
    assert_int_equal(bundles(world), 1);
    assert_int_equal(put_certificate(world, job_id, clm_buf_str(&leaf.full_pem)), CLM_OK);
    assert_int_equal(bundles(world), 1);
    clm_test_leaf_done(&leaf);
    clm_key_free(key);
}

static void every_wrong_certificate_is_refused_with_its_reason(void **state)
{
    struct host_world *world = *state;
    static const struct {
        const char *names;
        const char *says;
        bool own_key;
    } cases[] = {
        {"www.example.com", "another key", false},
        {"other.example.com", "lacks the name", true},
        {"www.example.com,more.other.test", "'more.other.test' is not allowed", true},
    };
    struct clm_key *key;
    char job_id[CLM_ID_SIZE];
    char sha256[65];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    ask_csr(world, job_id, sha256);
    key = waiting_key(world, job_id);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_test_leaf leaf = {.key = NULL};

        if (cases[i].own_key) {
            clm_test_leaf_for_key(world->ca, cases[i].names, key, &leaf);
        } else {
            clm_test_leaf_make(world->ca, cases[i].names, CLM_TEST_GOOD, &leaf);
        }
        assert_int_not_equal(put_certificate(world, job_id, clm_buf_str(&leaf.full_pem)), CLM_OK);
        if (strstr(world->err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s", i, world->err.msg);
        }
        assert_int_equal(bundles(world), 0);
        clm_test_leaf_done(&leaf);
    }
    assert_int_not_equal(put_certificate(world, job_id, "<html>login</html>"), CLM_OK);
    assert_int_equal(bundles(world), 0);
    clm_key_free(key);
}

static void no_certificate_no_deployment(void **state)
{
    struct host_world *world = *state;
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];
    char spec[1024];

    (void)snprintf(spec, sizeof(spec), "%.*s,\"on_issue\":\"deploy\",\"deploy\":{}}",
                   (int)strlen(ORDER) - 1, ORDER);
    host_world_accept(world, "order", SITE, 1, spec, job_id);
    assert_int_equal(host_world_ask(world, CLM_OP_DEPLOY, body_of(job_id), &reply), CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(reply, "outcome")), "failed");
    assert_non_null(strstr(clm_json_text(clm_json_get(clm_json_get(reply, "error"), "message")),
                           "no certificate was received"));
    clm_json_free(reply);
}

static void a_job_of_another_type_makes_no_key(void **state)
{
    struct host_world *world = *state;
    char job_id[CLM_ID_SIZE];

    host_world_accept(world, "scan", "host", 1, "{\"scope\":\"full\"}", job_id);
    assert_int_not_equal(host_world_ask(world, CLM_OP_CSR, body_of(job_id), NULL), CLM_OK);
    assert_string_equal(world->fail.problem, "E_STATE");
    assert_int_not_equal(
        host_world_ask(world, CLM_OP_CSR, body_of("job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"), NULL), CLM_OK);
    assert_non_null(strstr(world->err.msg, "was not accepted here"));
}

static void no_reply_ever_holds_a_private_key(void **state)
{
    struct host_world *world = *state;
    struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    assert_int_equal(host_world_ask(world, CLM_OP_CSR, body_of(job_id), &reply), CLM_OK);
    assert_int_equal(clm_json_print(reply, false, &text, NULL), CLM_OK);
    assert_null(strstr(clm_buf_str(&text), "PRIVATE"));
    clm_buf_done(&text);
    clm_json_free(reply);
}

/* As the network half closes an order. */
static void close_order(struct host_world *world, const char *job_id, const char *outcome)
{
    struct clm_json *body = body_of(job_id);

    clm_json_set_str(clm_json_set_object(body, "result"), "outcome", outcome);
    assert_int_equal(host_world_ask(world, CLM_OP_CLOSE, body, NULL), CLM_OK);
}

static bool is_waiting(const struct host_world *world, const char *job_id)
{
    char path[PATH_MAX + 128];

    (void)snprintf(path, sizeof(path), "%s/host/keys/key_%s/key.pem", world->state_dir,
                   job_id + strlen("job_"));
    return clm_fs_exists(path) != 0;
}

static void the_key_of_an_order_that_came_to_nothing_goes(void **state)
{
    struct host_world *world = *state;
    struct clm_test_leaf leaf = {.key = NULL};
    struct clm_key *key;
    char jobs[4][CLM_ID_SIZE];
    char sha256[65];

    for (int64_t i = 0; i < 4; i++) {
        host_world_accept(world, "order", SITE, i + 1, ORDER, jobs[i]);
        ask_csr(world, jobs[i], sha256);
    }
    key = waiting_key(world, jobs[1]);
    clm_test_leaf_for_key(world->ca, "www.example.com", key, &leaf);
    assert_int_equal(put_certificate(world, jobs[1], clm_buf_str(&leaf.full_pem)), CLM_OK);
    close_order(world, jobs[0], "failed");
    assert_false(is_waiting(world, jobs[0]));
    close_order(world, jobs[1], "failed"); /* issued, and not deployed */
    assert_true(is_waiting(world, jobs[1]));
    assert_true(is_waiting(world, jobs[2])); /* not over */
    close_order(world, jobs[3], "canceled");
    assert_true(is_waiting(world, jobs[3])); /* the last request may be sent again */
    close_order(world, jobs[2], "failed");
    assert_false(is_waiting(world, jobs[2]));
    clm_test_leaf_done(&leaf);
    clm_key_free(key);
}

static void an_order_that_is_over_is_good_for_nothing(void **state)
{
    struct host_world *world = *state;
    char job_id[CLM_ID_SIZE];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    close_order(world, job_id, "failed");
    assert_int_not_equal(host_world_ask(world, CLM_OP_CSR, body_of(job_id), NULL), CLM_OK);
    assert_non_null(strstr(world->err.msg, "is over"));
    assert_false(is_waiting(world, job_id)); /* no key was made */
    assert_int_not_equal(put_certificate(world, job_id, "x"), CLM_OK);
    assert_non_null(strstr(world->err.msg, "is over"));
}

static void old_keys_go_when_the_host_half_starts(void **state)
{
    struct host_world *world = *state;
    const struct timespec times[2] = {{.tv_sec = world->now_s - 91 * 86400},
                                      {.tv_sec = world->now_s - 91 * 86400}};
    char path[PATH_MAX + 128];
    char job_id[CLM_ID_SIZE];
    char sha256[65];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    ask_csr(world, job_id, sha256);
    (void)snprintf(path, sizeof(path), "%s/host/keys/key_%s/key.pem", world->state_dir,
                   job_id + strlen("job_"));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    host_world_restart(world);
    assert_int_equal(host_world_ask(world, CLM_OP_STATUS, clm_json_new_object(), NULL), CLM_OK);
    assert_false(is_waiting(world, job_id));
}

/* Nobody knows what became of its order: the key stays until it is old. */
static void a_key_whose_job_is_forgotten_waits_on(void **state)
{
    struct host_world *world = *state;
    char path[PATH_MAX + 128];
    char job_id[CLM_ID_SIZE];
    char sha256[65];

    host_world_accept(world, "order", SITE, 1, ORDER, job_id);
    ask_csr(world, job_id, sha256);
    (void)snprintf(path, sizeof(path), "%s/host/jobs/%s.json", world->state_dir, job_id);
    assert_int_equal(unlink(path), 0);
    host_world_restart(world);
    assert_int_equal(host_world_ask(world, CLM_OP_STATUS, clm_json_new_object(), NULL), CLM_OK);
    assert_true(is_waiting(world, job_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asking_twice_gives_the_same_key_also_after_a_crash, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_certificate_of_our_key_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(every_wrong_certificate_is_refused_with_its_reason, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_certificate_no_deployment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_of_another_type_makes_no_key, setup, teardown),
        cmocka_unit_test_setup_teardown(no_reply_ever_holds_a_private_key, setup, teardown),
        cmocka_unit_test_setup_teardown(the_key_of_an_order_that_came_to_nothing_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_order_that_is_over_is_good_for_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(old_keys_go_when_the_host_half_starts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_whose_job_is_forgotten_waits_on, setup, teardown),
    };

    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
