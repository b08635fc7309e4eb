/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* statx, renameat2, O_PATH */
#include "agent/base/fsat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"

#define ATTR_LIST_BYTES  8192u
#define ATTR_VALUE_BYTES 65536u /* XATTR_SIZE_MAX of the kernel */
#define LABEL            "security.selinux"
#define ACL              "system.posix_acl_access"

/* ---- stat, read ---- */

static enum clm_code stat_at(int fd, const char *name, int flags, struct clm_fsat_stat *out)
{
    struct statx sx;

    if (statx(fd, name, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &sx) != 0) {
        return CLM_E_IO;
    }
    *out = (struct clm_fsat_stat){
        .is_regular = S_ISREG(sx.stx_mode),
        .is_immutable = (sx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0,
        .is_mount = (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0,
        .mode = sx.stx_mode & 07777u,
        .uid = sx.stx_uid,
        .gid = sx.stx_gid,
        .nlink = sx.stx_nlink,
        .size_bytes = sx.stx_size,
        .dev = (uint64_t)sx.stx_dev_major << 32 | sx.stx_dev_minor,
        .ino = sx.stx_ino,
    };
    return CLM_OK;
}

enum clm_code clm_fsat_stat(int dir_fd, const char *name, struct clm_fsat_stat *out,
                            struct clm_err *err)
{
    if (stat_at(dir_fd, name, AT_SYMLINK_NOFOLLOW, out) != CLM_OK) {
        return clm_err_sys(err, errno, "stat '%s'", name);
    }
    return CLM_OK;
}

enum clm_code clm_fsat_read(int dir_fd, const char *name, size_t max, struct clm_buf *out,
                            struct clm_fsat_stat *out_stat, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct clm_fsat_stat st;
    enum clm_code code;

    fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ELOOP) {
            return clm_err_set(err, CLM_E_CONFLICT, "'%s' is a symlink", name);
        }
        return clm_err_sys(err, errno, "open '%s'", name);
    }
    if (stat_at(fd, "", AT_EMPTY_PATH, &st) != CLM_OK) {
        return clm_err_sys(err, errno, "stat '%s'", name);
    }
    if (!st.is_regular) {
        return clm_err_set(err, CLM_E_CONFLICT, "'%s' is not a regular file", name);
    }
    code = clm_fs_read_fd(fd, name, max, out, err);
    if (code == CLM_OK && out_stat != NULL) {
        *out_stat = st;
    }
    return code;
}

/* ---- creating ---- */

bool clm_fsat_name_is_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len >= CLM_FSAT_NAME_SIZE || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c < 0x20 || c == 0x7f || c == '/') {
            return false;
        }
    }
    return true;
}

enum clm_code clm_fsat_temp_name(const char *name, char *dst, struct clm_err *err)
{
    unsigned char bytes[8];
    char hex[2 * sizeof(bytes) + 1];
    enum clm_code code = clm_rand_bytes(bytes, sizeof(bytes), err);

    if (code != CLM_OK) {
        return code;
    }
    if (strlen(name) > CLM_FSAT_NAME_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "name '%s' is longer than %d bytes", name,
                           CLM_FSAT_NAME_MAX);
    }
    clm_hex_encode(bytes, sizeof(bytes), hex);
    return clm_str_fmt(dst, CLM_FSAT_NAME_SIZE, err, ".%s.clmbot.%s", name, hex);
}

/* Copies one attribute; one that the file system does not take is left out, except a label. */
static enum clm_code copy_xattr(int from, int to, const char *attr, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(ATTR_VALUE_BYTES);
    enum clm_code code = clm_buf_reserve(&value, ATTR_VALUE_BYTES, err);
    ssize_t n;

    if (code != CLM_OK) {
        return code;
    }
    n = fgetxattr(from, attr, value.data, ATTR_VALUE_BYTES);
    if (n < 0) {
        return errno == ENODATA || errno == ENOTSUP ? CLM_OK
                                                    : clm_err_sys(err, errno, "read %s", attr);
    }
    if (clm_fs_point("setxattr", to, attr) != 0 ||
        fsetxattr(to, attr, value.data, (size_t)n, 0) != 0) {
        return clm_err_sys(err, errno, "set %s", attr);
    }
    return CLM_OK;
}

static bool is_copied(const char *attr)
{
    return strcmp(attr, ACL) == 0 || clm_str_starts(attr, "user.") ||
           strcmp(attr, "security.SMACK64") == 0;
}

static bool is_signature(const char *attr)
{
    return strcmp(attr, "security.ima") == 0 || strcmp(attr, "security.evm") == 0;
}

