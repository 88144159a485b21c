// Published Noise vectors, and our own for XXpsk0 made with an independent
// implementation (tests/interop/make_noise_vectors.py).
#include "blake2s.hpp"
#include "crypto/noise/handshake.hpp"
#include "vectors.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using namespace noise;
using nlohmann::json;
using test::hex_of;

/// Gives out one prepared ephemeral key.
class fixed_random final : public random_source {
public:
  explicit fixed_random(bytes key) : key_{std::move(key)} {}
  void fill(std::uint8_t* out, std::size_t size) override {
    ASSERT_EQ(size, key_.size());
    std::copy(key_.begin(), key_.end(), out);
  }

private:
  bytes key_;
};

std::optional<dh_keypair> keypair_of(const json& v, const std::string& member) {
  secret_bytes<32> secret;
  if (!secret_bytes<32>::from(hex_of(v, member.c_str()), secret))
    return std::nullopt;
  return dh_keypair::from_secret(std::move(secret));
}

/// One side of a vector: what it needs outlives its handshake.
struct side {
  side(const json& v, const std::string& prefix, bool initiator)
      : is_initiator{initiator}, ephemeral{hex_of(
                                     v, (prefix + "_ephemeral").c_str())},
        prologue{hex_of(v, (prefix + "_prologue").c_str())},
        static_key{keypair_of(v, prefix + "_static")},
        ephemeral_key{keypair_of(v, prefix + "_ephemeral")} {
    const bytes remote = hex_of(v, (prefix + "_remote_static").c_str());
    if (remote.size() == dh_bytes) {
      remote_static.emplace();
      std::copy(remote.begin(), remote.end(), remote_static->begin());
    }
    if (v.contains(prefix + "_psks"))
      for (const auto& text : v[prefix + "_psks"])
        add_psk(text.get<std::string>());
    else if (v.contains(prefix + "_psk"))
      add_psk(v[prefix + "_psk"].get<std::string>());
  }

  void add_psk(const std::string& hex) {
    bytes raw;
    ASSERT_TRUE(from_hex(hex, raw));
    psks.emplace_back();
    ASSERT_TRUE(secret_bytes<32>::from(raw, psks.back()));
  }

  [[nodiscard]] handshake_setup setup() const {
    handshake_setup s;
    s.initiator = is_initiator;
    s.prologue = prologue;
    s.local_static = static_key ? &*static_key : nullptr;
    s.remote_static = remote_static;
    for (const auto& psk : psks)
      s.psks.push_back(psk.clone());
    return s;
  }

  bool is_initiator;
  fixed_random ephemeral;
  bytes prologue;
  std::optional<dh_keypair> static_key;
  std::optional<dh_keypair> ephemeral_key;
  std::optional<dh_public> remote_static;
  std::vector<secret_bytes<32>> psks;
};

struct line {
  bytes payload;
  bytes ciphertext;
};

std::vector<line> lines_of(const json& v) {
  std::vector<line> out;
  for (const auto& m : v["messages"])
    out.push_back({hex_of(m, "payload"), hex_of(m, "ciphertext")});
  return out;
}

/// Runs both sides until they are done; returns the first transport message.
std::size_t run_handshake(handshake& initiator, handshake& responder,
                          const std::vector<line>& lines, std::size_t at) {
  while (!initiator.complete() && at < lines.size()) {
    auto& from = initiator.my_turn() ? initiator : responder;
    auto& to = initiator.my_turn() ? responder : initiator;
    bytes message;
    bytes payload;
    EXPECT_TRUE(from.write_message(lines[at].payload, message).ok());
    EXPECT_EQ(to_hex(message), to_hex(lines[at].ciphertext))
        << "message " << at;
    EXPECT_TRUE(to.read_message(message, payload).ok());
    EXPECT_EQ(payload, lines[at].payload);
    ++at;
  }
  EXPECT_TRUE(initiator.complete() && responder.complete());
  EXPECT_EQ(initiator.handshake_hash(), responder.handshake_hash());
  return at;
}

void run_transport(handshake& initiator, handshake& responder,
                   const std::vector<line>& lines, std::size_t at,
                   const json& after_rekey, bool one_way) {
  auto i = initiator.split();
  auto r = responder.split();
  for (; at < lines.size(); ++at) {
    const bool to_responder = one_way || at % 2 == 0;
    auto& from = to_responder ? i.send : r.send;
    auto& to = to_responder ? r.receive : i.receive;
    bytes sealed;
    bytes opened;
    EXPECT_TRUE(from.encrypt({}, lines[at].payload, sealed).ok());
    EXPECT_EQ(to_hex(sealed), to_hex(lines[at].ciphertext)) << "message " << at;
    EXPECT_TRUE(to.decrypt({}, sealed, opened).ok());
    EXPECT_EQ(opened, lines[at].payload);
  }
  for (std::size_t n = 0; n < after_rekey.size(); ++n) {
    auto& from = n == 0 ? i.send : r.send;
    from.rekey();
    bytes sealed;
    EXPECT_TRUE(
        from.encrypt({}, hex_of(after_rekey[n], "payload"), sealed).ok());
    EXPECT_EQ(sealed, hex_of(after_rekey[n], "ciphertext")) << "rekey " << n;
  }
}

void run_vector(const json& v, const protocol& p) {
  side i{v, "init", true};
  side r{v, "resp", false};
  handshake initiator{p, i.setup(), i.ephemeral};
  handshake responder{p, r.setup(), r.ephemeral};
  const auto lines = lines_of(v);
  const auto at = run_handshake(initiator, responder, lines, 0);
  if (v.contains("handshake_hash")) {
    EXPECT_EQ(to_hex(initiator.handshake_hash()),
              v["handshake_hash"].get<std::string>());
  }
  run_transport(initiator, responder, lines, at,
                v.value("after_rekey", json::array()), p.pattern.one_way);
}

