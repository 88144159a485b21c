#include "store/detail/lmdb_pages.hpp"

#include "store/detail/checksum.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace banyan::store::detail {
namespace {

constexpr std::size_t header_bytes = 16;
constexpr std::size_t node_head = 8;
constexpr std::size_t db_bytes = 48;
constexpr std::size_t meta_bytes = 24 + 2 * db_bytes + 16;
constexpr std::uint32_t meta_magic = 0xBEEFC0DE;
constexpr std::uint32_t data_version = 1;
constexpr std::uint64_t no_page = UINT64_MAX;
constexpr unsigned depth_max = 32;
constexpr std::size_t bad_max = 20;

enum page_flag : std::uint16_t {
  branch = 1,
  leaf = 2,
  overflow = 4,
  meta_page = 8
};
enum node_flag : std::uint16_t { big_data = 1, sub_data = 2 };
constexpr std::uint16_t integer_key = 8;

struct db_record {
  std::uint32_t pad = 0;
  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t branch_pages = 0;
  std::uint64_t leaf_pages = 0;
  std::uint64_t overflow_pages = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = no_page;
};

db_record decode_db(const std::uint8_t* p) {
  return {static_cast<std::uint32_t>(get_le<4>(p)),
          static_cast<std::uint16_t>(get_le<2>(p + 4)),
          static_cast<std::uint16_t>(get_le<2>(p + 6)),
          get_le<8>(p + 8),
          get_le<8>(p + 16),
          get_le<8>(p + 24),
          get_le<8>(p + 32),
          get_le<8>(p + 40)};
}

struct meta {
  bool ours = false; ///< magic and kind are right
  std::uint32_t version = 0;
  db_record free_list;
  db_record main;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
};

meta decode_meta(const_bytes page, std::uint64_t number) {
  meta m;
  const auto* p = page.data() + header_bytes;
  m.ours = get_le<8>(page.data()) == number
           && get_le<2>(page.data() + 10) == meta_page
           && get_le<4>(p) == meta_magic;
  m.version = static_cast<std::uint32_t>(get_le<4>(p + 4));
  m.free_list = decode_db(p + 24);
  m.main = decode_db(p + 24 + db_bytes);
  m.last_page = get_le<8>(p + 24 + 2 * db_bytes);
  m.transaction = get_le<8>(p + 32 + 2 * db_bytes);
  return m;
}

/// One node of a page; views into it.
struct node {
  const_bytes all;
  const_bytes key;
  std::uint16_t flags = 0;
  std::uint64_t size =
      0; ///< of a leaf's value; of a branch: the child's number
};

/// Bounds of the keys below a branch; views into the pages above.
struct key_range {
  std::optional<const_bytes> low;
  std::optional<const_bytes> high; ///< exclusive
};

class walker {
public:
  walker(file& data, page_report& out,
         const std::function<void(std::uint64_t)>& tick)
      : data_{data}, out_{out}, tick_{tick} {}

  outcome run();

private:
  /// What is counted while a tree is walked.
  struct tree {
    const char* name = "";
    bool integer_keys = false;
    db_record seen;
    unsigned leaf_depth = 0; ///< all leaves are on one level
  };

  void bad(std::string what) {
    if (out_.bad.size() < bad_max)
      out_.bad.push_back(std::move(what));
  }
  [[nodiscard]] bool give_up() const { return out_.bad.size() >= bad_max; }
  outcome read_page(std::uint64_t number, bytes& out);
  outcome read_metas();
  bool use(std::uint64_t number, const char* by);
  outcome walk_db(const db_record& db, const char* name, bool integer_keys);
  outcome walk(std::uint64_t number, unsigned depth, const key_range& range,
               tree& t);
  outcome walk_nodes(std::uint64_t number, const_bytes page, bool is_branch,
                     unsigned depth, const key_range& range, tree& t);
  static std::optional<std::vector<node>> parse_nodes(const_bytes page,
                                                      bool is_branch);
  static bool in_order(const std::vector<node>& nodes, bool is_branch,
                       const key_range& range, const tree& t);
  outcome leaf_node(std::uint64_t number, const node& n, tree& t);
  outcome big_value(std::uint64_t at, std::uint64_t size, tree& t, bytes& out);
  void free_pages(const_bytes key, const_bytes list);
  void account();

