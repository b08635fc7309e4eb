/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find NEEDLES - where in standard input one of many pieces of 16 bytes begins
 *
 * NEEDLES holds the pieces, one behind the other. Prints a line "OFFSET NUMBER" for each that is found.
 * A table of all first three bytes makes the time independent of how many there are.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 16u

struct piece {
    unsigned char bytes[PIECE];
    size_t number;
};

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct piece *)a)->bytes, ((const struct piece *)b)->bytes, PIECE);
}

static unsigned char *read_all(FILE *file, size_t *out_len)
{
    size_t cap = (size_t)1 << 20;
    unsigned char *data = malloc(cap);
    size_t n;

    *out_len = 0;
    while (data != NULL && (n = fread(data + *out_len, 1, cap - *out_len, file)) > 0) {
        *out_len += n;
        if (*out_len == cap) {
            unsigned char *more = realloc(data, cap * 2);

            if (more == NULL) {
                free(data);
            }
            data = more;
            cap *= 2;
        }
    }
    return data;
}

static size_t first_three(const unsigned char *bytes)
{
    return (size_t)bytes[0] << 16 | (size_t)bytes[1] << 8 | bytes[2];
}

int main(int argc, char **argv)
{
    static unsigned char may_begin[(size_t)1 << 24];
    FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
    size_t n_bytes = 0;
    size_t len = 0;
    unsigned char *bytes = file == NULL ? NULL : read_all(file, &n_bytes);
    unsigned char *data = read_all(stdin, &len);
    size_t n = n_bytes / PIECE;
    struct piece *pieces = calloc(n + 1, sizeof(*pieces));

    if (bytes == NULL || data == NULL || pieces == NULL || n_bytes % PIECE != 0) {
        (void)fprintf(stderr, "usage: find NEEDLES, a file of pieces of %u bytes\n", PIECE);
        return 2;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(pieces[i].bytes, bytes + i * PIECE, PIECE);
        pieces[i].number = i;
        may_begin[first_three(pieces[i].bytes)] = 1;
    }
    qsort(pieces, n, sizeof(*pieces), compare);
    for (size_t at = 0; at + PIECE <= len; at++) {
        struct piece key;
        const struct piece *hit;

        if (may_begin[first_three(data + at)] == 0) {
            continue;
        }
        memcpy(key.bytes, data + at, PIECE);
        hit = bsearch(&key, pieces, n, sizeof(*pieces), compare);
        if (hit != NULL) {
            (void)printf("%zu %zu\n", at, hit->number);
        }
    }
    free(pieces);
    free(data);
    free(bytes);
    return fclose(file) == 0 ? 0 : 2;
}
