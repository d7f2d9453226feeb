#include "table/top_keys.h"

static uint32_t
lightest(const struct top_keys *t)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < TOP_KEYS; i++)
		if (t->keys[i].weight < t->keys[least].weight)
			least = i;
	return least;
}

struct top_key *
top_keys_add(struct top_keys *t, uint64_t hash, uint64_t amount, bool *ret_new)
{
	struct top_key *k;
	uint32_t i = 0;

	while (i < t->count && t->hashes[i] != hash)
		i++;
	*ret_new = i == t->count;
	if (!*ret_new) {
		k = &t->keys[i];
	} else if (t->count < TOP_KEYS) {
		t->count++;
		k = &t->keys[i];
		k->weight = k->error = k->total = 0;
	} else {
		i = lightest(t);
		k = &t->keys[i];
		k->error = k->weight;
		k->total = 0;
	}
	k->hash = t->hashes[i] = hash;
	k->weight += amount;
	k->total += amount;
	return k;
}

void
top_keys_age(struct top_keys *t, uint64_t times)
{
	for (uint32_t i = 0; i < t->count; i++) {
		t->keys[i].weight = times < 64 ? t->keys[i].weight >> times : 0;
		t->keys[i].error = times < 64 ? t->keys[i].error >> times : 0;
	}
}
