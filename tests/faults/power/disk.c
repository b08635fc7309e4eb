/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_disk IMAGE LOG MOUNTPOINT - a disk that remembers every write and every flush, in order
 *
 * A file system (FUSE) with two files. "disk" begins as the image, which is never changed; whoever
 * puts a loop device over it has a disk. "mark" takes a line of text at any time. Everything goes
 * into the log, one record after the other: kind, length of what follows, offset on the disk (32,
 * 32 and 64 bits, as the machine has them), and the bytes of a write or mark. Runs in the foreground.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    WRITE = 'w',
    FLUSH = 'f',
    MARK = 'm'
};

struct record {
    uint32_t kind;
    uint32_t len;
    uint64_t off;
};

static struct {
    uint8_t *data;
    size_t size;
    int log_fd;
} disk;

static int note(enum kind kind, const char *data, size_t len, off_t off)
{
    struct record record = {.kind = (uint32_t)kind, .len = (uint32_t)len, .off = (uint64_t)off};
    union {
        const char *in;
        void *out;
    } bytes = {.in = data};
    struct iovec parts[] = {{.iov_base = &record, .iov_len = sizeof(record)},
                            {.iov_base = bytes.out, .iov_len = len}};

    return writev(disk.log_fd, parts, 2) == (ssize_t)(sizeof(record) + len) ? 0 : -EIO;
}

static int is_disk(const char *path)
{
    return strcmp(path, "/disk") == 0;
}

static int get_attr(const char *path, struct stat *st, struct fuse_file_info *info)
{
    (void)info;
    memset(st, 0, sizeof(*st));
    if (strcmp(path, "/") == 0) {
        st->st_mode = S_IFDIR | 0700;
        st->st_nlink = 2;
    } else if (is_disk(path) || strcmp(path, "/mark") == 0) {
        st->st_mode = S_IFREG | 0600;
        st->st_nlink = 1;
        st->st_size = is_disk(path) ? (off_t)disk.size : 0;
    } else {
        return -ENOENT;
    }
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *info)
{
    (void)path;
    info->direct_io = 1; /* every write as it was made */
    return 0;
}

static int cut(const char *path, off_t size, struct fuse_file_info *info)
{
    (void)info;
    return is_disk(path) && size != (off_t)disk.size ? -EPERM : 0;
}

static int read_disk(const char *path, char *dst, size_t len, off_t off,
                     struct fuse_file_info *info)
{
    (void)info;
    if (!is_disk(path) || off < 0 || (size_t)off >= disk.size) {
        return 0;
    }
    len = len < disk.size - (size_t)off ? len : disk.size - (size_t)off;
    memcpy(dst, disk.data + off, len);
    return (int)len;
}

static int write_disk(const char *path, const char *data, size_t len, off_t off,
                      struct fuse_file_info *info)
{
    int rc;

    (void)info;
    if (!is_disk(path)) {
        rc = note(MARK, data, len, 0);
        return rc != 0 ? rc : (int)len;
    }
    if (off < 0 || (size_t)off > disk.size || len > disk.size - (size_t)off) {
        return -ENOSPC;
    }
    memcpy(disk.data + off, data, len);
    rc = note(WRITE, data, len, off);
    return rc != 0 ? rc : (int)len;
}

static int flush_disk(const char *path, int is_data_only, struct fuse_file_info *info)
{
    (void)is_data_only;
    (void)info;
    return is_disk(path) ? note(FLUSH, NULL, 0, 0) : 0;
}

static int load(const char *image, const char *log)
{
    struct stat st;
    int fd = open(image, O_RDONLY | O_CLOEXEC);

    disk.log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) != 0 || disk.log_fd < 0) {
        return -1;
    }
    disk.size = (size_t)st.st_size;
    disk.data = mmap(NULL, disk.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    return disk.data == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct fuse_operations operations = {
        .getattr = get_attr,
        .open = open_file,
        .truncate = cut,
        .read = read_disk,
        .write = write_disk,
        .fsync = flush_disk,
    };
    char *words[] = {argv[0], NULL, NULL, NULL, NULL};
    static char foreground[] = "-f";
    static char one_thread[] = "-s";

    if (argc != 4) {
        (void)fprintf(stderr, "usage: faults_disk IMAGE LOG MOUNTPOINT\n");
        return 2;
    }
    if (load(argv[1], argv[2]) != 0) {
        perror(argv[1]);
        return 1;
    }
    words[1] = argv[3];
    words[2] = foreground;
    words[3] = one_thread;
    return fuse_main(4, words, &operations, NULL);
}
