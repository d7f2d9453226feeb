/*
 * Rows of the catalog: `D`, a letter, a name; the value is one JSON object. JSON, because there are few and small ones
 * of them, members come and go between versions, and a person can read what is wrong. Written here, read by load.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "codec/json.h"
#include "fleet/fleet_int.h"

struct fleet_batch {
	struct fleet *fleet;
	struct engine_batch *rows;
	uint64_t first_event; /* those from here on are of this batch */
};

struct fleet_batch *
fleet_batch_new(struct fleet *f)
{
	struct fleet_batch *b = calloc(1, sizeof *b);

	if (b == NULL)
		abort();
	b->fleet = f;
	b->rows = engine_batch_new(f->engine);
	b->first_event = f->event_next;
	return b;
}

static void
put_key(struct buf *key, enum fleet_row row, struct slice name)
{
	buf_put_byte(key, ROW_PREFIX);
	buf_put_byte(key, (uint8_t)row);
	buf_put_slice(key, name);
}

static void
put_row(struct fleet_batch *b, enum fleet_row row, struct slice name, struct buf *value)
{
	struct buf key = {0};

	put_key(&key, row, name);
	engine_batch_put(b->rows, SPACE_CATALOG, buf_slice(&key), buf_slice(value));
	buf_done(&key);
	buf_done(value);
}

void
fleet_batch_delete(struct fleet_batch *b, enum fleet_row row, const char *name)
{
	struct buf key = {0};

	put_key(&key, row, slice_str(name));
	engine_batch_delete(b->rows, SPACE_CATALOG, buf_slice(&key));
	buf_done(&key);
}

/* --- writing --- */

/* {"a":... : the comma before each member but the first */
static void
put_name(struct buf *out, const char *name)
{
	if (out->data[out->len - 1] != '{')
		buf_put_byte(out, ',');
	buf_printf(out, "\"%s\":", name);
}

static void
put_text(struct buf *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	put_name(out, name);
	json_put_string(out, slice_str(text));
}

static void
put_int(struct buf *out, const char *name, int64_t value)
{
	put_name(out, name);
	json_put_int(out, value);
}

static void
put_texts(struct buf *out, const char *name, const struct fleet_texts *texts)
{
	put_name(out, name);
	buf_put_byte(out, '[');
	for (size_t i = 0; i < texts->count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		json_put_string(out, slice_str(texts->items[i]));
	}
	buf_put_byte(out, ']');
}

void
fleet_batch_put_cluster(struct fleet_batch *b, const struct fleet_cluster *c)
{
	struct buf out = {0};

	buf_put_byte(&out, '{');
	put_text(&out, "description", c->description);
	put_text(&out, "node_type", c->node_type);
	put_text(&out, "role", c->role);
	put_text(&out, "subnet_group", c->subnet_group);
	put_text(&out, "window", c->window);
	put_text(&out, "group", c->group);
	put_text(&out, "network", c->network);
	put_texts(&out, "security_groups", &c->security_groups);
	put_name(&out, "tags");
	buf_put_byte(&out, '[');
	for (size_t i = 0; i < c->tag_count; i++) {
		if (i > 0)
			buf_put_byte(&out, ',');
		json_put_string(&out, slice_str(c->tags[i].key));
		buf_put_byte(&out, ',');
		json_put_string(&out, slice_str(c->tags[i].value));
	}
	buf_put_byte(&out, ']');
	put_int(&out, "sse", c->sse);
	put_int(&out, "tls", c->tls);
	put_int(&out, "state", c->state);
	put_int(&out, "created_ms", c->created_ms);
	put_int(&out, "port", c->discovery_port);
	put_int(&out, "next_number", c->next_number);
	put_name(&out, "nodes");
	buf_put_byte(&out, '[');
	for (int i = 0; i < c->node_count; i++) {
		const struct fleet_node *n = &c->nodes[i];

		buf_put(&out, i > 0 ? ",{" : "{", i > 0 ? 2 : 1);
		put_int(&out, "number", n->number);
		put_text(&out, "zone", n->zone);
		put_int(&out, "created_ms", n->created_ms);
		put_int(&out, "port", n->port);
		put_int(&out, "state", n->state);
		buf_put_byte(&out, '}');
	}
	buf_put_lit(&out, "]}");
	put_row(b, ROW_CLUSTER, slice_str(c->name), &out);
}

