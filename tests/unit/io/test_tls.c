#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "kit.h"

static char cert_file[64], key_file[64];

/* A certificate signed by itself, for the name given. */
static void
make_certificate(const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	FILE *f;

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, subject);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	f = fopen(cert_file, "w");
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	f = fopen(key_file, "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

struct tls_client {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	char protocol[16]; /* by ALPN */
	char server[64];   /* the certificate's name */
};

/* False: no handshake. */
static bool
tls_connect(struct kit *k, struct tls_client *c, int max_version, const char *alpn)
{
	const unsigned char *protocol;
	unsigned int len;
	X509 *cert;

	*c = (struct tls_client){.fd = client_connect(k), .context = SSL_CTX_new(TLS_client_method())};
	SSL_CTX_set_max_proto_version(c->context, max_version);
	SSL_CTX_set_min_proto_version(c->context, TLS1_VERSION);
	SSL_CTX_set_security_level(c->context, 0);
	c->ssl = SSL_new(c->context);
	if (alpn != NULL)
		SSL_set_alpn_protos(c->ssl, (const unsigned char *)alpn, (unsigned int)strlen(alpn));
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_connect(c->ssl) != 1)
		return false;
	SSL_get0_alpn_selected(c->ssl, &protocol, &len);
	snprintf(c->protocol, sizeof c->protocol, "%.*s", (int)len, protocol);
	cert = SSL_get1_peer_certificate(c->ssl);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, c->server, sizeof c->server);
	X509_free(cert);
	return true;
}

static void
tls_close(struct tls_client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->context);
	close(c->fd);
	ERR_clear_error();
}

/* Read until the text ends with `end`. */
static void
tls_expect(struct tls_client *c, const char *end)
{
	struct buf in = {0};

	do {
		int n;

		buf_reserve(&in, 16384 + 1);
		n = SSL_read(c->ssl, in.data + in.len, 16384);
		if (n <= 0)
			fail_msg("the server closed");
		in.len += (size_t)n;
		in.data[in.len] = '\0';
	} while (in.len < strlen(end) || memcmp(in.data + in.len - strlen(end), end, strlen(end)) != 0);
	buf_done(&in);
}

