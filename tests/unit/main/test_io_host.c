/* SPDX-License-Identifier: Apache-2.0 */
/* struct clm_io of this very host: files also below the root of a process, signals, sockets, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/main/io_host.h"
#include "agent/main/units_run.h"
#include "agent/net/http.h"
#include "agent/net/loopback.h"
#include "tests/support/sabotage.h"

/* What is played: a kernel without pidfd, a process without rights, and whom it then asks. */
static struct {
    bool no_pidfd, must_run;
    unsigned n_units_run, n_diag, n_tcp;
} world;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[4];
    va_list ap;

    va_start(ap, number);
    for (size_t i = 0; i < CLM_ARRAY_LEN(a); i++) {
        a[i] = va_arg(ap, long);
    }
    va_end(ap);
    if (world.no_pidfd && (number == SYS_pidfd_open || number == SYS_pidfd_send_signal)) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3]);
}

bool __wrap_clm_units_must_run(void);
bool __wrap_clm_units_must_run(void)
{
    return world.must_run;
}

enum clm_code __wrap_clm_units_run(const struct clm_program *program, int *out_status,
                                   struct clm_buf *output, struct clm_err *err);
enum clm_code __wrap_clm_units_run(const struct clm_program *program, int *out_status,
                                   struct clm_buf *output, struct clm_err *err)
{
    assert_string_equal(program->argv[0], "/bin/sh");
    assert_int_equal(program->timeout_ms, 5000);
    assert_null(program->env);
    (void)output;
    (void)err;
    *out_status = 9;
    world.n_units_run++;
    return CLM_OK;
}

enum clm_code __wrap_clm_loopback_diag(int *out_fd, struct clm_err *err);
enum clm_code __wrap_clm_loopback_diag(int *out_fd, struct clm_err *err)
{
    *out_fd = -1;
    world.n_diag++;
    return clm_err_set(err, CLM_E_NET, "nobody there");
}

enum clm_code __wrap_clm_loopback_tcp(int family, int *out_fd, struct clm_err *err);
enum clm_code __wrap_clm_loopback_tcp(int family, int *out_fd, struct clm_err *err)
{
    assert_int_equal(family, AF_INET);
    *out_fd = -1;
    world.n_tcp++;
    return clm_err_set(err, CLM_E_NET, "nobody there");
}

static struct {
    struct clm_io io;
    struct clm_probe_route route;
    char dir[64];
    char root[128]; /* the same directory as a process with this one's root sees it */
} f;

