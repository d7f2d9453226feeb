#include "base/thread.h"
#include "engine/rocksdb/rocksdb_int.h"

#include <sys/prctl.h>

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_hardware(uint32_t crc, const char *data, size_t len)
{
	uint64_t c = crc;

	for (; len >= 8; data += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, data, sizeof word);
		c = __builtin_ia32_crc32di(c, word);
	}
	for (; len > 0; data++, len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, (uint8_t)*data);
	return (uint32_t)c;
}
#endif

static uint32_t
crc32c_table(uint32_t crc, const char *data, size_t len)
{
	static _Thread_local uint32_t table[256];

	for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
		uint32_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v >> 1 ^ (v & 1 ? 0x82F63B78u : 0);
		table[i] = v;
	}
	for (; len > 0; data++, len--)
		crc = crc >> 8 ^ table[(uint8_t)(crc ^ (uint8_t)*data)];
	return crc;
}

uint32_t
crc32c(uint32_t crc, const char *data, size_t len)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc32c_hardware(~crc, data, len);
#endif
	return ~crc32c_table(~crc, data, len);
}

#if defined(__x86_64__)
/*
 * Debian and Ubuntu build RocksDB without the processor's instruction: its own sum takes 1 us for a record of 1 KB,
 * this one a tenth. Where its archive is linked into the program its calls come here (CMakeLists.txt, --wrap).
 */
uint32_t crc32c_of_rocksdb(uint32_t crc, const char *data,
			   size_t len) __asm__("__wrap__ZN7rocksdb6crc32c6ExtendEjPKcm");

static bool
is_rocksdb_thread(void)
{
	char name[16] = "";

	return prctl(PR_GET_NAME, name) == 0 && strncmp(name, "rocksdb:", strlen("rocksdb:")) == 0;
}

/*
 * RocksDB's own threads pass here with each block of a table they read or write, every few microseconds: a good place
 * to let a loop on the same processor go on. They are known by the name that RocksDB gives them. No thread of ours is
 * held up, not even a polite one: it may be writing the log for all who wait behind it.
 */
static void
let_others_go_on(void)
{
	static _Thread_local bool known, is_of_rocksdb;

	if (!known) {
		known = true;
		is_of_rocksdb = is_rocksdb_thread();
		if (is_of_rocksdb)
			thread_be_polite();
	}
	if (is_of_rocksdb)
		thread_breathe();
}

uint32_t
crc32c_of_rocksdb(uint32_t crc, const char *data, size_t len)
{
	let_others_go_on();
	return crc32c(crc, data, len);
}
#endif
