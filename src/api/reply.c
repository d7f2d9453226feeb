#include "api/op_int.h"
#include "model/av_json.h"

#define GIB (1024.0 * 1024 * 1024)

void
reply_name(struct buf *out, const char **between, const char *name)
{
	buf_put(out, *between, strlen(*between));
	buf_put_byte(out, '"');
	buf_put(out, name, strlen(name));
	buf_put_lit(out, "\":");
	*between = ",";
}

void
reply_units(struct buf *out, uint64_t half_units)
{
	char digits[24];
	int at = sizeof digits;
	uint64_t whole = half_units / 2;

	do
		digits[--at] = (char)('0' + whole % 10);
	while ((whole /= 10) > 0);
	buf_put(out, digits + at, sizeof digits - (size_t)at);
	buf_put(out, half_units & 1 ? ".5" : ".0", 2);
}

static uint64_t
halves(const struct table_units *units, bool write)
{
	return write ? units->half_write : units->half_read;
}

/* "CapacityUnits":1.0 and, in transactions, the same again by kind. */
static void
put_figures(struct buf *out, uint64_t half_units, const char *kind)
{
	buf_put_lit(out, "\"CapacityUnits\":");
	reply_units(out, half_units);
	if (kind == NULL)
		return;
	buf_printf(out, ",\"%s\":", kind);
	reply_units(out, half_units);
}

/* The part of one kind of index: "GlobalSecondaryIndexes":{"a":{"CapacityUnits":1.0}} */
static void
put_indexes(struct buf *out, const char *member, bool global, const struct table_units *units, size_t count, bool write,
	    const char *kind)
{
	const char *between = "";

	for (size_t i = 0; i < count; i++) {
		const struct table_index_spec *spec;

		if (units[i].index == NULL || halves(&units[i], write) == 0)
			continue;
		spec = table_index_spec(units[i].index);
		if (spec->global != global || spec->vector != NULL)
			continue;
		if (between[0] == '\0')
			buf_printf(out, ",\"%s\":{", member);
		buf_put(out, between, strlen(between));
		between = ",";
		json_put_string(out, spec->name);
		buf_put_lit(out, ":{");
		put_figures(out, halves(&units[i], write), kind);
		buf_put_byte(out, '}');
	}
	if (between[0] != '\0')
		buf_put_byte(out, '}');
}

/* "VectorIndexes":{"a":{"VectorWriteRequestBytes":1024.0}}: bytes, no part of the units. */
static void
put_vectors(struct buf *out, const struct table_units *units, size_t count)
{
	const char *between = "";

	for (size_t i = 0; i < count; i++) {
		if (units[i].vector_write == 0)
			continue;
		buf_put_slice(out, between[0] == '\0' ? SLICE(",\"VectorIndexes\":{") : SLICE(","));
		between = ",";
		json_put_string(out, table_index_spec(units[i].index)->name);
		buf_put_lit(out, ":{\"VectorWriteRequestBytes\":");
		reply_units(out, 2 * units[i].vector_write);
		buf_put_byte(out, '}');
	}
	if (between[0] != '\0')
		buf_put_byte(out, '}');
}

static void
put_capacity(struct buf *out, struct slice table_name, const struct table_units *units, size_t count, bool write,
	     int detail, const char *kind, uint64_t failed)
{
	uint64_t sum = failed, table = 0;

	for (size_t i = 0; i < count; i++) {
		sum += halves(&units[i], write);
		if (units[i].index == NULL)
			table += halves(&units[i], write);
	}
	buf_put_lit(out, "{\"TableName\":");
	json_put_string(out, table_name);
	buf_put_byte(out, ',');
	put_figures(out, sum, kind);
	if (detail == CAPACITY_INDEXES) {
		buf_put_lit(out, ",\"Table\":{");
		put_figures(out, table, kind);
		buf_put_byte(out, '}');
		put_indexes(out, "LocalSecondaryIndexes", false, units, count, write, kind);
		put_indexes(out, "GlobalSecondaryIndexes", true, units, count, write, kind);
		if (write)
			put_vectors(out, units, count);
	}
	buf_put_byte(out, '}');
}

void
reply_capacity(struct buf *out, struct slice table_name, const struct table_units *units, size_t count, bool write,
	       int detail)
{
	put_capacity(out, table_name, units, count, write, detail, NULL, 0);
}

void
reply_capacity_failed(struct buf *out, struct slice table_name, const struct table_units *units, size_t count,
		      bool write, int detail, uint64_t failed)
{
	put_capacity(out, table_name, units, count, write, detail, NULL, failed);
}

void
reply_transaction_capacity(struct buf *out, struct slice table_name, const struct table_units *units, size_t count,
			   bool write, int detail)
{
	put_capacity(out, table_name, units, count, write, detail, write ? "WriteCapacityUnits" : "ReadCapacityUnits",
		     0);
}

void
reply_collection(struct buf *out, struct table *table, struct av key, struct table_io *io)
{
	const struct key_attr *partition = &table_schema(table)->partition[0];
	double least = (double)(uint64_t)((double)table_collection_bytes(table, key, io) / GIB);

	buf_put_lit(out, "{\"ItemCollectionKey\":{");
	json_put_string(out, partition->name);
	buf_put_byte(out, ':');
	av_write_json(out, av_get(key, partition->name));
	buf_put_lit(out, "},\"SizeEstimateRangeGB\":[");
	json_put_double(out, least);
	buf_put_byte(out, ',');
	json_put_double(out, least + 1);
	buf_put_lit(out, "]}");
}

void
reply_units_add(struct reply_units *all, const struct table_units *units, uint32_t factor)
{
	size_t at = 0;

	while (at < all->count && all->units[at].index != units->index)
		at++;
	if (at == REPLY_UNITS_MAX)
		return;
	if (at == all->count)
		all->units[all->count++] = (struct table_units){.index = units->index};
	all->units[at].half_read += factor * units->half_read;
	all->units[at].half_write += factor * units->half_write;
	all->units[at].vector_write += units->vector_write;
}
