/*
 * Any arguments of `stator serve`, and any specification of fault points. Input: a byte that chooses, then arguments
 * divided by zero bytes. Files that arguments name are not there: what is read is the text alone.
 */
#include <stdlib.h>

#include "base/fault.h"
#include "main/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARGUMENTS_MAX 40

static void
read_arguments(char *text, size_t size)
{
	static char *arguments[ARGUMENTS_MAX];
	struct config config;
	struct err err = {0};
	int count = 0;

	for (char *at = text; at < text + size && count < ARGUMENTS_MAX; at += strlen(at) + 1) {
		if (strstr(at, "credentials") != NULL)
			return; /* would read a file of this machine */
		arguments[count++] = at;
	}
	if (config_read(&config, count, arguments, &err) == CLI_WRONG) {
		if (err.message[0] == '\0')
			abort();
	} else if (config.listen != NULL) { /* not for --help */
		if (config.ephemeral == (config.data != NULL) || strlen(config.account) != 12 ||
		    config.regions.count > REGIONS_MAX)
			abort();
	}
	config_done(&config);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = calloc(1, size);
	if (text == NULL)
		abort();
	memcpy(text, data + 1, size - 1);
	if (data[0] % 4 != 0)
		read_arguments(text, size);
	else if (strstr(text, "kill") == NULL) /* arming does nothing before a point is passed */
		(void)fault_setup(text);
	(void)fault_setup(NULL);
	free(text);
	return 0;
}
