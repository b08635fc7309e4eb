/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot enroll": root's side of it, whatever the half with the network says, and whatever fails. */
#include "tests/unit/main/stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/user.h"
#include "agent/crypto/token.h"
#include "agent/ipc/frame.h"
#include "agent/main/hostlink.h"
#include "agent/run/enroll.h"
#include "tests/support/sabotage.h"

#define REPLY "{\"agent_id\":\"agt_1\",\"tenant\":\"acme\"}"
#define PINS                                                                                       \
    "[\"sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\","                                    \
    "\"sha256/CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\"]"

/* What the network half does, in its process. */
enum talk {
    ENROLS,
    WAITS,
    REFUSES,
    VANISHES,
    SENDS,
    ASKS_TOO_MUCH,
    CALLS
};

static struct {
    enum talk talk;
    const char *bytes;   /* of SENDS, a reply; of CALLS, a call */
    enum clm_code found; /* the user */
    enum clm_code dropped;
    enum clm_code taken; /* by the host half */
    const char *unlinks; /* a file that is gone when the host half has answered */
    uid_t asked_by;      /* 0: who runs the test */
    unsigned n_given;
    char given[1024]; /* the body of trust_put */
} world;

static struct stage s;

/* ---- parts that are played ---- */

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return world.asked_by != 0 ? world.asked_by : __real_geteuid();
}

enum clm_code __wrap_clm_user_find(const char *user, const char *group, struct clm_user *out,
                                   struct clm_err *err);
enum clm_code __wrap_clm_user_find(const char *user, const char *group, struct clm_user *out,
                                   struct clm_err *err)
{
    assert_string_equal(user, "clmbot");
    assert_string_equal(group, "clmbot");
    *out = (struct clm_user){.uid = getuid(), .gid = getgid()};
    return world.found == CLM_OK ? CLM_OK : clm_err_set(err, world.found, "no such user");
}

enum clm_code __wrap_clm_user_drop(const struct clm_user *user, struct clm_err *err);
enum clm_code __wrap_clm_user_drop(const struct clm_user *user, struct clm_err *err)
{
    (void)user;
    (void)clm_sabotage_pause(); /* this is the child, whose calls go well */
    return world.dropped == CLM_OK ? CLM_OK : clm_err_set(err, world.dropped, "still root");
}

enum clm_code __wrap_clm_hostlink_call(const struct clm_config *config,
                                       const struct clm_hostlink_ask *ask,
                                       struct clm_json **out_reply, struct clm_fail *fail,
                                       struct clm_err *err);
enum clm_code __wrap_clm_hostlink_call(const struct clm_config *config,
                                       const struct clm_hostlink_ask *ask,
                                       struct clm_json **out_reply, struct clm_fail *fail,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(sizeof(world.given));
    bool was_on = clm_sabotage_pause();
    enum clm_code code = clm_json_print(ask->body, false, &text, err); /* as it does first */

    (void)config;
    assert_int_equal(ask->op, CLM_OP_TRUST_PUT);
    if (code != CLM_OK) {
        return code;
    }
    (void)snprintf(world.given, sizeof(world.given), "%s", clm_buf_str(&text));
    world.n_given++;
    *fail = (struct clm_fail){.code = world.taken};
    if (world.unlinks != NULL) {
        (void)unlink(world.unlinks);
    }
    if (world.taken == CLM_OK) {
        assert_int_equal(clm_json_parse(REPLY, strlen(REPLY), 4096, out_reply, NULL), CLM_OK);
    } else {
        (void)snprintf(fail->hint, sizeof(fail->hint), "look into its log");
    }
    clm_sabotage_resume(was_on);
    return world.taken == CLM_OK ? CLM_OK : clm_err_set(err, world.taken, "not vouched for");
}

/* In the child. Pins of its own making are not those of the token. */
static enum clm_code give_trust(const struct clm_enroll_opts *opts, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *trust = clm_json_new_object();
    char *large = NULL;
    enum clm_code code;

    (void)clm_json_set_array(trust, "pins");
    clm_json_set_str(trust, "ca_pem", "PEM");
    if (world.talk == ASKS_TOO_MUCH) {
        large = calloc(1, CLM_FRAME_BODY_MAX + 1);
        assert_non_null(large);
        memset(large, 'x', CLM_FRAME_BODY_MAX);
        clm_json_set_str(trust, "trust", large);
    }
    code = opts->on_trust(opts->arg, trust, err);
    free(large);
    return code;
}

enum clm_code __wrap_clm_enroll(const struct clm_config *config, const struct clm_enroll_opts *opts,
                                struct clm_err *err);
enum clm_code __wrap_clm_enroll(const struct clm_config *config, const struct clm_enroll_opts *opts,
                                struct clm_err *err)
{
    const int fd = *(const int *)opts->arg;
    struct clm_frame_head head = {.kind = world.talk == CALLS ? CLM_FRAME_CALL : CLM_FRAME_REPLY};

