#pragma once
#include "actors/pure/replica/entry_codec.hpp"

#include <map>

namespace banyan::replica {

/// Streams between groups as rows say (kinds outbox, stream_out, stream_in):
/// what this group has to send, and how far it took what others sent. Never
/// expires: a message leaves only when the receiver acknowledged it.
class stream_table {
public:
  struct waiting {
    log_index index; ///< its entry: it may go once that is committed
    stream_message message;
    std::size_t size = 0;
  };
  struct out_stream {
    std::uint64_t next = 1; ///< the number of the next message
    std::uint64_t acknowledged = 0;
    log_index row_index;
    bool has_row = false;
    std::map<std::uint64_t, waiting> messages;
  };
  struct in_stream {
    std::uint64_t applied = 0;
    log_index row_index;
  };
  using source = std::pair<group_id, lineage_id>;

  void put_message(const group_id& to, waiting m);
  void erase_message(const group_id& to, std::uint64_t number);
  void put_out(const group_id& to, std::uint64_t next,
               std::uint64_t acknowledged, log_index index);
  void erase_out(const group_id& to);
  void put_in(const source& from, std::uint64_t applied, log_index index);
  void erase_in(const source& from);

  [[nodiscard]] const out_stream* out(const group_id& to) const;
  [[nodiscard]] const in_stream* in(const source& from) const;
  [[nodiscard]] const std::map<group_id, out_stream>& outs() const noexcept {
    return outs_;
  }

private:
  void drop_if_empty(const group_id& to);
  std::map<group_id, out_stream> outs_;
  std::map<source, in_stream> ins_;
};

bytes encode_out(std::uint64_t next, std::uint64_t acknowledged);
bool decode_out(const_bytes in, std::uint64_t& next,
                std::uint64_t& acknowledged);
bytes encode_in(std::uint64_t applied);
bool decode_in(const_bytes in, std::uint64_t& applied);

/// What a leader knows of its streams beyond the rows: what it has sent, what
/// was acknowledged but isn't in an entry yet, when to send again. Lost with
/// the leadership; the next leader sends again from the acknowledged number.
class stream_sender {
public:
  struct limits {
    std::size_t window = 256;
    std::size_t frame_bytes = std::size_t{256} << 10;
    duration resend_min;
    duration resend_max;
  };
  explicit stream_sender(const limits& l) : limits_{l} {}
  void reset() { streams_.clear(); }

  /// Frames to send now: committed messages inside the window, and again what
  /// was not acknowledged in time.
  void pump(const stream_table& table, log_index committed, time_point now,
            const group_id& self, const lineage_id& lineage,
            std::vector<stream_frame>& out);
  /// True when there is something new to be recorded by an entry.
  bool acknowledged(const stream_table& table, const group_id& by,
                    std::uint64_t number, time_point now);
  /// Acknowledgements that no entry holds yet.
  [[nodiscard]] std::vector<stream_ack_entry::item>
  unrecorded(const stream_table& table) const;
  [[nodiscard]] time_point deadline() const;

private:
  struct stream {
    std::uint64_t sent = 0;
    std::uint64_t acknowledged = 0;
    time_point resend_at = never;
    duration backoff{};
  };
  limits limits_;
  std::map<group_id, stream> streams_;
};

} // namespace banyan::replica
