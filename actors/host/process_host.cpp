#include "actors/host/process_host.hpp"

#include "actors/host/turn_mark.hpp"
#include "actors/host/turn_trail.hpp"
#include "base/assert.hpp"
#include "crypto/secret.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace banyan {
namespace {

/// Bytes of orders that wait for the process to read them.
constexpr std::size_t unsent_max = std::size_t{1} << 20;
constexpr auto read_first = std::chrono::milliseconds{20};
/// A module that isn't loaded by then never will be.
constexpr duration load_time_max = std::chrono::seconds{10};
/// Between two looks at a turn that takes long. A process that computes for
/// half of it between them gives way to all others from then on: peers, and the
/// hosts of other apps.
constexpr duration heavy_look = std::chrono::milliseconds{10};
constexpr int heavy_niceness = 10;

} // namespace

/// The page with the `turn_mark` that the process keeps.
class process_host::running_mark {
public:
  static std::unique_ptr<running_mark> make() {
    const int fd = ::memfd_create("banyan-turn", MFD_CLOEXEC);
    if (fd < 0)
      return nullptr;
    void* page = MAP_FAILED;
    if (::ftruncate(fd, bytes_) == 0)
      page = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
      ::close(fd);
      return nullptr;
    }
    return std::unique_ptr<running_mark>{new running_mark{fd, page}};
  }
  ~running_mark() {
    ::munmap(page_, bytes_);
    ::close(fd_);
  }
  running_mark(const running_mark&) = delete;
  running_mark& operator=(const running_mark&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::uint64_t begun() const { return mark().begun.load(); }
  [[nodiscard]] bool between_turns() const {
    return mark().ended.load() == mark().begun.load();
  }

private:
  static constexpr std::size_t bytes_ = sizeof(turn_mark);
  [[nodiscard]] const turn_mark& mark() const {
    return *static_cast<const turn_mark*>(page_);
  }
  running_mark(int fd, void* page) : fd_{fd}, page_{page} {}
  int fd_;
  void* page_;
};

process_host::process_host(host_options options, host_handlers handlers,
                           io::asio_loop& l, io::child_process::program start)
    : options_{std::move(options)}, handlers_{std::move(handlers)}, loop_{l},
      program_{std::move(start)}, watch_{load_time_max, load_time_max} {
}

process_host::~process_host() {
  stop();
}

void process_host::start() {
  BANYAN_ASSERT(!life_);
  begin();
}

void process_host::begin() {
  life_ = std::make_shared<char>();
  watch_ = {load_time_max, load_time_max};
  gave_way_ = false;
  progressed();
  mark_ = running_mark::make();
  if (mark_ == nullptr)
    return report({host_errc::died,
                   options_.module
                       + ": no memory to share with an app host; is this "
                         "machine out of memory or descriptors?",
                   {true, std::nullopt}});
  program_.shared = mark_->fd();
  io::child_events events;
  events.on_bytes = [this](const_bytes data) { on_bytes(data); };
  events.on_line = [this](std::string_view line) {
    if (handlers_.on_line)
      handlers_.on_line(line);
  };
  events.on_end = [this](const io::child_end& how) {
    fail(host_errc::died, how.code == host_exit_memory
                              ? "reached its memory limit of "
                                    + std::to_string(options_.memory_max >> 20)
                                    + " MiB"
                              : "its process ended: " + io::to_string(how));
  };
  auto child = io::child_process::start(loop_, program_, std::move(events));
  if (!child) {
    mark_.reset();
    return report({host_errc::died,
                   options_.module + ": " + child.error().message,
                   {true, std::nullopt}});
  }
  child_ = std::move(*child);
  bytes out;
  host_open open{options_.module,
                 options_.file,
                 options_.config,
                 options_.memory_max,
                 options_.trail,
                 options_.life,
                 options_.secrets ? options_.secrets() : bytes{}};
  out.reserve(open.config.size() + open.secrets.size() + 16384); // one to wipe
  put_open(out, open);
  child_->write(out);
  wipe(out);
  wipe(open.secrets);
}

void process_host::submit(std::vector<turn_order> orders) {
  if (!child_ || orders.empty())
    return;
  if (outstanding() == 0)
    progressed();
  std::vector<turn_result> refused;
  for (auto& o : orders)
    if (auto r = refuse_turn(o))
      refused.push_back(std::move(*r));
    else
      waiting_.push_back(std::move(o));
  feed();
  if (!refused.empty())
    loop_.post(
        [this, r = std::move(refused), still = std::weak_ptr{life_}]() mutable {
          if (!still.expired() && child_)
            handlers_.on_results(std::move(r));
        },
        "host");
}

/// Orders wait here, where they share their state with others, and not as bytes
/// for a process that has yet to read those before.
void process_host::feed() {
  bytes out;
  while (!waiting_.empty() && child_->unsent() + out.size() < unsent_max) {
    const auto& o = waiting_.front();
    const auto number = first_ + claims_.size();
    bytes request;
    if (!options_.trail.empty() && !o.request.empty())
      request = trail_request(o.key.group, o.request);
    put_run(out, {number, request, encode_turn(o)});
    claims_.push_back(claim_of(o));
    waiting_.pop_front();
  }
  if (!out.empty())
    child_->write(out);
}

