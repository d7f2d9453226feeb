#include "main/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HELP_WIDTH      90
#define HELP_INDENT     6
#define NAME_MAX_LENGTH 64

static void
env_name(const struct cli_command *command, const struct cli_option *option, char ret[NAME_MAX_LENGTH])
{
	size_t n = (size_t)snprintf(ret, NAME_MAX_LENGTH, "%s%s", command->env_prefix, option->name);

	for (size_t i = 0; i < n && i < NAME_MAX_LENGTH; i++)
		ret[i] = ret[i] == '-' ? '_' : (char)toupper((unsigned char)ret[i]);
}

/* ---- one value ---- */

static enum status
parse_number(const struct cli_option *o, const char *from, const char *text, int64_t *ret, struct err *err)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	int64_t value;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || errno != 0)
		return err_set(err, S_VALIDATION, "%s: \"%s\" is not a number", from, text);
	if (o->type == CLI_SIZE && *end != '\0' && (suffix = strchr(suffixes, toupper((unsigned char)*end))) != NULL) {
		if (__builtin_mul_overflow(value, INT64_C(1) << (10 * (suffix - suffixes + 1)), &value))
			return err_set(err, S_VALIDATION, "%s: \"%s\" is too large", from, text);
		end++;
		if (strcasecmp(end, "iB") == 0 || strcasecmp(end, "B") == 0)
			end += strlen(end);
	}
	if (*end != '\0')
		return err_set(err, S_VALIDATION, "%s: \"%s\" is not %s", from, text,
			       o->type == CLI_SIZE ? "a size such as 64M or 2G" : "a number");
	if (value < o->least || value > o->most)
		return err_set(err, S_VALIDATION, "%s: %s is not between %lld and %lld", from, text,
			       (long long)o->least, (long long)o->most);
	*ret = value;
	return S_OK;
}

static enum status
parse_seconds(const struct cli_option *o, const char *from, const char *text, int64_t *ret, struct err *err)
{
	double value;
	char *end;

	errno = 0;
	value = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0)
		return err_set(err, S_VALIDATION, "%s: \"%s\" is not a number", from, text);
	if (!(value * 1000 >= (double)o->least && value * 1000 <= (double)o->most)) /* NaN neither */
		return err_set(err, S_VALIDATION, "%s: %s is not between %g and %g", from, text,
			       (double)o->least / 1000, (double)o->most / 1000);
	*ret = (int64_t)(value * 1000 + 0.5);
	return S_OK;
}

static enum status
parse_flag(const char *from, const char *text, bool *ret, struct err *err)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2 == 1;
			return S_OK;
		}
	}
	return err_set(err, S_VALIDATION, "%s: \"%s\" is neither true nor false", from, text);
}

static enum status
parse_choice(const struct cli_option *o, const char *from, const char *text, int *ret, struct err *err)
{
	char all[256] = "";

	for (int i = 0; o->choices[i] != NULL; i++) {
		if (strcmp(text, o->choices[i]) == 0) {
			*ret = i;
			return S_OK;
		}
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? ", " : "", o->choices[i]);
	}
	return err_set(err, S_VALIDATION, "%s: \"%s\" is not one of %s", from, text, all);
}

static enum status
parse_list(const char *from, const char *text, struct cli_list *ret, struct err *err)
{
	for (;;) {
		size_t n = strcspn(text, ",");

		if (n == 0)
			return err_set(err, S_VALIDATION, "%s: an empty value", from);
		if (ret->count == CLI_LIST_MAX)
			return err_set(err, S_VALIDATION, "%s: more than %d values", from, CLI_LIST_MAX);
		ret->items[ret->count] = strndup(text, n);
		if (ret->items[ret->count++] == NULL)
			abort();
		if (text[n] == '\0')
			return S_OK;
		text += n + 1;
	}
}

