/* What writes cost: paid for before anything is applied, and counted by their keys after that. */
#include "base/clock.h"
#include "table/commit_int.h"

static enum status
look(const struct commit *c, size_t i, int64_t now_ns, struct err *err)
{
	const struct table_write *w = &c->writes[i];
	enum status s = S_OK;

	for (size_t n = 0; n < w->unit_count && s == S_OK; n++) {
		s = throttle_look(c->places[i].locked->version, w->units[n].index, true, now_ns, err);
		c->places[i].index_refused = w->units[n].index != NULL && w->units[n].index->spec->global;
	}
	if (s == S_OK && w->unit_count > 0)
		s = throttle_look_conflict(c->places[i].locked->version, err);
	return s;
}

static void
pay(const struct commit *c, size_t i, bool back, int64_t now_ns)
{
	const struct table_write *w = &c->writes[i];

	for (size_t n = 0; n < w->unit_count; n++) {
		int64_t half_units = w->units[n].half_write;

		if (c->transaction && w->units[n].index == NULL)
			half_units *= 2;
		throttle_charge(c->places[i].locked->version, w->units[n].index, true, back ? -half_units : half_units,
				now_ns);
	}
}

/*
 * What was decided is paid for, a failed condition too; or refused as a whole. One after the other, so that those that
 * are not refused are what there is capacity for and a batch can do without the others; a transaction goes through when
 * there is something left for each.
 */
enum status
commit_charge(struct commit *c, enum status decided, struct err *err)
{
	enum status first = S_OK;
	int64_t now_ns = clock_passed_ns();
	struct err own;

	if (c->token != NULL && c->token->repeated)
		return decided;
	for (size_t i = 0; i < c->count; i++) {
		struct table_write *w = &c->writes[i];
		struct err *told = first == S_OK && err != NULL ? err : &own;
		enum status s = look(c, i, now_ns, told);

		if (s == S_OK && !c->transaction)
			pay(c, i, false, now_ns);
		if (s == S_OK)
			continue;
		w->status = s;
		w->message = arena_dup(c->io->arena, slice_str(told->message));
		if (first == S_OK)
			first = s;
	}
	for (size_t i = 0; i < c->count; i++) {
		enum status s = c->writes[i].status;

		if (first == S_OK && c->transaction)
			pay(c, i, false, now_ns);
		else if (first != S_OK && !c->transaction && s != S_THROUGHPUT_EXCEEDED && s != S_THROTTLING &&
			 s != S_TRANSACTION_CONFLICT)
			pay(c, i, true, now_ns);
	}
	return first != S_OK ? first : decided;
}

/* ---- counting the keys ---- */

static bool
is_throttled(enum status s)
{
	return s == S_THROUGHPUT_EXCEEDED || s == S_THROTTLING;
}

static void
count_accesses(const struct commit *c, const struct table_write *w, const struct table *t, struct av key)
{
	for (size_t n = 0; n < w->unit_count; n++) {
		const struct table_units *u = &w->units[n];
		bool own = u->index != NULL && u->index->spec->global;
		uint64_t half_units = (uint64_t)u->half_write << (c->transaction && u->index == NULL);

		if (half_units == 0)
			continue;
		if (!own)
			insights_count_write(t, NULL, key, half_units);
		else if (!insights_count_write(t, u->index, w->new_item, half_units))
			insights_count_write(t, u->index, w->old_item, half_units); /* it left the index */
	}
}

/*
 * For insights.h: writes that were paid for, a failed condition too; or, when any was throttled and so nothing was
 * done, those that were. No lock is held; the versions live as long as the caller's tables, which lead to them.
 */
void
commit_count_keys(const struct commit *c, enum status s)
{
	if (c->token != NULL && c->token->repeated)
		return;
	for (size_t i = 0; i < c->count; i++) {
		const struct table_write *w = &c->writes[i];
		const struct table *t = c->places[i].locked->version;
		struct av key = w->kind == WRITE_PUT ? w->item : w->key;

		if (s == S_OK || s == S_COND_FAILED)
			count_accesses(c, w, t, key);
		else if (is_throttled(s) && is_throttled(w->status) && !c->places[i].index_refused)
			insights_count_write(t, NULL, key, 0);
	}
}
