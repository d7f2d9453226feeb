/* The values of policies: wildcards, variables, numbers, dates, addresses, principals. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "api/policy_int.h"

/* ---- wildcards ---- */

static char
folded_char(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
policy_equal_folded(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

static size_t
character_length(struct slice text, size_t at)
{
	size_t end = at + 1;

	while (end < text.len && ((unsigned char)text.data[end] & 0xC0) == 0x80)
		end++;
	return end - at;
}

/*
 * One pass with a single way back: to the last "*", one character further on. At worst the text's length times the
 * length of what stands between two stars, and nothing when more must match than there is.
 */
bool
policy_match(const struct pattern *p, struct slice text, bool folded)
{
	size_t at = 0, t = 0, star = SIZE_MAX, star_t = 0, least = 0;

	if (p->wild == NULL)
		return folded ? policy_equal_folded(p->text, text) : slice_eq(p->text, text);
	for (size_t i = 0; i < p->text.len; i++)
		least += p->wild[i] != ANY_RUN;
	if (least > text.len)
		return false;
	while (t < text.len) {
		uint8_t wild = at < p->text.len ? p->wild[at] : LITERAL;

		if (at < p->text.len && wild == ANY_RUN) {
			star = at++;
			star_t = t;
		} else if (at < p->text.len && wild == ANY_ONE) {
			t += character_length(text, t);
			at++;
		} else if (at < p->text.len &&
			   (p->text.data[at] == text.data[t] ||
			    (folded && folded_char(p->text.data[at]) == folded_char(text.data[t])))) {
			at++;
			t++;
		} else if (star != SIZE_MAX) {
			at = star + 1;
			t = ++star_t;
		} else {
			return false;
		}
	}
	while (at < p->text.len && p->wild[at] == ANY_RUN)
		at++;
	return at == p->text.len;
}

/* ---- variables ---- */

bool
policy_variable_read(struct slice text, size_t at, size_t *ret_end, struct slice *ret_name, struct slice *ret_fallback,
		     char *ret_literal)
{
	const char *start = text.data + at + 2, *close, *comma;
	size_t len;

	if (at + 3 > text.len || text.data[at] != '$' || text.data[at + 1] != '{')
		return false;
	close = memchr(start, '}', text.len - at - 2);
	if (close == NULL)
		return false;
	len = (size_t)(close - start);
	*ret_end = (size_t)(close - text.data) + 1;
	*ret_name = *ret_fallback = SLICE_NONE;
	if (len == 1 && strchr("*?$", *start) != NULL) {
		*ret_literal = *start;
		return true;
	}
	*ret_name = slice_of(start, len);
	comma = memchr(start, ',', len);
	if (comma == NULL)
		return true;
	ret_name->len = (size_t)(comma - start);
	for (comma++; comma < close && *comma == ' ';)
		comma++;
	if (close - comma < 2 || *comma != '\'' || close[-1] != '\'')
		return false;
	*ret_fallback = slice_of(comma + 1, (size_t)(close - comma) - 2);
	while (ret_name->len > 0 && ret_name->data[ret_name->len - 1] == ' ')
		ret_name->len--;
	return true;
}

/* ---- numbers, dates, addresses ---- */

bool
policy_number_read(struct slice text, double *ret)
{
	char copy[64], *end;

	if (text.len == 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (strspn(copy, "0123456789+-.eE") != text.len)
		return false;
	*ret = strtod(copy, &end);
	return *end == '\0';
}

/* Exactly `count` digits. */
static bool
take_digits(const char **at, const char *end, int count, int64_t *ret)
{
	*ret = 0;
	if (end - *at < count)
		return false;
	for (int i = 0; i < count; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*ret = *ret * 10 + (**at - '0');
	}
	return true;
}

static bool
take_char(const char **at, const char *end, char c)
{
	if (*at == end || **at != c)
		return false;
	(*at)++;
	return true;
}

static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	if (month < 3) { /* a year that begins in March has its leap day at the end */
		year--;
		month += 12;
	}
	return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 - 719468;
}

/* "hh:mm[:ss[.sss]](Z|+hh:mm|-hh:mm)" */
static bool
take_time(const char **at, const char *end, int64_t *ret_ms)
{
	int64_t hour, minute, second = 0, ms = 0, zone_hour = 0, zone_minute = 0, scale = 100;
	bool west;

	if (!take_digits(at, end, 2, &hour) || !take_char(at, end, ':') || !take_digits(at, end, 2, &minute))
		return false;
	if (take_char(at, end, ':')) {
		if (!take_digits(at, end, 2, &second))
			return false;
		if (take_char(at, end, '.')) {
			if (*at == end || **at < '0' || **at > '9')
				return false;
			for (; *at < end && **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
				ms += (**at - '0') * scale;
		}
	}
	if (!take_char(at, end, 'Z')) {
		west = *at < end && **at == '-';
		if (!take_char(at, end, west ? '-' : '+') || !take_digits(at, end, 2, &zone_hour) ||
		    !take_char(at, end, ':') || !take_digits(at, end, 2, &zone_minute))
			return false;
		if (west) {
			zone_hour = -zone_hour;
			zone_minute = -zone_minute;
		}
	}
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	*ret_ms = ((hour - zone_hour) * 3600 + (minute - zone_minute) * 60 + second) * 1000 + ms;
	return true;
}

bool
policy_date_read(struct slice text, int64_t *ret_ms)
{
	const char *at = text.data, *end = text.data + text.len;
	int64_t year, month = 1, day = 1, time_ms = 0;
	double seconds;

	if (text.len > 4 && memchr(text.data, '-', text.len) == NULL) {
		if (!policy_number_read(text, &seconds) || seconds < 0 || seconds > 1e13)
			return false;
		*ret_ms = (int64_t)(seconds * 1000);
		return true;
	}
	if (!take_digits(&at, end, 4, &year))
		return false;
	if (at < end && (!take_char(&at, end, '-') || !take_digits(&at, end, 2, &month)))
		return false;
	if (at < end && (!take_char(&at, end, '-') || !take_digits(&at, end, 2, &day)))
		return false;
	if (at < end && (!take_char(&at, end, 'T') || !take_time(&at, end, &time_ms)))
		return false;
	if (at != end || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*ret_ms = days_of(year, month, day) * 86400000 + time_ms;
	return true;
}

/* "10.0.0.0/8", "2001:db8::/32", or without a prefix's length. */
bool
policy_ip_read(struct slice text, struct ip_range *ret)
{
	const char *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
	size_t len = slash != NULL ? (size_t)(slash - text.data) : text.len;
	char copy[INET6_ADDRSTRLEN];
	int64_t bits = -1;

	if (len == 0 || len >= sizeof copy)
		return false;
	memcpy(copy, text.data, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, ret->bytes) == 1)
		ret->length = 4;
	else if (inet_pton(AF_INET6, copy, ret->bytes) == 1)
		ret->length = 16;
	else
		return false;
	if (slash != NULL) {
		const char *at = slash + 1, *end = text.data + text.len;

		if (end - at < 1 || end - at > 3 || !take_digits(&at, end, (int)(end - at), &bits))
			return false;
	}
	if (bits > ret->length * 8)
		return false;
	ret->bits = (uint8_t)(bits < 0 ? ret->length * 8 : bits);
	if (ret->length == 16 && ret->bits >= 96 &&
	    memcmp(ret->bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) { /* an IPv4 address on an IPv6 socket */
		memmove(ret->bytes, ret->bytes + 12, 4);
		ret->length = 4;
		ret->bits = (uint8_t)(ret->bits - 96);
	}
	return true;
}

/* ---- principals ---- */

static bool
is_account(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.len == 12;
}

/* A name behind its path: "user/a/b/name". */
static struct slice
last_segment(struct slice text)
{
	const char *slash = memrchr(text.data, '/', text.len);

	return slash != NULL ? slice_of(slash + 1, (size_t)(text.data + text.len - slash) - 1) : text;
}

static bool
is_path(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < 0x21 || c > 0x7e || c == '*' || c == '?' || c == '"')
			return false;
	}
	return text.len > 0 && text.data[0] != '/' && text.data[text.len - 1] != '/';
}

bool
policy_principal_read(struct slice arn, struct arena *arena, struct policy_principal *ret)
{
	static const struct slice iam = {"arn:aws:iam::", 13}, sts = {"arn:aws:sts::", 13};
	struct slice rest, name, role, session;
	const char *slash;

	*ret = (struct policy_principal){.arn = arn};
	if ((!slice_starts(arn, iam) && !slice_starts(arn, sts)) || arn.len < 27 || arn.data[25] != ':')
		return false;
	ret->account = slice_of(arn.data + 13, 12);
	rest = slice_of(arn.data + 26, arn.len - 26);
	if (!is_account(ret->account))
		return false;
	if (slice_starts(arn, sts)) {
		if (!slice_starts(rest, SLICE("assumed-role/")))
			return false;
		rest = slice_of(rest.data + 13, rest.len - 13);
		slash = memchr(rest.data, '/', rest.len);
		if (slash == NULL)
			return false;
		role = slice_of(rest.data, (size_t)(slash - rest.data));
		session = slice_of(slash + 1, rest.len - role.len - 1);
		if (!is_path(role) || !is_path(session))
			return false;
		ret->role =
		    arena_printf(arena, "arn:aws:iam::%.*s:role/%.*s", SLICE_ARG(ret->account), SLICE_ARG(role));
		return true;
	}
	ret->root = slice_eq(rest, SLICE("root"));
	if (ret->root)
		return true;
	if (slice_starts(rest, SLICE("user/"))) {
		name = slice_of(rest.data + 5, rest.len - 5);
		ret->name = is_path(name) ? last_segment(name) : SLICE_NONE;
		return ret->name.len > 0;
	}
	return slice_starts(rest, SLICE("role/")) && is_path(slice_of(rest.data + 5, rest.len - 5));
}
