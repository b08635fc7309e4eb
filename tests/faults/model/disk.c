/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/model/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX   256
#define ARENA_MAX   (16u << 20)
#define MIX_A       0x9E3779B97F4A7C15u
#define MIX_B       0xC2B2AE3D27D4EB4Fu
#define FNV_A       0xCBF29CE484222325u
#define FNV_B       0x84222325CBF29CE4u
#define FNV_PRIME_A 0x100000001B3u
#define FNV_PRIME_B 0x1000000016Fu

static void full(const char *what)
{
    (void)fprintf(stderr, "model: more %s than there is room for\n", what);
    abort();
}

void *disk_alloc(struct disk_arena *arena, size_t len)
{
    void *p;

    if (arena->data == NULL) {
        arena->max = ARENA_MAX;
        arena->data = malloc(arena->max);
    }
    len = (len + 15) & ~(size_t)15;
    if (arena->data == NULL || len > arena->max - arena->len) {
        full("data");
    }
    p = arena->data + arena->len;
    arena->len += len;
    return p;
}

void disk_arena_done(struct disk_arena *arena)
{
    free(arena->data);
    *arena = (struct disk_arena){0};
}

const char *disk_name(const char *name)
{
    static char *names[NAMES_MAX * 64];
    static size_t n;

    for (size_t i = n; i > 0; i--) {
        if (strcmp(names[i - 1], name) == 0) {
            return names[i - 1];
        }
    }
    if (n == sizeof(names) / sizeof(names[0])) {
        full("names");
    }
    names[n] = strdup(name);
    if (names[n] == NULL) {
        full("names");
    }
    return names[n++];
}

uint32_t disk_add(struct disk *disk, const struct disk_node *node)
{
    if (disk->n_nodes == DISK_NODES) {
        full("nodes");
    }
    disk->nodes[disk->n_nodes] = *node;
    return (uint32_t)disk->n_nodes++;
}

static size_t at(const struct disk *disk, uint32_t dir, const char *name)
{
    for (size_t i = 0; i < disk->n_entries; i++) {
        if (disk->entries[i].dir == dir && disk->entries[i].name == name) {
            return i;
        }
    }
    return disk->n_entries;
}

uint32_t disk_find(const struct disk *disk, uint32_t dir, const char *name)
{
    size_t i = at(disk, dir, disk_name(name));

    return i < disk->n_entries ? disk->entries[i].child : DISK_NONE;
}

void disk_set(struct disk *disk, uint32_t dir, const char *name, uint32_t child)
{
    size_t i = at(disk, dir, name);

    if (child == DISK_NONE) {
        if (i < disk->n_entries) {
            disk->entries[i] = disk->entries[--disk->n_entries];
        }
        return;
    }
    if (i == DISK_ENTRIES) {
        full("entries");
    }
    disk->entries[i] = (struct disk_entry){.dir = dir, .child = child, .name = name};
    disk->n_entries += i == disk->n_entries;
}

void disk_write(struct disk *disk, struct disk_arena *arena, uint32_t node, size_t off,
                const uint8_t *data, size_t len)
{
    struct disk_node *file = &disk->nodes[node];
    size_t end = off + len > file->len ? off + len : file->len;
    uint8_t *copy = disk_alloc(arena, end);

    memset(copy, 0, end);
    if (file->len > 0) {
        memcpy(copy, file->data, file->len);
    }
    if (len > 0) {
        memcpy(copy + off, data, len);
    }
    file->data = copy;
    file->len = end;
}

void disk_set_xattr(struct disk *disk, struct disk_arena *arena, uint32_t node,
                    const struct disk_xattr *xattr)
{
    struct disk_node *file = &disk->nodes[node];
    const struct disk_xattr *old = file->xattrs;

    file->xattrs = NULL;
    if (xattr->data != NULL) {
        struct disk_xattr *first = disk_alloc(arena, sizeof(*first));

        *first = *xattr;
        first->next = NULL;
        file->xattrs = first;
    }
    for (; old != NULL; old = old->next) {
        if (old->name != xattr->name) {
            struct disk_xattr *copy = disk_alloc(arena, sizeof(*copy));

            *copy = *old;
            copy->next = file->xattrs;
            file->xattrs = copy;
        }
    }
}

/* ---- the hash ---- */

static void fold(struct disk_hash *h, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        h->a = (h->a ^ p[i]) * FNV_PRIME_A;
        h->b = (h->b ^ p[i]) * FNV_PRIME_B;
    }
}

static uint64_t mixed(uint64_t x, uint64_t by)
{
    x = (x ^ (x >> 31)) * by;
    return x ^ (x >> 29);
}

static struct disk_hash node_hash(const struct disk *disk, uint32_t number, unsigned depth);

/* A sum: the order of entries is nothing that a disk promises. */
static struct disk_hash dir_hash(const struct disk *disk, uint32_t dir, unsigned depth)
{
    struct disk_hash sum = {FNV_A, FNV_B};

    for (size_t i = 0; i < disk->n_entries; i++) {
        const struct disk_entry *entry = &disk->entries[i];
        struct disk_hash h = {FNV_A, FNV_B};

        if (entry->dir == dir && depth > 0) {
            struct disk_hash child = node_hash(disk, entry->child, depth - 1);

            fold(&h, entry->name, strlen(entry->name));
            fold(&h, &child, sizeof(child));
            sum.a += mixed(h.a, MIX_A);
            sum.b += mixed(h.b, MIX_B);
        }
    }
    return sum;
}

static struct disk_hash node_hash(const struct disk *disk, uint32_t number, unsigned depth)
{
    const struct disk_node *node = &disk->nodes[number];
    const uint32_t meta[] = {(uint32_t)node->kind, node->mode, node->uid, node->gid,
                             (uint32_t)node->len};
    struct disk_hash h =
        node->kind == DISK_DIR ? dir_hash(disk, number, depth) : (struct disk_hash){FNV_A, FNV_B};

    fold(&h, meta, sizeof(meta));
    fold(&h, node->data, node->len);
    for (const struct disk_xattr *x = node->xattrs; x != NULL; x = x->next) {
        struct disk_hash one = {FNV_A, FNV_B};

        fold(&one, x->name, strlen(x->name));
        fold(&one, x->data, x->len);
        h.a += mixed(one.a, MIX_B);
        h.b += mixed(one.b, MIX_A);
    }
    return h;
}

struct disk_hash disk_hash(const struct disk *disk)
{
    return node_hash(disk, DISK_ROOT, 8);
}