    (void)config;
    assert_int_equal(opts->approval_wait_s, 600);
    switch (world.talk) {
    case VANISHES:
        _exit(3);
    case SENDS:
    case CALLS:
        head.body_len = (uint32_t)strlen(world.bytes);
        clm_ignore(clm_frame_send(fd, &head, world.bytes, 1000, NULL));
        (void)clm_clock_sleep_ms(20); /* the parent has ended the talk meanwhile, or it answers */
        _exit(3);
    case REFUSES:
        return clm_err_set(err, CLM_E_AUTH, "the token has expired");
    case WAITS:
        opts->on_pending(opts->arg, "aaaa-bbbb-cccc", 0);
        opts->on_pending(opts->arg, "aaaa-bbbb-cccc", 5);
        break;
    case ENROLS:
    case ASKS_TOO_MUCH:
        break;
    }
    return give_trust(opts, err);
}

/* ---- the scene ---- */

static char token_path[128];

static void put_token(const char *text, size_t len, mode_t mode)
{
    int fd;

    (void)snprintf(token_path, sizeof(token_path), "%s/token", s.dir);
    fd = open(token_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void make_token(struct clm_buf *out)
{
    struct clm_token token = {
        .id = "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C", .n_pins = 2, .exp_s = STAGE_NOW_S + 3600};

    memset(token.secret, 9, sizeof(token.secret));
    memset(token.pins[0], 7, sizeof(token.pins[0]));
    memset(token.pins[1], 8, sizeof(token.pins[1]));
    assert_int_equal(clm_strs_add(&token.urls, "https://one.example", NULL), CLM_OK);
    assert_int_equal(clm_token_make(&token, out, NULL), CLM_OK);
    clm_token_done(&token);
}

static void put_good_token(mode_t mode)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);

    make_token(&text);
    put_token(clm_buf_str(&text), text.len, mode);
}

static void add_to_config(const char *key, const char *value)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/clmbot.yaml", s.dir);
    file = fopen(path, "a");
    assert_non_null(file);
    (void)fprintf(file, "%s: %s\n", key, value);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    char dir[128];

    (void)state;
    memset(&world, 0, sizeof(world));
    stage_open(&s, "");
    (void)snprintf(dir, sizeof(dir), "%s/state", s.dir);
    add_to_config("state_dir", dir);
    put_good_token(0600);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close(&s);
    return 0;
}

static int enroll(const char *more)
{
    char line[512];

    (void)snprintf(line, sizeof(line), "enroll --token-file %s %s", token_path, more);
    return stage_run(&s, line);
}

/* ---- good ways ---- */

