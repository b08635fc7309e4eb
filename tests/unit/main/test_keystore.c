/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot keystore show": what is shown of every kind of keystore, and which files it refuses. */
#define _GNU_SOURCE /* memmem */
#include "tests/unit/main/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "tests/support/sabotage.h"

#define P12    "tests/fixtures/keystore/"
#define JAVA   "tests/fixtures/keystores/"
#define PEM    "tests/fixtures/pki/other.pem"
#define AFTER  INT64_C(9000000000) /* every certificate has expired */
#define SECRET "changeit\n"

static struct stage s;
static uid_t asked_by; /* 0: who runs the test */

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return asked_by != 0 ? asked_by : __real_geteuid();
}

static int setup(void **state)
{
    (void)state;
    stage_open(&s, "");
    stage_now_s = STAGE_NOW_S;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_now_s = STAGE_NOW_S;
    stage_close(&s);
    return 0;
}

/* A file of the stage; returns its path, good until the next call but one. */
static const char *put_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
    static char paths[2][128];
    static size_t n;
    char *path = paths[n++ % 2];
    int fd;

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", s.dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

/* password NULL: none is given. */
static int show(const char *store, const char *password, const char *more)
{
    char line[512];

    if (password == NULL) {
        (void)snprintf(line, sizeof(line), "keystore show %s %s", store, more);
    } else {
        (void)snprintf(line, sizeof(line), "keystore show %s %s --password-file %s", store, more,
                       put_file("password", password, strlen(password), 0600));
    }
    return stage_run(&s, line);
}

static void read_fixture(const char *path, struct clm_buf *out)
{
    assert_int_equal(clm_fs_read(path, out->max, out, NULL), CLM_OK);
}

/* ---- what is shown ---- */

