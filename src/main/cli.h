/*
 * Commands and their options as rows of data. Parsing, environment variables, --help and docs/OPTIONS.md all come from
 * the same row, so they cannot disagree.
 *
 * A value comes from the command line, else from the environment (the command's prefix and the name in capitals:
 * --log-format is STATOR_LOG_FORMAT), else from the row's default.
 */
#ifndef STATOR_MAIN_CLI_H
#define STATOR_MAIN_CLI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

#define CLI_LIST_MAX    32
#define CLI_OPTIONS_MAX 48

/*   type           field in the target struct */
enum cli_type {
	CLI_TEXT,    /* const char *; NULL: not given */
	CLI_LIST,    /* struct cli_list; repeatable, or separated by commas */
	CLI_FLAG,    /* bool */
	CLI_NUMBER,  /* int64_t */
	CLI_SIZE,    /* int64_t bytes; 64K, 64M, 2G */
	CLI_SECONDS, /* int64_t milliseconds; 10 or 0.25; least and most are milliseconds, too */
	CLI_CHOICE,  /* int: place in `choices` */
};

struct cli_list {
	char *items[CLI_LIST_MAX];
	size_t count;
};

struct cli_option {
	const char *group; /* heading in the help; rows of one group stand together */
	const char *name;  /* without the dashes */
	enum cli_type type;
	size_t offset;
	const char *value;    /* what the help calls the value; NULL for a flag */
	const char *fallback; /* parsed as if typed; NULL: none */
	int64_t least, most;
	const char *const *choices; /* CLI_CHOICE; NULL at the end */
	const char *help;           /* a sentence or two */
};

struct cli_command {
	const char *name;
	const char *summary; /* one line, for `stator --help` */
	const char *about;   /* a paragraph */
	const char *examples;
	const char *env_prefix;
	const struct cli_option *options;
	size_t option_count;
};

/* What cli_parse found that is no error. */
enum cli_result { CLI_RUN, CLI_HELP, CLI_WRONG };

/*
 * Fill `target` from defaults, environment and arguments (behind the command's name). CLI_WRONG: err says what is
 * wrong, with a suggestion where one is near. ret_given[i]: option i was set by the user, not by its default. Pair with
 * cli_done, also after a failure; target must be zeroed before.
 */
enum cli_result cli_parse(const struct cli_command *command, int argc, char **argv, void *target,
			  bool ret_given[CLI_OPTIONS_MAX], struct err *err);
void cli_done(const struct cli_command *command, void *target);
void cli_help(const struct cli_command *command, FILE *out);
void cli_markdown(const struct cli_command *command, FILE *out); /* a section of docs/OPTIONS.md */
/* The candidate nearest to `typed`, or NULL when none is near enough to be meant. */
const char *cli_nearest(const char *typed, const char *const *candidates, size_t count);

#endif
