#include "actors/pure/replica/overlay.hpp"

namespace banyan::replica {

// ---- row_cache --------------------------------------------------------------

const row_version* row_cache::find(const_bytes key) {
  const auto it = by_key_.find(as_text(key));
  if (it == by_key_.end())
    return nullptr;
  items_.splice(items_.begin(), items_, it->second);
  return &it->second->version;
}

void row_cache::put(const_bytes key, row_version v) {
  if (const auto it = by_key_.find(as_text(key)); it != by_key_.end()) {
    auto& i = *it->second;
    bytes_ -= cost(i);
    i.version = std::move(v);
    bytes_ += cost(i);
    items_.splice(items_.begin(), items_, it->second);
  } else {
    items_.push_front({to_text(key), std::move(v)});
    by_key_.emplace(items_.front().key, items_.begin());
    bytes_ += cost(items_.front());
  }
  while (bytes_ > bytes_max_ && items_.size() > 1) {
    by_key_.erase(items_.back().key);
    bytes_ -= cost(items_.back());
    items_.pop_back();
  }
}

void row_cache::clear() {
  by_key_.clear();
  items_.clear();
  bytes_ = 0;
}

// ---- overlay ----------------------------------------------------------------

template <class F>
void overlay::in_map(const_bytes key, F f) {
  if (kind_of(key) == row_kind::table)
    f(latest_table_);
  else
    f(latest_);
}

overlay::held* overlay::get(std::uint64_t index) {
  const auto from = first_.value();
  return index < from || index - from >= steps_.size() ? nullptr
                                                       : &steps_[index - from];
}
const overlay::held* overlay::get(std::uint64_t index) const {
  return const_cast<overlay*>(this)->get(index);
}
const overlay::step* overlay::at(log_index index) const {
  return get(index.value());
}

void overlay::reset(log_index applied) {
  latest_.clear();
  latest_table_.clear();
  touched_.clear();
  steps_.clear();
  bytes_ = 0;
  first_ = applied.next();
}

void overlay::push(step s) {
  BANYAN_ASSERT(s.index == last().next());
  const auto index = s.index.value();
  auto& h = steps_.emplace_back();
  static_cast<step&>(h) = std::move(s);
  h.links.resize(h.rows.size());
  for (std::uint32_t n = 0; n < h.rows.size(); ++n) {
    const auto& row = h.rows[n];
    bytes_ += cost_of(row);
    const auto key = as_text(row.key);
    in_map(row.key, [&](auto& map) {
      const auto it = map.find(key);
      if (it == map.end()) {
        map.emplace(key, place{index, n});
        return;
      }
      h.links[n].before = it->second;
      auto* older = get(it->second.index);
      BANYAN_ASSERT(older);
      older->links[it->second.row].superseded = index;
      // The name must not outlive the row that it borrows from.
      auto node = map.extract(it);
      node.key() = key;
      node.mapped() = {index, n};
      map.insert(std::move(node));
    });
  }
  if (!h.touched.empty())
    h.touched_before = std::exchange(touched_[h.touched], index);
}

void overlay::roll_back(log_index index, std::vector<undo_row>& out) {
  while (!steps_.empty() && last() > index) {
    auto& h = steps_.back();
    for (auto n = h.rows.size(); n-- > 0;) {
      bytes_ -= cost_of(h.rows[n]);
      const auto before = h.links[n].before;
      in_map(h.rows[n].key, [&](auto& map) {
        const auto it = map.find(as_text(h.rows[n].key));
        BANYAN_ASSERT(it != map.end());
        auto* older = before.index == 0 ? nullptr : get(before.index);
        auto node = map.extract(it);
        if (!older)
          return; // the state or the cache knows it
        older->links[before.row].superseded = 0;
        node.key() = as_text(older->rows[before.row].key);
        node.mapped() = before;
        map.insert(std::move(node));
      });
    }
    if (!h.touched.empty()) {
      if (h.touched_before != 0 && get(h.touched_before))
        touched_[h.touched] = h.touched_before;
      else
        touched_.erase(h.touched);
    }
    for (auto u = h.undo.rbegin(); u != h.undo.rend(); ++u)
      out.push_back(std::move(*u));
    steps_.pop_back();
  }
}

void overlay::committed(log_index index) {
  for (auto i = index.value(); auto* h = get(i); --i) {
    if (h->undo.empty() && i != index.value())
      break;
    h->undo.clear();
    h->undo.shrink_to_fit();
  }
}

std::vector<store::row_change> overlay::batch(log_index index) const {
  std::vector<store::row_change> out;
  for (const auto& h : steps_) {
    if (h.index > index)
      break;
    for (std::size_t n = 0; n < h.rows.size(); ++n) {
      const auto superseded = h.links[n].superseded;
      if (superseded == 0 || superseded > index.value())
        out.push_back(h.rows[n]);
    }
  }
  return out;
}

bool overlay::writes(log_index index, const_bytes key) const {
  for (const auto& h : steps_) {
    if (h.index > index)
      break;
    for (const auto& row : h.rows)
      if (const_bytes{row.key} == key)
        return true;
  }
  return false;
}

void overlay::release(log_index index, row_cache& cache) {
  while (!steps_.empty() && first_ <= index) {
    auto& h = steps_.front();
    for (std::uint32_t n = 0; n < h.rows.size(); ++n) {
      auto& row = h.rows[n];
      bytes_ -= cost_of(row);
      const auto superseded = h.links[n].superseded;
      if (superseded == 0)
        in_map(row.key, [&](auto& map) { map.erase(as_text(row.key)); });
      const auto kind = kind_of(row.key);
      if ((superseded == 0 || superseded > index.value())
          && (kind == row_kind::actor || kind == row_kind::table))
        cache.put(row.key, {row.index, row.value});
    }
    if (!h.touched.empty()) {
      const auto it = touched_.find(h.touched);
      if (it != touched_.end() && it->second == h.index.value())
        touched_.erase(it);
    }
    steps_.pop_front();
    first_ = first_.next();
  }
}

const store::row_change* overlay::find(const_bytes key) const {
  place p;
  if (kind_of(key) == row_kind::table) {
    const auto it = latest_table_.find(as_text(key));
    if (it == latest_table_.end())
      return nullptr;
    p = it->second;
  } else {
    const auto it = latest_.find(as_text(key));
    if (it == latest_.end())
      return nullptr;
    p = it->second;
  }
  const auto* h = get(p.index);
  BANYAN_ASSERT(h);
  return &h->rows[p.row];
}

log_index overlay::touched(std::string_view actor) const {
  if (touched_.empty())
    return {};
  const auto it = touched_.find(std::string{actor});
  return it == touched_.end() ? log_index{} : log_index{it->second};
}

void overlay::range(const_bytes from, const_bytes until,
                    std::vector<const store::row_change*>& out) const {
  for (auto it = latest_table_.lower_bound(as_text(from));
       it != latest_table_.end()
       && (until.empty() || it->first < as_text(until));
       ++it)
    out.push_back(&get(it->second.index)->rows[it->second.row]);
}

} // namespace banyan::replica
