#include "base/fair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PIECE_NS    50000      /* a job that has more to do lets the others go on */
#define SHARE_NS    50000      /* what a tenant or table may take before the next one's turn */
#define DEBT_MAX_NS 100000000  /* one that took long waits for others, but not for ever */
#define ALONE_TURNS 8          /* turns in one of who is alone: answers leave in larger groups, which costs less */
#define SHARED_NS   1000000000 /* so long after others were there it is not alone */
#define LOOK_EACH   4          /* brief jobs between two looks at the clock while there is only one flow */

/* One of those who take turns: on neither list, on `fresh` (served first), or on `others`. */
struct turn {
	struct turn *next;
	bool listed, fresh;
	int64_t left_ns; /* of its share; below 0: it has taken more and waits as many rounds */
};

struct turns {
	struct turn *fresh, *fresh_last, *others, *others_last;
};

struct table_jobs {
	struct turn turn;
	struct loop_job *first, *last;
};

struct tenant_jobs {
	struct turn turn;
	int job_count;
	struct turns tables;
	struct table_jobs of[FAIR_TABLES];
};

struct fair {
	int count;
	int64_t piece_end_ns; /* 0: no job is running */
	int64_t shared_until_ns;
	struct turns tenants;
	struct tenant_jobs of[FAIR_TENANTS];
};

struct fair *
fair_new(void)
{
	struct fair *q = calloc(1, sizeof *q); /* pages of places never used are never touched */

	if (q == NULL) {
		fprintf(stderr, "out of memory: turns of a loop\n");
		abort();
	}
	return q;
}

void
fair_free(struct fair *q)
{
	free(q);
}

uint32_t
job_hash(struct slice s)
{
	uint32_t hash = 2166136261u; /* FNV-1a: names are short */

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (uint8_t)s.data[i]) * 16777619u;
	return hash ^ hash >> 16; /* only the low bits choose the place */
}

uint32_t
job_hash_peer(const char *peer)
{
	const char *port = strrchr(peer, ':');

	return job_hash(slice_of(peer, port != NULL ? (size_t)(port - peer) : strlen(peer)));
}

/* ---- lists of turns ---- */

static void
list_add(struct turns *all, struct turn *t, bool fresh)
{
	struct turn **first = fresh ? &all->fresh : &all->others, **last = fresh ? &all->fresh_last : &all->others_last;

	t->next = NULL;
	t->listed = true;
	t->fresh = fresh;
	if (*first == NULL)
		*first = t;
	else
		(*last)->next = t;
	*last = t;
}

static void
list_pop(struct turns *all, struct turn *t)
{
	if (t->fresh)
		all->fresh = t->next;
	else
		all->others = t->next;
	t->next = NULL;
	t->listed = false;
}

/* It has work now. */
static void
turn_want(struct turns *all, struct turn *t)
{
	if (t->listed)
		return;
	t->left_ns = SHARE_NS;
	list_add(all, t, true);
}

/* Whose turn is it? There is someone. */
static struct turn *
turn_next(struct turns *all)
{
	for (;;) {
		struct turn *t = all->fresh != NULL ? all->fresh : all->others;

		if (t->left_ns > 0)
			return t;
		t->left_ns += SHARE_NS;
		list_pop(all, t);
		list_add(all, t, false);
	}
}

/* The one at the head has nothing left to do. Who was served first goes once through the others before that is so
 * again: else work that comes in drips would always be first. */
static void
turn_done(struct turns *all, struct turn *t)
{
	bool fresh = t->fresh;

	list_pop(all, t);
	if (fresh && all->others != NULL)
		list_add(all, t, false);
}

/* ---- jobs ---- */

static struct tenant_jobs *
tenant_of(struct fair *q, const struct loop_job *j)
{
	return &q->of[j->flow.tenant % FAIR_TENANTS];
}

static struct table_jobs *
table_of(struct tenant_jobs *tenant, const struct loop_job *j)
{
	return &tenant->of[j->flow.table % FAIR_TABLES];
}

void
fair_add(struct fair *q, struct loop_job *j)
{
	struct tenant_jobs *tenant = tenant_of(q, j);
	struct table_jobs *table = table_of(tenant, j);

	if (j->queued)
		return;
	j->queued = true;
	j->next = NULL;
	j->prev = table->last;
	if (table->last != NULL)
		table->last->next = j;
	else
		table->first = j;
	table->last = j;
	q->count++;
	tenant->job_count++;
	turn_want(&tenant->tables, &table->turn);
	turn_want(&q->tenants, &tenant->turn);
}