  file& data_;
  page_report& out_;
  const std::function<void(std::uint64_t)>& tick_;
  std::size_t page_bytes_ = 4096;
  std::uint64_t length_ = 0; ///< of the file
  meta newest_;
  std::vector<bool> used_;
  std::vector<bool> free_;
  std::vector<std::pair<std::string, db_record>> below_; ///< named databases
};

std::string page_text(std::uint64_t number) {
  return "page " + std::to_string(number);
}

outcome walker::read_page(std::uint64_t number, bytes& out) {
  out.resize(page_bytes_);
  auto got = data_.read(number * page_bytes_, out.data(), out.size());
  if (!got)
    return failure{got.error()};
  if (*got < out.size())
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(*got), out.end(),
              std::uint8_t{0});
  ++out_.pages;
  if (tick_)
    tick_(out_.pages);
  return {};
}

/// Two metas, written in turn: transactions n and n-1, each on the page of its
/// parity.
outcome walker::read_metas() {
  std::array<meta, 2> metas;
  // The second one's place depends on the page size, which both hold.
  bytes page;
  if (auto done = read_page(0, page); !done)
    return done;
  metas[0] = decode_meta(page, 0);
  const auto size = metas[0].free_list.pad;
  if (!metas[0].ours || size < 512 || size > 65536
      || (size & (size - 1)) != 0) {
    bad("the first meta page is no meta page");
    return {};
  }
  page_bytes_ = size;
  if (auto done = read_page(1, page); !done)
    return done;
  metas[1] = decode_meta(page, 1);
  if (metas[0].version != data_version && metas[1].ours
      && metas[1].version == metas[0].version)
    return failure{store_error{store_errc::unreadable,
                               "the state is in another data format of LMDB"}};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& m = metas[i];
    if (!m.ours || m.version != data_version || m.free_list.pad != size
        || m.free_list.flags != metas[0].free_list.flags
        || (m.free_list.flags & integer_key) == 0)
      bad("meta " + page_text(i) + " makes no sense");
  }
  const auto& [a, b] = metas;
  newest_ = a.transaction < b.transaction ? b : a;
  const auto older = std::min(a.transaction, b.transaction);
  const auto at = a.transaction < b.transaction ? 1U : 0U;
  if (newest_.transaction != 0
      && (older + 1 != newest_.transaction || newest_.transaction % 2 != at))
    bad("the transaction numbers of the meta pages don't fit");
  if (newest_.last_page < 1 || newest_.last_page > (std::uint64_t{1} << 40))
    bad("the number of pages makes no sense");
  auto length = data_.size();
  if (!length)
    return failure{length.error()};
  // Pages behind the end were never written, so they can only be free ones;
  // there are never many.
  length_ = *length;
  if (newest_.last_page / 64 > *length / page_bytes_ + 64)
    bad("the file is too short");
  return {};
}

outcome walker::run() {
  if (auto done = read_metas(); !done || !out_.bad.empty())
    return done;
  out_.transaction = newest_.transaction;
  const auto count = static_cast<std::size_t>(newest_.last_page + 1);
  used_.assign(count, false);
  free_.assign(count, false);
  used_[0] = used_[1] = true;
  if (auto done = walk_db(newest_.free_list, "the free list", true); !done)
    return done;
  if (auto done = walk_db(newest_.main, "the main table", false); !done)
    return done;
  const auto tables = std::move(below_);
  for (const auto& [name, db] : tables) {
    if (auto done = walk_db(db, name.c_str(), false); !done)
      return done;
    if (!below_.empty())
      bad(name + " has a table in it");
  }
  account();
  out_.used = used_;
  out_.page_bytes = page_bytes_;
  return {};
}

bool walker::use(std::uint64_t number, const char* by) {
  if (number < 2 || number >= used_.size()
      || (number + 1) * page_bytes_ > length_) {
    bad(page_text(number) + " of " + by + " doesn't exist");
    return false;
  }
  if (used_[number]) {
    bad(page_text(number) + " of " + by + " is used twice");
    return false;
  }
  used_[number] = true;
  return true;
}

