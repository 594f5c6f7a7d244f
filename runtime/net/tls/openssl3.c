/* Debian 12's civetweb was built for OpenSSL 1.1 and looks the functions it needs up in "libssl.so"
 * by name; one of them has another name in OpenSSL 3, so that its TLS never starts. This library
 * calls itself libssl.so, has that function, and leads to the real libssl for all others. It is
 * carried inside the program and loaded just before civetweb asks (http_tls.c). */
struct ssl_st;
struct x509_st;

struct x509_st *SSL_get1_peer_certificate(const struct ssl_st *ssl);
struct x509_st *SSL_get_peer_certificate(const struct ssl_st *ssl);

struct x509_st *SSL_get_peer_certificate(const struct ssl_st *ssl)
{
    return SSL_get1_peer_certificate(ssl);
}
