#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace banyan::test {

/// A self-signed certificate, made here, and its key; `names` as OpenSSL writes
/// subjectAltName.
inline void make_certificate(const std::filesystem::path& cert,
                             const std::filesystem::path& key,
                             const std::string& names = "IP:127.0.0.1") {
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_set_pubkey(x, pair);
  auto* name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(
      name, "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>("banyan test"), -1, -1, 0);
  X509_set_issuer_name(x, name);
  X509V3_CTX context;
  X509V3_set_ctx(&context, x, x, nullptr, nullptr, 0);
  auto* more = X509V3_EXT_conf_nid(nullptr, &context, NID_subject_alt_name,
                                   names.c_str());
  X509_add_ext(x, more, -1);
  X509_EXTENSION_free(more);
  X509_sign(x, pair, EVP_sha256());
  auto* f = std::fopen(cert.c_str(), "w");
  PEM_write_X509(f, x);
  std::fclose(f);
  f = std::fopen(key.c_str(), "w");
  PEM_write_PrivateKey(f, pair, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(f);
  X509_free(x);
  EVP_PKEY_free(pair);
}

} // namespace banyan::test