static void
tls_say(struct tls_client *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static void
requests_are_answered_over_1_2_and_1_3(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct tls_client c;

		assert_true(tls_connect(*state, &c, versions[i], "\x08http/1.1"));
		assert_string_equal(c.protocol, "http/1.1");
		for (int j = 0; j < 3; j++) {
			tls_say(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
			tls_expect(&c, "\r\n\r\nbody");
		}
		tls_say(&c, "GET /later?20 HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
		tls_expect(&c, "hello");
		tls_close(&c);
	}
}

static void
older_versions_are_refused(void **state)
{
	struct tls_client c;

	assert_false(tls_connect(*state, &c, TLS1_1_VERSION, NULL));
	tls_close(&c);
	kit_expect_metric(*state, "stator_http_handshakes_failed_total", 1);
}

static void
large_bodies_go_both_ways(void **state)
{
	struct tls_client c;
	struct buf request = {0}, in = {0};
	size_t size = 3000000;
	char head[256];

	assert_true(tls_connect(*state, &c, TLS1_3_VERSION, NULL));
	buf_printf(&request, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
	for (size_t i = 0; i < size; i++)
		buf_put_byte(&request, (uint8_t)('a' + i % 19));
	assert_int_equal(SSL_write(c.ssl, request.data, (int)request.len), (int)request.len);
	buf_reserve(&in, size + 65536);
	while (in.len < size) {
		int n = SSL_read(c.ssl, in.data + in.len, 65536);

		assert_true(n > 0);
		in.len += (size_t)n;
		if (in.len > sizeof head && memcmp(in.data, "HTTP", 4) == 0) {
			char *end = (char *)memmem(in.data, in.len, "\r\n\r\n", 4) + 4;

			memmove(in.data, end, in.len - (size_t)(end - in.data));
			in.len -= (size_t)(end - in.data);
		}
	}
	assert_int_equal(in.len, size);
	assert_memory_equal(in.data, request.data + request.len - size, size);
	tls_close(&c);
	buf_done(&request);
	buf_done(&in);
}

static void
h2_is_chosen_when_offered(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
	struct tls_client c;
	unsigned char settings[9];

	assert_true(tls_connect(*state, &c, TLS1_3_VERSION, "\x02h2\x08http/1.1"));
	assert_string_equal(c.protocol, "h2");
	assert_int_equal(SSL_write(c.ssl, preface, sizeof preface - 1), sizeof preface - 1);
	assert_int_equal(SSL_read(c.ssl, settings, 9), 9);
	assert_int_equal(settings[3], 4); /* SETTINGS */
	tls_close(&c);
}

static void
a_reloaded_certificate_is_for_new_connections(void **state)
{
	struct kit *k = *state;
	struct tls_client old, fresh;
	struct err err;
	FILE *f;

	assert_true(tls_connect(k, &old, TLS1_3_VERSION, NULL));
	assert_string_equal(old.server, "first");
	make_certificate("second");
	assert_int_equal(http_server_reload_tls(k->server, &err), S_OK);
	assert_true(tls_connect(k, &fresh, TLS1_3_VERSION, NULL));
	assert_string_equal(fresh.server, "second");
	tls_say(&old, "GET / HTTP/1.1\r\n" HOST "\r\n");
	tls_expect(&old, "hello");
	tls_close(&fresh);
	/* a certificate that cannot be used changes nothing */
	f = fopen(cert_file, "w");
	fputs("this is no certificate", f);
	fclose(f);
	assert_int_not_equal(http_server_reload_tls(k->server, &err), S_OK);
	assert_non_null(strstr(err.message, cert_file));
	assert_true(tls_connect(k, &fresh, TLS1_3_VERSION, NULL));
	assert_string_equal(fresh.server, "second");
	tls_close(&fresh);
	tls_close(&old);
}

static void
clear_text_and_nonsense_are_dropped(void **state)
{
	static const char *const cases[] = {"GET / HTTP/1.1\r\n" HOST "\r\n",
					    "\x16\x03\x01\xff\xff garbage garbage garbage", "x"};
	struct kit *k = *state;

	for (size_t i = 0; i < 3; i++) {
		struct buf in = {0};
		int fd = client_connect(k);

		client_say(fd, cases[i]);
		shutdown(fd, SHUT_WR);
		client_read_all(fd, &in);
		close(fd);
		buf_done(&in);
	}
	kit_expect_metric(k, "stator_http_connections", 0);
	assert_int_equal(kit_metric(k, "stator_http_handshakes_failed_total"), 3);
}

static void
a_slow_handshake_is_dropped(void **state)
{
	struct kit k = kit_options();
	int silent, half;

	(void)state;
	k.options.tls_cert = cert_file;
	k.options.tls_key = key_file;
	k.options.limits.request_ms = 150;
	kit_start(&k);
	silent = client_connect(&k);
	half = client_connect(&k);
	client_send(half, "\x16\x03\x01\x02\x00\x01", 6);
	assert_true(client_closed(silent, KIT_PATIENCE_MS));
	assert_true(client_closed(half, KIT_PATIENCE_MS));
	close(silent);
	close(half);
	kit_stop(&k);
}

static void
an_answer_before_the_close_arrives(void **state)
{
	struct tls_client c;
	char byte;

	assert_true(tls_connect(*state, &c, TLS1_3_VERSION, NULL));
	tls_say(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\nsome of it");
	tls_expect(&c, "Connection: close\r\n\r\n");
	assert_int_equal(SSL_read(c.ssl, &byte, 1), 0);
	assert_int_equal(SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN); /* a goodbye, no mere cut */
	tls_close(&c);
}

static void
missing_files_are_named(void **state)
{
	struct http_server_options options = kit_options().options;
	struct http_server *s;
	struct loop *l;
	struct err err;

	(void)state;
	assert_int_equal(loop_new(0, &l, &err), S_OK);
	options.tls_cert = "/nonexistent/cert.pem";
	options.tls_key = key_file;
	assert_int_not_equal(http_server_new(&options, &l, 1, &s, &err), S_OK);
	assert_non_null(strstr(err.message, "/nonexistent/cert.pem"));
	options.tls_cert = cert_file;
	options.tls_key = "/nonexistent/key.pem";
	assert_int_not_equal(http_server_new(&options, &l, 1, &s, &err), S_OK);
	assert_non_null(strstr(err.message, "/nonexistent/key.pem"));
	loop_free(l);
}

static int
start(void **state)
{
	struct kit k = kit_options();

	make_certificate("first");
	k.options.tls_cert = cert_file;
	k.options.tls_key = key_file;
	return kit_start_for_test(k, state);
}

static int
make_files(void **state)
{
	int fd;

	(void)state;
	snprintf(cert_file, sizeof cert_file, "/tmp/stator-cert-XXXXXX");
	snprintf(key_file, sizeof key_file, "/tmp/stator-key-XXXXXX");
	fd = mkstemp(cert_file);
	close(fd);
	fd = mkstemp(key_file);
	close(fd);
	make_certificate("first");
	return 0;
}

static int
remove_files(void **state)
{
	(void)state;
	unlink(cert_file);
	unlink(key_file);
	return 0;
}

#define ON_TLS(test) cmocka_unit_test_setup_teardown(test, start, kit_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    ON_TLS(requests_are_answered_over_1_2_and_1_3),
	    ON_TLS(older_versions_are_refused),
	    ON_TLS(large_bodies_go_both_ways),
	    ON_TLS(h2_is_chosen_when_offered),
	    ON_TLS(a_reloaded_certificate_is_for_new_connections),
	    ON_TLS(clear_text_and_nonsense_are_dropped),
	    cmocka_unit_test(a_slow_handshake_is_dropped),
	    ON_TLS(an_answer_before_the_close_arrives),
	    cmocka_unit_test(missing_files_are_named),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
