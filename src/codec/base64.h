/* Base64 of RFC 4648, padded, strict: no blanks, no missing padding, no stray bits. */
#ifndef STATOR_CODEC_BASE64_H
#define STATOR_CODEC_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* Characters for so many bytes. */
#define BASE64_LENGTH(bytes) (((bytes) + 2) / 3 * 4)

/* Writes BASE64_LENGTH(bytes.len) characters where the caller has made room; returns the place behind them. */
char *base64_write(char *to, struct slice bytes);
void base64_put(struct buf *out, struct slice bytes);
/* False when the text is not strict base64. The bytes are in the arena. */
bool base64_read(struct slice text, struct arena *arena, struct slice *ret);

#endif
