// Wycheproof and RFC vectors for the primitives as we call them.
#include "blake2s.hpp"
#include "crypto/detail/sodium.hpp"
#include "crypto/hash.hpp"
#include "crypto/identity.hpp"
#include "crypto/noise/primitives.hpp"
#include "crypto/record.hpp"
#include "vectors.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using namespace noise;
using nlohmann::json;
using test::hex_of;

template <class F>
void each_case(const std::string& name, F&& run) {
  const auto file = test::published_vectors(name);
  if (!file)
    return;
  test::tally tally{name};
  for (const auto& group : (*file)["testGroups"])
    for (const auto& t : group["tests"]) {
      const std::string id = "case " + std::to_string(t["tcId"].get<int>());
      SCOPED_TRACE(id + " " + t.value("comment", ""));
      run(group, t, id, tally);
    }
  EXPECT_GT(tally.count(), 0);
}

dh_public public_of(const_bytes b) {
  dh_public out{};
  EXPECT_EQ(b.size(), out.size());
  std::copy(b.begin(), b.end(), out.begin());
  return out;
}

secret_bytes<32> secret_of(const_bytes b) {
  secret_bytes<32> out;
  EXPECT_TRUE(secret_bytes<32>::from(b, out));
  return out;
}

/// Raw Ed25519 beneath `verify`: the published cases know nothing of our
/// contexts.
bool raw_verify(const bytes& key, const bytes& message, const bytes& by) {
  return key.size() == 32 && by.size() == 64
         && crypto_sign_verify_detached(by.data(), message.data(),
                                        message.size(), key.data())
                == 0;
}

TEST(wycheproof, x25519) {
  each_case("wycheproof-x25519.json",
            [](const json&, const json& t, const std::string&, auto& tally) {
              secret_bytes<32> shared;
              const bool ok = dh(secret_of(hex_of(t, "private")),
                                 public_of(hex_of(t, "public")), shared);
              const bytes expected = hex_of(t, "shared");
              const bool zero = expected == bytes(32);
              EXPECT_EQ(ok, !zero); // an all-zero secret is refused
              if (ok) {
                EXPECT_EQ(shared.view(), const_bytes{expected});
              }
              tally.ran();
            });
}

TEST(wycheproof, ed25519) {
  each_case("wycheproof-ed25519.json", [](const json& group, const json& t,
                                          const std::string&, auto& tally) {
    const bool ok = raw_verify(hex_of(group["publicKey"], "pk"),
                               hex_of(t, "msg"), hex_of(t, "sig"));
    EXPECT_EQ(ok, t["result"] == "valid");
    tally.ran();
  });
}

/// Noise's nonce is 4 zero bytes and the counter; other nonces run through
/// libsodium's function directly.
TEST(wycheproof, chacha20_poly1305) {
  each_case("wycheproof-chacha20_poly1305.json",
            [](const json&, const json& t, const std::string& id, auto& tally) {
              const bytes nonce = hex_of(t, "iv");
              if (nonce.size() != crypto_aead_chacha20poly1305_ietf_NPUBBYTES)
                return tally.not_applicable(id, "a nonce of another size");
              const bytes key = hex_of(t, "key");
              const bytes ad = hex_of(t, "aad");
              const bytes plaintext = hex_of(t, "msg");
              bytes sealed = hex_of(t, "ct");
              append(sealed, hex_of(t, "tag"));
              bytes opened(plaintext.size());
              const bool ok = crypto_aead_chacha20poly1305_ietf_decrypt(
                                  opened.data(), nullptr, nullptr,
                                  sealed.data(), sealed.size(), ad.data(),
                                  ad.size(), nonce.data(), key.data())
                              == 0;
              EXPECT_EQ(ok, t["result"] == "valid");
              if (ok) {
                EXPECT_EQ(opened, plaintext);
              }
              tally.ran();
            });
}

TEST(wycheproof, aes_gcm) {
  each_case("wycheproof-aes_gcm.json", [](const json& group, const json& t,
                                          const std::string& id, auto& tally) {
    if (group["keySize"] != 256 || group["ivSize"] != 96)
      return tally.not_applicable(id, "a key or nonce of another size");
    if (!aes_gcm_available())
      return tally.not_applicable(id, "AES without hardware support");
    const bytes key = hex_of(t, "key");
    const bytes nonce = hex_of(t, "iv");
    const bytes ad = hex_of(t, "aad");
    const bytes plaintext = hex_of(t, "msg");
    bytes sealed = hex_of(t, "ct");
    append(sealed, hex_of(t, "tag"));
    bytes opened(plaintext.size());
    const bool ok =
        crypto_aead_aes256gcm_decrypt(opened.data(), nullptr, nullptr,
                                      sealed.data(), sealed.size(), ad.data(),
                                      ad.size(), nonce.data(), key.data())
        == 0;
    EXPECT_EQ(ok, t["result"] == "valid");
    if (ok) {
      EXPECT_EQ(opened, plaintext);
    }
    tally.ran();
  });
}

TEST(wycheproof, hmac_sha256) {
  each_case("wycheproof-hmac_sha256.json", [](const json& group, const json& t,
                                              const std::string&, auto& tally) {
    bytes tag(sha256.size);
    hmac(sha256, hex_of(t, "key"), {hex_of(t, "msg")}, tag.data());
    tag.resize(group["tagSize"].get<std::size_t>() / 8); // some are cut
    EXPECT_EQ(tag == hex_of(t, "tag"), t["result"] == "valid");
    tally.ran();
  });
}

