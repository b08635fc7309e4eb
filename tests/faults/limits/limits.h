/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits - the worst inputs of every parser of foreign bytes, at the size that is still read
 *
 * A shape is made by a function into a buffer and given to a parser; main.c measures. Each table ends
 * with a row without a name.
 */
#ifndef CLM_TESTS_FAULTS_LIMITS_H
#define CLM_TESTS_FAULTS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define LIMIT_CPU_MS  50 /* reliability.md 10, 15 */
#define LIMIT_MEM_KIB 16384
#if defined(__OPTIMIZE__)
#    define LIMIT_SLOWER 1
#else
#    define LIMIT_SLOWER 2 /* what is released is optimized */
#endif

typedef enum clm_code (*limits_parse_fn)(const uint8_t *data, size_t len, struct clm_err *err);
/* Appends the input; size is what the row says. */
typedef void (*limits_make_fn)(struct clm_buf *out, size_t size);

enum limits_verdict {
    LIMITS_ANY, /* either is right, as long as it is cheap */
    LIMITS_REFUSED,
    LIMITS_READ,
};

struct limits_row {
    const char *parser;
    const char *shape;
    limits_parse_fn parse;
    limits_make_fn make;
    size_t size; /* bytes, about */
    enum limits_verdict verdict;
    unsigned cpu_ms;  /* another budget than LIMIT_CPU_MS; why says for what reason */
    unsigned mem_kib; /* the same for memory */
    const char *why;
};

extern const struct limits_row limits_text_rows[];
extern const struct limits_row limits_conf_rows[];
extern const struct limits_row limits_der_rows[];
extern const struct limits_row limits_store_rows[];
extern const struct limits_row limits_message_rows[];

/* ---- bricks; a buffer that is full is a mistake of the shape ---- */

void put(struct clm_buf *out, const char *text);
void put_bytes(struct clm_buf *out, const void *data, size_t len);
/* text again and again, until size bytes are there. */
void put_flood(struct clm_buf *out, const char *text, size_t size);
/* fmt with a number counting up, until size bytes are there. */
void put_counted(struct clm_buf *out, const char *fmt, size_t size)
    __attribute__((format(printf, 2, 0)));
void putf(struct clm_buf *out, const char *fmt, ...) CLM_PRINTF(2, 3);
void put_u16(struct clm_buf *out, unsigned value);
void put_u32(struct clm_buf *out, uint32_t value);

/* DER: tag, length, content. */
void put_tlv(struct clm_buf *out, unsigned tag, const void *data, size_t len);
/* The same around what stands in inner, which is emptied. */
void put_around(struct clm_buf *out, unsigned tag, struct clm_buf *inner);

#endif
