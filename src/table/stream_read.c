/*
 * Reading a shard: where to begin, a page of its records, and how often.
 */
#include "base/clock.h"
#include "table/change_int.h"
#include "table/recent.h"

#define MSG_NO_SHARD "Requested resource not found: Shard: %.*s in Stream: %.*s not found"
#define MSG_TRIMMED  "The operation attempted to read past the oldest stream record in a shard."
#define MSG_SEQUENCE "Invalid SequenceNumber for the shard"

/* ---- positions ---- */

/* The log's number in one of the wire; false when it is not one of this partition. Leading zeros do not count. */
static bool
parse_sequence(struct slice text, uint32_t partition, uint64_t *ret)
{
	unsigned __int128 v = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || v > (unsigned __int128)UINT64_MAX * SEQUENCE_STEP)
			return false;
		v = v * 10 + (unsigned)(text.data[i] - '0');
	}
	*ret = (uint64_t)(v / SEQUENCE_STEP);
	return text.len > 0 && v / SEQUENCE_STEP < UINT64_MAX && v % SEQUENCE_STEP == partition;
}

static struct partition *
partition_of_shard(const struct pinned *pin)
{
	return layout_of(pin->core)->by_id[pin->shard.partition];
}

/* Through which number the shard's records are not shown any more. */
static uint64_t
trimmed_through(const struct pinned *pin)
{
	const struct partition *p = partition_of_shard(pin);
	uint64_t stale = atomic_load(&p->log_stale), trimmed = atomic_load(&p->log_trimmed);

	return stale > trimmed ? stale : trimmed;
}

static enum status
trimmed(struct err *err)
{
	return err_set(err, S_TRIMMED_DATA, MSG_TRIMMED);
}

static enum status
find_start(const struct pinned *pin, enum stream_start start, struct slice sequence, uint64_t *ret, struct err *err)
{
	const struct shard *shard = &pin->shard;
	uint64_t gone = trimmed_through(pin), last, seq;

	last = pin->through;
	switch (start) {
	case START_TRIM_HORIZON:
		*ret = gone >= shard->first ? gone + 1 : shard->first;
		return S_OK;
	case START_LATEST:
		*ret = last >= shard->first ? last + 1 : shard->first;
		return S_OK;
	default:
		break;
	}
	if (!parse_sequence(sequence, shard->partition, &seq) || seq < shard->first ||
	    (shard->last != 0 && seq > shard->last))
		return err_set(err, S_VALIDATION, MSG_SEQUENCE);
	*ret = start == START_AFTER_SEQUENCE ? seq + 1 : seq;
	return *ret <= gone ? trimmed(err) : S_OK;
}

enum status
stream_find(struct table_db *db, struct slice arn, struct slice shard_id, enum stream_start start,
	    struct slice sequence, struct table_io *io, uint64_t *ret_seq, struct err *err)
{
	uint64_t durable_before = engine_durable(db->engine);
	struct pinned pin;
	enum status s = stream_pin(db, arn, shard_id, &pin, err);

	if (s != S_OK)
		return s;
	if (!pin.found) {
		s = err_set(err, S_RESOURCE_NOT_FOUND, MSG_NO_SHARD, SLICE_ARG(shard_id), SLICE_ARG(arn));
	} else {
		struct partition *p = partition_of_shard(&pin);

		s = find_start(&pin, start, sequence, ret_seq, err);
		/* a position names numbers that a crash could give out again */
		recent_raise(&io->wait_seq, recent_load(&p->last, p), durable_before);
		if (s == S_OK)
			s = stream_told(db->engine, pin.changed_at, durable_before, io, err);
	}
	core_release(pin.core);
	return s;
}

/* ---- records ---- */

/* Bijective, so different numbers stay different. */
static uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return v ^ v >> 31;
}

