/*
 * What `stator dax stats` is answered: it tells figures or says why not. Input: a byte that chooses tables or JSON, and
 * whether the rest is the whole answer or only what is in /metrics.
 */
#include "../answer.h"
#include "base/buf.h"
#include "codec/json.h"
#include "main/dax_stats.h"

#include <fcntl.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char url[64], told_path[] = "/tmp/stator-fuzz-stats-XXXXXX";

static void
start(void)
{
	int fd = mkstemp(told_path);

	if (fd < 0 || unlink(told_path) != 0 || dup2(fd, STDOUT_FILENO) < 0)
		abort();
	close(fd);
	answer_start();
	snprintf(url, sizeof url, "http://127.0.0.1:%d", answering.port);
	/* what it says of an answer that is none is for people */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	stderr = fdopen(fd, "w");
	if (stderr == NULL)
		abort();
}

/* What was told is one JSON value. */
static void
check_json(void)
{
	off_t len = lseek(STDOUT_FILENO, 0, SEEK_END);
	char *text = malloc((size_t)len + 1);
	struct arena arena = {0};
	struct json_reader r;

	if (text == NULL || pread(STDOUT_FILENO, text, (size_t)len, 0) != len)
		abort();
	json_init(&r, slice_of(text, (size_t)len), &arena);
	json_skip(&r);
	json_end(&r);
	if (json_failed(&r))
		abort();
	arena_done(&arena);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *arguments[] = {"--endpoint", url, "--json"};
	struct buf answer = {0};
	bool json;
	int code;

	if (size == 0)
		return 0;
	if (url[0] == '\0')
		start();
	json = data[0] & 1;
	if (data[0] & 2)
		buf_printf(&answer, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", size - 1);
	buf_put(&answer, (const char *)data + 1, size - 1);
	answer_with(answer.data, answer.len, data[0] & 4 ? 7 : answer.len);
	if (ftruncate(STDOUT_FILENO, 0) != 0 || lseek(STDOUT_FILENO, 0, SEEK_SET) != 0)
		abort();
	code = dax_stats_cmd(json ? 3 : 2, arguments);
	fflush(stdout);
	if (code != 0 && code != 1)
		abort();
	if (code == 0 && json)
		check_json();
	answer_with(NULL, 0, 1);
	buf_done(&answer);
	return 0;
}
