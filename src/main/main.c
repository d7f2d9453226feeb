/*
 * stator COMMAND [options]. Exit codes: 0 done, 1 failed (a line on standard error says why), 2 wrongly called.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "main/bench_cmd.h"
#include "main/dax_cmd.h"
#include "main/dax_stats.h"
#include "main/memory.h"
#include "main/server.h"

#define EXIT_WRONG 2

static int
complain(const char *command, const struct err *err)
{
	fprintf(stderr, "stator %s: %s\n", command, err->message);
	return EXIT_WRONG;
}

static int
serve(int argc, char **argv)
{
	struct config config;
	struct err err;
	int code;

	memory_keep_freed();
	switch (config_read(&config, argc, argv, &err)) {
	case CLI_HELP:
		cli_help(&serve_command, stdout);
		code = 0;
		break;
	case CLI_WRONG:
		code = complain("serve", &err);
		break;
	default:
		log_setup((enum log_level)config.log_level, (enum log_format)config.log_format);
		if (fault_setup(getenv("STATOR_FAULT"))) {
			code = server_run(&config);
			break;
		}
		err_set(&err, S_VALIDATION, "STATOR_FAULT is not NAME:KIND or NAME:KIND:N, or names no fault point");
		code = complain("serve", &err);
	}
	config_done(&config);
	return code;
}

static int version(int argc, char **argv);
static int help(int argc, char **argv);
static int options(int argc, char **argv);
static int orders(int argc, char **argv);

static const struct {
	const char *name;
	const char *summary; /* NULL: works, but is not for people */
	int (*run)(int argc, char **argv);
} commands[] = {
    {"serve", "answer the DynamoDB API", serve},
    {"dax", "cache in front of any DynamoDB endpoint, for DAX clients", dax_cmd},
    {"bench", "measure a DynamoDB endpoint, this one or another", bench_cmd},
    {"version", "tell the version", version},
    {"help", "this text; `stator COMMAND --help` tells a command's options", help},
    {"options-markdown", NULL, options}, /* docs/OPTIONS.md */
    {"orders-markdown", NULL, orders},   /* in docs/ERRORS.md */
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static int
version(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("stator %s\n", STATOR_VERSION);
	return 0;
}

static int
help(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("stator %s: DynamoDB that stays where you put it.\n\nUsage: stator COMMAND [options]\n\n",
	       STATOR_VERSION);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (commands[i].summary != NULL)
			printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	printf("\nTo begin:\n\n"
	       "  stator serve                 data in ./stator-data, endpoint http://127.0.0.1:8000\n"
	       "  stator serve --ephemeral     nothing is kept: for tests\n"
	       "  stator serve --help          every option\n");
	return 0;
}

static int
orders(int argc, char **argv)
{
	struct buf out = {0};

	(void)argc, (void)argv;
	op_write_orders(&out);
	fwrite(out.data, 1, out.len, stdout);
	buf_done(&out);
	return 0;
}

static int
options(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("# Options\n\nWritten by `stator options-markdown`; do not edit. An option on the command line wins "
	       "over its "
	       "variable, the variable\nover the default. Sizes may end in K, M, G or T.\n");
	cli_markdown(&serve_command, stdout);
	cli_markdown(&dax_command, stdout);
	cli_markdown(&dax_stats_command, stdout);
	cli_markdown(&bench_command, stdout);
	return 0;
}

static int
unknown_command(const char *typed)
{
	const char *names[COMMAND_COUNT];
	const char *nearest;

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		names[i] = commands[i].name;
	nearest = cli_nearest(typed, names, COMMAND_COUNT);
	fprintf(stderr, "stator: unknown command \"%s\"%s%s%s\n`stator help` lists the commands.\n", typed,
		nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
		nearest != NULL ? "\"?" : "");
	return EXIT_WRONG;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "help";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(name, commands[i].name) == 0) {
			int code = commands[i].run(argc > 2 ? argc - 2 : 0, argv + 2);

			/* a full disk or a closed pipe must not look like success */
			return fflush(stdout) != 0 && code == 0 ? 1 : code;
		}
	}
	return unknown_command(name);
}
