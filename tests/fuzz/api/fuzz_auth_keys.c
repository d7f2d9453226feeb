/*
 * Any text as a file of credentials: it is refused with words, or each of its keys is found, and asked for what its
 * policies say.
 */
#include <stdlib.h>

#include "api/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What may be a key's name: the words of the text. */
static void
look_up(const struct auth_keys *keys, struct slice text)
{
	size_t start = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && strchr(" \t\n\"", text.data[i]) == NULL)
			continue;
		const struct auth_caller *c = auth_keys_find(keys, slice_of(text.data + start, i - start));

		start = i + 1;
		if (c == NULL)
			continue;
		if (c->access_key.len == 0 || c->secret.len == 0 || (c->administrator && c->policies != NULL))
			abort();
		if (!auth_token_matches(c, c->session_token))
			abort();
		for (uint32_t p = 0; p < c->policy_count; p++)
			if ((policy_keys(c->policies[p]) & ~c->context_keys) != 0)
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct auth_keys *keys;
	struct err err = {0};

	if (auth_keys_read(text, "123456789012", &keys, &err) != S_OK) {
		if (keys != NULL || err.message[0] == '\0')
			abort();
		return 0;
	}
	look_up(keys, text);
	auth_keys_free(keys);
	return 0;
}
