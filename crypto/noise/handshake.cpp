#include "crypto/noise/handshake.hpp"

namespace banyan::noise {
namespace {

handshake_errc translate(cipher_errc e) {
  return e == cipher_errc::forged ? handshake_errc::forged
                                  : handshake_errc::too_large;
}

} // namespace

std::string_view to_string(handshake_errc e) noexcept {
  switch (e) {
  case handshake_errc::out_of_turn:
    return "out of turn";
  case handshake_errc::too_large:
    return "too large";
  case handshake_errc::too_short:
    return "too short";
  case handshake_errc::forged:
    return "forged, or another key";
  case handshake_errc::weak_key:
    return "weak key";
  case handshake_errc::dead:
    return "dead";
  }
  return "?";
}

handshake::handshake(const protocol& p, handshake_setup setup,
                     random_source& random)
    : protocol_{&p}, random_{&random},
      initiator_{setup.initiator}, s_{setup.local_static},
      rs_{setup.remote_static}, re_{setup.remote_ephemeral},
      psks_{std::move(setup.psks)}, cipher_{*p.cipher} {
  BANYAN_ASSERT(psks_.size() == p.pattern.psks);
  const auto name = as_bytes(p.name);
  if (name.size() <= p.hash->size)
    std::copy(name.begin(), name.end(), h_.begin());
  else
    p.hash->run({name}, h_.data());
  std::copy(h_.begin(), h_.end(), ck_.data());
  mix_hash(setup.prologue);
  if (setup.local_ephemeral != nullptr)
    e_ = dh_keypair{setup.local_ephemeral->secret.clone(),
                    setup.local_ephemeral->pub};
  const auto mix_known = [&](token t, bool mine) {
    if (t == token::e) {
      BANYAN_ASSERT(mine ? e_.has_value() : re_.has_value());
      mix_hash(mine ? e_->pub : *re_);
      if (p.pattern.psks > 0)
        mix_key(mine ? e_->pub : *re_);
    } else {
      BANYAN_ASSERT(mine ? s_ != nullptr : rs_.has_value());
      mix_hash(mine ? s_->pub : *rs_);
    }
  };
  for (auto t : p.pattern.initiator_pre)
    mix_known(t, initiator_);
  for (auto t : p.pattern.responder_pre)
    mix_known(t, !initiator_);
}

void handshake::mix_hash(const_bytes data) {
  const auto& hash = *protocol_->hash;
  hash.run({const_bytes{h_.data(), hash.size}, data}, h_.data());
}

void handshake::mix_key(const_bytes input) {
  const auto& hash = *protocol_->hash;
  secret_bytes<hash_bytes_max> key;
  hkdf(hash, ck_.view().first(hash.size), input, ck_.data(), key.data(),
       nullptr);
  secret_bytes<key_bytes> short_key;
  std::copy(key.data(), key.data() + key_bytes, short_key.data());
  cipher_ = cipher_state{*protocol_->cipher, std::move(short_key)};
}

void handshake::mix_key_and_hash(const_bytes input) {
  const auto& hash = *protocol_->hash;
  secret_bytes<hash_bytes_max> mixed;
  secret_bytes<hash_bytes_max> key;
  hkdf(hash, ck_.view().first(hash.size), input, ck_.data(), mixed.data(),
       key.data());
  mix_hash(mixed.view().first(hash.size));
  secret_bytes<key_bytes> short_key;
  std::copy(key.data(), key.data() + key_bytes, short_key.data());
  cipher_ = cipher_state{*protocol_->cipher, std::move(short_key)};
}

handshake::step handshake::mix_dh(const secret_bytes<dh_bytes>& mine,
                                  const std::optional<dh_public>& theirs) {
  BANYAN_ASSERT(theirs.has_value());
  secret_bytes<dh_bytes> shared;
  if (!dh(mine, *theirs, shared))
    return failure{handshake_errc::weak_key};
  mix_key(shared.view());
  return {};
}

/// The tokens that are the same for reader and writer: all but `e` and `s`.
handshake::step handshake::mix_token(token t) {
  switch (t) {
  case token::psk:
    mix_key_and_hash(psks_[next_psk_++].view());
    return {};
  case token::ee:
    return mix_dh(e_->secret, re_);
  case token::ss:
    return mix_dh(s_->secret, rs_);
  case token::es:
    return initiator_ ? mix_dh(e_->secret, rs_) : mix_dh(s_->secret, re_);
  case token::se:
    return initiator_ ? mix_dh(s_->secret, re_) : mix_dh(e_->secret, rs_);
  case token::e:
  case token::s:
    break;
  }
  const bool mixed_only = false; // e and s are read or written
  BANYAN_ASSERT(mixed_only);
  return {};
}

handshake::step handshake::encrypt_and_hash(const_bytes plaintext, bytes& out) {
  const std::size_t before = out.size();
  const auto done =
      cipher_.encrypt({h_.data(), protocol_->hash->size}, plaintext, out);
  if (!done)
    return failure{translate(done.error())};
  mix_hash(const_bytes{out}.from(before));
  return {};
}

handshake::step handshake::decrypt_and_hash(const_bytes sealed, bytes& out) {
  const auto done =
      cipher_.decrypt({h_.data(), protocol_->hash->size}, sealed, out);
  if (!done)
    return failure{translate(done.error())};
  mix_hash(sealed);
  return {};
}

handshake::step handshake::write_tokens(const_bytes payload, bytes& out) {
  for (auto t : protocol_->pattern.messages[next_message_].tokens) {
    if (t == token::e) {
      BANYAN_ASSERT(!e_.has_value());
      e_ = dh_keypair::generate(*random_);
      append(out, e_->pub);
      mix_hash(e_->pub);
      if (protocol_->pattern.psks > 0)
        mix_key(e_->pub);
    } else if (t == token::s) {
      BANYAN_ASSERT(s_ != nullptr);
      if (auto done = encrypt_and_hash(s_->pub, out); !done)
        return done;
    } else if (auto done = mix_token(t); !done) {
      return done;
    }
  }
  const std::size_t tag = cipher_.has_key() ? tag_bytes : 0;
  if (out.size() + payload.size() + tag > message_bytes_max)
    return failure{handshake_errc::too_large};
  return encrypt_and_hash(payload, out);
}

handshake::step handshake::read_tokens(const_bytes message, bytes& payload) {
  const auto take = [&](std::size_t n, const_bytes& part) {
    if (message.size() < n)
      return false;
    part = message.first(n);
    message = message.from(n);
    return true;
  };
  const_bytes part;
  for (auto t : protocol_->pattern.messages[next_message_].tokens) {
    if (t == token::e) {
      if (!take(dh_bytes, part))
        return failure{handshake_errc::too_short};
      re_.emplace();
      std::copy(part.begin(), part.end(), re_->begin());
      mix_hash(*re_);
      if (protocol_->pattern.psks > 0)
        mix_key(*re_);
    } else if (t == token::s) {
      if (!take(dh_bytes + (cipher_.has_key() ? tag_bytes : 0), part))
        return failure{handshake_errc::too_short};
      bytes key;
      if (auto done = decrypt_and_hash(part, key); !done)
        return done;
      rs_.emplace();
      std::copy(key.begin(), key.end(), rs_->begin());
    } else if (auto done = mix_token(t); !done) {
      return done;
    }
  }
  if (cipher_.has_key() && message.size() < tag_bytes)
    return failure{handshake_errc::too_short};
  return decrypt_and_hash(message, payload);
}

handshake::step handshake::write_message(const_bytes payload, bytes& out) {
  out.clear();
  if (dead_)
    return failure{handshake_errc::dead};
  if (!my_turn())
    return die(handshake_errc::out_of_turn);
  if (auto done = write_tokens(payload, out); !done) {
    out.clear();
    return die(done.error());
  }
  ++next_message_;
  return {};
}

handshake::step handshake::read_message(const_bytes message, bytes& payload) {
  payload.clear();
  if (dead_)
    return failure{handshake_errc::dead};
  if (complete() || my_turn())
    return die(handshake_errc::out_of_turn);
  if (message.size() > message_bytes_max)
    return die(handshake_errc::too_large);
  if (auto done = read_tokens(message, payload); !done) {
    payload.clear();
    return die(done.error());
  }
  ++next_message_;
  return {};
}

bool handshake::complete() const noexcept {
  return !dead_ && next_message_ == protocol_->pattern.messages.size();
}

bool handshake::my_turn() const noexcept {
  return !dead_ && !complete()
         && protocol_->pattern.messages[next_message_].from_initiator
                == initiator_;
}

const_bytes handshake::handshake_hash() const noexcept {
  return {h_.data(), protocol_->hash->size};
}

transport handshake::split() {
  BANYAN_ASSERT(complete() && !split_);
  split_ = true;
  const auto& hash = *protocol_->hash;
  secret_bytes<hash_bytes_max> first;
  secret_bytes<hash_bytes_max> second;
  hkdf(hash, ck_.view().first(hash.size), {}, first.data(), second.data(),
       nullptr);
  const auto state = [&](const secret_bytes<hash_bytes_max>& long_key) {
    secret_bytes<key_bytes> key;
    std::copy(long_key.data(), long_key.data() + key_bytes, key.data());
    return cipher_state{*protocol_->cipher, std::move(key)};
  };
  wipe_secrets();
  // who speaks first sends with the first key: the responder, after a fallback
  if (protocol_->pattern.messages[0].from_initiator == initiator_)
    return {state(first), state(second)};
  return {state(second), state(first)};
}

handshake::step handshake::die(handshake_errc why) {
  dead_ = true;
  wipe_secrets();
  return failure{why};
}

void handshake::wipe_secrets() noexcept {
  e_.reset();
  psks_.clear();
  ck_ = secret_bytes<hash_bytes_max>{};
  cipher_ = cipher_state{*protocol_->cipher};
}

} // namespace banyan::noise
