/* Pieces of JSON replies that several methods have in common. */
#include <stdlib.h>

#include "dax/dax_int.h"
#include "model/av_cbor.h"
#include "model/av_json.h"

static double
read_double(struct json_reader *r)
{
	struct slice text = json_number(r);
	char copy[64];

	if (text.len == 0 || text.len >= sizeof copy)
		return 0;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	return strtod(copy, NULL);
}

/* --- consumed capacity --- */

struct units {
	double all, read, write;
	bool has_all, has_read, has_write;
};
#define INDEXES_MAX 32 /* DynamoDB allows 20 global and 5 local ones */
struct capacity {
	struct slice table;
	struct units total, of_table;
	bool has_table;
	struct {
		struct slice names[INDEXES_MAX];
		struct units units[INDEXES_MAX];
		int count;
		bool given;
	} global, local;
};

/* One member of an object of units; false: it is another. */
static bool
read_unit(struct json_reader *r, struct slice member, struct units *u)
{
	if (slice_eq(member, SLICE("CapacityUnits"))) {
		u->all = read_double(r);
		u->has_all = true;
	} else if (slice_eq(member, SLICE("ReadCapacityUnits"))) {
		u->read = read_double(r);
		u->has_read = true;
	} else if (slice_eq(member, SLICE("WriteCapacityUnits"))) {
		u->write = read_double(r);
		u->has_write = true;
	} else {
		return false;
	}
	return true;
}

static void
read_units(struct json_reader *r, struct units *u)
{
	struct slice member;

	if (!json_enter_object(r))
		return;
	while (json_next_member(r, &member))
		if (!read_unit(r, member, u))
			json_skip(r);
}

static void
read_index_units(struct json_reader *r, struct slice names[], struct units units[], int *count)
{
	struct slice name;

	if (!json_enter_object(r))
		return;
	while (json_next_member(r, &name)) {
		if (*count == INDEXES_MAX) {
			json_skip(r);
			continue;
		}
		names[*count] = name;
		memset(&units[*count], 0, sizeof units[*count]);
		read_units(r, &units[(*count)++]);
	}
}

static void
read_capacity(struct json_reader *r, struct capacity *c)
{
	struct slice member;

	memset(c, 0, sizeof *c);
	if (!json_enter_object(r))
		return;
	while (json_next_member(r, &member)) {
		if (slice_eq(member, SLICE("TableName"))) {
			c->table = json_string(r);
		} else if (slice_eq(member, SLICE("Table"))) {
			c->has_table = true;
			read_units(r, &c->of_table);
		} else if (slice_eq(member, SLICE("GlobalSecondaryIndexes"))) {
			c->global.given = true;
			read_index_units(r, c->global.names, c->global.units, &c->global.count);
		} else if (slice_eq(member, SLICE("LocalSecondaryIndexes"))) {
			c->local.given = true;
			read_index_units(r, c->local.names, c->local.units, &c->local.count);
		} else if (!read_unit(r, member, &c->total)) {
			json_skip(r);
		}
	}
}

static void
put_plain_indexes(struct buf *out, bool given, const struct slice *names, const struct units *units, int count)
{
	if (!given) {
		cbor_put_null(out);
		return;
	}
	cbor_put_map(out, (uint64_t)count);
	for (int i = 0; i < count; i++) {
		cbor_put_text(out, names[i]);
		cbor_put_float(out, units[i].all);
	}
}

void
dax_capacity_write(struct json_reader *r, struct buf *out)
{
	struct capacity c;
	size_t mark;

	read_capacity(r, &c);
	mark = cbor_open_bytes(out);
	cbor_put_text(out, c.table);
	cbor_put_float(out, c.total.all);
	if (c.has_table)
		cbor_put_float(out, c.of_table.all);
	else
		cbor_put_null(out);
	put_plain_indexes(out, c.global.given, c.global.names, c.global.units, c.global.count);
	put_plain_indexes(out, c.local.given, c.local.names, c.local.units, c.local.count);
	cbor_close_bytes(out, mark);
}