/* `from` is what a message calls the place: "--listen" or "STATOR_LISTEN". */
static enum status
set_value(const struct cli_option *o, const char *from, const char *text, void *target, struct err *err)
{
	void *field = (char *)target + o->offset;

	switch (o->type) {
	case CLI_TEXT:
		if (*text == '\0')
			return err_set(err, S_VALIDATION, "%s: an empty value", from);
		*(const char **)field = text;
		return S_OK;
	case CLI_LIST:
		return parse_list(from, text, field, err);
	case CLI_FLAG:
		return parse_flag(from, text, field, err);
	case CLI_NUMBER:
	case CLI_SIZE:
		return parse_number(o, from, text, field, err);
	case CLI_SECONDS:
		return parse_seconds(o, from, text, field, err);
	case CLI_CHOICE:
		return parse_choice(o, from, text, field, err);
	}
	return S_INTERNAL;
}

/* ---- near misses ---- */

/* Edits (insert, delete, replace) from one to the other. */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LENGTH + 1], n = strlen(b);

	if (strlen(a) > NAME_MAX_LENGTH || n > NAME_MAX_LENGTH)
		return NAME_MAX_LENGTH;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

const char *
cli_nearest(const char *typed, const char *const *candidates, size_t count)
{
	size_t best = strlen(typed) / 3 + 2; /* a third of it wrong is another word */
	const char *nearest = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(typed, candidates[i]);

		if (strlen(typed) >= 3 && strncmp(candidates[i], typed, strlen(typed)) == 0)
			distance = 1;
		if (distance < best) {
			best = distance;
			nearest = candidates[i];
		}
	}
	return nearest;
}

static enum status
unknown_option(const struct cli_command *command, const char *typed, struct err *err)
{
	const char *names[CLI_OPTIONS_MAX];
	const char *nearest;

	for (size_t i = 0; i < command->option_count; i++)
		names[i] = command->options[i].name;
	nearest = cli_nearest(typed, names, command->option_count);
	if (nearest != NULL)
		return err_set(err, S_VALIDATION, "unknown option --%s; did you mean --%s?", typed, nearest);
	return err_set(err, S_VALIDATION, "unknown option --%s; `stator %s --help` lists them all", typed,
		       command->name);
}

/* ---- parsing ---- */

static const struct cli_option *
option_find(const struct cli_command *command, const char *name, size_t length)
{
	for (size_t i = 0; i < command->option_count; i++)
		if (strncmp(command->options[i].name, name, length) == 0 && command->options[i].name[length] == '\0')
			return &command->options[i];
	return NULL;
}

/* Takes argv[*at] and, when the option wants a value that is not behind '=', also the next. */
static enum status
parse_argument(const struct cli_command *command, int argc, char **argv, int *at, void *target, bool *given,
	       struct err *err)
{
	const char *argument = argv[*at], *name, *value;
	const struct cli_option *o;
	char from[NAME_MAX_LENGTH + 8];
	size_t length;

	name = strncmp(argument, "--", 2) == 0 ? argument + 2 : "";
	length = strcspn(name, "=");
	if (length == 0)
		return err_set(err, S_VALIDATION, "unexpected argument \"%s\"; options begin with --", argument);
	o = option_find(command, name, length);
	if (o == NULL) {
		snprintf(from, sizeof from, "%.*s", (int)(length < NAME_MAX_LENGTH ? length : NAME_MAX_LENGTH), name);
		return unknown_option(command, from, err);
	}
	snprintf(from, sizeof from, "--%s", o->name);
	if (name[length] == '=')
		value = name + length + 1;
	else if (o->type == CLI_FLAG)
		value = "true";
	else if (*at + 1 < argc)
		value = argv[++*at];
	else
		return err_set(err, S_VALIDATION, "--%s needs a value: --%s %s", o->name, o->name, o->value);
	given[o - command->options] = true;
	return set_value(o, from, value, target, err);
}

static enum status
parse_environment(const struct cli_command *command, void *target, bool *given, struct err *err)
{
	enum status s = S_OK;

	for (size_t i = 0; i < command->option_count && s == S_OK; i++) {
		const struct cli_option *o = &command->options[i];
		char name[NAME_MAX_LENGTH];
		const char *value;

		env_name(command, o, name);
		value = getenv(name);
		if (given[i] || value == NULL || *value == '\0')
			continue;
		given[i] = true;
		s = set_value(o, name, value, target, err);
	}
	return s;
}

