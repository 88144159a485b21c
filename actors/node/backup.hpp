#pragma once
#include "actors/docs/app_documents.hpp"
#include "actors/node/messages.hpp"
#include "actors/pure/backup/file.hpp"
#include "crypto/sealed_stream.hpp"

#include <list>
#include <map>
#include <memory>
#include <vector>

namespace banyan::actors {

class node_context;

/// The shell of backups on one node; the supervisor's.
///
/// Two halves. A *source* serves the copy of one replica here to whoever puts a
/// backup together, part by part as it is asked for, sealed to the app's owner:
/// so any member may ask. A *job* puts one file together for one reader: it
/// asks for the rows of one shard after the other, then for the entries of each
/// (so that one cut goes through all shards: `backup::consistent_cut`), and
/// asks for no more while its reader lags. A shard whose source fails while its
/// rows are copied is begun anew at another; later the whole is given up, and
/// the file says so. Nothing is written anywhere, nothing is stopped.
class backup_service {
public:
  static constexpr std::size_t jobs_max = 2;
  static constexpr std::size_t sources_max = 64;

  explicit backup_service(node_context& ctx);

  /// `to->refuse` with `overloaded` (too many at once), `no_quorum` (a shard
  /// has no replica that could be read).
  void begin(const app_record& app, std::shared_ptr<download> to);
  /// `app`: null when it isn't known here.
  void on_wanted(const node_id& from, const backup_wanted& w,
                 const app_record* app);
  void on_given(const node_id& from, backup_given& g);
  void on_copy(copy_in& m);
  void on_tick(time_point now);

private:
  using step = backup_wanted::step;

  struct source {
    group_id group;
    std::uint64_t copy = 0; ///< the replica's token
    std::optional<stream_sealer> sealer;
    std::uint64_t number = 0;         ///< of the next part
    std::optional<step> asked;        ///< the replica, now
    std::optional<backup_given> last; ///< the part before, for asking again
    time_point heard;
  };
  using source_key = std::pair<node_id, std::uint64_t>;

  struct shard_job {
    std::vector<node_id> sources; ///< to be asked, the best first
    std::size_t at = 0;           ///< of `sources`
    std::uint32_t attempt = 0;
    std::uint64_t token = 0;
    std::uint64_t number = 0; ///< of the part asked for
  };
  struct job {
    app_record app;
    std::shared_ptr<download> to;
    backup::file_writer file;
    std::array<std::uint8_t, 16> number{};
    std::vector<shard_job> shards;
    std::uint32_t shard = 0; ///< which one is being asked
    step what = step::begin;
    bool begun = false;             ///< something was written
    bool asked = false;             ///< and not answered
    time_point since{};             ///< it was asked for this part
    time_point asked_at{};          ///< the last time
    time_point ask_at{};            ///< not before, if it isn't asked
    time_point waits_since = never; ///< the source says "not yet"
    std::string last_error;         ///< of a source
  };

  // ---- sources (backup_sources.cpp)
  void answer(const node_id& to, backup_given g);
  void open_source(const node_id& from, const backup_wanted& w,
                   const app_record& app);
  void end_source(std::map<source_key, source>::iterator at);

  // ---- jobs (backup.cpp)
  [[nodiscard]] std::vector<node_id> sources_of(const group_id& g,
                                                const app_record& app) const;
  void pump(job& j, time_point now);
  void ask(job& j, time_point now);
  void take(job& j, backup_given& g, time_point now);
  void source_failed(job& j, const std::string& why, time_point now);
  void give_up(job& j, const std::string& why);
  void write_header(job& j);
  void end_shard(job& j, shard_job& s);
  void close(job& j);
  void sweep();

  node_context& ctx_;
  std::map<source_key, source> sources_;
  std::map<std::uint64_t, source_key> copies_; ///< by the replicas' tokens
  std::uint64_t next_copy_ = 0;
  std::list<std::unique_ptr<job>> jobs_; ///< null: over
};

} // namespace banyan::actors
