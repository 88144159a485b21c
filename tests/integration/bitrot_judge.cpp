#include "tests/integration/bitrot_judge.hpp"

#include "base/codec.hpp"
#include "crypto/hash.hpp"
#include "store/detail/lmdb_pages.hpp"
#include "store/detail/lmdb_store.hpp"
#include "store/detail/log_engine.hpp"
#include "store/detail/memory_files.hpp"
#include "store/verify.hpp"
#include "tests/integration/damage.hpp"
#include "tests/support/process.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace banyan::test {
namespace {

namespace fs = std::filesystem;
using namespace store;
using namespace store::detail;

constexpr std::size_t page_bytes = 4096;
/// As `check_in_child` gives a peer's own child: then it counts as bad.
constexpr duration judge_limit = std::chrono::seconds{60};

/// Up to the last byte that isn't zero, in whole sectors.
bytes live_part(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in)
    throw std::runtime_error{"no file " + file.string()};
  bytes out;
  bytes piece(std::size_t{1} << 20);
  std::size_t live = 0;
  for (std::size_t at = 0;; at += piece.size()) {
    in.read(reinterpret_cast<char*>(piece.data()),
            static_cast<std::streamsize>(piece.size()));
    const auto got = static_cast<std::size_t>(in.gcount());
    for (std::size_t n = got; n > 0; --n)
      if (piece[n - 1] != 0) {
        live = at + n;
        break;
      }
    out.insert(out.end(), piece.begin(),
               piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < piece.size() || at + got >= live + (std::size_t{4} << 20))
      break; // 4 MiB of zeros: preallocated
  }
  out.resize(std::min(out.size(),
                      (live + sector_bytes - 1) / sector_bytes * sector_bytes));
  return out;
}

void put(memory_files& files, const std::string& path, const bytes& content) {
  auto f = files.open(path, true);
  if (!f.ok() || !(*f)->write(0, content).ok() || !(*f)->sync().ok())
    throw std::runtime_error{"can't copy " + path};
}

bytes content_of(const std::vector<recovered_log>& logs) {
  bytes out;
  writer w{out};
  for (const auto& l : logs) {
    w.id(l.group.app).uint(l.group.shard).id(l.replica).id(l.hard.term);
    w.boolean(l.hard.vote.has_value());
    if (l.hard.vote)
      w.id(l.hard.vote->node).id(l.hard.vote->replica);
    w.id(l.base.index).id(l.base.term).id(l.base.hash).id(l.end_hash);
    w.array(l.entries.size());
    for (const auto& e : l.entries)
      w.id(e.term).id(e.index).blob(e.data.view());
  }
  return out;
}

} // namespace

stopped_store::stopped_store(const fs::path& data, const fs::path& scratch)
    : scratch_{scratch}, log_{std::make_unique<memory_files>()} {
  if (!log_->make_folder("log").ok())
    throw std::runtime_error{"no folder in memory"};
  for (const auto& e : fs::directory_iterator{data / "log"}) {
    const auto name = e.path().filename().string();
    if (name == "reserve")
      continue; // nothing in it
    auto live = live_part(e.path());
    put(*log_, "log/" + name, live);
    if (e.path().extension() == ".seg" && !live.empty()) {
      segments_.push_back({"log/" + name, live.size()});
      log_live_ += live.size();
    }
  }
  const auto kept = log_->copy();
  log_right_ = log_content(*kept, log_damaged_);
  fs::remove_all(scratch_);
  fs::create_directories(scratch_);
  const auto file = data / "state" / "data.mdb";
  if (!fs::exists(file))
    return;
  for (const auto& e : fs::directory_iterator{data / "state"})
    if (e.is_regular_file() && e.path().filename() != "lock.mdb")
      beside_[e.path().filename().string()] = victim_file{e.path()}.content();
  state_ = std::move(beside_["data.mdb"]);
  beside_.erase("data.mdb");
  write_state();
  const auto files = system_files(scratch_.string());
  auto opened = files->open("data.mdb", false);
  if (!opened.ok() || *opened == nullptr)
    throw std::runtime_error{"no copy of the state"};
  const auto walked = walk_pages(**opened, {});
  if (!walked.ok() || walked->page_bytes != page_bytes)
    throw std::runtime_error{"no state in " + file.string()};
  for (std::size_t n = 0; n < walked->used.size(); ++n)
    if (walked->used[n] && (n + 1) * page_bytes <= state_.size())
      pages_.push_back(n);
  for (const auto at : lmdb_page::data_of(state_, ""))
    if (walked->used[at / page_bytes])
      rows_.push_back(at);
  state_right_ = state_said();
}

stopped_store::~stopped_store() = default;

std::uint64_t stopped_store::live_bytes() const {
  return log_live_ + pages_.size() * page_bytes;
}

stopped_store::flip stopped_store::log_bit(std::uint64_t random) const {
  auto at = random / 8 % log_live_;
  const auto mask = static_cast<std::uint8_t>(1U << random % 8);
  for (const auto& s : segments_) {
    if (at < s.live)
      return {s.file, at, mask};
    at -= s.live;
  }
  throw std::runtime_error{"a log without bytes"};
}

