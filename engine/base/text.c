#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64

/* RFC 3629 section 4: what the second byte may be depends on the first; all further ones are 80..BF. */
size_t text_utf8_seq(const char *s, size_t n) {
    const unsigned char *b = (const unsigned char *)s;
    if (n == 0) {
        return 0;
    }
    if (b[0] < 0x80) {
        return 1;
    }
    size_t want = b[0] >= 0xC2 && b[0] <= 0xDF ? 2 : (b[0] & 0xF0) == 0xE0 ? 3 : b[0] >= 0xF0 && b[0] <= 0xF4 ? 4 : 0;
    if (want == 0 || n < want) {
        return 0;
    }
    unsigned char low = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;
    if (b[1] < low || b[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < want; i++) {
        if ((b[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return want;
}

bool text_utf8_valid(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        uint64_t eight;
        if (n - i >= sizeof eight) { /* most texts are ASCII for long */
            memcpy(&eight, s + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t step = text_utf8_seq(s + i, n - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

static uint32_t decode(const char *s, size_t len) {
    const unsigned char *b = (const unsigned char *)s;
    static const unsigned char mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t c = b[0] & mask[len];
    for (size_t i = 1; i < len; i++) {
        c = c << 6 | (b[i] & 0x3F);
    }
    return c;
}

/* Characters which show nothing and change how the text around them is read: C1 controls, direction marks and
 * overrides (Unicode UAX 9), line and paragraph separators, zero-width spaces, annotations, noncharacters which XML
 * refuses, tags. The zero-width joiners stay: scripts and emoji need them. */
static bool is_hidden(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } range[] = {{0x7F, 0x9F},     {0xAD, 0xAD},     {0x61C, 0x61C},   {0x180E, 0x180E},
                 {0x200B, 0x200B}, {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},
                 {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0xE007F}};
    for (size_t i = 0; i < sizeof range / sizeof range[0]; i++) {
        if (c >= range[i].first && c <= range[i].last) {
            return true;
        }
    }
    return c < 0x20;
}

/* Does s begin what a runner of continuous integration takes for a command in the output it watches? GitHub Actions:
 * "::" at a line's start, and "##["; Azure Pipelines: "##vso["; TeamCity: "##teamcity[". */
static bool is_command(const char *s, size_t n, bool line_start) {
    static const char *const MARKS[] = {"##[", "##vso[", "##teamcity["};
    if (n >= 2 && line_start && s[0] == ':' && s[1] == ':') {
        return true;
    }
    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++) {
        size_t len = strlen(MARKS[i]);
        if (n >= len && memcmp(s, MARKS[i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* The next character of s as it is shown: *used bytes of it are taken; returns the length of the text in piece.
 * *line_start: has nothing but blanks been shown in this line? */
static size_t show_one(const char *s, size_t n, bool multiline, bool *line_start, char piece[16], size_t *used) {
    size_t len = text_utf8_seq(s, n);
    *used = len == 0 ? 1 : len;
    if (is_command(s, n, *line_start)) {
        *line_start = false;
        memcpy(piece, (char[]){s[0], ' '}, 2);
        return 2;
    }
    *line_start = n > 0 && (s[0] == '\n' || (*line_start && (s[0] == ' ' || s[0] == '\t')));
    if (len == 0) {
        return (size_t)snprintf(piece, 16, "\\x%02x", (unsigned)(unsigned char)s[0]);
    }
    uint32_t c = decode(s, len);
    if (!is_hidden(c) || (multiline && (c == '\n' || c == '\t'))) {
        memcpy(piece, s, len);
        return len;
    }
    return (size_t)snprintf(piece, 16, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
}

/* How many bytes at the start of s are shown as they are wherever they stand in a line: printable ASCII but for what a
 * command may begin with. Most text is this; show_one takes each character apart. */
static size_t plain_run(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && s[i] >= 0x20 && s[i] <= 0x7E && s[i] != ':' && s[i] != '#') {
        i++;
    }
    return i;
}

int text_sanitise(buf *out, const char *s, size_t n, size_t max, bool multiline) {
    static const char more[] = "…";
    const size_t mark = sizeof more - 1;
    size_t wrote = 0;
    size_t keep = 0; /* how much may stay when the text turns out to be too long */
    bool line_start = true;
    for (size_t i = 0, used = 0; i < n; i += used) {
        size_t room = max == 0 || n - i < max - wrote ? n - i : max - wrote; /* no more of a huge text is looked at */
        used = line_start ? 0 : plain_run(s + i, room);
        if (used > 0) {
            if (buf_append(out, s + i, used) != 0) {
                return -1;
            }
            size_t before = wrote;
            wrote += used;
            if (max < mark || wrote <= max - mark) {
                keep = wrote;
            } else if (before <= max - mark) {
                keep = max - mark;
            }
            continue;
        }
        char piece[16];
        size_t len = show_one(s + i, n - i, multiline, &line_start, piece, &used);
        if (max != 0 && wrote + len > max) {
            if (out->failed) {
                return -1;
            }
            if (out->data != NULL) {
                out->len -= wrote - keep;
                out->data[out->len] = '\0';
            }
            return max >= mark ? buf_puts(out, more) : 0;
        }
        if (buf_append(out, piece, len) != 0) {
            return -1;
        }
        wrote += len;
        keep = max >= mark && wrote <= max - mark ? wrote : max < mark ? wrote : keep;
    }
    return buf_append(out, "", 0);
}

static bool is_shown_as_it_is(const char *s, bool multiline) {
    size_t n = strlen(s);
    bool line_start = true;
    for (size_t i = 0, used = 0; i < n; i += used) {
        used = line_start ? 0 : plain_run(s + i, n - i);
        if (used > 0) {
            continue;
        }
        char piece[16];
        size_t len = show_one(s + i, n - i, multiline, &line_start, piece, &used);
        if (len != used || memcmp(piece, s + i, used) != 0) {
            return false;
        }
    }
    return true;
}

bool text_is_line(const char *s) {
    return is_shown_as_it_is(s, false);
}

bool text_is_block(const char *s) {
    return is_shown_as_it_is(s, true);
}

static char fold(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, each 1; letters'
 * case does not count. Both words are at most WORD_MAX bytes. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
    size_t row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3];
        const size_t *up = row[(i + 2) % 3];
        const size_t *up2 = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = up[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));
            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1])) {
                best = up2[j - 2] + 1 < best ? up2[j - 2] + 1 : best;
            }
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *text_suggest(const char *word, const char *const *names) {
    const char *best = NULL;
    size_t least = SIZE_MAX;
    size_t n = strlen(word);
    if (n > WORD_MAX) {
        return NULL;
    }
    for (; *names != NULL; names++) {
        size_t m = strlen(*names);
        if (m > WORD_MAX) {
            continue;
        }
        /* One mistake in three letters; more of them make another word. */
        size_t longer = n > m ? n : m;
        size_t d = distance(word, n, *names, m);
        if (d <= longer / 3 && d < least) {
            least = d;
            best = *names;
        }
    }
    return best;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

bool text_is_code(const char *s) {
    if (!is_digit(s[0]) && !is_lower(s[0]) && !is_upper(s[0])) {
        return false;
    }
    size_t n = 1;
    while (is_digit(s[n]) || is_lower(s[n]) || is_upper(s[n]) || s[n] == '_' || s[n] == '-') {
        n++;
    }
    return s[n] == '\0' && n <= 63;
}

bool text_is_id(const char *s) {
    if (!is_lower(s[0])) {
        return false;
    }
    size_t n = 1;
    while (is_digit(s[n]) || is_lower(s[n]) || s[n] == '_') {
        n++;
    }
    return s[n] == '\0' && n <= 63;
}