void
stream_event_id(const struct stream_page *page, uint64_t seq, char ret[32])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t high = mix(seq ^ page->event_high), low = mix(high ^ page->event_low);

	for (int i = 15; i >= 0; i--, high >>= 4, low >>= 4) {
		ret[i] = hex[high & 15];
		ret[16 + i] = hex[low & 15];
	}
}

struct reading {
	const struct pinned *pin;
	uint32_t limit;
	size_t bytes, bytes_max;
	bool may_block;
	void (*each)(void *context, const struct stream_page *page, const struct change *change);
	void *context;
	struct stream_page *page;
};

static void
show(const struct reading *r, struct change *change)
{
	enum stream_view view = r->page->view;

	if (view != STREAM_NEW_IMAGE && view != STREAM_NEW_AND_OLD_IMAGES)
		change->new_image = AV_NONE; /* another reader wanted it */
	if (view != STREAM_OLD_IMAGE && view != STREAM_NEW_AND_OLD_IMAGES)
		change->old_image = AV_NONE;
	r->each(r->context, r->page, change);
}

static enum status
walk(struct reading *r, struct engine_iter *it, uint32_t *ret_count, struct err *err)
{
	struct stream_page *page = r->page;
	struct change change;
	enum status s = S_OK;

	for (engine_iter_first(it); s == S_OK && engine_iter_valid(it); engine_iter_next(it)) {
		uint64_t seq = log_key_seq(engine_iter_key(it));

		if (*ret_count == r->limit || r->bytes >= r->bytes_max) {
			page->more = true;
			return S_OK;
		}
		r->bytes += engine_iter_value(it).len;
		if (!r->may_block && r->bytes > INLINE_BYTES_MAX)
			return S_WOULD_BLOCK;
		s = change_decode(seq, engine_iter_value(it), &change, err);
		if (s != S_OK)
			return s;
		show(r, &change);
		page->next_seq = seq + 1;
		(*ret_count)++;
	}
	return engine_iter_status(it, err);
}

static enum status
read_shard(struct reading *r, uint64_t seq, struct table_io *io, struct err *err)
{
	const struct shard *shard = &r->pin->shard;
	struct table_core *core = r->pin->core;
	uint64_t durable_before = engine_durable(core->db->engine), last = r->pin->through;
	struct partition *p = partition_of_shard(r->pin);
	struct scratch *scratch;
	struct engine_iter *it;
	uint32_t count = 0;
	enum status s = S_OK;

	r->page->next_seq = seq;
	if (seq <= trimmed_through(r->pin))
		return trimmed(err);
	if (seq <= last) {
		scratch = table_scratch_take(core->db);
		log_put_key(&scratch->from, core->number, shard->partition, seq);
		log_put_key(&scratch->to, core->number, shard->partition, last + 1);
		/* behind what was trimmed nothing was dropped */
		it = engine_iter_new(core->db->engine, NULL, SPACE_LOG, buf_slice(&scratch->from),
				     buf_slice(&scratch->to),
				     ENGINE_NEVER_DROPPED | (r->may_block ? ENGINE_MAY_BLOCK : ENGINE_CACHED_ONLY));
		s = walk(r, it, &count, err);
		engine_iter_free(it);
		table_scratch_give(core->db, scratch);
	}
	if (s != S_OK)
		return s;
	/* raised before records are dropped: not yet, then nothing was missing */
	if (seq <= atomic_load(&p->log_trimmed))
		return trimmed(err);
	if (count > 0)
		recent_raise(&io->wait_seq, recent_load(&p->last, p), durable_before);
	r->page->ended = shard->last != 0 && !r->page->more;
	return r->page->ended ? stream_told(core->db->engine, r->pin->changed_at, durable_before, io, err) : S_OK;
}

