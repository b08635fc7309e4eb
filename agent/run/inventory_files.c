/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/inventory_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/base/rand.h"
#include "agent/crypto/hash.h"
#include "agent/model/cert_file.h"
#include "agent/model/probe.h"
#include "agent/run/files.h"

#define NOTE_MAX       4096u
#define LINE_MAX_BYTES 65536u /* one file in JSON: it came in a frame of that size */
#define PAGE_BYTES     1048576u
#define TRIES          4  /* of one page, if the control plane asks to wait */
#define WAIT_MAX_S     30 /* between two */

/* What was found, one line of JSON for each file. */
struct spool {
    FILE *lines;
    struct clm_sha256_ctx hash;
    size_t n;
    enum clm_code code;
    struct clm_err err;
};

/* ---- what the control plane has ---- */

struct note {
    char digest[7 + CLM_SHA256_HEX_SIZE]; /* "" none */
    char refused_boot[CLM_ULID_SIZE];     /* agent that was told that there is no such request */
};

static void note_load(const struct clm_config *config, struct note *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    char path[PATH_MAX];
    const char *text = "";

    memset(out, 0, sizeof(*out));
    if (clm_net_path(config, path, NULL, "files.sent") != CLM_OK ||
        clm_file_read_json(path, NOTE_MAX, &obj, NULL) != CLM_OK) {
        return;
    }
    if (clm_json_str_or(obj, "digest", sizeof(out->digest) - 1, "", &text, NULL) == CLM_OK) {
        clm_ignore(clm_str_copy(out->digest, sizeof(out->digest), text, NULL));
    }
    if (clm_json_str_or(obj, "refused_boot", sizeof(out->refused_boot) - 1, "", &text, NULL) ==
        CLM_OK) {
        clm_ignore(clm_str_copy(out->refused_boot, sizeof(out->refused_boot), text, NULL));
    }
}

static enum clm_code note_save(const struct clm_config *config, const struct note *note,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char path[PATH_MAX];
    enum clm_code code = clm_net_path(config, path, err, "files.sent");

    clm_json_set_str(obj, "digest", note->digest);
    clm_json_set_str(obj, "refused_boot", note->refused_boot);
    return code == CLM_OK ? clm_file_write_json(path, NOTE_MAX, obj, err) : code;
}

void clm_inventory_files_forget(const struct clm_config *config)
{
    char path[PATH_MAX];

    if (clm_net_path(config, path, NULL, "files.sent") == CLM_OK) {
        clm_ignore(clm_fs_unlink(path, NULL));
    }
}

/* ---- the search ---- */

/* A file of ours that no name leads to. */
static enum clm_code open_lines(const struct clm_config *config, FILE **out, struct clm_err *err)
{
    char path[PATH_MAX];
    int fd;
    enum clm_code code = clm_net_path(config, path, err, "files.found");

    if (code != CLM_OK) {
        return code;
    }
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    (void)unlink(path);
    *out = fdopen(fd, "w+");
    if (*out == NULL) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_NOMEM, "open '%s'", path);
    }
    return CLM_OK;
}

static enum clm_code keep(struct spool *spool, const struct clm_json *file, struct clm_err *err)
{
    CLM_CLEANUP(clm_found_done) struct clm_found found = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *told = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf line = CLM_BUF_INIT(LINE_MAX_BYTES);
    enum clm_code code = clm_found_from_json(file, &found, err);