void process_host::progressed() {
  watch_.progressed(loop_.now());
  last_chance_ = never;
  look_at_ = gave_way_ ? never : loop_.now() + heavy_look;
  looked_.reset();
}

/// By the processor time that it used, and not by the clock: on a machine that
/// is overloaded a short turn may take long, and is not to blame.
void process_host::look_how_heavy(time_point now) {
  const auto used = child_->cpu_time();
  if (looked_ && used - *looked_ >= heavy_look / 2) {
    child_->give_way(heavy_niceness);
    gave_way_ = true;
    look_at_ = never;
    return;
  }
  if (!looked_)
    looked_ = used;
  look_at_ = now + heavy_look;
}

void process_host::on_bytes(const_bytes data) {
  std::vector<turn_result> results;
  frames_.add(data);
  while (auto f = frames_.next())
    if (!take(*f, results))
      return;
  if (frames_.broken())
    return fail(host_errc::died, "its process wrote rubbish on its stream");
  if (results.empty())
    return;
  progressed();
  feed();
  handlers_.on_results(std::move(results));
}

/// False: this life is over.
bool process_host::take(const host_frames::frame& f,
                        std::vector<turn_result>& results) {
  if (f.kind == host_frame_kind::ready && !ready_) {
    module_info info;
    if (read_ready(f.body, info) && info.app == options_.module) {
      ready_ = true;
      watch_ = {options_.turn_time_slow, options_.turn_time_max};
      progressed();
      const auto life = std::weak_ptr{life_};
      handlers_.on_ready(info);
      return !life.expired();
    }
  } else if (f.kind == host_frame_kind::failed && !ready_) {
    host_failed why;
    if (read_failed(f.body, why)) {
      why.died_of.known = true; // it ran none of them
      end_life();
      handlers_.on_failed(why);
      return false;
    }
  } else if (f.kind == host_frame_kind::ran && ready_) {
    raw_turn raw;
    if (read_ran(f.body, raw) && !claims_.empty() && raw.number == first_) {
      results.push_back(judge_turn(claims_.front(), raw));
      claims_.pop_front();
      ++first_;
      return true;
    }
  }
  fail(host_errc::died,
       "its process answered what nobody asked, or wrote rubbish");
  return false;
}

std::optional<turn_key> process_host::newest_begun() const {
  const auto number = mark_ ? mark_->begun() : 0;
  if (number < first_ || number - first_ >= claims_.size())
    return std::nullopt; // none, or it was answered
  return claims_[number - first_].key;
}

std::optional<turn_key> process_host::running() const {
  return mark_ && !mark_->between_turns() ? newest_begun() : std::nullopt;
}

void process_host::fail(host_errc why, std::string message) {
  host_failed failed{why, options_.module + ": " + std::move(message), {}};
  // Between turns the last one is to blame, as long as its answer is not here:
  // what it left behind (a thread, a broken heap) may have done it.
  failed.died_of = {mark_ != nullptr, newest_begun()};
  end_life();
  handlers_.on_failed(failed);
}

void process_host::end_life() {
  child_.reset();
  mark_.reset();
  frames_ = host_frames{host_limits::result_bytes_max};
  first_ += claims_.size();
  claims_.clear();
  waiting_.clear();
  seen_mark_ = 0;
  ready_ = false;
}

void process_host::restart() {
  end_life();
  begin();
}

void process_host::stop() {
  end_life();
  life_.reset();
}

time_point process_host::deadline() const {
  const bool waiting = child_ && (outstanding() > 0 || !ready_);
  if (!waiting)
    return never;
  return std::min(look_at_,
                  last_chance_ != never ? last_chance_ : watch_.deadline());
}

void process_host::on_time(time_point now) {
  if (now < deadline())
    return;
  if (const auto at = mark_->begun(); at != seen_mark_) {
    seen_mark_ = at; // it runs turns whose results are still to be written
    progressed();
    return;
  }
  if (now >= look_at_)
    look_how_heavy(now);
  if (last_chance_ != never && now < last_chance_)
    return;
  switch (watch_.judge(now)) {
  case turn_watch::verdict::fine:
    return;
  case turn_watch::verdict::slow:
    if (handlers_.on_slow)
      handlers_.on_slow(running(), options_.turn_time_slow);
    return;
  case turn_watch::verdict::hung:
    break;
  }
  // If it was this process that stood still, its answer is there to be read.
  if (last_chance_ == never) {
    last_chance_ = now + read_first;
    return;
  }
  fail(host_errc::hung,
       ready_ ? "a turn ran longer than "
                    + std::to_string(options_.turn_time_max
                                     / std::chrono::milliseconds{1})
                    + " ms"
              : "loading the module takes too long");
}

void process_host::report(host_failed why) {
  loop_.post(
      [this, why = std::move(why), still = std::weak_ptr{life_}] {
        if (!still.expired())
          handlers_.on_failed(why);
      },
      "host");
}

} // namespace banyan