/* Makes "a", 9 bytes; "dir/x", "dir/y"; "link" to "a"; "loop" to itself. */
static int setup(void **state)
{
    FILE *file;

    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&f, 0, sizeof(f));
    clm_io_host_init(&f.io, &f.route);
    (void)snprintf(f.dir, sizeof(f.dir), "/tmp/clm_io_host_XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    (void)snprintf(f.root, sizeof(f.root), "/proc/%d/root%s", (int)getpid(), f.dir);
    assert_int_equal(chdir(f.dir), 0);
    file = fopen("a", "w");
    assert_non_null(file);
    assert_true(fputs("nine byte", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod("a", 0640), 0);
    assert_int_equal(mkdir("dir", 0755), 0);
    assert_int_equal(mkdir("dir/x", 0755), 0);
    assert_int_equal(mkdir("dir/y", 0755), 0);
    assert_int_equal(symlink("a", "link"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"a", "link", "loop", "pipe"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        (void)unlink(names[i]);
    }
    (void)rmdir("dir/x");
    (void)rmdir("dir/y");
    (void)rmdir("dir");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(f.dir), 0);
    return 0;
}

/* A file of the scene, on either way to it. */
static const char *at(bool in_root, const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", in_root ? f.root : f.dir, name);
    return path;
}

/* ---- files ---- */

static void reads_regular_files_to_a_limit(void **state)
{
    static const struct {
        const char *name;
        size_t max;
        enum clm_code code;
        const char *says;
    } rows[] = {
        {"a", 9, CLM_OK, ""},
        {"a", 100000, CLM_OK, ""},
        {"link", 9, CLM_OK, ""},
        {"a", 8, CLM_E_LIMIT, "/a' is larger than 8 bytes"},
        {"a", 0, CLM_E_LIMIT, "/a' is larger than 0 bytes"},
        {"dir", 9, CLM_E_INVAL, "/dir' is not a regular file"},
        {"missing", 9, CLM_E_NOTFOUND, "/missing'"},
        {"loop", 9, CLM_E_IO, "/loop'"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * CLM_ARRAY_LEN(rows); i++) {
        size_t row = i / 2;
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code =
            f.io.read_file(f.io.ctx, at(i % 2 != 0, rows[row].name), rows[row].max, &out, &err);

        if (rows[row].code == CLM_E_IO) {
            assert_int_not_equal(code, CLM_OK); /* too many links: the kernel's word, or ours */
        } else {
            assert_int_equal(code, rows[row].code);
        }
        if (code == CLM_OK) {
            assert_string_equal(clm_buf_str(&out), "nine byte");
        } else {
            assert_non_null(strstr(err.msg, rows[row].says));
        }
    }
}

/* Nobody writes into it: reading would wait for ever. */
static void pipes_are_not_waited_for(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(f.io.read_file(f.io.ctx, at(false, "pipe"), 9, &out, NULL), CLM_E_INVAL);
    assert_int_equal(f.io.read_file(f.io.ctx, at(true, "pipe"), 9, &out, NULL), CLM_E_INVAL);
}

static void a_buffer_may_be_smaller_than_the_limit(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(4);
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_equal(f.io.read_file(f.io.ctx, at(false, "a"), 9, &out, &err), CLM_E_LIMIT);
    assert_memory_equal(err.msg, "read '", 6);
}

static void tells_kinds_of_files(void **state)
{
    static const struct {
        const char *name;
        bool follow;
        enum clm_code code;
        enum clm_file_kind kind;
    } rows[] = {
        {"a", false, CLM_OK, CLM_FILE_REGULAR},     {"a", true, CLM_OK, CLM_FILE_REGULAR},
        {"dir", false, CLM_OK, CLM_FILE_DIRECTORY}, {"link", false, CLM_OK, CLM_FILE_SYMLINK},
        {"link", true, CLM_OK, CLM_FILE_REGULAR},   {"pipe", false, CLM_OK, CLM_FILE_OTHER},
        {"missing", true, CLM_E_NOTFOUND, 0},       {"missing", false, CLM_E_NOTFOUND, 0},
    };

    (void)state;
    for (size_t i = 0; i < 2 * CLM_ARRAY_LEN(rows); i++) {
        size_t row = i / 2;
        struct clm_stat st;

        assert_int_equal(
            f.io.stat(f.io.ctx, at(i % 2 != 0, rows[row].name), rows[row].follow, &st, NULL),
            rows[row].code);
        if (rows[row].code != CLM_OK) {
            continue;
        }
        assert_int_equal(st.kind, rows[row].kind);
        if (row == 0) {
            assert_int_equal(st.size_bytes, 9);
            assert_int_equal(st.mode, 0640);
            assert_int_equal(st.nlink, 1);
        }
    }
}

static void reads_links(void **state)
{
    char text[64];
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    for (int in_root = 0; in_root < 2; in_root++) {
        assert_int_equal(f.io.read_link(f.io.ctx, at(in_root, "link"), text, sizeof(text), NULL),
                         CLM_OK);
        assert_string_equal(text, "a");
        assert_int_equal(f.io.read_link(f.io.ctx, at(in_root, "a"), text, sizeof(text), &err),
                         CLM_E_IO);
        assert_non_null(strstr(err.msg, "/a': Invalid argument"));
        assert_int_equal(f.io.read_link(f.io.ctx, at(in_root, "link"), text, 1, &err), CLM_E_LIMIT);
        assert_non_null(strstr(err.msg, "/link' is too long"));
        assert_int_equal(f.io.read_link(f.io.ctx, at(in_root, "missing"), text, sizeof(text), NULL),
                         CLM_E_NOTFOUND);
    }
    /* the root itself is a link of the kernel's, not one inside it */
    (void)snprintf(f.root, sizeof(f.root), "/proc/%d/root", (int)getpid());
    assert_int_equal(f.io.read_link(f.io.ctx, f.root, text, sizeof(text), NULL), CLM_OK);
    assert_string_equal(text, "/");
}

static enum clm_code count_name(void *arg, const char *name, struct clm_err *err)
{
    unsigned *n = arg;

    if (strcmp(name, "x") != 0 && strcmp(name, "y") != 0) {
        return clm_err_set(err, CLM_E_EXISTS, "'%s'", name);
    }
    ++*n;
    return CLM_OK;
}

static void lists_directories(void **state)
{
    (void)state;
    for (int in_root = 0; in_root < 2; in_root++) {
        struct clm_err err = {.code = CLM_OK};
        unsigned n = 0;

        assert_int_equal(f.io.list_dir(f.io.ctx, at(in_root, "dir"), count_name, &n, NULL), CLM_OK);
        assert_int_equal(n, 2);
        assert_int_equal(f.io.list_dir(f.io.ctx, at(in_root, "."), count_name, &n, &err),
                         CLM_E_EXISTS);
        assert_int_equal(f.io.list_dir(f.io.ctx, at(in_root, "missing"), count_name, &n, NULL),
                         CLM_E_NOTFOUND);
        assert_int_not_equal(f.io.list_dir(f.io.ctx, at(in_root, "a"), count_name, &n, &err),
                             CLM_OK);
        assert_non_null(strstr(err.msg, "/a'"));
    }
}

/* ---- each call fails ---- */

static enum clm_code use_files(void *arg, struct clm_err *err)
{
    const bool *in_root = arg;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);
    struct clm_stat st;
    char text[64];
    unsigned n = 0;
    enum clm_code code = f.io.read_file(f.io.ctx, at(*in_root, "a"), 9, &out, err);

    if (code == CLM_OK) {
        code = f.io.stat(f.io.ctx, at(*in_root, "a"), true, &st, err);
    }
    if (code == CLM_OK) {
        code = f.io.stat(f.io.ctx, at(*in_root, "a"), false, &st, err);
    }
    if (code == CLM_OK) {
        code = f.io.read_link(f.io.ctx, at(*in_root, "link"), text, sizeof(text), err);
    }
    if (code == CLM_OK) {
        code = f.io.list_dir(f.io.ctx, at(*in_root, "dir"), count_name, &n, err);
    }
    if (code == CLM_OK) { /* what was said is all true */
        assert_string_equal(clm_buf_str(&out), "nine byte");
        assert_int_equal(st.size_bytes, 9);
        assert_string_equal(text, "a");
        assert_int_equal(n, 2);
    }
    return code;
}

static void each_call_fails(void **state)
{
    (void)state;
    for (int in_root = 0; in_root < 2; in_root++) {
        bool arg = in_root != 0;
        const struct clm_sabotage plan = {.act = use_files, .arg = &arg};

        assert_true(clm_sabotage_run(&plan, NULL) > 10);
    }
}

/* ---- programs ---- */

static void runs_programs_here_or_through_systemd(void **state)
{
    static const char *const argv[] = {"/bin/sh", "-c", "echo $LANG; exit 3", NULL};
    static const char *const env[] = {"LANG=xx", NULL};
    const struct clm_program program = {.argv = argv, .env = env, .timeout_ms = 5000};
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(65536);
    int status = -1;

    (void)state;
    assert_int_equal(f.io.run_env(f.io.ctx, &program, &status, &out, NULL), CLM_OK);
    assert_int_equal(status, 3);
    assert_non_null(strstr(clm_buf_str(&out), "xx\n"));
    assert_int_equal(f.io.run(f.io.ctx, argv, 5000, &status, NULL, NULL), CLM_OK);
    assert_int_equal(status, 3);
    world.must_run = true;
    assert_int_equal(f.io.run(f.io.ctx, argv, 5000, &status, NULL, NULL), CLM_OK);
    assert_int_equal(status, 9);
    assert_int_equal(world.n_units_run, 1);
    /* a question needs no rights: it never goes that way */
    assert_int_equal(f.io.ask(f.io.ctx, argv, 5000, &status, NULL, NULL), CLM_OK);
    assert_int_equal(status, 3);
    assert_int_equal(world.n_units_run, 1);
}

/* Field 22 of /proc/PID/stat of a process whose name has neither blank nor bracket. */
static uint64_t ticks_of(pid_t pid)
{
    char path[64];
    unsigned long long ticks = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    assert_non_null(file);
    for (int i = 0; i < 21; i++) {
        assert_int_equal(fscanf(file, "%*s"), 0);
    }
    assert_int_equal(fscanf(file, "%llu", &ticks), 1);
    (void)fclose(file);
    return ticks;
}

static void signals_only_whom_it_knows(void **state)
{
    (void)state;
    for (int no_pidfd = 0; no_pidfd < 2; no_pidfd++) {
        struct clm_err err = {.code = CLM_OK};
        pid_t pid = fork();
        uint64_t ticks;
        int status = 0;

        assert_true(pid >= 0);
        if (pid == 0) {
            (void)pause();
            _exit(0);
        }
        world.no_pidfd = no_pidfd != 0;
        ticks = ticks_of(pid);
        assert_int_equal(f.io.signal(f.io.ctx, pid, ticks + 1, SIGUSR1, &err), CLM_E_NOTFOUND);
        assert_non_null(strstr(err.msg, "has ended; scan again"));
        assert_int_equal(f.io.signal(f.io.ctx, pid, ticks, 999, &err), CLM_E_IO);
        assert_memory_equal(err.msg, "signal 999 to process ", 22);
        assert_int_equal(f.io.signal(f.io.ctx, pid, ticks, SIGUSR1, NULL), CLM_OK);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
        assert_int_equal(f.io.signal(f.io.ctx, pid, ticks, SIGUSR1, NULL), CLM_E_NOTFOUND);
    }
}

/* ---- sockets ---- */

static enum clm_code find_port(void *arg, const struct clm_listening *socket, struct clm_err *err)
{
    uint16_t *port = arg;

    (void)err;
    *port = socket->port == *port ? 0 : *port;
    return CLM_OK;
}

static enum clm_code list_sockets(void *arg, struct clm_err *err)
{
    uint16_t port = 0;

    (void)arg;
    return f.io.listening(f.io.ctx, find_port, &port, err);
}

static void sockets_are_listed_here_or_elsewhere(void **state)
{
    uint16_t port = 0;
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = f.io.listening(f.io.ctx, find_port, &port, &err);

    (void)state;
    assert_true(code == CLM_OK || code == CLM_E_UNSUPPORTED); /* kernels without sock_diag(7) */
    clm_sabotage_on("socket", 1, EMFILE);
    assert_int_not_equal(list_sockets(NULL, &err), CLM_OK);
    assert_true(clm_sabotage_off());
    assert_memory_equal(err.msg, "socket for sock_diag(7)", 23);
    world.must_run = true;
    assert_int_equal(f.io.listening(f.io.ctx, find_port, &port, &err), CLM_E_NET);
    assert_int_equal(world.n_diag, 1);
    assert_string_equal(err.msg, "nobody there");
}

static void http_reaches_this_host_alone(void **state)
{
    static const struct {
        const char *url, *connect_to;
        enum clm_code code;
        bool must_run;
    } rows[] = {
        {"http://192.0.2.1:80/", NULL, CLM_E_UNSUPPORTED, false},
        {"http://127.0.0.1:1/", "192.0.2.1", CLM_E_UNSUPPORTED, false},
        {"http://localhost:1/", NULL, CLM_E_UNSUPPORTED, false},
        {"http://127.0.0.1:1/", NULL, CLM_E_NET, false},
        {"http://127.0.0.1:1/", NULL, CLM_E_NET, true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct clm_http_request request = {.method = "GET",
                                                 .url = rows[i].url,
                                                 .connect_to = rows[i].connect_to,
                                                 .timeout_ms = 2000,
                                                 .response_max = 100};
        struct clm_http_response response;
        struct clm_err err = {.code = CLM_OK};

        world.must_run = rows[i].must_run;
        assert_int_equal(f.io.http(f.io.ctx, &request, &response, &err), rows[i].code);
        assert_string_not_equal(err.msg, "");
        clm_buf_done(&response.body);
        assert_int_equal(world.n_tcp, rows[i].must_run ? 1 : 0);
    }
}

/* ---- the rest ---- */

static enum clm_code show_one(void *arg, const struct clm_endpoint *endpoint,
                              struct clm_observation *out, struct clm_err *err)
{
    (void)err;
    assert_ptr_equal(arg, &world);
    assert_int_equal(endpoint->port, 443);
    *out = (struct clm_observation){.result = CLM_PROBE_TIMEOUT};
    return CLM_OK;
}

static void handshakes_need_a_client(void **state)
{
    const struct clm_endpoint endpoint = {.port = 443};
    struct clm_observation seen = {.result = CLM_PROBE_TIMEOUT};
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_equal(f.io.probe(f.io.ctx, &endpoint, &seen, &err), CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, "nobody is connected who could probe");
    f.route = (struct clm_probe_route){.probe = show_one, .arg = &world};
    assert_int_equal(f.io.probe(f.io.ctx, &endpoint, &seen, &err), CLM_OK);
    assert_int_equal(seen.result, CLM_PROBE_TIMEOUT);
}

static void clocks_go_on(void **state)
{
    int64_t mono = f.io.mono_ms(f.io.ctx);
    int64_t now = f.io.now_s(f.io.ctx);

    (void)state;
    f.io.sleep_ms(f.io.ctx, 5);
    assert_true(f.io.mono_ms(f.io.ctx) >= mono + 5);
    assert_true(f.io.now_s(f.io.ctx) >= now && now > 1600000000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(reads_regular_files_to_a_limit),
        TEST(pipes_are_not_waited_for),
        TEST(a_buffer_may_be_smaller_than_the_limit),
        TEST(tells_kinds_of_files),
        TEST(reads_links),
        TEST(lists_directories),
        TEST(each_call_fails),
        TEST(runs_programs_here_or_through_systemd),
        TEST(signals_only_whom_it_knows),
        TEST(sockets_are_listed_here_or_elsewhere),
        TEST(http_reaches_this_host_alone),
        TEST(handshakes_need_a_client),
        TEST(clocks_go_on),
    };

    return cmocka_run_group_tests_name("main_io_host", tests, NULL, NULL);
}
