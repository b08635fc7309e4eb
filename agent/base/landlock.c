/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* syscall, O_PATH */
#include "agent/base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/fs.h"

/* Not from linux/landlock.h, which distributions have in very different versions, or not at all. The
 * numbers of the calls are the same on every architecture. */
#define SYS_CREATE_RULESET 444
#define SYS_ADD_RULE       445
#define SYS_RESTRICT_SELF  446
#define WANT_VERSION       1u
#define RULE_PATH_BENEATH  1

#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_MAKE_SOCK   (UINT64_C(1) << 9)
#define FS_REFER       (UINT64_C(1) << 13) /* from version 2 */
#define FS_TRUNCATE    (UINT64_C(1) << 14) /* from version 3 */
#define FS_ALL_1       ((UINT64_C(1) << 13) - 1)
#define FS_OF_FILES    (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)
#define NET_BIND_TCP   UINT64_C(1)        /* from version 4 */
#define SCOPE_SIGNAL   (UINT64_C(1) << 1) /* from version 6 */

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

/* As the kernel has it: packed, which C cannot say. Two 32-bit halves and the descriptor. */
struct beneath {
    uint32_t access[2];
    int32_t fd;
};

int clm_landlock_abi(void)
{
    long abi = syscall(SYS_CREATE_RULESET, NULL, (size_t)0, WANT_VERSION);

    return abi > 0 ? (int)abi : 0;
}

static struct ruleset handled(int abi)
{
    return (struct ruleset){
        .fs = FS_ALL_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0),
        .net = abi >= 4 ? NET_BIND_TCP : 0,
        .scoped = abi >= 6 ? SCOPE_SIGNAL : 0,
    };
}

static size_t size_of(int abi)
{
    return abi >= 6 ? sizeof(struct ruleset) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static uint64_t rights_of(enum clm_landlock_use use)
{
    switch (use) {
    case CLM_LANDLOCK_READ:
        return FS_READ_FILE | FS_READ_DIR;
    case CLM_LANDLOCK_RUN:
        return FS_READ_FILE | FS_READ_DIR | FS_EXECUTE;
    case CLM_LANDLOCK_WRITE:
        break;
    }
    return FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
           FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_REFER | FS_TRUNCATE;
}

static enum clm_code add(int ruleset, const struct clm_landlock_path *path, uint64_t known,
                         struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = open(path->path, O_PATH | O_CLOEXEC);
    struct beneath rule;
    struct stat st;
    uint64_t access;

    if (fd < 0) {
        return errno == ENOENT || errno == EACCES ? CLM_OK
                                                  : clm_err_sys(err, errno, "'%s'", path->path);
    }
    if (fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "'%s'", path->path);
    }
    access = rights_of(path->use) & known & (S_ISDIR(st.st_mode) ? UINT64_MAX : FS_OF_FILES);
    rule.fd = fd;
    memcpy(rule.access, &access, sizeof(access));
    if (syscall(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0u) != 0) {
        return clm_err_sys(err, errno, "landlock rule for '%s'", path->path);
    }
    return CLM_OK;
}

enum clm_code clm_landlock_restrict(const struct clm_landlock_path *paths, size_t n, int *out_abi,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int ruleset = -1;
    int abi = clm_landlock_abi();
    const struct ruleset attr = handled(abi);
    enum clm_code code = CLM_OK;

    *out_abi = 0;
    if (abi == 0) {
        return CLM_OK;
    }
    ruleset = (int)syscall(SYS_CREATE_RULESET, &attr, size_of(abi), 0u);
    if (ruleset < 0) {
        return clm_err_sys(err, errno, "landlock");
    }
    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        code = add(ruleset, &paths[i], attr.fs, err);
    }
    if (code == CLM_OK && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                           syscall(SYS_RESTRICT_SELF, ruleset, 0u) != 0)) {
        code = clm_err_sys(err, errno, "landlock");
    }
    *out_abi = code == CLM_OK ? abi : 0;
    return code;
}
