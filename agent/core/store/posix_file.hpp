// A few POSIX file operations with Result, for what must survive a power cut.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

#include "agent/sdk/result.hpp"
#include "agent/sdk/unique_fd.hpp"

namespace nett {

// An Error of errno's class and text: ENOENT kNotFound, EACCES, EPERM and EROFS kPermissionDenied, ENOSPC and EDQUOT
// kResourceExhausted, else kInternal. `context` is the path.
Error errno_error(int number, std::string_view what, std::string context);

// open(2) with O_CLOEXEC.
Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0);
// All of `bytes`, or an error.
Result<void> write_all(int fd, std::string_view bytes, const std::string& path);
Result<void> sync_file(int fd, const std::string& path);
// Makes a rename, link or unlink in the directory durable.
Result<void> sync_directory(const std::string& path);
// "/var/lib/nett" of "/var/lib/nett/state.db"; "." when there is no slash.
std::string directory_of(const std::string& path);

}  // namespace nett
