#pragma once
#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/codec.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

/// What every fuzz target is made of. A target is one .cpp in targets/ with
///
///   void run(const_bytes in);       one input; aborts when a rule is broken
///   std::vector<bytes> seeds();     real encodings to begin with
///   BANYAN_FUZZ_TARGET(name)        the name of the file
///
/// in namespace banyan::fuzz. clang's libFuzzer calls it (CMake preset `fuzz`,
/// scripts/fuzz); the replay driver runs seeds and corpus through it in every
/// build (ctest `fuzz_corpus`). Rules are BANYAN_ASSERTs.
namespace banyan::fuzz {

/// A target as the replay driver knows it.
struct target {
  const char* name;
  void (*run)(const_bytes);
  std::vector<bytes> (*seeds)();
};
/// All that are linked in.
std::vector<target>& targets();
struct registered {
  explicit registered(target t) { targets().push_back(t); }
};

/// Takes an input apart from its front; zero or empty once it is used up.
class input {
public:
  explicit input(const_bytes in) noexcept : in_{in} {}
  std::uint8_t u8() {
    const auto b = take(1);
    return b.empty() ? std::uint8_t{0} : b[0];
  }
  std::uint32_t u16() {
    const auto low = std::uint32_t{u8()};
    return low | std::uint32_t{u8()} << 8;
  }
  const_bytes take(std::size_t n) {
    const auto out = in_.first(std::min(n, in_.size()));
    in_ = in_.from(out.size());
    return out;
  }
  /// A piece with its size in one byte before it.
  const_bytes piece() { return take(u8()); }
  [[nodiscard]] const_bytes rest() const noexcept { return in_; }
  [[nodiscard]] bool empty() const noexcept { return in_.empty(); }
  template <class Id>
  Id id() {
    std::array<std::uint8_t, Id::size> a{};
    const auto b = take(Id::size);
    std::copy(b.begin(), b.end(), a.begin());
    return Id{a};
  }

private:
  const_bytes in_;
};

/// `selector`, then an encoding: how targets with several decoders are fed.
inline bytes tagged(std::uint8_t selector, const_bytes encoded) {
  bytes out{selector};
  append(out, encoded);
  return out;
}

template <class T>
bytes encoded(const T& value) {
  bytes out;
  encode(value, out);
  return out;
}

/// For formats that let a newer version add keys: what is accepted may be
/// spelled in several ways, but encodes to one form, which stays as it is.
/// `encode(value)` gives bytes, `decode(const_bytes, value)` says whether.
template <class T, class Encode, class Decode>
bool accepts_stable(const_bytes in, Encode encode, Decode decode) {
  T value{};
  if (!decode(in, value))
    return false;
  const bytes once = encode(value);
  T again{};
  BANYAN_ASSERT(decode(once, again));
  BANYAN_ASSERT(encode(again) == once);
  return true;
}

} // namespace banyan::fuzz

#ifdef BANYAN_FUZZ_REPLAY
#define BANYAN_FUZZ_TARGET(name)                                               \
  namespace {                                                                  \
  const ::banyan::fuzz::registered target_{                                    \
      {#name, ::banyan::fuzz::run, ::banyan::fuzz::seeds}};                    \
  }
#else
/// libFuzzer's entry. Seeds are written by the replay driver.
#define BANYAN_FUZZ_TARGET(name)                                               \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,              \
                                        std::size_t size) {                    \
    ::banyan::fuzz::run({data, size});                                         \
    return 0;                                                                  \
  }                                                                            \
  [[maybe_unused]] const auto seeds_of_##name = ::banyan::fuzz::seeds;
#endif
