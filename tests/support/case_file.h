/* SPDX-License-Identifier: Apache-2.0 */
/*
 * case_file - texts with a verdict, one a line: "kind name text", for more than one reader of them
 *
 * In the text stand \n, \r, \t, \\ and \xNN for the byte they mean; a line without a second blank has
 * an empty text. Lines that begin with '#' are comments.
 */
#ifndef CLM_TESTS_SUPPORT_CASE_FILE_H
#define CLM_TESTS_SUPPORT_CASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CASE_LINE_MAX 4096

struct case_line {
    char kind[4];
    char name[80];
    char text[CASE_LINE_MAX];
    size_t len;
};

/* The next case; false at the end. A cmocka failure if a line is malformed. */
bool case_read(FILE *file, struct case_line *out);
/* The text in a block of its own, with nothing behind it, so that reading too far is seen: the byte
 * in front of what is returned is the first of the block. For case_free(). */
char *case_copy(const struct case_line *one);
void case_free(char *copy);

#endif