stopped_store::flip stopped_store::state_bit(std::uint64_t random) const {
  const auto at = random / 8 % (pages_.size() * page_bytes);
  return {"state/data.mdb",
          pages_[at / page_bytes] * page_bytes + at % page_bytes,
          static_cast<std::uint8_t>(1U << random % 8)};
}

stopped_store::flip stopped_store::row_bit(std::uint64_t random) const {
  if (rows_.empty())
    return state_bit(random);
  return {"state/data.mdb", rows_[random / 8 % rows_.size()],
          static_cast<std::uint8_t>(1U << random % 8)};
}

bytes stopped_store::log_content(const memory_files& files,
                                 bool& damaged) const {
  const auto copy = files.copy();
  seeded_random random{1};
  log_recovery found;
  const auto opened = log_engine::open(*copy, random, {}, found);
  damaged = !opened.ok() || found.damaged;
  for (const auto& l : found.logs)
    damaged = damaged || l.damaged;
  return content_of(found.logs);
}

void stopped_store::write_state() const {
  const auto write = [this](const std::string& name, const bytes& content) {
    std::ofstream{scratch_ / name, std::ios::binary | std::ios::trunc}.write(
        reinterpret_cast<const char*>(content.data()),
        static_cast<std::streamsize>(content.size()));
  };
  fs::remove(scratch_ / "lock.mdb");
  write("data.mdb", state_);
  for (const auto& [name, content] : beside_)
    write(name, content);
}

std::string stopped_store::state_said() const {
  const auto said = run_program(
      {"/proc/self/exe", "--judge-state", scratch_.string()}, judge_limit);
  if (said.end.code != 0 || said.out.empty())
    return "bad it crashed or hung";
  return said.out.substr(0, said.out.find('\n'));
}

verdict stopped_store::judge(const flip& f) const {
  const auto at = static_cast<std::size_t>(f.offset);
  if (f.file != "state/data.mdb") {
    const auto copy = log_->copy();
    auto& c = *copy->content(f.file);
    c[at] = static_cast<std::uint8_t>(c[at] ^ f.mask);
    bool damaged = false;
    const auto content = log_content(*copy, damaged);
    return damaged                 ? verdict::found
           : content == log_right_ ? verdict::harmless
                                   : verdict::missed;
  }
  write_state(); // whoever opened the last one may have written to it
  victim_file{scratch_ / "data.mdb"}.flip(at, f.mask);
  const auto said = state_said();
  return said.rfind("bad ", 0) == 0    ? verdict::found
         : said.rfind("rows ", 0) == 0 ? verdict::row
         : said == state_right_        ? verdict::harmless
                                       : verdict::missed;
}

std::string stopped_store::damage() const {
  std::string out;
  if (log_damaged_)
    out += "the log is damaged; ";
  if (has_state() && state_right_.rfind("whole ", 0) != 0)
    out += "the state: " + state_right_;
  return out;
}

void apply(const fs::path& data, const stopped_store::flip& f) {
  std::fstream file{data / f.file,
                    std::ios::in | std::ios::out | std::ios::binary};
  char c = 0;
  file.seekg(static_cast<std::streamoff>(f.offset));
  file.get(c);
  file.seekp(static_cast<std::streamoff>(f.offset));
  file.put(static_cast<char>(static_cast<std::uint8_t>(c) ^ f.mask));
  if (!file.flush())
    throw std::runtime_error{"can't flip a bit of " + (data / f.file).string()};
}

int judge_state(const fs::path& state) {
  const auto report = verify_state(state);
  if (!report.ok() || !report->ok()) {
    std::printf("bad %s\n", report.ok() ? report->bad.front().c_str()
                                        : report.error().message.c_str());
    return 0;
  }
  if (!report->spotless()) {
    std::printf("rows %zu\n",
                report->damaged_rows.size() + report->damaged_groups.size());
    return 0;
  }
  std::vector<recovered_state> found;
  const auto store = lmdb_store::open(state, lmdb_options{}, found);
  if (!store.ok()) {
    std::printf("bad it doesn't open\n");
    return 0;
  }
  hasher all;
  const auto add = [&all](const bytes& b) { all.update(b); };
  for (const auto& g : found) {
    bytes head;
    writer w{head};
    w.id(g.group.app).uint(g.group.shard).id(g.replica).id(g.meta.index);
    w.id(g.meta.term).id(g.meta.hash).blob(g.meta.configuration);
    w.blob(g.meta.opaque).id(g.digest).boolean(g.damaged);
    add(head);
    scan_request request;
    do {
      const auto page = (*store)->scan(g.group, request);
      if (!page.ok() || !page->damaged.empty()) {
        std::printf("bad a row that the check called whole\n");
        return 0;
      }
      for (const auto& r : page->rows) {
        bytes row;
        writer{row}.blob(r.key).id(r.index).blob(r.value.view());
        add(row);
      }
      request.from = page->next;
    } while (!request.from.empty());
  }
  std::printf("whole %s\n", to_hex(all.finish().view()).c_str());
  return 0;
}

} // namespace banyan::test
