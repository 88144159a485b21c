#include "tests/integration/damage.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace banyan::test {

victim_file::victim_file(std::filesystem::path path) : path_{std::move(path)} {
  std::ifstream in{path_, std::ios::binary};
  if (!in)
    throw std::runtime_error{"no file " + path_.string()};
  bytes_.assign(std::istreambuf_iterator<char>{in}, {});
}

void victim_file::flip(std::size_t at, std::uint8_t mask) {
  bytes_.at(at) = static_cast<std::uint8_t>(bytes_.at(at) ^ mask);
  write(at, 1);
}

void victim_file::zero(std::size_t at, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    bytes_.at(at + i) = 0;
  write(at, count);
}

void victim_file::write(std::size_t at, std::size_t count) {
  std::fstream out{path_, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp(static_cast<std::streamoff>(at));
  out.write(reinterpret_cast<const char*>(bytes_.data() + at),
            static_cast<std::streamsize>(count));
  if (!out.flush())
    throw std::runtime_error{"can't write " + path_.string()};
}

void copy_directory(const std::filesystem::path& from,
                    const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  fs::create_directories(to);
  for (const auto& e : fs::directory_iterator(from)) {
    const auto there = to / e.path().filename();
    if (e.is_directory())
      copy_directory(e.path(), there);
    else if (e.is_regular_file())
      fs::copy_file(e.path(), there);
  }
}

namespace lmdb_page {
namespace {

std::size_t number(const bytes& b, std::size_t at) {
  return b[at] | static_cast<std::size_t>(b[at + 1]) << 8;
}

constexpr std::size_t header_bytes = 16;
constexpr std::size_t node_bytes = 8;
constexpr std::size_t big_data = 0x01;

} // namespace

std::vector<std::size_t> with(const bytes& file, std::uint16_t flag) {
  std::vector<std::size_t> out;
  for (std::size_t at = 0; at + bytes_each <= file.size(); at += bytes_each)
    if ((number(file, at + 10) & flag) != 0
        && (number(file, at) == at / bytes_each % 65536))
      out.push_back(at / bytes_each);
  return out;
}

std::vector<std::size_t> data_of(const bytes& file, std::string_view part) {
  std::vector<std::size_t> out;
  for (const auto page : with(file, leaf)) {
    const auto base = page * bytes_each;
    const auto lower = number(file, base + 12);
    for (std::size_t at = header_bytes; at + 2 <= lower && lower <= bytes_each;
         at += 2) {
      const auto node = number(file, base + at);
      if (node < lower || node + node_bytes > bytes_each)
        continue;
      const auto size =
          number(file, base + node) | number(file, base + node + 2) << 16;
      const auto flags = number(file, base + node + 4);
      const auto key_size = number(file, base + node + 6);
      if ((flags & big_data) != 0 || size == 0
          || node + node_bytes + key_size + size > bytes_each)
        continue;
      const auto key = base + node + node_bytes;
      const std::string_view text{
          reinterpret_cast<const char*>(file.data() + key), key_size};
      if (text.find(part) != std::string_view::npos)
        out.push_back(key + key_size + size - 1);
    }
  }
  return out;
}

} // namespace lmdb_page

} // namespace banyan::test