enum status
stream_read(struct table_db *db, struct slice arn, struct slice shard_id, uint64_t seq, uint32_t limit, size_t bytes,
	    struct table_io *io,
	    void (*each)(void *context, const struct stream_page *page, const struct change *change), void *context,
	    struct stream_page *page, struct err *err)
{
	struct pinned pin;
	struct reading r = {.pin = &pin,
			    .limit = limit,
			    .bytes_max = bytes,
			    .may_block = io->may_block,
			    .each = each,
			    .context = context,
			    .page = page};
	enum status s = stream_pin(db, arn, shard_id, &pin, err);

	if (s != S_OK)
		return s;
	*page = (struct stream_page){.view = pin.view};
	if (pin.found) {
		page->partition = pin.shard.partition;
		page->event_high = mix(pin.core->number) ^ mix((uint64_t)pin.created_ms);
		page->event_low = mix((uint64_t)pin.shard.partition << 32 | pin.core->number);
		s = read_shard(&r, seq, io, err);
	} else { /* forgotten, with all that was in it */
		s = err_set(err, S_RESOURCE_NOT_FOUND, "Invalid ShardId in ShardIterator");
	}
	core_release(pin.core);
	return s;
}

/* ---- how often ---- */

#define SECOND_NS             1000000000LL
#define DESCRIPTIONS_A_SECOND 10
#define READS_A_SECOND        5
#define BYTES_A_SECOND        (2 * 1024 * 1024)

static enum status
too_often(struct err *err)
{
	return err_set(err, S_THROTTLING, "Rate exceeded");
}

/* Each is the moment at which what was done would have been allowed at an even rate; a second's worth may come at once.
 */
static bool
take(int64_t *even_ns, int64_t cost_ns, int64_t now_ns)
{
	if (*even_ns > now_ns)
		return false;
	if (*even_ns < now_ns - SECOND_NS)
		*even_ns = now_ns - SECOND_NS;
	*even_ns += cost_ns;
	return true;
}

/* Locks the directory. */
static struct shard *
lock_shard(struct streams *all, struct slice arn, struct slice shard_id)
{
	struct stream *s;
	size_t at;

	pthread_mutex_lock(&all->lock);
	s = stream_find_arn(all, arn);
	at = s != NULL ? shard_place(s, shard_id) : 0;
	return s != NULL && at < s->shard_count && slice_eq(slice_str(s->shards[at]->id), shard_id) ? s->shards[at]
												    : NULL;
}

enum status
stream_look_describe(struct table_db *db, struct slice arn, struct err *err)
{
	struct streams *all = db->streams;
	struct stream *s;
	bool allowed = true;

	if (!db->throttling)
		return S_OK;
	pthread_mutex_lock(&all->lock);
	s = stream_find_arn(all, arn);
	if (s != NULL)
		allowed = take(&s->descriptions_ns, SECOND_NS / DESCRIPTIONS_A_SECOND, clock_passed_ns());
	pthread_mutex_unlock(&all->lock);
	return allowed ? S_OK : too_often(err);
}

enum status
stream_look_read(struct table_db *db, struct slice arn, struct slice shard_id, struct err *err)
{
	int64_t now_ns = clock_passed_ns();
	struct shard *shard;
	bool allowed = true;

	if (!db->throttling)
		return S_OK;
	shard = lock_shard(db->streams, arn, shard_id);
	if (shard != NULL)
		allowed = shard->bytes_ns <= now_ns && shard->reads_ns <= now_ns;
	pthread_mutex_unlock(&db->streams->lock);
	return allowed ? S_OK : too_often(err);
}

void
stream_charge_read(struct table_db *db, struct slice arn, struct slice shard_id, uint64_t bytes)
{
	int64_t now_ns = clock_passed_ns();
	struct shard *shard;

	if (!db->throttling)
		return;
	shard = lock_shard(db->streams, arn, shard_id);
	if (shard != NULL) {
		(void)take(&shard->reads_ns, SECOND_NS / READS_A_SECOND, now_ns);
		(void)take(&shard->bytes_ns, (int64_t)(bytes * SECOND_NS / BYTES_A_SECOND), now_ns);
	}
	pthread_mutex_unlock(&db->streams->lock);
}
