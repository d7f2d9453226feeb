#include "base/wording.h"

#include <stddef.h>
#include <string.h>

const struct wording_row wording_rows[WORDING_COUNT] = {
#define X(id, part, classic, newer) [W_##id] = {WORDING_##part, {classic, newer}},
    WORDING_LIST(X)
#undef X
};

_Thread_local unsigned wording_moved;

/* How the messages begin that the newer layer leaves as they were. None begins with a word of the client's. */
static const char *const bare[] = {
    "Supplied AttributeValue ", /* no type, or several */
    "Item size ",
};

bool
wording_enveloped(const char *message)
{
	if (!wording_is_2026(WORDING_ENVELOPE) || strncmp(message, WORDING_DETECTED, strlen(WORDING_DETECTED)) == 0)
		return false;
	for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
		if (strncmp(message, bare[i], strlen(bare[i])) == 0)
			return false;
	return true;
}