/// noise-c's XXfallback: an IK message that its responder can't read (it was
/// sealed to another static key), then XXfallback with the initiator's
/// ephemeral as known beforehand, the responder speaking first.
void run_fallback(const json& v, const protocol& p) {
  side i{v, "init", true};
  side r{v, "resp", false};
  const auto lines = lines_of(v);
  std::string name = p.name;
  const auto ik = protocol::parse("Noise_IK" + name.substr(name.find('_', 6)),
                                  &test::blake2s);
  ASSERT_TRUE(ik.has_value());
  bytes message;
  bytes payload;
  {
    handshake first{*ik, i.setup(), i.ephemeral};
    ASSERT_TRUE(first.write_message(lines[0].payload, message).ok());
    EXPECT_EQ(to_hex(message), to_hex(lines[0].ciphertext));
    handshake wrong{*ik, r.setup(), r.ephemeral};
    const auto refused = wrong.read_message(message, payload);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error(), handshake_errc::forged);
    ASSERT_TRUE(wrong.remote_ephemeral().has_value());
  }
  auto i_setup = i.setup();
  i_setup.remote_static.reset();
  i_setup.local_ephemeral = &*i.ephemeral_key;
  auto r_setup = r.setup();
  r_setup.remote_ephemeral = i.ephemeral_key->pub;
  handshake initiator{p, std::move(i_setup), i.ephemeral};
  handshake responder{p, std::move(r_setup), r.ephemeral};
  const auto at = run_handshake(initiator, responder, lines, 1);
  if (v.contains("handshake_hash")) {
    EXPECT_EQ(to_hex(initiator.handshake_hash()),
              v["handshake_hash"].get<std::string>());
  }
  // the responder spoke first here, and goes on alternating
  auto from_initiator = initiator.split();
  auto from_responder = responder.split();
  for (std::size_t n = at; n < lines.size(); ++n) {
    auto& from = n % 2 == 0 ? from_initiator.send : from_responder.send;
    bytes sealed;
    EXPECT_TRUE(from.encrypt({}, lines[n].payload, sealed).ok());
    EXPECT_EQ(to_hex(sealed), to_hex(lines[n].ciphertext)) << "message " << n;
  }
}

void run_file(const json& file, const std::string& name) {
  test::tally tally{name};
  for (const auto& v : file["vectors"]) {
    const std::string protocol_name =
        v.contains("protocol_name") ? v["protocol_name"] : v["name"];
    SCOPED_TRACE(protocol_name);
    const auto p = protocol::parse(protocol_name, &test::blake2s);
    ASSERT_TRUE(p.has_value());
    if (p->cipher == &aes_gcm && !aes_gcm_available()) {
      tally.not_applicable(protocol_name, "AES without hardware support");
      continue;
    }
    if (v.value("fallback", false))
      run_fallback(v, *p);
    else
      run_vector(v, *p);
    tally.ran();
  }
  EXPECT_GT(tally.count(), 0);
}

class published : public testing::TestWithParam<const char*> {};

TEST_P(published, every_vector_is_reproduced) {
  const std::string name = GetParam();
  if (const auto file = test::published_vectors(name))
    run_file(*file, name);
}

INSTANTIATE_TEST_SUITE_P(
    noise, published,
    testing::Values("noise-cacophony-all-25519.json",
                    "noise-noisec-XX-IK-NK.json",
                    "noise-noisec-XXfallback.json", "noise-snow-IK.json",
                    "noise-snow-IKpsk0_psk2.json", "noise-snow-NK.json",
                    "noise-snow-XX.json", "noise-snow-XXpsk0_psk3.json"),
    [](const auto& which) {
      std::string out = which.param;
      for (auto& c : out)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0)
          c = '_';
      return out;
    });

TEST(noise_vectors, our_own_are_reproduced) {
  run_file(test::committed_vectors("noise_xxpsk0.json"), "noise_xxpsk0.json");
}

TEST(noise_protocol, unknown_names_are_refused) {
  for (const char* name :
       {"", "Noise", "Noise_XX_25519_ChaChaPoly",
        "Noise_ZZ_25519_AESGCM_SHA256", "Noise_XX_448_ChaChaPoly_SHA256",
        "Noise_XX_25519_None_SHA256", "Noise_XX_25519_ChaChaPoly_MD5",
        "Noise_XXpsk4_25519_ChaChaPoly_SHA256",
        "Noise_XXpsk_25519_ChaChaPoly_SHA256",
        "Noise_Nfallback_25519_ChaChaPoly_SHA256",
        "Noise_XKfallback_25519_ChaChaPoly_SHA256",
        "noise_XX_25519_ChaChaPoly_SHA256",
        "Noise_XX_25519_ChaChaPoly_SHA256_"})
    EXPECT_FALSE(protocol::parse(name).has_value()) << name;
  EXPECT_FALSE(protocol::parse("Noise_XX_25519_AESGCM_BLAKE2s").has_value());
}

TEST(noise_protocol, the_link_suite_is_the_one_of_the_design) {
  const auto& p = link_protocol();
  EXPECT_EQ(p.name, "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b");
  EXPECT_EQ(p.pattern.psks, 1U);
  ASSERT_EQ(p.pattern.messages.size(), 3U);
  EXPECT_EQ(p.pattern.messages[0].tokens,
            (std::vector<token>{token::psk, token::e}));
}

} // namespace
} // namespace banyan
