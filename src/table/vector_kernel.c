/*
 * Comparing vectors. All kernels give the same bits: the products of two 32-bit floats are exact in double precision,
 * and the sums are made in the same order. None may use fused multiply-add, which rounds squared distances otherwise.
 */
#include "table/vector.h"

#include <string.h>

#if defined __x86_64__
#include <immintrin.h>
#endif

#define LANES 16

/* The rest behind the last whole block, then all lanes in pairs. */
static double
finish_dot(double lanes[LANES], const char *floats, const double *query, uint32_t done, uint32_t count)
{
	for (uint32_t i = done; i < count; i++) {
		float f;

		memcpy(&f, floats + 4 * (size_t)i, sizeof f);
		lanes[i % LANES] += (double)f * query[i];
	}
	for (int width = LANES / 2; width > 0; width /= 2)
		for (int i = 0; i < width; i++)
			lanes[i] += lanes[i + width];
	return lanes[0];
}

static double
finish_distance(double lanes[LANES], const char *floats, const double *query, uint32_t done, uint32_t count)
{
	for (uint32_t i = done; i < count; i++) {
		double d;
		float f;

		memcpy(&f, floats + 4 * (size_t)i, sizeof f);
		d = (double)f - query[i];
		lanes[i % LANES] += d * d;
	}
	return finish_dot(lanes, floats, query, 0, 0);
}

static double
plain_dot(const void *floats, const double *query, uint32_t count)
{
	double lanes[LANES] = {0};

	return finish_dot(lanes, floats, query, 0, count);
}

static double
plain_distance(const void *floats, const double *query, uint32_t count)
{
	double lanes[LANES] = {0};

	return finish_distance(lanes, floats, query, 0, count);
}

#if defined __x86_64__

static double
sse2_dot(const void *floats, const double *query, uint32_t count)
{
	const char *at = floats;
	__m128d sums[LANES / 2];
	double lanes[LANES];
	uint32_t i = 0;

	for (int n = 0; n < LANES / 2; n++)
		sums[n] = _mm_setzero_pd();
	for (; i + LANES <= count; i += LANES)
		for (int n = 0; n < LANES / 2; n += 2) {
			__m128 four = _mm_loadu_ps((const float *)(const void *)(at + 4 * ((size_t)i + 2 * n)));
			const double *q = query + i + 2 * n;

			sums[n] = _mm_add_pd(sums[n], _mm_mul_pd(_mm_cvtps_pd(four), _mm_loadu_pd(q)));
			four = _mm_movehl_ps(four, four);
			sums[n + 1] = _mm_add_pd(sums[n + 1], _mm_mul_pd(_mm_cvtps_pd(four), _mm_loadu_pd(q + 2)));
		}
	for (int n = 0; n < LANES / 2; n++)
		_mm_storeu_pd(lanes + 2 * n, sums[n]);
	return finish_dot(lanes, at, query, i, count);
}

static double
sse2_distance(const void *floats, const double *query, uint32_t count)
{
	const char *at = floats;
	__m128d sums[LANES / 2];
	double lanes[LANES];
	uint32_t i = 0;

	for (int n = 0; n < LANES / 2; n++)
		sums[n] = _mm_setzero_pd();
	for (; i + LANES <= count; i += LANES)
		for (int n = 0; n < LANES / 2; n += 2) {
			__m128 four = _mm_loadu_ps((const float *)(const void *)(at + 4 * ((size_t)i + 2 * n)));
			const double *q = query + i + 2 * n;
			__m128d low = _mm_sub_pd(_mm_cvtps_pd(four), _mm_loadu_pd(q));
			__m128d high = _mm_sub_pd(_mm_cvtps_pd(_mm_movehl_ps(four, four)), _mm_loadu_pd(q + 2));

			sums[n] = _mm_add_pd(sums[n], _mm_mul_pd(low, low));
			sums[n + 1] = _mm_add_pd(sums[n + 1], _mm_mul_pd(high, high));
		}
	for (int n = 0; n < LANES / 2; n++)
		_mm_storeu_pd(lanes + 2 * n, sums[n]);
	return finish_distance(lanes, at, query, i, count);
}

__attribute__((target("avx2"))) static double
avx2_dot(const void *floats, const double *query, uint32_t count)
{
	const char *at = floats;
	__m256d sums[LANES / 4];
	double lanes[LANES];
	uint32_t i = 0;

	for (int n = 0; n < LANES / 4; n++)
		sums[n] = _mm256_setzero_pd();
	for (; i + LANES <= count; i += LANES)
		for (int n = 0; n < LANES / 4; n++) {
			__m128 four = _mm_loadu_ps((const float *)(const void *)(at + 4 * ((size_t)i + 4 * n)));

			sums[n] = _mm256_add_pd(
			    sums[n], _mm256_mul_pd(_mm256_cvtps_pd(four), _mm256_loadu_pd(query + i + 4 * n)));
		}
	for (int n = 0; n < LANES / 4; n++)
		_mm256_storeu_pd(lanes + 4 * n, sums[n]);
	return finish_dot(lanes, at, query, i, count);
}

__attribute__((target("avx2"))) static double
avx2_distance(const void *floats, const double *query, uint32_t count)
{
	const char *at = floats;
	__m256d sums[LANES / 4];
	double lanes[LANES];
	uint32_t i = 0;

	for (int n = 0; n < LANES / 4; n++)
		sums[n] = _mm256_setzero_pd();
	for (; i + LANES <= count; i += LANES)
		for (int n = 0; n < LANES / 4; n++) {
			__m128 four = _mm_loadu_ps((const float *)(const void *)(at + 4 * ((size_t)i + 4 * n)));
			__m256d d = _mm256_sub_pd(_mm256_cvtps_pd(four), _mm256_loadu_pd(query + i + 4 * n));

			sums[n] = _mm256_add_pd(sums[n], _mm256_mul_pd(d, d));
		}
	for (int n = 0; n < LANES / 4; n++)
		_mm256_storeu_pd(lanes + 4 * n, sums[n]);
	return finish_distance(lanes, at, query, i, count);
}

#endif

const struct vector_kernel *
vector_kernel(unsigned n)
{
	static const struct vector_kernel kernels[] = {
#if defined __x86_64__
		{"avx2", avx2_dot, avx2_distance},
		{"sse2", sse2_dot, sse2_distance},
#endif
		{"plain", plain_dot, plain_distance},
	};
	unsigned first = 0;

#if defined __x86_64__
	if (!__builtin_cpu_supports("avx2"))
		first = 1;
#endif
	return first + n < sizeof kernels / sizeof *kernels ? &kernels[first + n] : NULL;
}
