// A backup's frames: read in pieces, never more held than a frame and a piece,
// and what is read to its end is written again as it was.
#include "actors/pure/backup/file.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  backup::file_reader reader;
  backup::file_writer writer;
  bytes again;
  auto rest = in;
  while (!rest.empty() && !reader.bad()) {
    const auto n = std::min<std::size_t>(rest.size(), 37);
    reader.add(rest.first(n));
    rest = rest.from(n);
    while (const auto f = reader.next())
      if (!std::holds_alternative<backup::end>(*f))
        append(again, writer.put(*f));
  }
  if (!reader.finish()) {
    BANYAN_ASSERT(reader.bad() && reader.bad()->offset <= in.size());
    return;
  }
  append(again, writer.finish());
  BANYAN_ASSERT(const_bytes{again} == in);
}

std::vector<bytes> seeds() {
  backup::file_writer w;
  backup::header h;
  h.mesh_name = "orchard";
  h.app = "ledger";
  h.shards = 1;
  bytes whole = w.put(h);
  append(whole, w.put(backup::stream_begin{}));
  append(whole, w.put(backup::part{0, 0, to_bytes("sealed")}));
  const auto cut = whole;
  append(whole, w.finish());
  backup::file_writer other;
  auto failed = other.put(h);
  append(failed, other.put(backup::given_up{"no replica"}));
  return {whole, cut, failed};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(backup_file)