/* Its tenant and table stay listed; whose turn it is finds that there is nothing. */
void
fair_remove(struct fair *q, struct loop_job *j)
{
	struct tenant_jobs *tenant = tenant_of(q, j);
	struct table_jobs *table = table_of(tenant, j);

	if (!j->queued)
		return;
	j->queued = false;
	if (j->prev != NULL)
		j->prev->next = j->next;
	else
		table->first = j->next;
	if (j->next != NULL)
		j->next->prev = j->prev;
	else
		table->last = j->prev;
	j->next = j->prev = NULL;
	q->count--;
	tenant->job_count--;
}

/* The next table of a tenant with a job; NULL: none, and nothing of it is listed any more. */
static struct table_jobs *
next_table(struct tenant_jobs *tenant)
{
	while (tenant->tables.fresh != NULL || tenant->tables.others != NULL) {
		struct table_jobs *table = (struct table_jobs *)turn_next(&tenant->tables);

		if (table->first != NULL)
			return table;
		turn_done(&tenant->tables, &table->turn);
	}
	return NULL;
}

struct loop_job *
fair_next(struct fair *q)
{
	while (q->count > 0) {
		struct tenant_jobs *tenant = (struct tenant_jobs *)turn_next(&q->tenants);
		struct table_jobs *table = tenant->job_count > 0 ? next_table(tenant) : NULL;

		if (table != NULL) {
			struct loop_job *j = table->first;

			fair_remove(q, j);
			return j;
		}
		turn_done(&q->tenants, &tenant->turn);
	}
	return NULL;
}

void
fair_charge(struct fair *q, struct job_flow flow, int64_t ns)
{
	struct tenant_jobs *tenant = &q->of[flow.tenant % FAIR_TENANTS];

	if (ns > DEBT_MAX_NS)
		ns = DEBT_MAX_NS;
	tenant->turn.left_ns -= ns;
	tenant->of[flow.table % FAIR_TABLES].turn.left_ns -= ns;
}

int
fair_count(const struct fair *q, uint32_t tenant)
{
	return q->of[tenant % FAIR_TENANTS].job_count;
}

/* Only one tenant has work: nobody has to be told apart. */
static bool
is_alone(const struct turns *all)
{
	const struct turn *t = all->fresh != NULL ? all->fresh : all->others;

	return t == NULL || (t->next == NULL && (all->fresh == NULL || all->others == NULL));
}

static bool
has_one_flow(const struct fair *q)
{
	const struct turn *t = q->tenants.fresh != NULL ? q->tenants.fresh : q->tenants.others;

	return is_alone(&q->tenants) && (t == NULL || is_alone(&((const struct tenant_jobs *)t)->tables));
}

void
fair_run(struct fair *q, int64_t turn_ns)
{
	int64_t start_ns, now_ns, later_ns;
	int unlooked = 0;

	if (q->count == 0)
		return;
	start_ns = now_ns = clock_mono_ns();
	if (!has_one_flow(q))
		q->shared_until_ns = now_ns + SHARED_NS;
	else if (now_ns > q->shared_until_ns)
		turn_ns *= ALONE_TURNS;
	while (now_ns - start_ns < turn_ns) {
		struct loop_job *j = fair_next(q);
		struct job_flow flow;
		bool brief;

		if (j == NULL)
			break;
		brief = j->brief;
		flow = j->flow; /* whose turn it was, also when it turns out to be another's */
		q->piece_end_ns = now_ns + PIECE_NS;
		j->run(j); /* may free itself */
		/* whoever comes now is not heard before the turn is over, so no long one may go untimed */
		if (brief && ++unlooked < LOOK_EACH && is_alone(&q->tenants) &&
		    is_alone(&q->of[flow.tenant % FAIR_TENANTS].tables))
			continue;
		unlooked = 0;
		later_ns = clock_mono_ns();
		fair_charge(q, flow, later_ns - now_ns);
		now_ns = later_ns;
	}
	q->piece_end_ns = 0;
}

bool
fair_any(const struct fair *q)
{
	return q->count > 0;
}

bool
fair_spent(const struct fair *q)
{
	return q->piece_end_ns != 0 && clock_mono_ns() >= q->piece_end_ns;
}
