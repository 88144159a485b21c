#pragma once
#include <banyan/detail/decode.hpp>
#include <banyan/detail/encode.hpp>
#include <banyan/detail/rows.hpp>

#include <stdexcept>
#include <type_traits>
#include <utility>

namespace banyan {

/// A field of the app's state whose entries are stored one by one, for state
/// that outgrows a page: a turn reads and writes only the rows that it touches,
/// however many there are.
///
///   struct inbox { banyan::table<std::uint64_t, mail> mails;
///                  BANYAN_FIELDS(mails); };
///
/// K is std::string (at most 900 bytes) or an integer; V anything that a field
/// may be. Rows are in key order: bytes of a string, value of an integer. A row
/// that isn't at hand ends the turn at that call, which then runs again from
/// its beginning with the row, at most 64 times: so a handler that reads many
/// unrelated rows names them first with fetch(), and one that walks uses
/// first(), from() and after(). One turn may read or write 10,000 rows.
///
/// The name of the field is part of every row's key: a table that is renamed is
/// empty. In a unit test a table is simply in memory.
template <class K, class V>
class table {
  static_assert(
      std::is_same_v<
          K,
          std::string> || (std::is_integral_v<K> && !std::is_same_v<K, bool>),
      "banyan: the key of a table is std::string or an integer");

public:
  /// Null when there is no such row. Valid until the row is set or erased.
  const V* find(const K& key) const {
    slot& s = load(key);
    return s.value ? &*s.value : nullptr;
  }
  [[nodiscard]] bool contains(const K& key) const {
    return find(key) != nullptr;
  }
  [[nodiscard]] std::optional<V> get(const K& key) const {
    return load(key).value;
  }
  /// The row to change in place; made with V's defaults when there is none.
  V& operator[](const K& key) {
    slot& s = load(key);
    s.touched = true;
    return s.value ? *s.value : s.value.emplace();
  }
  /// Writes without reading.
  void set(const K& key, V value) {
    slot& s = at(key);
    s.touched = true;
    s.value = std::move(value);
  }
  /// Erases without reading; it's fine if there is no such row.
  void erase(const K& key) {
    slot& s = at(key);
    s.touched = true;
    s.value.reset();
  }

  /// Has all these rows at hand, or ends the turn once to get them.
  void fetch(const std::vector<K>& keys) const {
    if (rows_ == nullptr)
      return;
    std::vector<std::string> wanted;
    wanted.reserve(keys.size());
    for (const auto& key : keys)
      wanted.push_back(prefix() + encoded(key));
    rows_->need(wanted);
  }

  using entries = std::vector<std::pair<K, V>>;
  /// The lowest `limit` rows in key order.
  [[nodiscard]] entries first(std::size_t limit) const {
    return list(std::string{}, limit);
  }
  /// The lowest `limit` rows with keys >= `key`.
  [[nodiscard]] entries from(const K& key, std::size_t limit) const {
    return list(encoded(key), limit);
  }
  /// The lowest `limit` rows with keys > `key`: the next page.
  [[nodiscard]] entries after(const K& key, std::size_t limit) const {
    return list(encoded(key) + '\0', limit);
  }

  /// For the runtime: where the rows are and what this table is called.
  void banyan_bind(std::string_view name, detail::row_source* rows) {
    name_ = std::string{name};
    rows_ = rows;
  }
  /// For the runtime: what the turn changed.
  void banyan_writes(std::vector<detail::row_write>& out) const {
    for (const auto& [key, s] : slots_) {
      if (!s.touched)
        continue;
      detail::row_write w{prefix() + key, std::nullopt};
      if (s.value)
        w.value = detail::encode(*s.value, detail::encode_mode::stored, name_);
      if (!s.is_read || w.value != s.original)
        out.push_back(std::move(w));
    }
  }

private:
  static constexpr std::uint32_t page_max = 1000;

  struct slot {
    K key{};
    std::optional<V> value;
    std::optional<detail::buffer> original; ///< as stored, if `is_read`
    bool is_read = false;
    bool touched = false;
  };

  [[nodiscard]] std::string prefix() const { return name_ + '\0'; }

  /// Compares as bytes as the keys do.
  static std::string encoded(const K& key) {
    if constexpr (std::is_same_v<K, std::string>) {
      if (key.size() > 900)
        throw std::length_error{"a table's key is at most 900 bytes"};
      return key;
    } else {
      auto v = static_cast<std::uint64_t>(key);
      if constexpr (std::is_signed_v<K>)
        v ^= std::uint64_t{1} << 63;
      std::string out(8, '\0');
      for (unsigned i = 0; i < 8; ++i)
        out[7 - i] = static_cast<char>(v >> (8 * i) & 0xff);
      return out;
    }
  }
  static K decoded(std::string_view key) {
    if constexpr (std::is_same_v<K, std::string>) {
      return std::string{key};
    } else {
      std::uint64_t v = 0;
      for (const char c : key)
        v = v << 8 | static_cast<std::uint8_t>(c);
      if constexpr (std::is_signed_v<K>)
        v ^= std::uint64_t{1} << 63;
      return static_cast<K>(v);
    }
  }

  slot& at(const K& key) const {
    auto [where, is_new] = slots_.try_emplace(encoded(key));
    if (is_new)
      where->second.key = key;
    return where->second;
  }
  slot& load(const K& key) const {
    slot& s = at(key);
    if (!s.is_read && !s.touched && rows_ != nullptr)
      fill(s, rows_->get(prefix() + encoded(key)));
    return s;
  }
  void fill(slot& s, std::optional<detail::view> stored) const {
    s.is_read = true;
    if (!stored)
      return;
    detail::decoder d{*stored, detail::decode_mode::stored};
    if (!d.whole(s.value.emplace()))
      throw std::runtime_error{d.why("state." + name_)};
    s.original.emplace(stored->data, stored->data + stored->size);
  }

  [[nodiscard]] entries list(std::string start, std::size_t limit) const {
    entries out;
    const std::string end = name_ + '\1';
    std::string cursor = prefix() + start;
    while (out.size() < limit && cursor < end) {
      std::string known = end;
      if (rows_ != nullptr)
        known = rows_->each(cursor, end, page(limit - out.size()),
                            [&](const std::string& key, detail::view value) {
                              const K k = decoded(std::string_view{key}.substr(
                                  name_.size() + 1));
                              slot& s = at(k);
                              if (!s.is_read && !s.touched)
                                fill(s, value);
                            });
      const std::size_t skip = name_.size() + 1;
      for (auto s = slots_.lower_bound(cursor.substr(skip));
           s != slots_.end() && out.size() < limit; ++s) {
        if (prefix() + s->first >= known)
          break;
        if (s->second.value)
          out.emplace_back(s->second.key, *s->second.value);
      }
      cursor = known;
    }
    return out;
  }
  /// Rows erased in this turn are still in the store: ask for more than those.
  [[nodiscard]] std::uint32_t page(std::size_t wanted) const {
    std::size_t erased = 0;
    for (const auto& [key, s] : slots_)
      erased += s.touched && !s.value ? 1 : 0;
    return static_cast<std::uint32_t>(
        std::min<std::size_t>(wanted + erased, page_max));
  }

  std::string name_;
  detail::row_source* rows_ = nullptr;
  mutable std::map<std::string, slot> slots_;
};

} // namespace banyan
