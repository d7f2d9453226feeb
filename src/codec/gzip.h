/* gzip and CRC-32 by ISA-L. */
#ifndef STATOR_CODEC_GZIP_H
#define STATOR_CODEC_GZIP_H

#include "base/buf.h"
#include "base/status.h"

uint32_t crc32_of(struct slice bytes); /* as gzip and x-amz-crc32 have it */
/* Appends the gzip member; level 0 (fastest) or 1. */
void gzip_put(struct buf *out, struct slice bytes, int level);
/* Appends the unpacked bytes. S_SERIALIZATION at bad or cut off data, bytes behind its end (a second member too), or
 * more than max bytes; out is then as it was. */
enum status gzip_unpack(struct slice packed, size_t max, struct buf *out, struct err *err);

#endif
