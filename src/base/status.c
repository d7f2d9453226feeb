#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int http;
	const char *wire_name;
	const char *short_name;
} statuses[STATUS_COUNT] = {
#define X(id, http, space, name) [S_##id] = {http, space name, name},
    STATUS_LIST(X)
#undef X
};

enum status
err_set(struct err *err, enum status status, const char *format, ...)
{
	va_list args;
	int length;

	if (err == NULL)
		return status;
	err->status = status;
	va_start(args, format);
	length = vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	if (length >= (int)sizeof err->message) {
		size_t end = sizeof err->message - 1;

		while (end > 0 && ((unsigned char)err->message[end - 1] & 0xC0) == 0x80)
			end--;
		if (end > 0 && ((unsigned char)err->message[end - 1] & 0xC0) == 0xC0)
			end--;
		err->message[end] = '\0';
	}
	return status;
}

int
status_http(enum status status)
{
	return statuses[status].http;
}

const char *
status_wire_name(enum status status)
{
	return statuses[status].wire_name;
}

const char *
status_short_name(enum status status)
{
	return statuses[status].short_name;
}