outcome walker::walk_db(const db_record& db, const char* name,
                        bool integer_keys) {
  tree t;
  t.name = name;
  t.integer_keys = integer_keys;
  if (!integer_keys && db.flags != 0)
    bad(std::string{name} + " has flags that make no sense");
  if (db.root != no_page)
    if (auto done = walk(db.root, 1, {}, t); !done)
      return done;
  const auto& s = t.seen;
  if (s.entries != db.entries || s.branch_pages != db.branch_pages
      || s.leaf_pages != db.leaf_pages || s.overflow_pages != db.overflow_pages
      || t.leaf_depth != db.depth)
    bad(std::string{name} + " isn't as large as it was");
  return {};
}

outcome walker::walk(std::uint64_t number, unsigned depth,
                     const key_range& range, tree& t) {
  if (give_up() || !use(number, t.name))
    return {};
  if (depth > depth_max) {
    bad(std::string{t.name} + " is too deep");
    return {};
  }
  bytes page;
  if (auto done = read_page(number, page); !done)
    return done;
  const auto flags = get_le<2>(page.data() + 10);
  if (get_le<8>(page.data()) != number || (flags != branch && flags != leaf)) {
    bad(page_text(number) + " isn't a page of " + t.name);
    return {};
  }
  if (flags == branch) {
    ++t.seen.branch_pages;
  } else {
    ++t.seen.leaf_pages;
    if (t.leaf_depth == 0)
      t.leaf_depth = depth;
    if (t.leaf_depth != depth)
      bad(page_text(number) + " is on the wrong level");
  }
  return walk_nodes(number, page, flags == branch, depth, range, t);
}

/// The nodes of a page, in their order; nothing when they make no sense. They
/// fill the page from `upper` on and share no byte.
std::optional<std::vector<node>> walker::parse_nodes(const_bytes page,
                                                     bool is_branch) {
  const auto lower = static_cast<std::size_t>(get_le<2>(page.data() + 12));
  const auto upper = static_cast<std::size_t>(get_le<2>(page.data() + 14));
  if (lower < header_bytes || lower % 2 != 0 || lower > upper
      || upper > page.size())
    return std::nullopt;
  const auto count = (lower - header_bytes) / 2;
  if (count < (is_branch ? 2U : 1U))
    return std::nullopt;
  std::vector<node> nodes;
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (std::size_t i = 0; i < count; ++i) {
    const auto at =
        static_cast<std::size_t>(get_le<2>(page.data() + header_bytes + 2 * i));
    if (at < upper || at % 2 != 0 || at + node_head > page.size())
      return std::nullopt;
    const auto all = page.from(at);
    const auto key_size = static_cast<std::size_t>(get_le<2>(all.data() + 6));
    if (key_size > all.size() - node_head)
      return std::nullopt;
    const auto flags = static_cast<std::uint16_t>(get_le<2>(all.data() + 4));
    auto size = node_head + key_size;
    if (!is_branch)
      size += (flags & big_data) != 0
                  ? sizeof(std::uint64_t)
                  : static_cast<std::size_t>(get_le<4>(all.data()));
    if (size > all.size())
      return std::nullopt;
    places.emplace_back(at, at + size);
    nodes.push_back({all.first(size), all.from(node_head).first(key_size),
                     flags, get_le<4>(all.data())});
  }
  std::sort(places.begin(), places.end());
  auto end = upper;
  for (const auto& [from, to] : places) {
    if (from != end)
      return std::nullopt;
    end = (to + 1) / 2 * 2;
  }
  if (end != page.size())
    return std::nullopt;
  return nodes;
}

/// The first key of a branch means: all below the second.
bool walker::in_order(const std::vector<node>& nodes, bool is_branch,
                      const key_range& range, const tree& t) {
  const auto less = [&](const_bytes a, const_bytes b) {
    if (t.integer_keys)
      return a.size() == 8 && b.size() == 8
             && get_le<8>(a.data()) < get_le<8>(b.data());
    return a < b;
  };
  const std::size_t first = is_branch ? 1 : 0;
  for (auto i = first; i < nodes.size(); ++i) {
    const auto& key = nodes[i].key;
    if ((t.integer_keys && key.size() != 8)
        || (i > first && !less(nodes[i - 1].key, key))
        || (range.low && less(key, *range.low))
        || (range.high && !less(key, *range.high)))
      return false;
  }
  return true;
}

