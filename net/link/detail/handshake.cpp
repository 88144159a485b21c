#include "net/link/detail/handshake.hpp"

#include "base/codec.hpp"

namespace banyan::net {
namespace {

std::unique_ptr<noise::handshake> start(const handshake_keys& keys,
                                        const link_psk& psk, bool initiator,
                                        random_source& random) {
  noise::handshake_setup setup;
  setup.initiator = initiator;
  setup.prologue = keys.prologue;
  setup.local_static = keys.static_key;
  setup.psks.push_back(psk.clone());
  return std::make_unique<noise::handshake>(noise::link_protocol(),
                                            std::move(setup), random);
}

} // namespace

bytes make_prologue(std::string_view mesh_name, std::uint64_t major) {
  bytes out;
  writer{out}.array(3).text("banyan").uint(major).text(mesh_name);
  return out;
}

bytes link_handshake::write_first() {
  BANYAN_ASSERT(!noise_ && keys_.dial_psk != nullptr);
  noise_ = start(keys_, *keys_.dial_psk, true, random_);
  bytes out;
  const auto wrote = noise_->write_message({}, out);
  BANYAN_ASSERT(wrote.ok() && out.size() == message_1_bytes);
  return out;
}

result<hello, shake_errc> link_handshake::read_second(const_bytes message) {
  BANYAN_ASSERT(message.size() == message_2_bytes);
  return read(message);
}

bytes link_handshake::write_third(const hello& mine) {
  auto out = write(mine);
  BANYAN_ASSERT(out.empty() || out.size() == message_3_bytes);
  return out;
}

result<link_role, shake_errc> link_handshake::read_first(const_bytes message) {
  BANYAN_ASSERT(!noise_ && message.size() == message_1_bytes);
  answering_ = true;
  bytes payload;
  for (const auto& accepted : keys_.accepted) {
    auto attempt = start(keys_, accepted.psk, false, random_);
    if (attempt->read_message(message, payload)) {
      noise_ = std::move(attempt);
      role_ = accepted.role;
      return role_;
    }
  }
  return failure{shake_errc::stranger};
}

bytes link_handshake::write_second(const hello& mine) {
  auto out = write(mine);
  BANYAN_ASSERT(out.empty() || out.size() == message_2_bytes);
  return out;
}

result<hello, shake_errc> link_handshake::read_third(const_bytes message) {
  BANYAN_ASSERT(message.size() == message_3_bytes);
  return read(message);
}

const noise::dh_public& link_handshake::remote_ephemeral() const {
  BANYAN_ASSERT(noise_ && noise_->remote_ephemeral());
  return *noise_->remote_ephemeral();
}

bytes link_handshake::write(const hello& mine) {
  BANYAN_ASSERT(noise_ && noise_->my_turn());
  const auto payload =
      encode_hello(mine, *keys_.key, keys_.mesh, noise_->handshake_hash(),
                   keys_.static_key->pub);
  bytes out;
  if (!noise_->write_message(payload, out))
    out.clear(); // the far side's key was weak: nothing is sent
  return out;
}

result<hello, shake_errc> link_handshake::read(const_bytes message) {
  BANYAN_ASSERT(noise_ && !noise_->my_turn());
  const auto before = noise_->handshake_hash().copy();
  bytes payload;
  if (!noise_->read_message(message, payload))
    return failure{shake_errc::forged};
  hello h;
  // The dialler may be a client; who answers is always a peer.
  const auto role = answering_ ? role_ : link_role::peer;
  if (!decode_hello(payload, keys_.mesh, before, *noise_->remote_static(), h)
      || h.role != role)
    return failure{shake_errc::bad_proof};
  return h;
}

} // namespace banyan::net
