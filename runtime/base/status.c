/* The one message a failure leaves behind, per thread. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];

/* Formats into `out`; a message that does not fit ends in "..." so that nobody takes the cut for the whole. */
__attribute__((format(printf, 2, 0))) static void format_message(char *out, const char *format, va_list arguments)
{
    int length = vsnprintf(out, MESSAGE_SIZE, format, arguments);
    if (length < 0) snprintf(out, MESSAGE_SIZE, "(a message that could not be formatted)");
    if (length >= MESSAGE_SIZE) memcpy(out + MESSAGE_SIZE - 4, "...", 4);
}

sonde_status sonde_fail(sonde_status code, const char *format, ...)
{
    char text[MESSAGE_SIZE]; /* the arguments may point into the old message */
    va_list arguments;
    va_start(arguments, format);
    format_message(text, format, arguments);
    va_end(arguments);
    memcpy(message, text, strlen(text) + 1);
    return code;
}

void sonde_fail_within(const char *format, ...)
{
    char text[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    format_message(text, format, arguments);
    va_end(arguments);
    size_t length = strlen(text), room = MESSAGE_SIZE - 1 - length, rest = strlen(message);
    bool cut = rest > room;
    if (cut) rest = room;
    memcpy(text + length, message, rest);
    text[length + rest] = '\0';
    if (cut) memcpy(text + MESSAGE_SIZE - 4, "...", 4);
    memcpy(message, text, length + rest + 1);
}

const char *sonde_message(void)
{
    return message;
}

const char *sonde_status_name(sonde_status code)
{
    static const char *const names[SONDE_STATUS_COUNT] = {
        [SONDE_OK] = "OK",         [SONDE_EARG] = "EARG",
        [SONDE_ESHAPE] = "ESHAPE", [SONDE_EDTYPE] = "EDTYPE",
        [SONDE_ESTATE] = "ESTATE", [SONDE_ENOMEM] = "ENOMEM",
        [SONDE_EIO] = "EIO",       [SONDE_EFORMAT] = "EFORMAT",
        [SONDE_EINTR] = "EINTR",   [SONDE_ECALLBACK] = "ECALLBACK",
    };
    return (unsigned)code < SONDE_STATUS_COUNT ? names[code] : "EUNKNOWN";
}