void
fleet_batch_put_group(struct fleet_batch *b, const struct fleet_group *g)
{
	struct buf out = {0};

	buf_put_byte(&out, '{');
	put_text(&out, "description", g->description);
	if (g->item_set)
		put_int(&out, "record_ttl_ms", g->item_ttl_ms);
	if (g->query_set)
		put_int(&out, "query_ttl_ms", g->query_ttl_ms);
	buf_put_byte(&out, '}');
	put_row(b, ROW_GROUP, slice_str(g->name), &out);
}

void
fleet_batch_put_subnets(struct fleet_batch *b, const struct fleet_subnet_group *g)
{
	struct buf out = {0};

	buf_put_byte(&out, '{');
	put_text(&out, "description", g->description);
	put_texts(&out, "subnets", &g->subnets);
	buf_put_byte(&out, '}');
	put_row(b, ROW_SUBNETS, slice_str(g->name), &out);
}

/* --- events --- */

static struct slice
event_key(uint64_t number, char memory[8])
{
	number = __builtin_bswap64(number);
	memcpy(memory, &number, 8);
	return slice_of(memory, 8);
}

void
fleet_add_event(struct fleet *f, const struct fleet_event *e)
{
	if (f->event_count == f->event_room) {
		f->event_room = f->event_room > 0 ? 2 * f->event_room : 64;
		f->events = reallocarray(f->events, f->event_room, sizeof *f->events);
		if (f->events == NULL)
			abort();
	}
	f->events[f->event_count++] = *e;
	if (e->number >= f->event_next)
		f->event_next = e->number + 1;
}

static void
drop_old_events(struct fleet_batch *b)
{
	struct fleet *f = b->fleet;
	int64_t oldest_ms = clock_wall_ms() - (int64_t)FLEET_EVENT_DAYS * 86400 * 1000;
	size_t gone = 0;

	while (gone < f->event_count &&
	       (f->events[gone].at_ms < oldest_ms || f->event_count - gone > FLEET_EVENTS_MAX)) {
		struct buf key = {0};
		char memory[8];

		put_key(&key, ROW_EVENT, event_key(f->events[gone].number, memory));
		engine_batch_delete(b->rows, SPACE_CATALOG, buf_slice(&key));
		buf_done(&key);
		free(f->events[gone].source);
		free(f->events[gone].message);
		gone++;
	}
	f->event_count -= gone;
	if (gone > 0)
		memmove(f->events, f->events + gone, f->event_count * sizeof *f->events);
}

void
fleet_batch_event(struct fleet_batch *b, enum fleet_source type, const char *source, const char *format, ...)
{
	struct fleet_event e = {.at_ms = clock_wall_ms(), .number = b->fleet->event_next, .type = type};
	struct buf out = {0};
	char memory[8], message[300];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	e.source = fleet_copy(slice_str(source));
	e.message = fleet_copy(slice_str(message));
	fleet_add_event(b->fleet, &e);
	buf_put_byte(&out, '{');
	put_int(&out, "at_ms", e.at_ms);
	put_int(&out, "type", e.type);
	put_text(&out, "source", source);
	put_text(&out, "message", message);
	buf_put_byte(&out, '}');
	put_row(b, ROW_EVENT, event_key(e.number, memory), &out);
	drop_old_events(b);
}

/* What was not written did not happen. */
static void
take_back_events(struct fleet *f, uint64_t first)
{
	while (f->event_count > 0 && f->events[f->event_count - 1].number >= first) {
		f->event_count--;
		free(f->events[f->event_count].source);
		free(f->events[f->event_count].message);
	}
	f->event_next = first;
}

enum status
fleet_batch_end(struct fleet_batch *b, struct err *err)
{
	struct engine *e = b->fleet->engine;
	uint64_t seq;
	enum status s;

	fault_pass(FAULT_FLEET_DECIDED);
	s = engine_apply(e, b->rows, &seq, err);
	if (s == S_OK)
		s = engine_sync_to(e, seq, err);
	fault_pass(FAULT_FLEET_DURABLE);
	if (s != S_OK)
		take_back_events(b->fleet, b->first_event);
	engine_batch_free(b->rows);
	free(b);
	return s;
}
