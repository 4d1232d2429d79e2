/* Arrays of strings: packing, and making any bytes into UTF-8. */
#include "h5/room.h"

#include <string.h>

/* Bytes of the valid UTF-8 sequence at s (Unicode 15, table 3-7), 0 if there is none. */
static size_t sequence(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    size_t n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    if (n == 0) return 0;
    /* Of the second byte: no overlong form, no surrogate, nothing past U+10FFFF. */
    unsigned char low = 0x80, high = 0xbf;
    if (s[0] == 0xe0) low = 0xa0;
    if (s[0] == 0xed) high = 0x9f;
    if (s[0] == 0xf0) low = 0x90;
    if (s[0] == 0xf4) high = 0x8f;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return n;
}

/* Copies text with its bad bytes replaced; out may be NULL: only counts. Returns the length without the final 0. */
static size_t clean_copy(char *out, const char *text)
{
    size_t length = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = sequence(s);
        size_t written = n ? n : 3;
        if (out) memcpy(out + length, n ? (const char *)s : "\xef\xbf\xbd", written);
        length += written;
        s += n ? n : 1;
    }
    if (out) out[length] = '\0';
    return length;
}

static size_t copy(char *out, const char *text, bool clean)
{
    if (!text) text = "";
    if (clean) return clean_copy(out, text);
    size_t length = strlen(text);
    if (out) memcpy(out, text, length + 1);
    return length;
}

sonde_status h5_pack_text(sonde_h5_value *out, int64_t n, const char *const *text, bool clean)
{
    size_t bytes;
    if (!sonde_size_mul((size_t)n, sizeof(char *), &bytes)) return sonde_fail(SONDE_ENOMEM, "too many strings");
    size_t at = bytes;
    for (int64_t i = 0; i < n; i++) bytes += copy(NULL, text[i], clean) + 1;
    char *block = sonde_alloc(bytes ? bytes : 1);
    if (!block) return SONDE_ENOMEM;
    char **pointers = (char **)(void *)block;
    for (int64_t i = 0; i < n; i++) {
        pointers[i] = block + at;
        at += copy(pointers[i], text[i], clean) + 1;
    }
    *out = (sonde_h5_value){ .type = SONDE_H5_TEXT, .ndim = 1, .shape = { n }, .data = block };
    return SONDE_OK;
}
