#include "codec/gzip.h"

#include <assert.h>
#include <immintrin.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_MAX   (1u << 30) /* ISA-L counts in 32 bits */
#define FOLD_BYTES 256
#define FOLD_FROM  (4 * FOLD_BYTES) /* shorter: what is left of it costs what the folding saves */
#define WIDE       __attribute__((target("avx2,pclmul,vpclmulqdq")))

/* ISA-L's states are some 100 KB: too much for the stack of a small thread. */
static void *
state_new(size_t size)
{
	void *state = malloc(size);

	if (state == NULL) {
		fprintf(stderr, "out of memory: gzip asked for %zu bytes\n", size);
		abort();
	}
	return state;
}

WIDE static inline __m256i
load_32(const uint8_t *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* Adds to `bytes` what stands FOLD_BYTES before them. */
WIDE static inline __m256i
fold(__m256i before, const uint8_t *bytes)
{
	/* x^(2048 + 32) and x^(2048 - 32) by gzip's polynomial, reflected, as carry-less multiplication wants them */
	const __m256i shift = _mm256_set_epi64x(0x1322D1430, 0x11542778A, 0x1322D1430, 0x11542778A);

	return _mm256_xor_si256(_mm256_xor_si256(_mm256_clmulepi64_epi128(before, shift, 0x00),
						 _mm256_clmulepi64_epi128(before, shift, 0x11)),
				load_32(bytes));
}

/*
 * ISA-L's own multiplies 16 bytes at once, and 64 only where there is AVX-512. By 32 it takes half the time: the text
 * is folded into FOLD_BYTES that have the same CRC, and those and the rest are ISA-L's. len >= FOLD_BYTES.
 */
WIDE static uint32_t
crc32_folded(const uint8_t *at, size_t len)
{
	const __m256i begin = _mm256_set_epi32(0, 0, 0, 0, 0, 0, 0, -1); /* a CRC begins with 32 bits set */
	__m256i s[FOLD_BYTES / 32];
	uint8_t folded[FOLD_BYTES];

	for (int i = 0; i < FOLD_BYTES / 32; i++)
		s[i] = load_32(at + 32 * i);
	s[0] = _mm256_xor_si256(s[0], begin);
	for (at += FOLD_BYTES, len -= FOLD_BYTES; len >= FOLD_BYTES; at += FOLD_BYTES, len -= FOLD_BYTES) {
		s[0] = fold(s[0], at); /* written out, so that all of them stay in registers */
		s[1] = fold(s[1], at + 32);
		s[2] = fold(s[2], at + 64);
		s[3] = fold(s[3], at + 96);
		s[4] = fold(s[4], at + 128);
		s[5] = fold(s[5], at + 160);
		s[6] = fold(s[6], at + 192);
		s[7] = fold(s[7], at + 224);
	}
	memcpy(folded, s, sizeof folded);
	/* ISA-L inverts before and after: so it begins with nothing set here */
	return crc32_gzip_refl(crc32_gzip_refl(~0u, folded, sizeof folded), at, len);
}

uint32_t
crc32_of(struct slice bytes)
{
	const uint8_t *at = (const uint8_t *)bytes.data;

	if (bytes.len >= FOLD_FROM && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2"))
		return crc32_folded(at, bytes.len);
	return crc32_gzip_refl(0, at, bytes.len);
}

uint32_t
crc32_more(uint32_t crc, struct slice bytes)
{
	return crc32_gzip_refl(crc, (const uint8_t *)bytes.data, bytes.len);
}

/*
 * A CRC is a remainder modulo the polynomial, its highest power in the lowest bit; that of a text with n bits behind it
 * is the text's times x^n.
 */
#define CRC_POLYNOMIAL 0xedb88320U
#define CRC_ONE        0x80000000U /* x^0 */

static uint32_t
crc_times(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (int i = 0; i < 32; i++) {
		product ^= b & -(a >> 31);
		a <<= 1;
		b = b >> 1 ^ (CRC_POLYNOMIAL & -(b & 1));
	}
	return product;
}

uint32_t
crc32_shift(size_t len)
{
	uint32_t shift = CRC_ONE, power = CRC_ONE >> 8; /* x^8: of one byte */

	for (; len > 0; len >>= 1) {
		if (len & 1)
			shift = crc_times(shift, power);
		power = crc_times(power, power);
	}
	return shift;
}

uint32_t
crc32_join(uint32_t first, uint32_t second, uint32_t second_shift)
{
	return crc_times(first, second_shift) ^ second;
}

static uint32_t
step(size_t left)
{
	return left < STEP_MAX ? (uint32_t)left : STEP_MAX;
}

static void
deflate_all(struct isal_zstream *z, struct slice bytes, struct buf *out)
{
	const char *at = bytes.data != NULL ? bytes.data : "";
	size_t left = bytes.len;

	do {
		uint32_t taken = step(left), room;
		int done;

		buf_reserve(out, left / 4 + 256);
		room = step(out->cap - out->len);
		z->next_in = (uint8_t *)at;
		z->avail_in = taken;
		z->end_of_stream = taken == left;
		z->next_out = (uint8_t *)out->data + out->len;
		z->avail_out = room;
		done = isal_deflate(z);
		assert(done == COMP_OK); /* it fails for wrong parameters only, and those are ours */
		out->len += room - z->avail_out;
		at += taken - z->avail_in;
		left -= taken - z->avail_in;
	} while (z->internal_state.state != ZSTATE_END);
}

void
gzip_put(struct buf *out, struct slice bytes, int level)
{
	size_t level_bytes = level > 0 ? ISAL_DEF_LVL1_DEFAULT : 0;
	struct isal_zstream *z = state_new(sizeof *z + level_bytes);

	isal_deflate_init(z);
	z->gzip_flag = IGZIP_GZIP;
	if (level > 0) {
		z->level = 1;
		z->level_buf = (uint8_t *)(z + 1);
		z->level_buf_size = (uint32_t)level_bytes;
	}
	deflate_all(z, bytes, out);
	free(z);
}

static enum status
inflate_all(struct inflate_state *z, struct slice packed, size_t max, struct buf *out, struct err *err)
{
	size_t start = out->len;
	const char *at = packed.data != NULL ? packed.data : "";
	size_t left = packed.len;

	while (z->block_state != ISAL_BLOCK_FINISH) {
		/* one byte more than allowed, to see whether it would be written */
		size_t allowed = max - (out->len - start) + (max < SIZE_MAX);
		size_t wanted = 4 * left + 1024, before = out->len;
		uint32_t taken = step(left), room;
		int done;

		buf_reserve(out, wanted < allowed ? wanted : allowed);
		room = step(out->cap - out->len < allowed ? out->cap - out->len : allowed);
		z->next_in = (uint8_t *)at;
		z->avail_in = taken;
		z->next_out = (uint8_t *)out->data + out->len;
		z->avail_out = room;
		done = isal_inflate(z);
		if (done < 0)
			return err_set(err, S_SERIALIZATION, "The gzip data is damaged");
		out->len += room - z->avail_out;
		at += taken - z->avail_in;
		if (out->len - start > max)
			return err_set(err, S_SERIALIZATION, "The unpacked data is larger than %zu bytes", max);
		if (z->block_state != ISAL_BLOCK_FINISH && z->avail_in == taken && out->len == before)
			return err_set(err, S_SERIALIZATION, "The gzip data is cut off");
		left -= taken - z->avail_in;
	}
	if (left > 0)
		return err_set(err, S_SERIALIZATION, "Something follows the gzip data");
	return S_OK;
}

enum status
gzip_unpack(struct slice packed, size_t max, struct buf *out, struct err *err)
{
	struct inflate_state *z = state_new(sizeof *z);
	size_t start = out->len;
	enum status s;

	isal_inflate_init(z);
	z->crc_flag = ISAL_GZIP;
	s = inflate_all(z, packed, max, out, err);
	if (s != S_OK)
		out->len = start;
	free(z);
	return s;
}
