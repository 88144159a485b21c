#include "actors/pure/backup/entries.hpp"

#include <algorithm>

namespace banyan::backup {
namespace {

constexpr std::size_t entry_bytes = std::size_t{256} << 10;
constexpr std::size_t entry_rows = 1000;
/// No index of the new group's log is as high: its own unnamed timers never
/// meet one that was restored.
constexpr std::uint8_t restored_timer = 0x80;

class maker {
public:
  maker(const std::function<bool(const bytes&)>& put, std::string actor)
      : put_{put} {
    turn_.actor = std::move(actor);
  }
  replica::turn_entry& turn(const std::string& actor) {
    if (actor != turn_.actor || size_ > entry_bytes || count_ >= entry_rows)
      flush();
    turn_.actor = actor;
    return turn_;
  }
  void added(std::size_t size) {
    size_ += size;
    ++count_;
  }
  bool flush() {
    const auto actor = turn_.actor;
    if (count_ > 0)
      ok_ = ok_ && put_(replica::encode(replica::entry{{}, std::move(turn_)}));
    turn_ = {};
    turn_.actor = actor;
    size_ = count_ = 0;
    return ok_;
  }
  bool ok() const { return ok_; }

private:
  const std::function<bool(const bytes&)>& put_;
  replica::turn_entry turn_;
  std::size_t size_ = 0;
  std::size_t count_ = 0;
  bool ok_ = true;
};

} // namespace

std::string make_entries(const shard_image& image, std::uint32_t shard,
                         const std::vector<shard_marks>& marks, const cut& at,
                         const app_id& old_app, const app_id& new_app,
                         const std::string& old_name,
                         const std::string& new_name, restored_counts& counts,
                         const std::function<bool(const bytes& entry)>& put) {
  const std::string nobody = "restore";
  maker m{put, nobody};
  std::map<std::uint32_t, std::uint64_t> next; ///< numbers of messages
  const auto name_of = [&](const std::string& app) {
    return app == old_name ? new_name : app;
  };
  for (const auto& [key, row] : image.rows()) {
    if (!m.ok())
      return "it was refused";
    replica::key_reader k{key};
    switch (replica::kind_of(key)) {
    case row_kind::actor: {
      const auto actor = to_text(k.rest());
      m.flush();
      m.turn(actor).state = row.value;
      m.added(row.value.size());
      ++counts.actors;
      break;
    }
    case row_kind::table: {
      const auto actor = to_text(k.take(k.u8()));
      m.turn(actor).rows.push_back({k.rest().copy(), row.value});
      m.added(key.size() + row.value.size());
      ++counts.rows;
      break;
    }
    case row_kind::timer: {
      const auto actor = to_text(k.take(k.u8()));
      replica::timer_set t;
      t.id = k.rest().copy();
      if (!replica::decode(row.value.view(), t.value) || t.id.empty())
        return "a timer can't be read";
      if (t.id[0] == 0 && t.id.size() > 1)
        t.id[1] |= restored_timer;
      t.value.due = std::max(t.value.due - image.log_time(), duration{});
      m.turn(actor).timers.push_back(std::move(t));
      m.added(key.size() + row.value.size());
      ++counts.timers;
      break;
    }
    case row_kind::idempotency: {
      replica::idempotency_table::kept kept;
      replica::by_idempotency by;
      if (k.rest().size() != by.key.size()
          || !replica::decode_kept(row.value.view(), kept))
        return "the answer of an idempotency key can't be read";
      std::copy(k.rest().begin(), k.rest().end(), by.key.begin());
      by.body = kept.body;
      m.flush();
      auto& turn = m.turn(nobody);
      turn.by = by;
      if (!replica::decode(kept.value.view(), turn.answer))
        return "the answer of an idempotency key can't be read";
      m.added(row.value.size());
      m.flush();
      ++counts.answers;
      break;
    }
    case row_kind::outbox: {
      const auto to = k.group();
      const auto number = k.u64();
      if (to.app != old_app || to.shard >= marks.size()) {
        ++counts.messages_left;
        break;
      }
      const auto taken = taken_at(marks[to.shard], shard, at.at[to.shard]);
      if (number <= taken)
        break;
      auto& n = next[to.shard];
      stream_message message;
      reader in{row.value.view()};
      if (number != taken + n + 1 || !banyan::decode(in, message))
        return "a message to shard " + std::to_string(to.shard) + " is missing";
      message.number = ++n;
      message.from_app = name_of(message.from_app);
      message.to_app = name_of(message.to_app);
      m.turn(nobody).sends.push_back({{new_app, to.shard}, std::move(message)});
      m.added(row.value.size());
      ++counts.messages;
      break;
    }
    case row_kind::session:
      ++counts.sessions;
      break;
    case row_kind::group:
      counts.was_stopped |= key == replica::stopped_row();
      break;
    default:
      break;
    }
  }
  return m.flush() ? "" : "it was refused";
}

} // namespace banyan::backup
