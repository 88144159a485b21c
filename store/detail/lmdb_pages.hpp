#pragma once
#include "store/detail/files.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace banyan::store::detail {

/// What `walk_pages` found.
struct page_report {
  std::vector<std::string> bad; ///< empty: the structure is proved
  std::uint64_t pages = 0;
  std::uint64_t transaction = 0; ///< the newest one
  std::vector<bool> used;        ///< by page number: of the newest tree
  std::uint64_t page_bytes = 0;
};

/// Reads the page structure of an LMDB file (data format 1, as LMDB 0.9 writes
/// it on 64-bit little-endian machines) without LMDB, which trusts its pages
/// and crashes on bad ones: both meta pages; every tree from its root, with
/// page numbers, kinds, node bounds, the order of keys and the kept counts;
/// and that each page is in use once or free once, but not both. What lies in
/// the values is not looked at. `tick` is told of each page.
/// @returns `unreadable` for another data format, `io` when reading fails.
result<page_report, store_error>
walk_pages(file& data, const std::function<void(std::uint64_t pages)>& tick);

} // namespace banyan::store::detail
