/* SPDX-License-Identifier: Apache-2.0 */
/* What a search tells of each kind of file, whose permissions are a problem, and where it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/pkcs7.h"
#include "scanners/cert_files.h"
#include "tests/support/certs.h"
#include "tests/support/host_tree.h"
#include "tests/support/root_io.h"
#include "tests/unit/crypto/der_text.h"

#define NOW_S INT64_C(1780000000)

struct world {
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
    char root[PATH_MAX];
    struct root_io io;
    struct clm_strs roots;
    struct clm_files_rules rules;
    struct clm_files_counts counts;
    struct clm_json *found; /* object: path below root -> FILE */
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->ca = clm_test_ca_new(NOW_S);
    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &w->leaf);
    root_io_temp(w->root);
    assert_int_equal(chmod(w->root, 0755), 0);
    root_io_init(&w->io, w->root);
    assert_int_equal(clm_strs_add(&w->roots, w->root, NULL), CLM_OK);
    w->rules = (struct clm_files_rules){.mode = CLM_FILES_ALL,
                                        .roots = &w->roots,
                                        .depth = 16,
                                        .files_max = 100000,
                                        .time_max_ms = 60000,
                                        .expiring_days = 21,
                                        .now_s = NOW_S,
                                        .io = &w->io.io};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    clm_json_free(w->found);
    clm_files_counts_done(&w->counts);
    clm_strs_done(&w->roots);
    clm_test_leaf_done(&w->leaf);
    clm_test_ca_free(w->ca);
    root_io_remove(w->root);
    free(w);
    return 0;
}

static enum clm_code on_found(void *arg, const struct clm_found *found, struct clm_err *err)
{
    struct world *w = arg;
    bool is_ours = clm_str_starts(found->path, w->root);

    (void)err;
    clm_found_to_json(found, false,
                      clm_json_set_object(w->found, found->path + (is_ours ? strlen(w->root) : 0)));
    return CLM_OK;
}

