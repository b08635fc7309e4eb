/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens one file and reads as much of it as is worth reading.
 *
 * Whoever may write to a directory decides what stands there: a pipe, a device, a file of any size
 * that changes while it is read. So the name is opened without waiting and without following a
 * link, what was opened is asked what it is, and never more is read than the limit says.
 */
#define _GNU_SOURCE /* O_NOATIME */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/keystore/sniff.h"
#include "scanners/cert_files_int.h"

#define TEXT_SNIFF_SIZE 65536u /* text in front of the first PEM block: "openssl x509 -text" */

/* O_NOATIME is for the owner and for root: without it the page of the inode gets dirty. */
static int open_quietly(int dir_fd, const char *name)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = openat(dir_fd, name, flags | O_NOATIME);

    return fd < 0 && errno == EPERM ? openat(dir_fd, name, flags) : fd;
}

/* Reads until the buffer holds size bytes or the file ends. False on an error. */
static bool read_up_to(struct clm_files_scan *scan, int fd, size_t size)
{
    struct clm_buf *buf = &scan->content;

    while (buf->len < size) {
        ssize_t n;

        if (clm_buf_reserve(buf, size - buf->len, NULL) != CLM_OK) {
            scan->is_short = true;
            return false;
        }
        n = read(fd, buf->data + buf->len, size - buf->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0;
        }
        buf->len += (size_t)n;
    }
    return true;
}

static size_t size_max_of(enum clm_cert_file kind)
{
    return kind == CLM_CERT_FILE_PEM || kind == CLM_CERT_FILE_DER ? CLM_FILES_PEM_MAX
                                                                  : CLM_FILES_STORE_MAX;
}

static bool holds_something(const struct clm_sniff *sniff)
{
    const uint32_t worth =
        CLM_SNIFF_CERT | CLM_SNIFF_KEY | CLM_SNIFF_ENCRYPTED_KEY | CLM_SNIFF_PKCS7;

    switch (sniff->kind) {
    case CLM_CERT_FILE_PEM:
    case CLM_CERT_FILE_DER:
        return (sniff->has & worth) != 0;
    case CLM_CERT_FILE_PKCS7:
    case CLM_CERT_FILE_PKCS12:
    case CLM_CERT_FILE_JKS:
    case CLM_CERT_FILE_JCEKS:
        return true;
    case CLM_CERT_FILE_NONE:
    case CLM_CERT_FILE_OTHER_STORE:
    case CLM_CERT_FILE__COUNT:
        break;
    }
    return false;
}

/* Wipes what the last file left: it may have been a key. */
static void empty(struct clm_buf *buf)
{
    if (buf->len > 0) {
        clm_wipe(buf->data, buf->len);
    }
    buf->len = 0; /* clm_buf_reset() would wipe all of the room, which one large file made large */
}

/* True if all of the file is in scan->content. */
static bool read_content(struct clm_files_scan *scan, int fd, const struct clm_files_file *file)
{
    struct clm_buf *buf = &scan->content;
    struct clm_sniff sniff;

    empty(buf);
    if (!read_up_to(scan, fd, CLM_SNIFF_SIZE)) {
        scan->counts->unreadable++;
        return false;
    }
    sniff = clm_cert_file_sniff(buf->data, buf->len);
    if (sniff.wants_more && !holds_something(&sniff) && buf->len == CLM_SNIFF_SIZE) {
        if (!read_up_to(scan, fd, TEXT_SNIFF_SIZE)) {
            scan->counts->unreadable++;
            return false;
        }
        sniff = clm_cert_file_sniff(buf->data, buf->len);
    }
    if (!holds_something(&sniff)) {
        return false;
    }
    /* One byte more tells a file that grows while it is read. */
    if ((uint64_t)file->st.st_size > size_max_of(sniff.kind) ||
        !read_up_to(scan, fd, (size_t)file->st.st_size + 1) || buf->len > size_max_of(sniff.kind)) {
        scan->counts->too_large++;
        clm_ignore(clm_files_remark(scan, NULL, "'%s' is longer than %zu bytes and was not read",
                                    file->path, size_max_of(sniff.kind)));
        return false;
    }
    return true;
}

bool clm_files_read(struct clm_files_scan *scan, const struct clm_files_dir *dir, const char *name,
                    struct clm_files_file *out)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;

    out->dir = dir;
    out->name = name;
    out->is_candidate = false;
    if (clm_str_fmt(out->path, sizeof(out->path), NULL, "%s/%s", dir->path, name) != CLM_OK) {
        scan->counts->unreadable++;
        return false;
    }
    fd = open_quietly(dir->fd, name);
    if (fd < 0) {
        /* gone, a link or a socket meanwhile: nothing to tell */
        if (errno != ENOENT && errno != ELOOP && errno != ENXIO) {
            scan->counts->unreadable++;
            clm_ignore(
                clm_files_remark(scan, NULL, "'%s': %s", out->path,
                                 errno == EACCES ? "permission denied" : "cannot be opened"));
        }
        return false;
    }
    if (fstat(fd, &out->st) != 0) {
        scan->counts->unreadable++;
        return false;
    }
    if (!S_ISREG(out->st.st_mode)) {
        return false;
    }
    out->is_candidate = read_content(scan, fd, out);
    return out->is_candidate;
}