static enum clm_code copy_xattrs(int from, int to, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf list = CLM_BUF_INIT(ATTR_LIST_BYTES);
    enum clm_code code = clm_buf_reserve(&list, ATTR_LIST_BYTES, err);
    ssize_t n;

    if (code != CLM_OK) {
        return code;
    }
    n = flistxattr(from, (char *)list.data, ATTR_LIST_BYTES);
    if (n < 0) {
        return errno == ENOTSUP ? CLM_OK : clm_err_sys(err, errno, "list attributes");
    }
    for (const char *attr = (const char *)list.data; attr < (const char *)list.data + n;
         attr += strlen(attr) + 1) {
        if (is_signature(attr)) {
            return clm_err_set(err, CLM_E_UNSUPPORTED,
                               "the file is signed (%s), and a new one could not be", attr);
        }
        code = is_copied(attr) ? copy_xattr(from, to, attr, err) : CLM_OK;
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

/* A new file takes the default ACL of its directory; the mode that is set in the end would open its
 * entries. The file that is replaced has none of it: its own, or no ACL at all. */
static enum clm_code drop_inherited(int like_fd, int fd, struct clm_err *err)
{
    if (fgetxattr(like_fd, ACL, NULL, 0) >= 0 || errno == ENOTSUP) {
        return CLM_OK; /* it has one, which is copied; or the file system knows none */
    }
    if (errno != ENODATA) {
        return clm_err_sys(err, errno, "read %s", ACL);
    }
    if (fremovexattr(fd, ACL) != 0 && errno != ENODATA && errno != ENOTSUP) {
        return clm_err_sys(err, errno, "remove inherited %s", ACL);
    }
    return CLM_OK;
}

static enum clm_code open_like(int dir_fd, const char *like, int *out_fd, struct clm_err *err)
{
    if (like == NULL) {
        return CLM_OK;
    }
    *out_fd = openat(dir_fd, like, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return *out_fd < 0 ? clm_err_sys(err, errno, "open '%s'", like) : CLM_OK;
}

static enum clm_code fill(int fd, int like_fd, const struct clm_fsat_new *file, struct clm_err *err)
{
    enum clm_code code = like_fd < 0 ? CLM_OK : copy_xattr(like_fd, fd, LABEL, err);

    if (code == CLM_OK) {
        code = clm_fs_write_fd(fd, file->name, file->data, file->len, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_point("chown", fd, file->name) != 0 || fchown(fd, file->uid, file->gid) != 0) {
        return clm_err_sys(err, errno, "chown '%s'", file->name);
    }
    code = like_fd < 0 ? CLM_OK : drop_inherited(like_fd, fd, err);
    if (code == CLM_OK && like_fd >= 0) {
        code = copy_xattrs(like_fd, fd, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_point("chmod", fd, file->name) != 0 ||
        fchmod(fd, (mode_t)(file->mode & 01777u)) != 0) {
        return clm_err_sys(err, errno, "chmod '%s'", file->name);
    }
    return clm_fs_sync_fd(fd, file->name, err);
}

enum clm_code clm_fsat_create(int dir_fd, const struct clm_fsat_new *file, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    CLM_CLEANUP(clm_fs_close_p) int like_fd = -1;
    enum clm_code code = open_like(dir_fd, file->like, &like_fd, err);

    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_point("create", dir_fd, file->name) == 0) {
        fd = openat(dir_fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "create '%s'", file->name);
    }
    code = fill(fd, like_fd, file, err);
    if (code == CLM_OK) {
        int rc = close(clm_fs_steal(&fd));

        if (rc != 0 && errno != EINTR) {
            code = clm_err_sys(err, errno, "close '%s'", file->name);
        }
    }
    if (code != CLM_OK) {
        (void)unlinkat(dir_fd, file->name, 0);
    }
    return code;
}

/* ---- names ---- */

enum clm_code clm_fsat_exchange(int dir_fd, const char *a, const char *b, struct clm_err *err)
{
    if (clm_fs_point("exchange", dir_fd, a) == 0 &&
        renameat2(dir_fd, a, dir_fd, b, RENAME_EXCHANGE) == 0) {
        return CLM_OK;
    }
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "this file system cannot exchange files");
    }
    return clm_err_sys(err, errno, "exchange '%s' and '%s'", a, b);
}

enum clm_code clm_fsat_rename(int dir_fd, const char *from, const char *to, struct clm_err *err)
{
    if (clm_fs_point("rename", dir_fd, from) != 0 || renameat(dir_fd, from, dir_fd, to) != 0) {
        return clm_err_sys(err, errno, "rename '%s' to '%s'", from, to);
    }
    return CLM_OK;
}

enum clm_code clm_fsat_rename_new(int dir_fd, const char *from, const char *to, struct clm_err *err)
{
    if (clm_fs_point("rename", dir_fd, from) == 0 &&
        renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0) {
        return CLM_OK;
    }
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        /* link(2) does not replace either; then the first name goes */
        if (linkat(dir_fd, from, dir_fd, to, 0) == 0 && unlinkat(dir_fd, from, 0) == 0) {
            return CLM_OK;
        }
    }
    return clm_err_sys(err, errno, "rename '%s' to '%s'", from, to);
}

enum clm_code clm_fsat_unlink(int dir_fd, const char *name, struct clm_err *err)
{
    struct stat st;

    /* Looked at first: for a missing name on a read-only mount unlink says EROFS, not ENOENT. */
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        return CLM_OK;
    }
    if (clm_fs_point("unlink", dir_fd, name) != 0 ||
        (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT)) {
        return clm_err_sys(err, errno, "remove '%s'", name);
    }
    return CLM_OK;
}

enum clm_code clm_fsat_sync(int dir_fd, const char *dir, struct clm_err *err)
{
    if (clm_fs_point("syncdir", dir_fd, dir) != 0 || fsync(dir_fd) != 0) {
        return clm_err_sys(err, errno, "fsync '%s'", dir);
    }
    return CLM_OK;
}

enum clm_code clm_fsat_free_bytes(int dir_fd, const char *dir, uint64_t *out_bytes,
                                  struct clm_err *err)
{
    struct statvfs vfs;

    if (fstatvfs(dir_fd, &vfs) != 0) {
        return clm_err_sys(err, errno, "stat file system of '%s'", dir);
    }
    if ((vfs.f_flag & ST_RDONLY) != 0) {
        return clm_err_sys(err, EROFS, "write in '%s'", dir);
    }
    if (faccessat(dir_fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        return clm_err_sys(err, errno, "write in '%s'", dir);
    }
    *out_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return CLM_OK;
}