static void search(struct world *w)
{
    const struct clm_files_visitor visitor = {.found = on_found, .arg = w};
    struct clm_err err = {.code = CLM_OK};

    clm_json_free(w->found);
    clm_files_counts_done(&w->counts);
    w->counts = (struct clm_files_counts){.files = 0};
    w->found = clm_json_new_object();
    if (clm_cert_files_scan(&w->rules, &visitor, &w->counts, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

/* All that is told of a file as text; "" it is not told of. For free(). */
static char *told(const struct world *w, const char *path)
{
    const struct clm_json *file = clm_json_get(w->found, path);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(262144);

    if (file != NULL) {
        assert_int_equal(clm_json_print(file, false, &text, NULL), CLM_OK);
    }
    return strdup(clm_buf_str(&text));
}

static void assert_told(const struct world *w, const char *path, const char *part)
{
    char *text = told(w, path);

    if (part[0] == '\0' ? text[0] != '\0' : strstr(text, part) == NULL) {
        fail_msg("'%s' in '%s': %s", part, path, text);
    }
    free(text);
}

static void put(struct world *w, const char *path, const char *label, const struct clm_buf *der)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_FILES_PEM_MAX);

    assert_int_equal(clm_armor_write(label, der->data, der->len, &pem, NULL), CLM_OK);
    root_io_write(w->root, path, pem.data, pem.len);
}

static void every_label_is_understood(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bag = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf other = der_text("30{020100}");
    struct clm_buf leaf = CLM_BUF_INIT(65536);
    size_t len = 0;

    assert_int_equal(
        clm_cert_chain_from_pem(w->leaf.full_pem.data, w->leaf.full_pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_pkcs7_to_der(chain, &bag, NULL), CLM_OK);
    assert_int_equal(clm_key_to_der(w->leaf.key, &key, NULL), CLM_OK);
    const uint8_t *der = clm_cert_chain_der(chain, 0, &len);
    assert_int_equal(clm_buf_add(&leaf, der, len, NULL), CLM_OK);
    put(w, "/cert", "CERTIFICATE", &leaf);
    put(w, "/x509", "X509 CERTIFICATE", &leaf);
    put(w, "/trusted", "TRUSTED CERTIFICATE", &leaf);
    put(w, "/pkcs7", "PKCS7", &bag);
    put(w, "/cms", "CMS", &bag);
    put(w, "/nobag", "PKCS7", &other);
    root_io_write(w->root, "/bag.p7b", bag.data, bag.len);
    put(w, "/key", "PRIVATE KEY", &key);
    root_io_write(w->root, "/key.der", key.data, key.len);
    put(w, "/enc", "ENCRYPTED PRIVATE KEY", &other);
    root_io_text(w->root, "/old",
                 "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,00\n\n"
                 "AAAA\n-----END RSA PRIVATE KEY-----\n");
    search(w);
    assert_told(w, "/cert", "\"kind\":\"certificate\"");
    assert_told(w, "/x509", "\"kind\":\"certificate\"");
    assert_told(w, "/trusted", "\"kind\":\"certificate\"");
    assert_told(w, "/pkcs7", "\"format\":\"pkcs7\"");
    assert_told(w, "/pkcs7", "www.example");
    assert_told(w, "/cms", "\"format\":\"pkcs7\"");
    assert_told(w, "/nobag", "");
    assert_told(w, "/bag.p7b", "\"format\":\"pkcs7\"");
    assert_told(w, "/key", "\"kind\":\"key\"");
    assert_told(w, "/key.der", "\"format\":\"der\"");
    assert_told(w, "/enc", "\"locked\":true");
    assert_told(w, "/old", "\"locked\":true");
    clm_buf_done(&leaf);
}

static void a_key_in_the_file_is_the_one_that_is_meant(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(65536);
    struct clm_test_leaf other;

    clm_test_leaf_make(w->ca, "other.example", CLM_TEST_GOOD, &other);
    assert_int_equal(clm_buf_add(&text, w->leaf.key_pem.data, w->leaf.key_pem.len, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&text, w->leaf.full_pem.data, w->leaf.full_pem.len, NULL), CLM_OK);
    root_io_write(w->root, "/a/own.pem", text.data, text.len);
    assert_int_equal(clm_buf_add(&text, other.key_pem.data, other.key_pem.len, NULL), CLM_OK);
    root_io_write(w->root, "/b/two-keys.pem", text.data, text.len);
    clm_buf_reset(&text);
    assert_int_equal(clm_buf_add(&text, other.key_pem.data, other.key_pem.len, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&text, w->leaf.full_pem.data, w->leaf.full_pem.len, NULL), CLM_OK);
    root_io_write(w->root, "/c/wrong.pem", text.data, text.len);
    assert_int_equal(clm_buf_add(&text, other.full_pem.data, other.full_pem.len, NULL), CLM_OK);
    root_io_write(w->root, "/d/two-leafs.pem", text.data, text.len);
    root_io_write(w->root, "/e/.hidden", w->leaf.full_pem.data, w->leaf.full_pem.len);
    search(w);
    assert_told(w, "/a/own.pem", "\"key_matches\":true");
    assert_told(w, "/b/two-keys.pem", "\"key_matches\":true");
    assert_told(w, "/c/wrong.pem", "key_mismatch");
    assert_told(w, "/d/two-leafs.pem", "\"key_matches\":true");
    assert_told(w, "/e/.hidden", "www.example");
    clm_test_leaf_done(&other);
}

static void keystores_are_told_without_a_password(void **state)
{
    struct world *w = *state;

    host_tree_copy("tests/fixtures/keystore", w->root);
    host_tree_copy("tests/fixtures/keystores", w->root);
    search(w);
    assert_told(w, "/java17.jks", "\"format\":\"jks\"");
    assert_told(w, "/java17.jks", "\"kind\":\"trusted\"");
    assert_told(w, "/java17.jceks", "\"format\":\"jceks\"");
    assert_told(w, "/java17-secret.jceks", "\"kind\":\"other\"");
    assert_told(w, "/jdk17.p12", "\"locked\":true");
    assert_told(w, "/openssl-clear.p12", "\"kind\":\"key\"");
}

static void groups_that_read_keys_are_a_problem_unless_they_are_meant_to(void **state)
{
    static const struct {
        gid_t gid;
        mode_t mode;
        bool is_problem;
    } rows[] = {{0, 0640, false}, {7, 0640, false}, {8, 0640, true},
                {8, 0600, false}, {9, 0640, false}, {8, 0604, true}};
    struct world *w = *state;
    struct clm_inventory inventory = {0};
    struct clm_service *service = clm_inventory_add_service(&inventory);
    struct clm_target *target = clm_service_add_target(service);
    char path[PATH_MAX + 32];

    if (geteuid() != 0) {
        skip();
    }
    root_io_text(w->root, "/etc/passwd", "root:x:0:0::/:\n");
    root_io_text(w->root, "/etc/group", "root:x:0:\nssl-cert:x:7:\nstaff:x:8:\nweb:x:9:\n");
    root_io_write(w->root, "/key", w->leaf.key_pem.data, w->leaf.key_pem.len);
    (void)snprintf(path, sizeof(path), "%s/key", w->root);
    assert_int_equal(clm_str_copy(target->key_path, sizeof(target->key_path), path, NULL), CLM_OK);
    (void)snprintf(target->id, sizeof(target->id), "nginx:a");
    (void)snprintf(service->user, sizeof(service->user), "web");
    w->rules.inventory = &inventory;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char *text;

        assert_int_equal(chown(path, 0, rows[i].gid), 0);
        assert_int_equal(chmod(path, rows[i].mode), 0);
        search(w);
        text = told(w, "/key");
        if ((strstr(text, "key_readable") != NULL) != rows[i].is_problem) {
            fail_msg("row %zu: %s", i, text);
        }
        free(text);
    }
    clm_inventory_done(&inventory);
}

/* What a manager has replaced and keeps is no reason for attention. */
static void the_history_of_a_manager_is_no_problem(void **state)
{
    struct world *w = *state;
    struct clm_managers *managers = NULL;
    struct clm_test_leaf old;
    char mark[PATH_MAX + 64];
    struct root_io io;
    char elsewhere[PATH_MAX];

    root_io_temp(elsewhere);
    root_io_init(&io, elsewhere);
    (void)snprintf(mark, sizeof(mark), "Le_RealCertPath='%s/copy.pem'\n", w->root);
    root_io_text(elsewhere, "/root/.acme.sh/account.conf", "");
    root_io_text(elsewhere, "/root/.acme.sh/a/a.conf", mark);
    assert_int_equal(clm_managers_load(&io.io, &managers, NULL), CLM_OK);
    clm_test_leaf_make(w->ca, "old.example", CLM_TEST_EXPIRED, &old);
    root_io_write(w->root, "/copy.pem", old.leaf_pem.data, old.leaf_pem.len);
    root_io_write(w->root, "/mine.pem", old.leaf_pem.data, old.leaf_pem.len);
    w->rules.managers = managers;
    search(w);
    assert_told(w, "/copy.pem", "\"manager\":\"acme.sh\"");
    assert_told(w, "/copy.pem", "expired"); /* it keeps none: this one is the newest */
    assert_told(w, "/mine.pem", "expired");
    clm_managers_free(managers);
    clm_test_leaf_done(&old);
    root_io_remove(elsewhere);
}

static void roots_inside_others_and_of_other_hosts_are_left_out(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX + 32];

    root_io_write(w->root, "/a/b/c.pem", w->leaf.leaf_pem.data, w->leaf.leaf_pem.len);
    root_io_write(w->root, "/own/c.pem", w->leaf.leaf_pem.data, w->leaf.leaf_pem.len);
    assert_int_equal(clm_strs_add(&w->roots, "/no/such/directory", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&w->roots, "/etc/passwd/x", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&w->roots, "/proc", NULL), CLM_OK);
    (void)snprintf(path, sizeof(path), "%s/a", w->root);
    assert_int_equal(clm_strs_add(&w->roots, path, NULL), CLM_OK);
    (void)snprintf(path, sizeof(path), "%s/a/../", w->root);
    assert_int_equal(clm_strs_add(&w->roots, path, NULL), CLM_OK);
    (void)snprintf(path, sizeof(path), "%s/own", w->root);
    w->rules.own_dir = path;
    search(w);
    assert_told(w, "/a/b/c.pem", "www.example");
    assert_told(w, "/own/c.pem", "");
    assert_int_equal(w->counts.unreadable, 0);
    assert_int_equal(w->counts.remarks.n, 1);
    assert_non_null(strstr(w->counts.remarks.v[0], "'/proc/' is a network or kernel file system"));
}

