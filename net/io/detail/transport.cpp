#include "net/io/detail/transport.hpp"

#include "net/io/detail/socket.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace banyan::io::detail {

namespace {

class plain final : public transport {
public:
  explicit plain(int fd) : fd_{fd} {}

  io_step read(char* to, std::size_t size) override {
    for (;;) {
      const auto n = ::recv(fd_, to, size, 0);
      if (n > 0)
        return {io_state::ok, static_cast<std::size_t>(n)};
      if (n == 0)
        return {io_state::end};
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        return {io_state::want_read};
      if (errno != EINTR)
        return {io_state::broken};
    }
  }
  io_step write(std::string_view data) override {
    for (;;) {
      const auto n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n >= 0)
        return {io_state::ok, static_cast<std::size_t>(n)};
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        return {io_state::want_write};
      if (errno != EINTR)
        return {io_state::broken};
    }
  }
  void finish() override { ::shutdown(fd_, SHUT_WR); }

private:
  int fd_;
};

class tls final : public transport {
public:
  tls(std::shared_ptr<tls_context> c, SSL* s, int fd)
      : context_{std::move(c)}, ssl_{s}, fd_{fd} {
    SSL_set_fd(ssl_, fd);
    SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE
                           | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                           | SSL_MODE_RELEASE_BUFFERS);
  }
  ~tls() override { SSL_free(ssl_); }
  tls(const tls&) = delete;
  tls& operator=(const tls&) = delete;

  io_step read(char* to, std::size_t size) override {
    ERR_clear_error();
    return step(SSL_read(ssl_, to, cut(size)));
  }
  io_step write(std::string_view data) override {
    ERR_clear_error();
    return step(SSL_write(ssl_, data.data(), cut(data.size())));
  }
  void finish() override {
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_))
      SSL_shutdown(ssl_);
    ::shutdown(fd_, SHUT_WR);
  }

private:
  static int cut(std::size_t n) {
    return static_cast<int>(std::min<std::size_t>(n, INT_MAX));
  }
  io_step step(int rc) {
    if (rc > 0)
      return {io_state::ok, static_cast<std::size_t>(rc)};
    switch (SSL_get_error(ssl_, rc)) {
    case SSL_ERROR_WANT_READ:
      return {io_state::want_read};
    case SSL_ERROR_WANT_WRITE:
      return {io_state::want_write};
    case SSL_ERROR_ZERO_RETURN:
      return {io_state::end};
    default:
      return {io_state::broken};
    }
  }

  std::shared_ptr<tls_context> context_;
  SSL* ssl_;
  int fd_;
};

net_error bad_key(const std::filesystem::path& file, const char* what) {
  std::string why;
  if (const auto e = ERR_peek_last_error(); e != 0)
    if (const auto* text = ERR_reason_error_string(e))
      why = std::string{" ("} + text + ")";
  ERR_clear_error();
  return {net_errc::bad_key, file.string() + ": " + what + why};
}

} // namespace

struct tls_context::parts {
  explicit parts(SSL_CTX* c) : context{c} {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  }
  ~parts() { SSL_CTX_free(context); }
  parts(const parts&) = delete;
  parts& operator=(const parts&) = delete;
  SSL_CTX* context;
};

tls_context::tls_context(std::unique_ptr<parts> p) : parts_{std::move(p)} {
}
tls_context::~tls_context() = default;

result<std::shared_ptr<tls_context>, net_error>
tls_context::server(const std::filesystem::path& cert,
                    const std::filesystem::path& key) {
  auto p = std::make_unique<parts>(SSL_CTX_new(TLS_server_method()));
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(p->context, cert.c_str()) != 1)
    return failure{bad_key(cert, "no certificate in PEM form can be read")};
  if (SSL_CTX_use_PrivateKey_file(p->context, key.c_str(), SSL_FILETYPE_PEM)
      != 1)
    return failure{bad_key(key, "no private key in PEM form that matches "
                                "the certificate can be read")};
  return std::make_shared<tls_context>(std::move(p));
}

result<std::shared_ptr<tls_context>, net_error>
tls_context::client(const std::filesystem::path& authority) {
  auto p = std::make_unique<parts>(SSL_CTX_new(TLS_client_method()));
  ERR_clear_error();
  SSL_CTX_set_default_verify_paths(p->context);
  if (!authority.empty()
      && SSL_CTX_load_verify_locations(p->context, authority.c_str(), nullptr)
             != 1)
    return failure{
        bad_key(authority, "no certificate in PEM form can be read")};
  SSL_CTX_set_verify(p->context, SSL_VERIFY_PEER, nullptr);
  return std::make_shared<tls_context>(std::move(p));
}

std::unique_ptr<transport> plain_transport(int fd) {
  return std::make_unique<plain>(fd);
}

std::unique_ptr<transport> tls_server(const std::shared_ptr<tls_context>& c,
                                      int fd) {
  auto* s = SSL_new(c->get().context);
  SSL_set_accept_state(s);
  return std::make_unique<tls>(c, s, fd);
}

std::unique_ptr<transport> tls_client(const std::shared_ptr<tls_context>& c,
                                      int fd, const std::string& host) {
  auto* s = SSL_new(c->get().context);
  SSL_set_connect_state(s);
  auto* check = SSL_get0_param(s);
  if (literal(host, 0)) {
    X509_VERIFY_PARAM_set1_ip_asc(check, host.c_str());
  } else {
    SSL_set_tlsext_host_name(s, host.c_str());
    X509_VERIFY_PARAM_set1_host(check, host.c_str(), host.size());
  }
  return std::make_unique<tls>(c, s, fd);
}

} // namespace banyan::io::detail
