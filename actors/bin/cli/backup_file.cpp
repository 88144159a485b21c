#include "actors/bin/cli/backup_file.hpp"

#include "crypto/sealed_stream.hpp"

namespace banyan::cli {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

} // namespace

backup_file::backup_file(std::filesystem::path file)
    : path_{std::move(file)}, in_{path_, std::ios::binary} {
}

problem backup_file::fault(std::uint64_t offset, const std::string& why) const {
  return {exit_code::failed, path_.string() + ": byte " + std::to_string(offset)
                                 + ": " + printable(why)};
}

result<backup_file, problem>
backup_file::open(const std::filesystem::path& file) {
  backup_file f{file};
  if (!f.in_)
    return failure{problem{exit_code::usage,
                           file.string()
                               + ": can't be read; give the file that `banyan "
                                 "backup APP > FILE` made"}};
  backup::file_reader reader;
  bytes piece(piece_bytes);
  while (f.in_) {
    f.in_.read(reinterpret_cast<char*>(piece.data()),
               static_cast<std::streamsize>(piece.size()));
    const auto got = static_cast<std::size_t>(f.in_.gcount());
    f.size_ += got;
    reader.add(const_bytes{piece}.first(got));
    while (auto frame = reader.next()) {
      const auto at = reader.offset();
      const auto why = f.note(std::move(*frame), {at, reader.payload_size()});
      if (!why.empty())
        return failure{f.fault(at, why)};
    }
    if (reader.bad())
      break;
  }
  if (!reader.finish())
    return failure{f.fault(reader.bad()->offset, reader.bad()->message)};
  f.frames_ = reader.frames();
  for (std::size_t s = 0; s < f.shards_.size(); ++s)
    if (!f.shards_[s].begun || f.shards_[s].parts.empty())
      return failure{
          f.fault(f.size_, "shard " + std::to_string(s) + " is not in it")};
  f.in_.clear();
  return f;
}

std::string backup_file::note(backup::frame f, place at) {
  if (auto* h = std::get_if<backup::header>(&f)) {
    header_ = std::move(*h);
    shards_.resize(header_.shards);
    return check_papers();
  }
  if (const auto* b = std::get_if<backup::stream_begin>(&f)) {
    if (b->shard >= shards_.size())
      return "a shard that the app doesn't have";
    auto& s = shards_[b->shard];
    if (s.begun && b->attempt <= s.begin.attempt)
      return "a shard's copy begins twice";
    s.begin = *b;
    s.begun = true;
    s.parts.clear();
  } else if (const auto* p = std::get_if<backup::part>(&f)) {
    if (p->shard >= shards_.size() || !shards_[p->shard].begun
        || shards_[p->shard].begin.attempt != p->attempt)
      return "a part of a copy that has not begun";
    shards_[p->shard].parts.push_back(at);
  }
  return {};
}

std::string backup_file::check_papers() {
  app_papers p;
  if (!app_papers::decode(header_.papers, p))
    return "the app's documents in it make no sense";
  auto opened = open_papers(p, header_.mesh, {p.genesis.signer});
  if (!opened.ok())
    return "the app's documents in it are not signed as they should be";
  app_ = std::move(*opened);
  if (app_.id != header_.id || app_.genesis.name != header_.app
      || app_.genesis.shards() != header_.shards)
    return "its header and the documents in it are of two apps";
  return {};
}

result<std::unique_ptr<backup::shard_image>, problem>
backup_file::load(const owner_file& owner, std::uint32_t shard,
                  std::optional<log_index> up_to) {
  const auto& s = shards_[shard];
  const auto where = "shard " + std::to_string(shard);
  const auto context =
      backup::stream_context(header_.id, shard, header_.number);
  secret_bytes<32> key;
  if (!open_secret(owner.key, context, s.begin.key, key))
    return failure{problem{exit_code::failed,
                           path_.string() + ": " + where
                               + ": its key can't be opened: it was made for "
                                 "another owner, app or backup"}};
  stream_opener opener{std::move(key), context};
  auto image =
      std::make_unique<backup::shard_image>(group_id{header_.id, shard}, up_to);
  for (const auto& at : s.parts) {
    bytes payload(at.size);
    in_.clear();
    in_.seekg(
        static_cast<std::streamoff>(at.offset + backup::frame_head_bytes));
    in_.read(reinterpret_cast<char*>(payload.data()),
             static_cast<std::streamsize>(payload.size()));
    backup::part p;
    bytes plain;
    std::string why;
    if (!in_ || !backup::decode(payload, p))
      why = "the file changed while it was read";
    else if (!opener.open(p.sealed, plain))
      why = "is not what was sealed there: changed, put elsewhere, or of "
            "another app";
    else
      why = image->add(plain);
    if (!why.empty())
      return failure{fault(at.offset, where + ", part "
                                          + std::to_string(opener.parts())
                                          + ": " + why)};
  }
  if (!opener.ended())
    return failure{fault(size_, where + ": its last part is missing")};
  if (const auto why = image->finish(); !why.empty())
    return failure{fault(s.parts.back().offset, where + ": " + why)};
  return image;
}

result<owner_file, problem> owner_of(const backup_file& file,
                                     const std::string& owner) {
  const auto& h = file.header();
  if (owner.empty() && h.mesh_name == local_mesh_name)
    return owner_file::local();
  if (owner.empty())
    return failure{
        problem{exit_code::usage, "this backup is sealed for its owner: give "
                                  "--owner NAME.owner of mesh '"
                                      + printable(h.mesh_name) + "'"}};
  auto opened = owner_file::load(owner);
  if (!opened.ok())
    return failure{problem{exit_code::usage, opened.error().message}};
  if (opened->key.owner() != file.app().genesis.owner)
    return failure{problem{
        exit_code::usage, owner + ": this backup is of app '" + printable(h.app)
                              + "' and sealed for owner "
                              + short_string(file.app().genesis.owner)
                              + ", not for " + short_string(opened->key.owner())
                              + "; use that owner's file"}};
  return std::move(*opened);
}

result<backup_contents, problem>
inspect(backup_file& file, const owner_file& owner,
        const std::function<void(std::uint32_t shard)>& progress) {
  backup_contents c;
  for (std::uint32_t s = 0; s < file.header().shards; ++s) {
    progress(s);
    const auto image = file.load(owner, s);
    if (!image.ok())
      return failure{image.error()};
    const auto& i = **image;
    c.shards.push_back({i.meta().term, i.meta().index, i.actors(),
                        i.rows().size(), i.size(), i.digest()});
    c.marks.push_back(i.marks());
  }
  c.cut = backup::consistent_cut(c.marks);
  return c;
}

} // namespace banyan::cli
