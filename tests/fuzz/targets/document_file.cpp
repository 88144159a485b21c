// The documents' file with rot in it: what is called undamaged is what was
// written.
#include "store/detail/document_file.hpp"

#include "store/detail/memory_files.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <optional>
#include <string>

namespace banyan::fuzz {
namespace {

using namespace store;
using namespace store::detail;

bool damaged(const document_file& f) {
  return f.content().count({damage_kind, to_bytes("damaged")}) == 1;
}

document_file open(memory_files& files) {
  static seeded_random random{5};
  auto opened = document_file::open(files, random, "documents", "aside");
  BANYAN_ASSERT(opened.ok());
  return std::move(*opened);
}

/// Content after each record.
struct history {
  std::unique_ptr<memory_files> files = std::make_unique<memory_files>();
  std::vector<document_map> states;

  history() {
    auto f = open(*files);
    states.push_back(f.content());
    for (std::uint8_t n = 1; n <= 8; ++n) {
      std::vector<documents::change> changes;
      changes.push_back({1, bytes{static_cast<std::uint8_t>(n % 3)},
                         bytes(std::size_t{100} * n, n)});
      if (n == 5)
        changes.push_back({1, bytes{1}, std::nullopt});
      BANYAN_ASSERT(f.append(changes).ok());
      states.push_back(f.content());
    }
  }
};

bool same(const document_map& a, const document_map& b) {
  return a == b;
}

void check(const history& was, memory_files& files, bool mark_changed) {
  const auto f = open(files);
  if (!damaged(f)) {
    const auto fits = [&](const document_map& s) {
      return same(s, f.content());
    };
    if (mark_changed)
      BANYAN_ASSERT(std::any_of(was.states.begin(), was.states.end(), fits));
    else
      BANYAN_ASSERT(fits(was.states.back()));
  }
  auto again = open(files);
  BANYAN_ASSERT(same(again.content(), f.content()));
  BANYAN_ASSERT(again.append({{2, bytes{9}, bytes{9}}}).ok());
  BANYAN_ASSERT(open(files).content().count({2, bytes{9}}) == 1);
}

void run(const_bytes in) {
  input i{in};
  if (i.u8() % 4 == 0) { // a file of foreign bytes
    memory_files files;
    open(files);
    *files.content("documents") = i.rest().copy();
    const auto f = open(files);
    BANYAN_ASSERT(same(open(files).content(), f.content()));
    return;
  }
  static const history was;
  const auto files = was.files->copy();
  bool mark = false;
  while (!i.empty()) {
    const auto what = i.u8();
    const bool of_mark = (what & 1) != 0;
    auto& c = *files->content(of_mark ? "documents.synced" : "documents");
    mark = mark || of_mark;
    const auto at = i.u16() % c.size();
    const auto with = i.u8();
    const auto sector = at / 512 * 512;
    const auto from = std::size_t{with} * 512;
    if ((what & 2) == 0)
      c[at] = static_cast<std::uint8_t>(c[at] ^ with);
    else if ((what & 4) == 0)
      std::fill(c.begin() + static_cast<std::ptrdiff_t>(at), c.end(),
                std::uint8_t{0});
    else if (from + 512 <= c.size() && sector + 512 <= c.size())
      std::copy_n(c.begin() + static_cast<std::ptrdiff_t>(from), 512,
                  c.begin() + static_cast<std::ptrdiff_t>(sector));
  }
  check(was, *files, mark);
}

std::vector<bytes> seeds() {
  const history was;
  return {bytes{1},
          bytes{1, 0, 0, 4, 1},
          bytes{1, 2, 0, 6, 0},
          bytes{1, 2, 0, 6, 0, 3, 0, 0, 0},
          bytes{1, 6, 0, 4, 3},
          tagged(0, const_bytes{*was.files->content("documents")}.first(1536))};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(document_file)