/// Noise's HKDF is RFC 5869's with the salt as chaining key, no info and whole
/// blocks; cases with an info are of another shape.
TEST(wycheproof, hkdf_sha256) {
  each_case("wycheproof-hkdf_sha256.json",
            [](const json&, const json& t, const std::string& id, auto& tally) {
              const auto size = t["size"].get<std::size_t>();
              if (!hex_of(t, "info").empty())
                return tally.not_applicable(id, "has an info");
              if (size > 3 * sha256.size)
                return tally.not_applicable(id, "more than three blocks");
              bytes out(3 * sha256.size);
              hkdf(sha256, hex_of(t, "salt"), hex_of(t, "ikm"), out.data(),
                   out.data() + 32, out.data() + 64);
              out.resize(size);
              EXPECT_EQ(out == hex_of(t, "okm"), t["result"] == "valid");
              tally.ran();
            });
}

void run_rfc(const json& v, test::tally& tally) {
  const std::string kind = v["kind"];
  const std::string name =
      "RFC " + std::to_string(v["rfc"].get<int>()) + " " + kind;
  SCOPED_TRACE(name);
  const auto& in = v["input"];
  const std::string expected = v["expected"];
  if (kind == "x25519") {
    secret_bytes<32> shared;
    ASSERT_TRUE(dh(secret_of(hex_of(in, "scalar")), public_of(hex_of(in, "u")),
                   shared));
    EXPECT_EQ(to_hex(shared.view()), expected);
  } else if (kind == "x25519-iterated") {
    auto k = secret_of(hex_of(in, "k"));
    auto u = public_of(hex_of(in, "u"));
    for (int i = 0; i < in["iterations"].get<int>(); ++i) {
      secret_bytes<32> next;
      ASSERT_TRUE(dh(k, u, next));
      u = public_of(k.view());
      k = std::move(next);
    }
    EXPECT_EQ(to_hex(k.view()), expected);
  } else if (kind == "ed25519") {
    const auto who = identity::from_seed(secret_of(hex_of(in, "seed")));
    const auto colon = expected.find(':');
    EXPECT_EQ(to_hex(who.id().view()), expected.substr(0, colon));
    bytes by;
    ASSERT_TRUE(from_hex(expected.substr(colon + 1), by));
    EXPECT_TRUE(raw_verify(who.id().view().copy(), hex_of(in, "msg"), by));
  } else if (kind == "blake2b-512" || kind == "blake2s-256") {
    const auto& h = kind == "blake2b-512" ? blake2b : test::blake2s;
    bytes out(h.size);
    h.run({hex_of(in, "msg")}, out.data());
    EXPECT_EQ(to_hex(out), expected);
  } else if (kind == "chacha20poly1305") {
    bytes out(hex_of(in, "pt").size() + tag_bytes);
    const bytes ad = hex_of(in, "aad");
    crypto_aead_chacha20poly1305_ietf_encrypt(
        out.data(), nullptr, hex_of(in, "pt").data(), hex_of(in, "pt").size(),
        ad.data(), ad.size(), nullptr, hex_of(in, "nonce").data(),
        hex_of(in, "key").data());
    EXPECT_EQ(to_hex(out), expected);
  } else {
    return tally.not_applicable(name, "has an info; Noise's HKDF takes none");
  }
  tally.ran();
}

TEST(rfc, published) {
  const auto file = test::published_vectors("rfc-crypto.json");
  if (!file)
    return;
  test::tally tally{"rfc-crypto.json"};
  for (const auto& v : (*file)["vectors"])
    run_rfc(v, tally);
}

// These few run in every clone: facts of the RFCs themselves.

TEST(rfc, rfc7693_blake2b_of_abc) {
  std::array<std::uint8_t, 64> out{};
  blake2b.run({as_bytes("a"), as_bytes("bc")}, out.data());
  EXPECT_EQ(to_hex(out),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

TEST(rfc, rfc8032_first_key) {
  bytes seed;
  ASSERT_TRUE(from_hex(
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      seed));
  EXPECT_EQ(to_hex(identity::from_seed(secret_of(seed)).id().view()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST(rfc, rfc7748_section_5_2) {
  bytes scalar;
  bytes u;
  ASSERT_TRUE(from_hex(
      "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      scalar));
  ASSERT_TRUE(from_hex(
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", u));
  secret_bytes<32> shared;
  ASSERT_TRUE(dh(secret_of(scalar), public_of(u), shared));
  EXPECT_EQ(to_hex(shared.view()),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

TEST(rfc, rfc4231_hmac_sha256_and_sha512_with_a_key_longer_than_the_block) {
  const bytes key(131, 0xAA);
  const auto text =
      as_bytes("Test Using Larger Than Block-Size Key - Hash Key First");
  std::array<std::uint8_t, 64> out{};
  hmac(sha256, key, {text}, out.data());
  EXPECT_EQ(to_hex(const_bytes{out}.first(32)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  hmac(sha512, key, {text.first(10), text.from(10)}, out.data());
  EXPECT_EQ(to_hex(out),
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598");
}

} // namespace
} // namespace banyan