static void
put_units(struct buf *out, const struct units *u)
{
	if (u->has_all) {
		cbor_put_int(out, 1);
		cbor_put_float(out, u->all);
	}
	if (u->has_read) {
		cbor_put_int(out, 2);
		cbor_put_float(out, u->read);
	}
	if (u->has_write) {
		cbor_put_int(out, 3);
		cbor_put_float(out, u->write);
	}
}

static uint64_t
count_units(const struct units *u)
{
	return (uint64_t)u->has_all + u->has_read + u->has_write;
}

static void
put_extended_indexes(struct buf *out, int key, const struct slice *names, const struct units *units, int count)
{
	cbor_put_int(out, key);
	cbor_put_map(out, (uint64_t)count);
	for (int i = 0; i < count; i++) {
		cbor_put_text(out, names[i]);
		cbor_put_map(out, count_units(&units[i]));
		put_units(out, &units[i]);
	}
}

static void
put_extended(struct json_reader *r, bool indefinite, struct buf *out)
{
	struct capacity c;

	read_capacity(r, &c);
	if (indefinite)
		cbor_put_map_indefinite(out);
	else
		cbor_put_map(out, 1 + count_units(&c.total) + c.has_table + c.global.given + c.local.given);
	put_units(out, &c.total);
	cbor_put_int(out, 4);
	cbor_put_text(out, c.table);
	if (c.has_table) {
		cbor_put_int(out, 5);
		cbor_put_map(out, count_units(&c.of_table));
		put_units(out, &c.of_table);
	}
	if (c.global.given)
		put_extended_indexes(out, 6, c.global.names, c.global.units, c.global.count);
	if (c.local.given)
		put_extended_indexes(out, 7, c.local.names, c.local.units, c.local.count);
	if (indefinite)
		cbor_put_break(out);
}

uint64_t
dax_count_elements(const struct json_reader *r)
{
	struct json_reader ahead = *r;
	uint64_t count = 0;

	if (json_enter_array(&ahead)) {
		while (json_next_element(&ahead)) {
			json_skip(&ahead);
			count++;
		}
	}
	return count;
}

void
dax_capacities_write(struct json_reader *r, struct buf *out)
{
	cbor_put_array(out, dax_count_elements(r));
	if (json_enter_array(r))
		while (json_next_element(r))
			dax_capacity_write(r, out);
}

void
dax_extended_capacities_write(struct json_reader *r, bool indefinite, struct buf *out)
{
	cbor_put_array(out, dax_count_elements(r));
	if (json_enter_array(r))
		while (json_next_element(r))
			put_extended(r, indefinite, out);
}

/* --- item collection metrics --- */

void
dax_metrics_write(struct json_reader *r, struct arena *arena, struct buf *out)
{
	struct slice member;
	struct av key = AV_NONE;
	double range[2] = {0, 0};
	struct av_iter it;
	struct err err;
	size_t mark;
	int i = 0;

	if (json_enter_object(r)) {
		while (json_next_member(r, &member)) {
			if (slice_eq(member, SLICE("ItemCollectionKey"))) {
				(void)item_read_json(r, arena, &key, &err);
			} else if (slice_eq(member, SLICE("SizeEstimateRangeGB")) && json_enter_array(r)) {
				for (i = 0; json_next_element(r); i++) {
					double bound = read_double(r);

					if (i < 2)
						range[i] = bound;
				}
			} else {
				json_skip(r);
			}
		}
	}
	mark = cbor_open_bytes(out);
	it = av_iter(key);
	if (av_next(&it))
		av_write_cbor(out, it.value);
	else
		cbor_put_null(out);
	cbor_put_float(out, range[0]);
	cbor_put_float(out, range[1]);
	cbor_close_bytes(out, mark);
}

void
dax_metrics_map_write(struct json_reader *r, struct arena *arena, struct buf *out)
{
	struct json_reader ahead = *r;
	struct slice table;
	uint64_t count = 0;

	if (json_enter_object(&ahead)) {
		while (json_next_member(&ahead, &table)) {
			json_skip(&ahead);
			count++;
		}
	}
	cbor_put_map(out, count);
	if (!json_enter_object(r))
		return;
	while (json_next_member(r, &table)) {
		cbor_put_text(out, table);
		cbor_put_array(out, dax_count_elements(r));
		if (json_enter_array(r))
			while (json_next_element(r))
				dax_metrics_write(r, arena, out);
	}
}
