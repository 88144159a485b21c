// One end of a link on standard input and output: a Noise handshake (each
// message with its length in 2 big-endian bytes before it), then every record
// that comes in goes out again. It prints the handshake hash on standard error.
//
// usage: noise_peer initiator|responder PSK_HEX PROLOGUE_HEX
#include "crypto/noise/handshake.hpp"
#include "crypto/record.hpp"
#include "crypto/system_random.hpp"

#include <cstdio>
#include <cstring>

namespace banyan {
namespace {

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "noise_peer: %s\n", why);
  std::exit(1);
}

bool read_exactly(std::uint8_t* out, std::size_t size) {
  return std::fread(out, 1, size, stdin) == size;
}

bool read_framed(bytes& out) {
  std::array<std::uint8_t, 2> size{};
  if (!read_exactly(size.data(), size.size()))
    return false;
  out.resize(size[0] * 256U + size[1]);
  return read_exactly(out.data(), out.size());
}

void write_all(const_bytes b) {
  if (std::fwrite(b.data(), 1, b.size(), stdout) != b.size()
      || std::fflush(stdout) != 0)
    give_up("cannot write");
}

void write_framed(const_bytes b) {
  bytes out{static_cast<std::uint8_t>(b.size() >> 8),
            static_cast<std::uint8_t>(b.size())};
  append(out, b);
  write_all(out);
}

noise::transport shake_hands(bool initiator, const_bytes psk_bytes,
                             const_bytes prologue) {
  system_random random;
  const auto own = noise::dh_keypair::generate(random);
  noise::handshake_setup setup;
  setup.initiator = initiator;
  setup.prologue = prologue;
  setup.local_static = &own;
  setup.psks.emplace_back();
  if (!secret_bytes<32>::from(psk_bytes, setup.psks.back()))
    give_up("a psk has 32 bytes");
  noise::handshake h{noise::link_protocol(), std::move(setup), random};
  bytes message;
  bytes payload;
  for (int n = 0; !h.complete(); ++n) {
    if (h.my_turn()) {
      const auto text = n == 0 ? const_bytes{} : as_bytes("from banyan");
      if (!h.write_message(text, message))
        give_up("cannot write a message");
      write_framed(message);
      continue;
    }
    if (!read_framed(message))
      give_up("the far side went away");
    if (!h.read_message(message, payload))
      give_up("refused a message");
    if (as_text(payload) != (n == 0 ? "" : "from afar"))
      give_up("another payload than expected");
  }
  std::fprintf(stderr, "%s\n", to_hex(h.handshake_hash()).c_str());
  return h.split();
}

void echo(noise::transport keys) {
  record_sealer sealer{std::move(keys.send)};
  record_opener opener{std::move(keys.receive)};
  bytes body;
  bytes out;
  while (read_framed(body)) {
    const auto size = opener.open_in_place(body.data(), body.size());
    if (!size)
      give_up("refused a record");
    out.clear();
    if (!sealer.seal(const_bytes{body}.first(*size), out))
      give_up("cannot seal a record");
    write_all(out);
  }
}

} // namespace
} // namespace banyan

int main(int argc, char** argv) {
  using namespace banyan;
  bytes psk;
  bytes prologue;
  if (argc != 4 || !from_hex(argv[2], psk) || !from_hex(argv[3], prologue))
    give_up("usage: noise_peer initiator|responder PSK_HEX PROLOGUE_HEX");
  echo(shake_hands(std::strcmp(argv[1], "initiator") == 0, psk, prologue));
  return 0;
}
