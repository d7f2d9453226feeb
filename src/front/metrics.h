/*
 * One Prometheus text out of several: each region's figures become samples of common families, told apart by a
 * `region` label, each family once and in one piece as the format asks.
 */
#ifndef STATOR_FRONT_METRICS_H
#define STATOR_FRONT_METRICS_H

#include "base/buf.h"

struct metrics_merge; /* families in the order in which they first came */

struct metrics_merge *metrics_merge_new(void);
/* Samples that have no region label get this one, unless it is empty. The text is copied. */
void metrics_merge_add(struct metrics_merge *m, struct slice text, struct slice region);
/* Writes all families and frees the merge. */
void metrics_merge_end(struct metrics_merge *m, struct buf *out);

#endif