    if (code == CLM_OK) {
        clm_found_to_json(&found, true, told);
        code = clm_json_print(told, false, &line, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(&line, "\n", 1, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_sha256_update(&spool->hash, line.data, line.len);
    spool->n++;
    return fwrite(line.data, 1, line.len, spool->lines) == line.len
               ? CLM_OK
               : clm_err_sys(err, errno, "write 'files.found'");
}

static void on_event(void *arg, const struct clm_json *event)
{
    struct spool *spool = arg;

    for (const struct clm_json *at = clm_json_first(clm_json_get(event, "files"));
         at != NULL && spool->code == CLM_OK; at = clm_json_next(at)) {
        spool->code = keep(spool, at, &spool->err);
    }
}

static enum clm_code search(struct clm_link *link, struct spool *spool, struct clm_err *err)
{
    const struct clm_link_handlers handlers = {.on_event = on_event, .arg = spool};
    enum clm_code code;

    clm_link_set_handlers(link, &handlers);
    code = clm_link_call(link, CLM_OP_CERTS, NULL, NULL, NULL, err);
    clm_link_set_handlers(link, NULL);
    clm_link_rest(link); /* others need the host half while we talk to the control plane */
    if (code == CLM_OK && spool->code != CLM_OK) {
        return clm_err_set(err, spool->code, "%s", spool->err.msg);
    }
    if (code == CLM_OK && fflush(spool->lines) != 0) {
        return clm_err_sys(err, errno, "write 'files.found'");
    }
    return code;
}

/* ---- sending ---- */

struct upload {
    struct clm_api *api;
    const char *scan_id;
    struct clm_json *page; /* body */
    struct clm_json *files;
    unsigned number;
    size_t n;
    size_t bytes;
    bool is_refused; /* 404, 405: the control plane knows no such request */
};

static void new_page(struct upload *u)
{
    clm_json_free(u->page);
    u->page = clm_json_new_object();
    u->number++;
    u->n = 0;
    u->bytes = 0;
    clm_json_set_int(u->page, "schema", 1);
    clm_json_set_str(u->page, "scan_id", u->scan_id);
    clm_json_set_int(u->page, "page", u->number);
    u->files = clm_json_set_array(u->page, "files");
}

static enum clm_code put(struct upload *u, bool is_last, struct clm_err *err)
{
    char path[128];
    const struct clm_api_request request = {
        .method = "PUT", .path = path, .body = u->page, .timeout_ms = 60000};

    (void)snprintf(path, sizeof(path), "/agent/v1/inventory/files/%s/%u", u->scan_id, u->number);
    clm_json_set_bool(u->page, "last", is_last);
    for (int i = 0;; i++) {
        struct clm_api_response answer;
        struct clm_err why = {0};
        enum clm_code sent = clm_api_call(u->api, &request, &answer, &why);
        bool again = sent != CLM_OK && answer.status != 0 && i + 1 < TRIES &&
                     clm_api_may_retry(sent, &answer);
        uint32_t wait_s = answer.retry_after_s < 1            ? 1
                          : answer.retry_after_s > WAIT_MAX_S ? WAIT_MAX_S
                                                              : answer.retry_after_s;

        u->is_refused = answer.status == 404 || answer.status == 405;
        clm_api_response_done(&answer);
        if (sent == CLM_OK) {
            return CLM_OK;
        }
        if (!again) {
            return clm_err_set(err, sent, "page %u of the certificate files: %s", u->number,
                               why.msg);
        }
        clm_clock_sleep_ms((int64_t)wait_s * 1000);
    }
}

static bool is_full(const struct upload *u, size_t more)
{
    return u->n == CLM_FOUND_PAGE_FILES || u->bytes + more > PAGE_BYTES;
}

/* Takes a line into the page, which is sent first if it is full. */
static enum clm_code take_line(struct upload *u, const char *line, size_t len, struct clm_err *err)
{
    struct clm_json *file = NULL;
    enum clm_code code = CLM_OK;

    if (is_full(u, len)) {
        code = put(u, false, err);
        new_page(u);
    }
    if (code == CLM_OK) {
        code = clm_json_parse(line, len, LINE_MAX_BYTES, &file, err);
    }
    if (code == CLM_OK) {
        clm_json_add_take(u->files, file);
        u->n++;
        u->bytes += len;
    }
    return code;
}

static enum clm_code send_all(struct spool *spool, struct upload *u, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf line = CLM_BUF_INIT(LINE_MAX_BYTES + 1);
    enum clm_code code = clm_buf_reserve(&line, LINE_MAX_BYTES + 1, err);

    rewind(spool->lines);
    new_page(u);
    while (code == CLM_OK &&
           fgets((char *)line.data, (int)LINE_MAX_BYTES + 1, spool->lines) != NULL) {
        size_t len = strlen((char *)line.data) - 1; /* without its end */

        if (u->number == CLM_FILES_PAGES_MAX && is_full(u, len)) {
            clm_log_warning("only the first %u pages of certificate files are told to the control "
                            "plane",
                            CLM_FILES_PAGES_MAX);
            break;
        }
        code = take_line(u, (char *)line.data, len, err);
    }
    if (code == CLM_OK && ferror(spool->lines) != 0) { /* half a list is not told as a whole one */
        code = clm_err_sys(err, errno, "read 'files.found'");
    }
    if (code == CLM_OK) {
        code = put(u, true, err);
    }
    clm_json_free(u->page);
    return code;
}

/* ---- all of it ---- */

static enum clm_code send_if_new(const struct clm_config *config, struct clm_api *api,
                                 struct spool *spool, struct note *note, const char *boot_id,
                                 struct clm_err *err)
{
    struct upload upload = {.api = api};
    uint8_t hash[CLM_SHA256_SIZE];
    char hex[CLM_SHA256_HEX_SIZE];
    char digest[sizeof(note->digest)];
    char scan_id[CLM_ID_SIZE];
    enum clm_code code;

    clm_sha256_final(&spool->hash, hash);
    clm_hex_encode(hash, sizeof(hash), hex);
    (void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
    if (strcmp(digest, note->digest) == 0) {
        return CLM_OK;
    }
    code = clm_id_new("scn", scan_id, err);
    if (code != CLM_OK) {
        return code;
    }
    upload.scan_id = scan_id;
    code = send_all(spool, &upload, err);
    memset(note, 0, sizeof(*note));
    if (code != CLM_OK && upload.is_refused) {
        clm_log_debug("the control plane takes no certificate files");
        clm_ignore(clm_str_copy(note->refused_boot, sizeof(note->refused_boot), boot_id, NULL));
        return note_save(config, note, err);
    }
    if (code == CLM_OK) {
        clm_log_info("%zu certificate files told to the control plane", spool->n);
        memcpy(note->digest, digest, sizeof(digest));
        code = note_save(config, note, err);
    }
    return code;
}

enum clm_code clm_inventory_files_take(const struct clm_config *config, struct clm_link *link,
                                       struct clm_api *api, const char *boot_id,
                                       struct clm_err *err)
{
    struct spool spool = {.lines = NULL};
    struct note note;
    enum clm_code code;

    note_load(config, &note);
    if (strcmp(config->scan.files.mode, "off") == 0 ||
        (boot_id[0] != '\0' && strcmp(note.refused_boot, boot_id) == 0)) {
        return CLM_OK;
    }
    code = open_lines(config, &spool.lines, err);
    if (code != CLM_OK) {
        return code;
    }
    clm_sha256_init(&spool.hash);
    code = search(link, &spool, err);
    if (code == CLM_OK) {
        code = send_if_new(config, api, &spool, &note, boot_id, err);
    }
    (void)fclose(spool.lines);
    return code;
}
