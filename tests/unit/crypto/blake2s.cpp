#include "blake2s.hpp"

namespace banyan::test {
namespace {

constexpr std::uint32_t start[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372,
                                    0xA54FF53A, 0x510E527F, 0x9B05688C,
                                    0x1F83D9AB, 0x5BE0CD19};

constexpr std::uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

std::uint32_t rotate(std::uint32_t x, int n) {
  return (x >> n) | (x << (32 - n));
}

void compress(std::uint32_t* h, const std::uint8_t* block, std::uint64_t count,
              bool last) {
  std::uint32_t m[16];
  for (std::size_t i = 0; i < 16; ++i)
    m[i] = std::uint32_t{block[4 * i]} | std::uint32_t{block[4 * i + 1]} << 8
           | std::uint32_t{block[4 * i + 2]} << 16
           | std::uint32_t{block[4 * i + 3]} << 24;
  std::uint32_t v[16];
  for (std::size_t i = 0; i < 8; ++i) {
    v[i] = h[i];
    v[i + 8] = start[i];
  }
  v[12] ^= static_cast<std::uint32_t>(count);
  v[13] ^= static_cast<std::uint32_t>(count >> 32);
  if (last)
    v[14] = ~v[14];
  const auto mix = [&](std::size_t a, std::size_t b, std::size_t c,
                       std::size_t d, std::uint32_t x, std::uint32_t y) {
    v[a] += v[b] + x;
    v[d] = rotate(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotate(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 7);
  };
  for (const auto& s : sigma) {
    for (std::size_t i = 0; i < 4; ++i)
      mix(i, i + 4, i + 8, i + 12, m[s[2 * i]], m[s[2 * i + 1]]);
    for (std::size_t i = 0; i < 4; ++i)
      mix(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12,
          m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
  }
  for (std::size_t i = 0; i < 8; ++i)
    h[i] ^= v[i] ^ v[i + 8];
}

void run(std::initializer_list<const_bytes> parts, std::uint8_t* out) {
  bytes all;
  for (auto p : parts)
    append(all, p);
  std::uint32_t h[8];
  std::copy(std::begin(start), std::end(start), h);
  h[0] ^= 0x01010020; // no key, 32 bytes of digest
  const std::size_t size = all.size();
  const std::size_t blocks = size == 0 ? 1 : (size + 63) / 64;
  all.resize(blocks * 64);
  for (std::size_t i = 0; i < blocks; ++i)
    compress(h, all.data() + i * 64, std::min((i + 1) * 64, size),
             i + 1 == blocks);
  for (std::size_t i = 0; i < 32; ++i)
    out[i] = static_cast<std::uint8_t>(h[i / 4] >> (8 * (i % 4)));
}

} // namespace

const noise::hash_function blake2s{"BLAKE2s", 32, 64, run};

} // namespace banyan::test
