/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/hostinfo.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/crypto/hash.h"

#define SMALL_FILE_MAX 4096u

/* The id itself never leaves the host: a salted hash tells clones apart (protocol.md 7.3). */
static void set_machine_id_hash(struct clm_json *obj)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf id = CLM_BUF_INIT(SMALL_FILE_MAX);
    struct clm_sha256_ctx ctx;
    uint8_t hash[CLM_SHA256_SIZE];
    char text[7 + 2 * CLM_SHA256_SIZE + 1] = "sha256:";

    if (clm_fs_read("/etc/machine-id", SMALL_FILE_MAX, &id, NULL) != CLM_OK) {
        return;
    }
    size_t len = strcspn(clm_buf_str(&id), "\r\n");
    clm_sha256_init(&ctx);
    clm_sha256_update(&ctx, "clm-mid-v1", strlen("clm-mid-v1"));
    clm_sha256_update(&ctx, clm_buf_str(&id), len);
    clm_sha256_final(&ctx, hash);
    clm_hex_encode(hash, sizeof(hash), text + 7);
    clm_json_set_str(obj, "machine_id_hash", text);
}

bool clm_hostinfo_pretty_name(const char *os_release, char *dst, size_t size)
{
    static const char key[] = "PRETTY_NAME=";
    const char *at = strstr(os_release, key);

    dst[0] = '\0';
    if (at == NULL) {
        return false;
    }
    at += sizeof(key) - 1;
    at += *at == '"' ? 1 : 0;
    (void)snprintf(dst, size, "%.*s", (int)strcspn(at, "\"\r\n"), at);
    return clm_str_is_utf8(dst, strlen(dst));
}

static void set_os_version(struct clm_json *obj)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(SMALL_FILE_MAX);
    char name[128];

    if (clm_fs_read("/usr/lib/os-release", SMALL_FILE_MAX, &file, NULL) == CLM_OK &&
        clm_hostinfo_pretty_name(clm_buf_str(&file), name, sizeof(name))) {
        clm_json_set_str(obj, "os_version", name);
    }
}

/* "Europe/Berlin" from where /etc/localtime points. */
static void set_timezone(struct clm_json *obj)
{
    char link[PATH_MAX];
    time_t now = time(NULL);
    struct tm local = {.tm_isdst = -1};
    ssize_t n = readlink("/etc/localtime", link, sizeof(link) - 1);

    link[n > 0 ? n : 0] = '\0';
    const char *zone = strstr(link, "zoneinfo/");
    clm_json_set_str(obj, "timezone", zone == NULL ? "UTC" : zone + strlen("zoneinfo/"));
    (void)localtime_r(&now, &local);
    clm_json_set_int(obj, "utc_offset_s", (int64_t)timegm(&local) - (int64_t)now);
}

void clm_hostinfo_host(struct clm_json *obj)
{
    struct utsname uts = {.nodename = ""};

    (void)uname(&uts);
    clm_json_set_str(obj, "hostname", uts.nodename);
    clm_json_set_str(obj, "os", "linux");
    clm_json_set_str(obj, "kernel", uts.release);
    clm_json_set_str(obj, "arch", uts.machine);
    set_os_version(obj);
    set_machine_id_hash(obj);
    set_timezone(obj);
}

void clm_hostinfo_agent(struct clm_json *obj)
{
    struct utsname uts = {.machine = ""};

    (void)uname(&uts);
    clm_json_set_str(obj, "version", CLM_VERSION);
    clm_json_set_str(obj, "os", "linux");
    set_os_version(obj);
    clm_json_set_str(obj, "arch", uts.machine);
}

void clm_hostinfo_capabilities(const struct clm_config *config, struct clm_json *array)
{
    char text[160];

    clm_json_add_str(array, "deploy.retain/1"); /* a job may say how many versions are kept */
    if (config->policy.allow_leave) {
        clm_json_add_str(array,
                         "deploy.leave/1"); /* a job may say that a failure is left as it is */
    }
    for (size_t i = 0; i < config->policy.job_types.n; i++) {
        (void)snprintf(text, sizeof(text), "job.%s/1", config->policy.job_types.v[i]);
        clm_json_add_str(array, text);
    }
    for (size_t i = 0; i < config->scan.kinds.n; i++) {
        (void)snprintf(text, sizeof(text), "target.%s/1", config->scan.kinds.v[i]);
        clm_json_add_str(array, text);
    }
}
