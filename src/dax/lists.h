/*
 * Attribute lists: names of an item's non-key attributes, known to both sides by an id.
 *
 * Clients keep ids for ever and use them with any node, so an id must mean the same list for ever and everywhere. It is
 * made of the names alone: the first 52 bits of the SHA-256 of the names, each behind its length (JavaScript holds 53
 * bits). So nodes that have never met agree. Two lists of one id are refused, not confused: the second one cannot be
 * defined. Id 1 is the empty list.
 *
 * For those who ask what an id means, lists are kept: in memory, and in a file that is appended to. Nothing is ever
 * taken out, hence there is a limit of lists and of their bytes.
 *
 * Look-ups take no lock; lists are found by id and by names, and are never freed before the registry.
 */
#ifndef STATOR_DAX_LISTS_H
#define STATOR_DAX_LISTS_H

#include <stdatomic.h>

#include "base/slice.h"
#include "base/status.h"

#define DAX_LIST_EMPTY_ID  1
#define DAX_LIST_NAMES_MAX 16384              /* names in one list */
#define DAX_LISTS_MAX      (1 << 18)          /* lists */
#define DAX_LISTS_BYTES    (64 * 1024 * 1024) /* in memory */

struct dax_list {
	uint64_t id;
	uint32_t count;
	struct slice *names; /* in the order of the list */
	struct slice wire;   /* the CBOR array of them */
	struct dax_list *by_id_next, *by_names_next;
	_Atomic(struct dax_list *) newer; /* added after this one */
	uint64_t names_hash;
};

struct dax_lists;

/* path NULL: nothing is kept. A record that a crash tore off at the end of the file is cut. */
enum status dax_lists_open(const char *path, struct dax_lists **ret, struct err *err);
void dax_lists_close(struct dax_lists *lists); /* NULL is fine */

/* NULL: not known here. Any thread. */
const struct dax_list *dax_lists_find(struct dax_lists *lists, uint64_t id);
/*
 * The list of these names in this order; new when it was not there. It is in the file when this returns, though perhaps
 * not on the disk: see dax_lists_sync(). S_LIMIT_EXCEEDED, S_VALIDATION (too many names, an id that has other names),
 * S_IO.
 */
enum status dax_lists_add(struct dax_lists *lists, const struct slice *names, size_t count, const struct dax_list **ret,
			  struct err *err);
/* Is everything added so far on the disk (or nothing kept)? */
bool dax_lists_is_synced(const struct dax_lists *lists);
/* Everything added before is on the disk. May block. */
enum status dax_lists_sync(struct dax_lists *lists, struct err *err);
uint64_t dax_lists_count(const struct dax_lists *lists);

/* ---- for nodes of a cluster, which tell each other their lists ---- */

/* The list that was added after `last` (NULL: the first); NULL: none yet. Any thread. */
const struct dax_list *dax_lists_after(struct dax_lists *lists, const struct dax_list *last);
/* A list in wire form, from another node; nothing new when it is known. */
enum status dax_lists_add_wire(struct dax_lists *lists, struct slice wire, struct err *err);
/* What a client is told about an id that nobody knows. A node of a cluster that has just come back may not have the
 * others' lists yet: then it is an error after which clients try again, at another node. */
enum status dax_lists_unknown(struct dax_lists *lists, uint64_t id, struct err *err);
/* dax_lists_sync() calls share(), which may block, so that the other nodes have a list before any client has its id.
 * Before the lists are used. */
void dax_lists_on_sync(struct dax_lists *lists, void (*share)(void *context), void *context);

#endif
