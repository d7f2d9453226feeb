/* gzip and CRC-32 by ISA-L. */
#ifndef STATOR_CODEC_GZIP_H
#define STATOR_CODEC_GZIP_H

#include "base/buf.h"
#include "base/status.h"

uint32_t crc32_of(struct slice bytes);                 /* as gzip and x-amz-crc32 have it */
uint32_t crc32_more(uint32_t crc, struct slice bytes); /* of what had the CRC, and the bytes behind it */
/*
 * The CRC of two texts, one behind the other, without looking at them: the second's length comes as its shift, which
 * takes a microsecond to find and is worth keeping with the text; joining takes a tenth of that.
 */
uint32_t crc32_shift(size_t len);
uint32_t crc32_join(uint32_t first, uint32_t second, uint32_t second_shift);
/* Appends the gzip member; level 0 (fastest) or 1. */
void gzip_put(struct buf *out, struct slice bytes, int level);
/* Appends the unpacked bytes. S_SERIALIZATION at bad or cut off data, bytes behind its end (a second member too), or
 * more than max bytes; out is then as it was. */
enum status gzip_unpack(struct slice packed, size_t max, struct buf *out, struct err *err);

#endif
