/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* wcwidth */
#include "agent/base/term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "agent/base/str.h"

#define WIDTH_MIN 20 /* columns; a terminal that says less has no idea */

static const char *const color_codes[CLM_COLOR__COUNT] = {
    [CLM_COLOR_NONE] = "",        [CLM_COLOR_BOLD] = "\033[1m",   [CLM_COLOR_DIM] = "\033[2m",
    [CLM_COLOR_RED] = "\033[31m", [CLM_COLOR_GREEN] = "\033[32m", [CLM_COLOR_YELLOW] = "\033[33m",
};

void clm_term_init(void)
{
    (void)setlocale(LC_CTYPE, "");
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0';
}

struct clm_term clm_term_probe(int fd)
{
    const char *kind = getenv("TERM");
    struct clm_term term = {.is_tty = isatty(fd) == 1};
    struct winsize size = {0};

    term.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!term.is_tty) {
        return term;
    }
    term.has_color = !is_set("NO_COLOR") && kind != NULL && strcmp(kind, "dumb") != 0;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= WIDTH_MIN) {
        term.width = size.ws_col;
    }
    return term;
}

/* One character at p: its bytes, and its columns on the terminal; a bad or steering one is a '?'. */
static size_t character(const char *p, size_t left, bool *out_is_plain, size_t *out_columns)
{
    const unsigned char *byte = (const unsigned char *)p;
    size_t len = clm_str_utf8_len(p, left);
    wchar_t rune = byte[0];
    int columns;

    *out_is_plain = false;
    *out_columns = 1;
    if (len == 0) {
        return 1;
    }
    if (clm_str_is_steering(p, len)) {
        return len;
    }
    if (len > 1) {
        rune = byte[0] & (0x7f >> len);
        for (size_t i = 1; i < len; i++) {
            rune = rune << 6 | (byte[i] & 0x3f);
        }
    }
    columns = wcwidth(rune); /* glibc: wchar_t is the code point */
    *out_is_plain = true;
    *out_columns = columns < 0 ? 1 : (size_t)columns;
    return len;
}

size_t clm_term_width(const char *text, size_t max, size_t *out_bytes)
{
    size_t left = strlen(text);
    size_t width = 0;
    size_t bytes = 0;

    while (left > 0) {
        bool is_plain;
        size_t columns;
        size_t len = character(text + bytes, left, &is_plain, &columns);

        if (columns > max - width) {
            break;
        }
        width += columns;
        bytes += len;
        left -= len;
    }
    if (out_bytes != NULL) {
        *out_bytes = bytes;
    }
    return width;
}

enum clm_code clm_term_add(const struct clm_term *term, enum clm_color color, const char *text,
                           size_t len, struct clm_buf *out, struct clm_err *err)
{
    bool is_colored = term->has_color && color != CLM_COLOR_NONE && len > 0;
    enum clm_code code = CLM_OK;

    if (is_colored) {
        code = clm_buf_add_str(out, color_codes[color], err);
    }
    while (code == CLM_OK && len > 0) {
        bool is_plain;
        size_t columns;
        size_t step = character(text, len, &is_plain, &columns);

        code = is_plain ? clm_buf_add(out, text, step, err) : clm_buf_add(out, "?", 1, err);
        text += step;
        len -= step;
    }
    if (code == CLM_OK && is_colored) {
        code = clm_buf_add_str(out, "\033[0m", err);
    }
    return code;
}