enum cli_result
cli_parse(const struct cli_command *command, int argc, char **argv, void *target, bool ret_given[CLI_OPTIONS_MAX],
	  struct err *err)
{
	memset(ret_given, 0, CLI_OPTIONS_MAX * sizeof *ret_given);
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return CLI_HELP;
	for (int i = 0; i < argc; i++)
		if (parse_argument(command, argc, argv, &i, target, ret_given, err) != S_OK)
			return CLI_WRONG;
	if (parse_environment(command, target, ret_given, err) != S_OK)
		return CLI_WRONG;
	for (size_t i = 0; i < command->option_count; i++) {
		const struct cli_option *o = &command->options[i];

		if (!ret_given[i] && o->fallback != NULL && set_value(o, o->name, o->fallback, target, err) != S_OK)
			return CLI_WRONG;
	}
	return CLI_RUN;
}

void
cli_done(const struct cli_command *command, void *target)
{
	for (size_t i = 0; i < command->option_count; i++) {
		struct cli_list *list = (void *)((char *)target + command->options[i].offset);

		if (command->options[i].type != CLI_LIST)
			continue;
		for (size_t j = 0; j < list->count; j++)
			free(list->items[j]);
		list->count = 0;
	}
}

/* ---- telling ---- */

static void
put_wrapped(FILE *out, const char *text, int indent)
{
	int column = 0;

	while (*text != '\0') {
		int word = (int)strcspn(text, " \n");

		if (column > 0 && column + 1 + word > HELP_WIDTH - indent) {
			fputc('\n', out);
			column = 0;
		}
		if (column == 0)
			fprintf(out, "%*s", indent, "");
		column += fprintf(out, "%s%.*s", column > 0 ? " " : "", word, text);
		text += word;
		while (*text == ' ' || *text == '\n')
			text++;
	}
	fputc('\n', out);
}

static void
put_syntax(FILE *out, const struct cli_option *o)
{
	fprintf(out, "--%s", o->name);
	if (o->type == CLI_CHOICE) {
		for (int i = 0; o->choices[i] != NULL; i++)
			fprintf(out, "%s%s", i > 0 ? "|" : " ", o->choices[i]);
	} else if (o->value != NULL) {
		fprintf(out, " %s", o->value);
	}
}

void
cli_help(const struct cli_command *command, FILE *out)
{
	const char *group = "";

	fprintf(out, "Usage: stator %s [options]\n\n", command->name);
	put_wrapped(out, command->about, 0);
	for (size_t i = 0; i < command->option_count; i++) {
		const struct cli_option *o = &command->options[i];
		char text[1024], name[NAME_MAX_LENGTH];

		if (strcmp(group, o->group) != 0)
			fprintf(out, "\n%s\n", o->group);
		group = o->group;
		env_name(command, o, name);
		fprintf(out, "  ");
		put_syntax(out, o);
		fprintf(out, "\n");
		snprintf(text, sizeof text, "%s [%s%s%s]", o->help, name, o->fallback != NULL ? ", default " : "",
			 o->fallback != NULL ? o->fallback : "");
		put_wrapped(out, text, HELP_INDENT);
	}
	fprintf(out, "\nExamples\n%s", command->examples);
}

void
cli_markdown(const struct cli_command *command, FILE *out)
{
	const char *group = "";

	fprintf(out, "\n## stator %s\n\n%s\n", command->name, command->about);
	for (size_t i = 0; i < command->option_count; i++) {
		const struct cli_option *o = &command->options[i];
		char name[NAME_MAX_LENGTH];

		if (strcmp(group, o->group) != 0)
			fprintf(out, "\n### %s\n\n| option | variable | default | meaning |\n|---|---|---|---|\n",
				o->group);
		group = o->group;
		env_name(command, o, name);
		fprintf(out, "| `--%s", o->name);
		if (o->type == CLI_CHOICE) {
			for (int j = 0; o->choices[j] != NULL; j++)
				fprintf(out, "%s%s", j > 0 ? "\\|" : " ", o->choices[j]);
		} else if (o->value != NULL) {
			fprintf(out, " %s", o->value);
		}
		fprintf(out, "` | `%s` | %s%s%s | %s |\n", name, o->fallback != NULL ? "`" : "",
			o->fallback != NULL ? o->fallback : "", o->fallback != NULL ? "`" : "", o->help);
	}
}
