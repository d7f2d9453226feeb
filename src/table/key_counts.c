#include "table/key_counts.h"

#include "base/clock.h"
#include "base/lru.h"
#include "codec/base64.h"
#include "model/number.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SHARDS    16  /* a power of two */
#define SCALE     256 /* of weights, so that halving loses nothing worth it */
#define MINUTE_NS 60000000000LL

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	/* guarded by lock */
	unsigned rules;
	int64_t minute; /* up to which the sketches have aged */
	struct top_keys *tops[RULE_COUNT];
};

struct key_counts {
	struct shard shards[SHARDS];
};

/* ---- life ---- */

struct key_counts *
key_counts_new(void)
{
	struct key_counts *k = aligned_alloc(64, sizeof *k);

	if (k == NULL)
		abort();
	memset(k, 0, sizeof *k);
	for (int i = 0; i < SHARDS; i++)
		pthread_mutex_init(&k->shards[i].lock, NULL);
	return k;
}

void
key_counts_set(struct key_counts *k, unsigned rules)
{
	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &k->shards[i];

		pthread_mutex_lock(&s->lock);
		s->rules = rules;
		for (int rule = 0; rule < RULE_COUNT; rule++)
			if (!(rules >> rule & 1)) {
				free(s->tops[rule]);
				s->tops[rule] = NULL;
			}
		pthread_mutex_unlock(&s->lock);
	}
}

void
key_counts_free(struct key_counts *k)
{
	if (k == NULL)
		return;
	key_counts_set(k, 0);
	for (int i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&k->shards[i].lock);
	free(k);
}

/* ---- keys for people ---- */

#define CUT_MARK     3  /* "..." */
#define CUT_HASH     10 /* characters of the key's hash, so that no two keys are told alike */
#define CUT_TEXT_MAX (KEY_TEXT_MAX - CUT_MARK - CUT_HASH)
#define VALUE_MAX                                                                                                      \
	(KEY_TEXT_MAX + 4) /* bytes of a value that are looked at: cut to whole characters, still too long             \
			    */

/* How much of it comes to at most so many bytes, and does not end inside a UTF-8 character. */
static size_t
cut(struct slice text, size_t most)
{
	if (text.len <= most)
		return text.len;
	while (most > 0 && ((uint8_t)text.data[most] & 0xc0) == 0x80)
		most--;
	return most;
}

static char *
put_value(char *to, struct av value)
{
	struct slice bytes = av_bytes(value);

	switch (av_type(value)) {
	case AV_N:
		return to + number_format_encoded(bytes, to);
	case AV_B:
		return base64_write(to, slice_of(bytes.data, bytes.len < VALUE_MAX ? bytes.len : VALUE_MAX));
	default:
		return mempcpy(to, bytes.data, cut(bytes, VALUE_MAX));
	}
}

static bool
has_comma(struct av value)
{
	struct slice bytes = av_bytes(value);

	return av_type(value) == AV_S && bytes.len > 0 && memchr(bytes.data, ',', bytes.len) != NULL;
}

/* Several attributes with commas between them. Returns the length. */
static uint8_t
put_text(const struct av *values, unsigned count, uint64_t hash, char ret[KEY_TEXT_MAX])
{
	char text[KEY_ATTRS_MAX * (BASE64_LENGTH(VALUE_MAX) + NUMBER_TEXT_MAX + 1)], *end = text;
	bool ambiguous = false;
	size_t len;

	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			*end++ = ',';
		end = put_value(end, values[i]);
		ambiguous |= count > 1 && has_comma(values[i]);
	}
	len = (size_t)(end - text);
	if (len <= KEY_TEXT_MAX && !ambiguous) {
		memcpy(ret, text, len);
		return (uint8_t)len;
	}
	len = cut(slice_of(text, len), CUT_TEXT_MAX);
	memcpy(ret, text, len);
	memcpy(ret + len, "...", CUT_MARK);
	len += CUT_MARK;
	for (int i = CUT_HASH; i-- > 0; hash >>= 4)
		ret[len + (size_t)i] = "0123456789abcdef"[hash & 15];
	return (uint8_t)(len + CUT_HASH);
}

/* ---- counting ---- */