static void a_used_token_is_gone(void **state)
{
    struct stat st;
    char net[128];

    (void)state;
    assert_int_equal(enroll(""), CLM_EXIT_GOOD);
    stage_has_not(s.err, "clmbot: ");
    stage_has(s.out, "enrolled as agt_1 with tenant 'acme'\nnext: systemctl start clmbot");
    assert_int_equal(stat(token_path, &st), -1);
    assert_int_equal(world.n_given, 1);
    assert_string_equal(world.given, "{\"ca_pem\":\"PEM\",\"pins\":" PINS "}");
    (void)snprintf(net, sizeof(net), "%s/state/net", s.dir);
    assert_int_equal(stat(net, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);

    put_good_token(0644);
    world.talk = WAITS;
    world.unlinks = token_path; /* somebody was faster */
    assert_int_equal(enroll("--json --force"), CLM_EXIT_GOOD);
    stage_has(s.out, "\"schema\": \"clmbot.enroll\"");
    stage_has(s.err, "clmbot: warning: others can read '");
    stage_has(s.err, "waiting for an operator to approve; fingerprint aaaa-bbbb-cccc\n");
    stage_has_not(strstr(s.err, "aaaa-bbbb-cccc\n") + 1, "waiting");
}

static int enroll_from_stdin(const char *bytes, size_t len)
{
    int saved = dup(STDIN_FILENO);
    int status;
    int fd;

    put_token(bytes, len, 0600);
    fd = open(token_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && saved >= 0);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    (void)close(fd);
    status = stage_run(&s, "enroll --token-file -");
    clearerr(stdin);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    (void)close(saved);
    return status;
}

static void a_token_may_come_from_standard_input(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    static char large[CLM_TOKEN_TEXT_MAX + 1000];
    struct stat st;

    (void)state;
    make_token(&text);
    assert_int_equal(enroll_from_stdin(clm_buf_str(&text), text.len), CLM_EXIT_GOOD);
    stage_has(s.out, "enrolled as agt_1");
    assert_int_equal(stat(token_path, &st), 0);
    memset(large, 'x', sizeof(large));
    assert_int_equal(enroll_from_stdin(large, sizeof(large)), CLM_EXIT_FAILED);
    stage_has(s.err, "clmbot: token on standard input: ");
}

/* Who is not root cannot give directories away, and needs not. */
static void the_agents_user_may_enrol(void **state)
{
    (void)state;
    world.asked_by = 1000;
    assert_int_equal(enroll(""), CLM_EXIT_GOOD);
}

/* ---- bad ways: the token stays ---- */

static void whatever_the_network_half_says(void **state)
{
    static const struct {
        enum talk talk;
        const char *bytes, *says;
        enum clm_code taken, dropped, found;
        unsigned n_given;
    } rows[] = {
        {REFUSES, NULL, "clmbot: the token has expired\n", 0, 0, 0, 0},
        {ENROLS, NULL, "clmbot: still root\n", 0, CLM_E_PERM, 0, 0},
        {ENROLS, NULL, "clmbot: no such user\n", 0, 0, CLM_E_CONFIG, 0},
        {ENROLS, NULL, "clmbot: not vouched for\n        look into its log\n", CLM_E_CRYPTO, 0, 0,
         1},
        {ASKS_TOO_MUCH, NULL, "clmbot: ", 0, 0, 0, 0},
        {VANISHES, NULL, "clmbot: the network half ended without an answer\n", 0, 0, 0, 0},
        {SENDS, "{\"code\":9999,\"message\":\"x\"}", "clmbot: /code: 9999 is not between", 0, 0, 0,
         0},
        {SENDS, "{\"code\":2}", "clmbot: /message: ", 0, 0, 0, 0},
        {SENDS, "{", "clmbot: ", 0, 0, 0, 0},
        {SENDS, "[1]", "clmbot: the network half is done, but the host half took no", 0, 0, 0, 0},
        {SENDS, "{}", "clmbot: the network half is done, but the host half took no", 0, 0, 0, 0},
        {CALLS, "[1]", "clmbot: ", 0, 0, 0, 0},
        {CALLS, "{\"ca_pem\":1}", "clmbot: the network half ended without an answer\n", 0, 0, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct stat st;

        memset(&world, 0, sizeof(world));
        world.talk = rows[i].talk;
        world.bytes = rows[i].bytes;
        world.taken = rows[i].taken;
        world.dropped = rows[i].dropped;
        world.found = rows[i].found;
        if (enroll("") == CLM_EXIT_GOOD) {
            fail_msg("row %zu succeeds", i);
        }
        assert_string_equal(s.out, "");
        stage_has(s.err, rows[i].says);
        assert_int_equal(world.n_given, rows[i].n_given);
        assert_int_equal(stat(token_path, &st), 0);
    }
}

static void what_is_wrong_here(void **state)
{
    static char dir[4093];
    char path[128];
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(stage_run(&s, "enroll"), CLM_EXIT_USAGE);
    stage_has(s.err, "clmbot: no token\n        give --token-file FILE");
    assert_int_equal(stage_run(&s, "enroll --token-file /nowhere/token"), CLM_EXIT_FAILED);
    stage_has(s.err, "/nowhere/token");
    put_token("nonsense", 8, 0600);
    assert_int_equal(enroll(""), CLM_EXIT_FAILED);
    stage_has(s.err, "clmbot: token: ");
    assert_int_equal(stat(token_path, &st), 0);
    put_good_token(0600);

    (void)snprintf(path, sizeof(path), "%s/state", s.dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* no directory */
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_not_equal(enroll(""), CLM_EXIT_GOOD);
    stage_has(s.err, "/state");
    add_to_config("nonsense", "1");
    assert_int_equal(enroll(""), CLM_EXIT_CONFIG);
    stage_has(s.err, "nonsense");

    stage_close(&s);
    stage_open(&s, "");
    put_good_token(0600);
    memset(dir, 'x', sizeof(dir) - 1);
    dir[0] = '/';
    add_to_config("state_dir", dir);
    assert_int_equal(enroll(""), CLM_EXIT_FAILED);
    stage_has(s.err, "clmbot: ");
    assert_int_equal(world.n_given, 0);
}

/* ---- each call fails ---- */

static enum clm_code act(void *arg, struct clm_err *err)
{
    char line[512];
    bool was_on = clm_sabotage_pause();
    int status;

    (void)arg;
    put_good_token(0600);
    world.n_given = 0;
    (void)snprintf(line, sizeof(line), "enroll --token-file %s", token_path);
    stage_redirect(&s);
    clm_sabotage_resume(was_on);
    status = stage_command(&s, line);
    (void)clm_sabotage_pause();
    stage_restore(&s);
    if (status == CLM_EXIT_GOOD) {
        assert_int_equal(world.n_given, 1);
        assert_non_null(strstr(world.given, PINS));
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_IO, "%.200s", s.err);
}

static void root_goes_on_or_says_why_not(void **state)
{
    const struct clm_sabotage plan = {.act = act};

    (void)state;
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup lstat64 mkdir lchown "
                                        "socketpair fork waitpid send recv") > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_used_token_is_gone),      TEST(a_token_may_come_from_standard_input),
        TEST(the_agents_user_may_enrol), TEST(whatever_the_network_half_says),
        TEST(what_is_wrong_here),        TEST(root_goes_on_or_says_why_not),
    };

    return cmocka_run_group_tests_name("main_enroll", tests, NULL, NULL);
}