outcome walker::walk_nodes(std::uint64_t number, const_bytes page,
                           bool is_branch, unsigned depth,
                           const key_range& range, tree& t) {
  const auto parsed = parse_nodes(page, is_branch);
  if (!parsed || !in_order(*parsed, is_branch, range, t)) {
    bad(page_text(number) + " of " + t.name
        + (parsed ? ": its keys are out of order"
                  : ": its nodes make no sense"));
    return {};
  }
  const auto& nodes = *parsed;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& n = nodes[i];
    outcome done;
    if (is_branch) {
      key_range below = range;
      if (i > 0)
        below.low = n.key;
      if (i + 1 < nodes.size())
        below.high = nodes[i + 1].key;
      const auto child = n.size | static_cast<std::uint64_t>(n.flags) << 32;
      done = walk(child, depth + 1, below, t);
    } else {
      done = leaf_node(number, n, t);
    }
    if (!done)
      return done;
  }
  return {};
}

outcome walker::leaf_node(std::uint64_t number, const node& n, tree& t) {
  ++t.seen.entries;
  const auto value = n.all.from(node_head + n.key.size());
  const bool is_main = t.name == std::string_view{"the main table"};
  if (n.flags != 0 && n.flags != big_data
      && !(is_main && n.flags == sub_data)) {
    bad(page_text(number) + " of " + t.name + ": a node of unknown kind");
    return {};
  }
  bytes whole;
  if (n.flags == big_data) {
    if (auto done = big_value(get_le<8>(value.data()), n.size, t, whole); !done)
      return done;
  }
  if (t.integer_keys) {
    free_pages(n.key, n.flags == big_data ? const_bytes{whole} : value);
  } else if (is_main) {
    if (n.flags != sub_data || value.size() != db_bytes)
      bad("the main table names something that is no table");
    else
      below_.emplace_back("table " + to_text(n.key), decode_db(value.data()));
  }
  return {};
}

/// A value with pages of its own; read only from the free list.
outcome walker::big_value(std::uint64_t at, std::uint64_t size, tree& t,
                          bytes& out) {
  const auto pages = (header_bytes - 1 + size) / page_bytes_ + 1;
  for (std::uint64_t i = 0; i < pages; ++i)
    if (!use(at + i, t.name))
      return {};
  t.seen.overflow_pages += pages;
  bytes page;
  if (auto done = read_page(at, page); !done)
    return done;
  if (get_le<8>(page.data()) != at || get_le<2>(page.data() + 10) != overflow
      || get_le<4>(page.data() + 12) != pages) {
    bad(page_text(at) + " isn't a large value of " + t.name);
    return {};
  }
  if (!t.integer_keys)
    return {};
  out.resize(static_cast<std::size_t>(size));
  auto got =
      data_.read(at * page_bytes_ + header_bytes, out.data(), out.size());
  if (!got)
    return failure{got.error()};
  out.resize(*got);
  return {};
}

/// Pages that a transaction freed: their count, then the numbers, falling.
void walker::free_pages(const_bytes key, const_bytes list) {
  const auto wrong = [&] { bad("a list of free pages makes no sense"); };
  if (list.size() < 8 || get_le<8>(key.data()) > newest_.transaction)
    return wrong();
  const auto count = get_le<8>(list.data());
  if (count > list.size() / 8 - 1)
    return wrong();
  auto before = no_page;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const auto number = get_le<8>(list.data() + 8 * i);
    if (number >= before || number < 2 || number >= free_.size())
      return wrong();
    if (free_[number])
      bad(page_text(number) + " is free twice");
    free_[number] = true;
    before = number;
  }
}

void walker::account() {
  if (!out_.bad.empty())
    return;
  for (std::size_t n = 0; n < used_.size(); ++n)
    if (used_[n] == free_[n])
      bad(page_text(n) + (used_[n] ? " is in use and free" : " is lost"));
}

} // namespace

result<page_report, store_error>
walk_pages(file& data, const std::function<void(std::uint64_t)>& tick) {
  page_report out;
  walker w{data, out, tick};
  if (auto done = w.run(); !done)
    return failure{done.error()};
  return out;
}

} // namespace banyan::store::detail