static uint64_t
hash_of(uint64_t seed, const struct av *values, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		seed = (seed ^ lru_hash(slice_of((const char *)values[i].data, values[i].len))) * 0x9e3779b97f4a7c15ULL;
	return seed ^ seed >> 32;
}

static void
age(struct shard *s, int64_t minute)
{
	if (minute <= s->minute)
		return;
	for (int rule = 0; rule < RULE_COUNT; rule++)
		if (s->tops[rule] != NULL)
			top_keys_age(s->tops[rule], (uint64_t)(minute - s->minute));
	s->minute = minute;
}

static void
count_one(struct shard *s, enum key_rule rule, uint64_t hash, const struct counted_key *key, uint64_t amount)
{
	struct top_key *k;
	bool new;

	if (!(s->rules >> rule & 1))
		return;
	if (s->tops[rule] == NULL) {
		s->tops[rule] = calloc(1, sizeof *s->tops[rule]);
		if (s->tops[rule] == NULL)
			abort();
	}
	k = top_keys_add(s->tops[rule], hash, amount * SCALE, &new);
	if (!new)
		return;
	k->text.partition_len = put_text(key->partition, key->partition_count, hash, k->text.partition);
	k->text.sort_len = 0;
	if (rule == RULE_ACCESSED_ITEM || rule == RULE_THROTTLED_ITEM)
		k->text.sort_len = put_text(key->sort, key->sort_count, hash, k->text.sort);
}

static struct shard *
my_shard(struct key_counts *k)
{
	static atomic_uint threads;
	static _Thread_local unsigned mine; /* plus 1; 0: not given yet */

	if (mine == 0)
		mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % SHARDS + 1;
	return &k->shards[mine - 1];
}

void
key_counts_add(struct key_counts *k, const struct counted_key *key, bool throttled, uint64_t amount)
{
	struct shard *s = my_shard(k);
	uint64_t hash = hash_of(1, key->partition, key->partition_count);
	int64_t minute = clock_passed_ns() / MINUTE_NS;

	pthread_mutex_lock(&s->lock);
	age(s, minute);
	count_one(s, throttled ? RULE_THROTTLED_PARTITION : RULE_ACCESSED_PARTITION, hash, key, amount);
	if (key->sort_count > 0)
		count_one(s, throttled ? RULE_THROTTLED_ITEM : RULE_ACCESSED_ITEM,
			  hash_of(hash, key->sort, key->sort_count), key, amount);
	pthread_mutex_unlock(&s->lock);
}

/* ---- adding up ---- */

static int
hash_order(const void *a, const void *b)
{
	const struct key_sum *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static int
weight_order(const void *a, const void *b)
{
	const struct key_sum *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return x->total != y->total ? (x->total < y->total ? 1 : -1) : hash_order(a, b);
}

static unsigned
collect(struct key_counts *k, enum key_rule rule, struct key_sum *ret)
{
	int64_t minute = clock_passed_ns() / MINUTE_NS;
	unsigned count = 0;

	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &k->shards[i];

		pthread_mutex_lock(&s->lock);
		age(s, minute);
		for (uint32_t n = 0; s->tops[rule] != NULL && n < s->tops[rule]->count; n++) {
			const struct top_key *key = &s->tops[rule]->keys[n];

			ret[count++] = (struct key_sum){key->hash, key->weight, key->total / SCALE, key->text};
		}
		pthread_mutex_unlock(&s->lock);
	}
	return count;
}

unsigned
key_counts_top(struct key_counts *k, enum key_rule rule, struct key_sum *ret, unsigned most)
{
	struct key_sum *all = malloc(SHARDS * TOP_KEYS * sizeof *all);
	unsigned count, kept = 0;

	if (all == NULL)
		abort();
	count = collect(k, rule, all);
	qsort(all, count, sizeof *all, hash_order);
	for (unsigned i = 0; i < count; i++) {
		if (kept > 0 && all[kept - 1].hash == all[i].hash) {
			all[kept - 1].weight += all[i].weight;
			all[kept - 1].total += all[i].total;
		} else {
			all[kept++] = all[i];
		}
	}
	qsort(all, kept, sizeof *all, weight_order);
	if (kept > most)
		kept = most;
	memcpy(ret, all, kept * sizeof *ret);
	free(all);
	return kept;
}
