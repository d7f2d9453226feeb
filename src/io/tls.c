/* TLS 1.2 and 1.3 by OpenSSL, on the connection's own non-blocking socket. */
#include <errno.h>
#include <openssl/err.h>

#include "io/http_int.h"
#include "io/listen.h"

/* "h2" and "http/1.1", each behind its length. */
static const unsigned char protocols[] = "\x02h2\x08http/1.1";

static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *offered,
		unsigned int offered_len, void *context)
{
	(void)ssl;
	(void)context;
	if (SSL_select_next_proto((unsigned char **)ret, ret_len, protocols, sizeof protocols - 1, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static enum status
tls_failed(struct err *err, const char *what, const char *file)
{
	char reason[256] = "unknown reason";
	unsigned long code = ERR_peek_last_error();

	if (code != 0)
		ERR_error_string_n(code, reason, sizeof reason);
	ERR_clear_error();
	return err_set(err, S_IO, "cannot use the TLS %s \"%s\": %s", what, file, reason);
}

enum status
tls_context_new(const char *cert, const char *key, SSL_CTX **ret, struct err *err)
{
	SSL_CTX *fresh;
	enum status status = S_OK;

	if (cert == NULL || key == NULL)
		return err_set(err, S_VALIDATION, "TLS needs a certificate and a key");
	fresh = SSL_CTX_new(TLS_server_method());
	if (fresh == NULL)
		return tls_failed(err, "certificate", cert);
	SSL_CTX_set_min_proto_version(fresh, TLS1_2_VERSION);
	SSL_CTX_set_options(fresh, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(fresh, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(fresh, 1);
	if (SSL_CTX_use_certificate_chain_file(fresh, cert) != 1)
		status = tls_failed(err, "certificate", cert);
	else if (SSL_CTX_use_PrivateKey_file(fresh, key, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(fresh) != 1)
		status = tls_failed(err, "key", key);
	if (status != S_OK) {
		SSL_CTX_free(fresh);
		return status;
	}
	*ret = fresh;
	return S_OK;
}

enum status
http_server_reload_tls(struct http_server *s, struct err *err)
{
	SSL_CTX *fresh, *old;
	enum status status = tls_context_new(s->options.tls_cert, s->options.tls_key, &fresh, err);

	if (status != S_OK)
		return status;
	SSL_CTX_set_alpn_select_cb(fresh, choose_protocol, NULL);
	pthread_mutex_lock(&s->tls_lock);
	old = s->tls;
	s->tls = fresh;
	pthread_mutex_unlock(&s->tls_lock);
	SSL_CTX_free(old); /* connections made with it have their own hold on it */
	return S_OK;
}

bool
tls_begin(struct conn *c)
{
	struct http_server *s = c->home->server;

	pthread_mutex_lock(&s->tls_lock);
	c->ssl = SSL_new(s->tls);
	pthread_mutex_unlock(&s->tls_lock);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd.fd) != 1)
		return false;
	SSL_set_accept_state(c->ssl);
	c->handshaking = true;
	conn_arm(c);
	return true;
}

/* What a failed call of OpenSSL means for the connection. */
static ssize_t
tls_result(struct conn *c, int result)
{
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		c->readable = false;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		c->writable = false;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		c->readable = false;
		return 0;
	default:
		c->readable = false;
		c->tls_broken = true; /* OpenSSL must not be asked to say goodbye */
		ERR_clear_error();
		return -2;
	}
}

ssize_t
tls_handshake(struct conn *c)
{
	const unsigned char *protocol;
	unsigned int len;
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(c->ssl);
	if (result != 1) {
		ssize_t n = tls_result(c, result);

		return n == 0 ? -2 : n;
	}
	c->handshaking = false;
	SSL_get0_alpn_selected(c->ssl, &protocol, &len);
	if (len == 2)
		c->protocol = PROTOCOL_HTTP2;
	return 1;
}

ssize_t
tls_recv(struct conn *c, void *data, size_t len)
{
	size_t got = 0;
	int result;

	ERR_clear_error();
	result = SSL_read_ex(c->ssl, data, len, &got);
	return result == 1 ? (ssize_t)got : tls_result(c, result);
}

ssize_t
tls_send(struct conn *c, const void *data, size_t len)
{
	size_t put = 0;
	int result;

	ERR_clear_error();
	result = SSL_write_ex(c->ssl, data, len, &put);
	return result == 1 ? (ssize_t)put : tls_result(c, result);
}

void
tls_goodbye(struct conn *c)
{
	if (!c->handshaking && !c->tls_broken)
		(void)SSL_shutdown(c->ssl);
	ERR_clear_error();
}

void
tls_end(struct conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
}