static void links_that_lead_above_or_to_too_many_places_are_remarked(void **state)
{
    struct world *w = *state;
    char other[PATH_MAX];

    root_io_text(w->root, "/a/x", "");
    root_io_link(w->root, "/a/up", "/");
    root_io_link(w->root, "/a/device", "/dev/null");
    root_io_temp(other);
    for (int i = 0; i < 70; i++) {
        char from[32];
        char to[PATH_MAX + 32];

        (void)snprintf(from, sizeof(from), "/%02d/x", i);
        root_io_text(other, from, "");
        (void)snprintf(from, sizeof(from), "/l/%02d", i);
        (void)snprintf(to, sizeof(to), "%s/%02d", other, i);
        root_io_link(w->root, from, to);
    }
    search(w);
    assert_int_equal(w->counts.remarks.n, 1 + 70 - (64 - 1));
    assert_non_null(strstr(w->counts.remarks.v[0], "leads above the roots and was not followed"));
    assert_non_null(strstr(w->counts.remarks.v[1], "too many links to directories"));
    root_io_remove(other);
}

static bool remarked(const struct world *w, const char *text)
{
    for (size_t i = 0; i < w->counts.remarks.n; i++) {
        if (strstr(w->counts.remarks.v[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static void other_file_systems_are_left_out(void **state)
{
    struct world *w = *state;
    struct stat dev;
    struct stat pts;

    if (stat("/dev", &dev) != 0 || stat("/dev/pts", &pts) != 0 || dev.st_dev == pts.st_dev) {
        skip();
    }
    clm_strs_done(&w->roots);
    w->roots = (struct clm_strs){0};
    assert_int_equal(clm_strs_add(&w->roots, "/dev", NULL), CLM_OK);
    search(w);
    assert_true(remarked(w, "'/dev/pts/' is another file system"));
    w->rules.cross_mounts = true; /* but never into those of the kernel */
    search(w);
    assert_true(remarked(w, "'/dev/pts/' is another file system"));
}

/* In use are files that are there, each once, of servers whose files are ours. */
static void only_files_of_this_host_are_in_use(void **state)
{
    static const char *const paths[] = {"relative.pem", "/no/such/file", "/etc", "/proc/self/stat"};
    struct world *w = *state;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    struct clm_target *target = clm_service_add_target(clm_inventory_add_service(&inventory));

    (void)snprintf(target->id, sizeof(target->id), "nginx:a");
    root_io_write(w->root, "/both.pem", w->leaf.leaf_pem.data, w->leaf.leaf_pem.len);
    root_io_write(w->root, "/other.pem", w->leaf.leaf_pem.data, w->leaf.leaf_pem.len);
    w->rules.inventory = &inventory;
    w->rules.mode = CLM_FILES_IN_USE;
    for (size_t i = 0; i < CLM_ARRAY_LEN(paths); i++) {
        (void)snprintf(target->cert_path, sizeof(target->cert_path), "%s", paths[i]);
        search(w);
        assert_null(clm_json_first(w->found));
    }
    assert_true(remarked(w, "lies where is not looked"));
    (void)snprintf(target->cert_path, sizeof(target->cert_path), "%.4000s/both.pem", w->root);
    memcpy(target->key_path, target->cert_path, sizeof(target->key_path));
    (void)snprintf(target->chain_path, sizeof(target->chain_path), "%.4000s/other.pem", w->root);
    search(w);
    assert_told(w, "/both.pem", "\"used_by\":[\"nginx:a\"]");
    assert_told(w, "/other.pem", "\"used_by\":[\"nginx:a\"]");
    inventory.services[0].foreign_namespace = true;
    search(w);
    assert_null(clm_json_first(w->found));
}

/* A link to a file outside of the roots is told of once, unless it is excluded. */
static void files_behind_links_may_be_excluded(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_strs_done) struct clm_strs exclude = {0};
    char other[PATH_MAX];
    char to[PATH_MAX + 32];

    root_io_temp(other);
    root_io_write(other, "/x.pem", w->leaf.leaf_pem.data, w->leaf.leaf_pem.len);
    root_io_write(other, "/d/y.pem", w->leaf.leaf_pem.data, w->leaf.leaf_pem.len);
    (void)snprintf(to, sizeof(to), "%s/x.pem", other);
    root_io_link(w->root, "/l.pem", to);
    root_io_link(w->root, "/skipped.pem", to);
    (void)snprintf(to, sizeof(to), "%s/d", other);
    root_io_link(w->root, "/dir", to);
    search(w);
    assert_told(w, "/l.pem", "");
    (void)snprintf(to, sizeof(to), "%s/x.pem", other);
    assert_told(w, to, "www.example");
    (void)snprintf(to, sizeof(to), "%s/*", other);
    assert_int_equal(clm_strs_add(&exclude, to, NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&exclude, "*/skipped.pem", NULL), CLM_OK);
    w->rules.exclude = &exclude;
    search(w);
    assert_null(clm_json_first(w->found));
    root_io_remove(other);
}

/* Text in front of the first block, as "openssl x509 -text" writes it, may be long. */
static void a_block_behind_much_text_is_found(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FILES_PEM_MAX);

    while (text.len < 20000) {
        assert_int_equal(clm_buf_add_str(&text, "        X509v3 extensions:\n", NULL), CLM_OK);
    }
    root_io_write(w->root, "/only-text", text.data, text.len);
    assert_int_equal(clm_buf_add(&text, w->leaf.leaf_pem.data, w->leaf.leaf_pem.len, NULL), CLM_OK);
    root_io_write(w->root, "/text.pem", text.data, text.len);
    search(w);
    assert_told(w, "/text.pem", "www.example");
    assert_told(w, "/only-text", "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_label_is_understood),
        TEST(a_key_in_the_file_is_the_one_that_is_meant),
        TEST(keystores_are_told_without_a_password),
        TEST(groups_that_read_keys_are_a_problem_unless_they_are_meant_to),
        TEST(the_history_of_a_manager_is_no_problem),
        TEST(roots_inside_others_and_of_other_hosts_are_left_out),
        TEST(links_that_lead_above_or_to_too_many_places_are_remarked),
        TEST(other_file_systems_are_left_out),
        TEST(only_files_of_this_host_are_in_use),
        TEST(files_behind_links_may_be_excluded),
        TEST(a_block_behind_much_text_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