static void every_kind_of_store_is_shown(void **state)
{
    static const struct {
        const char *store, *password;
        int status;
        const char *pieces[5];
        const char * not ;
    } rows[] = {
        {P12 "openssl3.p12",
         SECRET,
         CLM_EXIT_GOOD,
         {": pkcs12, 1 entry, HMAC-SHA-256 2048, password is right\n", "My Server  key   matches",
          "CN=www.example.com", "keys are protected by PBES2 AES-256-CBC"},
         "note:"},
        {P12 "openssl3.p12",
         "changeit\r\nsecond line\n",
         CLM_EXIT_GOOD,
         {"password is right"},
         "note:"},
        {P12 "openssl-empty.p12", "", CLM_EXIT_GOOD, {"password is right"}, "note:"},
        {P12 "openssl-empty.p12", "\r\n", CLM_EXIT_GOOD, {"password is right"}, "note:"},
        {P12 "openssl3.p12",
         NULL,
         CLM_EXIT_ATTENTION,
         {"pkcs12, 1 entry, HMAC-SHA-256 2048\n",
          "note: without --password-file what is encrypted cannot be seen\n"},
         "matches"},
        {P12 "openssl-bare.p12",
         NULL,
         CLM_EXIT_GOOD,
         {"1 entry, no integrity check\n", "bare   key   matches", "keys are protected by nothing",
          "note: without --password-file keys and integrity are not checked\n"},
         "right"},
        {P12 "nomac.p12", SECRET, CLM_EXIT_GOOD, {"1 entry, no integrity check\n"}, "right"},
        {P12 "nested.p12", SECRET, CLM_EXIT_GOOD, {"Inner", "-      other  -", "Outer"}, "note:"},
        {P12 "jdk17.p12",
         SECRET,
         CLM_EXIT_GOOD,
         {"4 entries", "secret   -", "trusted  -"},
         "note:"},
        {JAVA "java17.jks",
         NULL,
         CLM_EXIT_GOOD,
         {": jks, 3 entries, SHA-1 digest\n", "trusted", "key      locked",
          "keys are protected by SHA-1 key stream\nnote: without"},
         "matches"},
        {JAVA "java17.jks",
         SECRET,
         CLM_EXIT_GOOD,
         {"SHA-1 digest, password is right", "key      locked", "key      matches"},
         "note:"},
        {JAVA "java17-secret.jceks",
         SECRET,
         CLM_EXIT_GOOD,
         {"jceks, 3 entries", "note: clmbot does not change this file: entry 3 of 4 is a secret "},
         "keys are"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        assert_int_equal(show(rows[i].store, rows[i].password, ""), rows[i].status);
        assert_string_equal(s.err, "");
        for (size_t k = 0; k < CLM_ARRAY_LEN(rows[i].pieces) && rows[i].pieces[k] != NULL; k++) {
            stage_has(s.out, rows[i].pieces[k]);
        }
        stage_has_not(s.out, rows[i].not );
        assert_int_equal(show(rows[i].store, rows[i].password, "--json"), rows[i].status);
        assert_string_equal(s.err, "");
        stage_has(s.out, "\"schema\": \"clmbot.keystore\"");
    }
}

static void json_says_what_was_checked(void **state)
{
    (void)state;
    assert_int_equal(show(P12 "openssl3.p12", SECRET, "--json"), CLM_EXIT_GOOD);
    stage_has(s.out, "\"is_checked\": true");
    stage_has(s.out, "\"created\": null");
    stage_has(s.out, "\"key\": \"matches\"");
    assert_int_equal(show(P12 "nomac.p12", SECRET, "--json"), CLM_EXIT_GOOD);
    stage_has(s.out, "\"is_checked\": false");
    assert_int_equal(show(JAVA "java17.jks", NULL, "--json"), CLM_EXIT_GOOD);
    stage_has(s.out, "\"is_checked\": false");
    stage_has(s.out, "\"key\": \"locked\"");
    stage_has(s.out, "\"key\": null");
    assert_int_equal(show(P12 "nested.p12", SECRET, "--json"), CLM_EXIT_GOOD);
    stage_has(s.out, "\"kind\": \"other\"");
}

static void expired_certificates_need_attention(void **state)
{
    (void)state;
    stage_now_s = AFTER;
    assert_int_equal(show(P12 "jdk17.p12", SECRET, ""), CLM_EXIT_ATTENTION);
    stage_has(s.out, "expired");
    /* a root that has is no matter of a server's */
    assert_int_equal(show(P12 "openssl-cacerts.p12", SECRET, ""), CLM_EXIT_GOOD);
    stage_has(s.out, "expired");
}

static uint8_t *find(struct clm_buf *file, const char *after, const char *bytes, size_t len)
{
    uint8_t *at = memmem(file->data, file->len, after, strlen(after));

    assert_non_null(at);
    at = memmem(at, file->len - (size_t)(at - file->data), bytes, len);
    assert_non_null(at);
    return at;
}

/* Nothing but a digest, unchecked without a password, holds the bytes of a keystore of Java together. */
static void one_bad_certificate_hides_no_other(void **state)
{
    static const char *const entries[] = {"root", "server"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(entries); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(65536);
        const char *path;

        read_fixture(JAVA "java17.jks", &file);
        *find(&file, entries[i], "\x30\x82", 2) = 0x05;        /* no SEQUENCE */
        memset(find(&file, entries[i], "\0\0\1", 3), 0x7f, 8); /* the day, far beyond year 9999 */
        path = put_file("bad.jks", file.data, file.len, 0644);
        assert_int_equal(show(path, NULL, ""), CLM_EXIT_GOOD);
        stage_has(s.out, "CN=leaf");
        assert_int_equal(show(path, NULL, "--json"), CLM_EXIT_GOOD);
        stage_has(s.out, "\"error\": \"");
        stage_has(s.out, "\"created\": null");
        stage_has(s.out, "CN=leaf");
    }
}

static void a_key_of_another_certificate_is_told(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(65536);
    const char *path;

    (void)state;
    read_fixture(P12 "openssl-bare.p12", &file);
    /* the last bit of ECPrivateKey (RFC 5915), whose version and length stand before it */
    find(&file, "", "\x02\x01\x01\x04\x20", 5)[36] ^= 1;
    path = put_file("other.p12", file.data, file.len, 0644);
    assert_int_equal(show(path, NULL, ""), CLM_EXIT_GOOD);
    stage_has(s.out, "bare   key   differs");
    assert_int_equal(show(path, NULL, "--json"), CLM_EXIT_GOOD);
    stage_has(s.out, "\"key\": \"differs\"");
}

/* ---- what is refused ---- */

static void other_files_are_named_for_what_they_are(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *says;
    } rows[] = {
        {"", 0, "is no keystore: neither PKCS#12 nor JKS nor JCEKS\n"},
        {"hello", 5, "is no keystore: neither PKCS#12 nor JKS nor JCEKS\n"},
        {"-----BEGIN CERTIFICATE-----\n", 28, "is no keystore but PEM; such files are shown by: "},
        {"\0\0\0\1\0\0\0\x14xxxxxxxxxxxxxxxxxxxx\0\0\4\0", 32,
         "is a keystore of BouncyCastle (BKS, UBER, BCFKS), which is not supported\n"},
        {"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1", 12, "clmbot: keystore '"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const char *path = put_file("file", rows[i].text, rows[i].len, 0644);

        assert_int_equal(show(path, NULL, ""), CLM_EXIT_FAILED);
        assert_string_equal(s.out, "");
        stage_has(s.err, rows[i].says);
    }
    assert_int_equal(show(PEM, NULL, "--json"), CLM_EXIT_FAILED);
    stage_has(s.err, "is no keystore but PEM");
    assert_int_equal(show("/nowhere/store", NULL, ""), CLM_EXIT_FAILED);
    stage_has(s.err, "keystore '/nowhere/store': No such file or directory");
    assert_int_equal(show("/dev/null", NULL, ""), CLM_EXIT_FAILED);
    stage_has(s.err, "keystore '/dev/null' is not a regular file");
    assert_int_equal(show(P12 "openssl3.p12", "wrong\n", ""), CLM_EXIT_FAILED);
    stage_has(s.err, "wrong password");
}

static void a_store_has_a_limit(void **state)
{
    const char *path = put_file("huge", "\xfe\xed\xfe\xed", 4, 0644);

    (void)state;
    assert_int_equal(truncate(path, 17 << 20), 0);
    assert_int_equal(show(path, NULL, ""), CLM_EXIT_FAILED);
    stage_has(s.err, "huge' is longer than 16777216 bytes");
}

static void password_files_are_private(void **state)
{
    char line[512];
    const char *path = put_file("password", SECRET, strlen(SECRET), 0644);

    (void)state;
    (void)snprintf(line, sizeof(line), "keystore show " P12 "openssl3.p12 --password-file %s",
                   path);
    assert_int_equal(stage_run(&s, line), CLM_EXIT_FAILED);
    stage_has(s.err, "can be read by others (mode 0644); do: chmod 0600 ");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(stage_run(&s, line), CLM_EXIT_GOOD);
    if (geteuid() == 0) {
        asked_by = 1000; /* root may have put it there */
        assert_int_equal(stage_run(&s, line), CLM_EXIT_GOOD);
        asked_by = 0;
        assert_int_equal(chown(path, 1000, 1000), 0);
        assert_int_equal(stage_run(&s, line), CLM_EXIT_FAILED);
        stage_has(s.err, "belongs to user 1000, who could exchange it; do: chown root ");
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(stage_run(&s, line), CLM_EXIT_FAILED);
    stage_has(s.err, "password file '");
    stage_has(s.err, "No such file or directory");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(stage_run(&s, line), CLM_EXIT_FAILED);
    stage_has(s.err, "is not a regular file");
}

/* ---- each call that fails ---- */

struct starved {
    const char *line;
    int status;
    char *out;
};

static enum clm_code act(void *arg, struct clm_err *err)
{
    const struct starved *w = arg;
    bool was_on = clm_sabotage_pause();
    int status;

    stage_redirect(&s);
    clm_sabotage_resume(was_on);
    status = stage_command(&s, w->line);
    (void)clm_sabotage_pause();
    stage_restore(&s);
    if (status == w->status && strcmp(s.out, w->out) == 0) {
        return CLM_OK;
    }
    return status == CLM_EXIT_FAILED ? clm_err_set(err, CLM_E_IO, "%.200s", s.err) : CLM_E_BUG;
}

static void answer_is_whole_or_an_error(void **state)
{
    static const char *const lines[] = {"keystore show " JAVA "java17.jks",
                                        "keystore show " JAVA "java17.jks --json",
                                        "keystore show " P12 "openssl-bare.p12"};
    struct starved w;
    const struct clm_sabotage plan = {.act = act, .arg = &w};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        w.line = lines[i];
        w.status = stage_run(&s, w.line);
        assert_int_equal(w.status, CLM_EXIT_GOOD);
        w.out = strdup(s.out);
        assert_non_null(w.out);
        assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup fstat64 open64 read") >
                    20);
        free(w.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_store_is_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(json_says_what_was_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(expired_certificates_need_attention, setup, teardown),
        cmocka_unit_test_setup_teardown(one_bad_certificate_hides_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_of_another_certificate_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(other_files_are_named_for_what_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(password_files_are_private, setup, teardown),
        cmocka_unit_test_setup_teardown(answer_is_whole_or_an_error, setup, teardown),
    };

    return cmocka_run_group_tests_name("main_keystore", tests, NULL, NULL);
}
