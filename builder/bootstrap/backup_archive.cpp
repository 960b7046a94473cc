#include "builder/bootstrap/backup_archive.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/free_with.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/file.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kBlock = 256 * 1024;
constexpr std::size_t kMaxManifest = 16U << 20U;
constexpr std::string_view kManifest = "manifest.json";

using Reader = std::unique_ptr<archive, FreeWith<archive_read_free>>;
using Writer = std::unique_ptr<archive, FreeWith<archive_write_free>>;
using Entry = std::unique_ptr<archive_entry, FreeWith<archive_entry_free>>;

tl::unexpected<Error> damaged(archive* in, const std::string& from) {
    const char* text = archive_error_string(in);
    return fail(Error{Code::kDataLoss, text == nullptr ? "the archive is damaged" : text, from});
}

tl::unexpected<Error> not_written(archive* out, const std::string& to) {
    if (archive_errno(out) > 0) {
        errno = archive_errno(out);
        return fail(system_error(to));
    }
    const char* text = archive_error_string(out);
    return fail(Error{Code::kInternal, text == nullptr ? "cannot be written" : text, to});
}

Result<void> put(archive* out, const std::string& to, const std::string& name, unsigned mode, std::string_view bytes) {
    const Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), mode);
    if (archive_write_header(out, entry.get()) < ARCHIVE_OK) return not_written(out, to);
    if (!bytes.empty() && archive_write_data(out, bytes.data(), bytes.size()) < 0) return not_written(out, to);
    return {};
}

Result<std::string> read_manifest(archive* in, const std::string& from) {
    archive_entry* entry = nullptr;
    if (archive_read_next_header(in, &entry) != ARCHIVE_OK || archive_entry_pathname(entry) != kManifest)
        return fail(Error{Code::kDataLoss, "is no backup: its first member is not manifest.json", from});
    std::string text(kMaxManifest, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const la_ssize_t count = archive_read_data(in, text.data() + size, text.size() - size);
        if (count < 0) return damaged(in, from);
        if (count == 0) break;
        size += static_cast<std::size_t>(count);
    }
    text.resize(size);
    return text;
}

boost::json::object file_of(const BackupAddition& addition) {
    return {{"name", addition.name},         {"role", addition.role},
            {"path", addition.path},         {"sha256", sha256_hex(addition.bytes)},
            {"size", addition.bytes.size()}, {"mode", fmt::format("{:04o}", addition.mode)}};
}

bool is_replaced(const std::vector<BackupAddition>& additions, std::string_view name) {
    return std::any_of(additions.begin(), additions.end(), [&](const auto& one) { return one.name == name; });
}

// The manifest of the new archive: members that are copied, then those that are added.
Result<std::string> new_manifest(const std::string& text, const std::string& root,
                                 const std::vector<BackupAddition>& additions, const std::string& from) {
    boost::json::error_code error;
    auto value = boost::json::parse(text, error);
    auto* object = error ? nullptr : value.if_object();
    auto* files = object == nullptr || !object->contains("files") ? nullptr : object->at("files").if_array();
    if (files == nullptr) return fail(Error{Code::kDataLoss, "has no manifest that can be read", from});
    boost::json::array kept;
    for (auto& file : *files) {
        auto* one = file.if_object();
        if (one == nullptr || !(*one)["name"].is_string() || !(*one)["path"].is_string())
            return fail(Error{Code::kDataLoss, "has no manifest that can be read", from});
        if (is_replaced(additions, one->at("name").as_string())) continue;
        const std::string path(one->at("path").as_string());
        if (path.starts_with(root + "/")) one->at("path") = path.substr(root.size());
        kept.push_back(std::move(file));
    }
    for (const auto& addition : additions) kept.push_back(file_of(addition));
    object->at("files") = std::move(kept);
    return boost::json::serialize(value) + "\n";
}

Result<void> copy_members(archive* in, archive* out, const std::string& from, const std::string& to,
                          const std::vector<BackupAddition>& additions) {
    archive_entry* entry = nullptr;
    std::string block(kBlock, '\0');
    for (;;) {
        const int status = archive_read_next_header(in, &entry);
        if (status == ARCHIVE_EOF) return {};
        if (status != ARCHIVE_OK) return damaged(in, from);
        if (is_replaced(additions, archive_entry_pathname(entry))) continue;
        if (archive_write_header(out, entry) < ARCHIVE_OK) return not_written(out, to);
        for (;;) {
            const la_ssize_t count = archive_read_data(in, block.data(), block.size());
            if (count < 0) return damaged(in, from);
            if (count == 0) break;
            if (archive_write_data(out, block.data(), static_cast<std::size_t>(count)) < 0) return not_written(out, to);
        }
    }
}

}  // namespace

Result<void> extend_backup(const std::string& from, const std::string& root, const std::string& to,
                           const std::vector<BackupAddition>& additions) {
    const Reader in(archive_read_new());
    archive_read_support_format_tar(in.get());
    if (archive_read_open_filename(in.get(), from.c_str(), kBlock) != ARCHIVE_OK) return damaged(in.get(), from);
    const auto text = read_manifest(in.get(), from);
    if (!text) return fail(text.error());
    const auto manifest = new_manifest(*text, root, additions, from);
    if (!manifest) return fail(manifest.error());
    const Descriptor file(to, O_WRONLY | O_CREAT | O_EXCL);
    if (file.get() < 0) return fail(system_error(to));
    const Writer out(archive_write_new());
    archive_write_set_format_pax_restricted(out.get());
    if (archive_write_open_fd(out.get(), file.get()) != ARCHIVE_OK) return not_written(out.get(), to);
    NETT_TRY(put(out.get(), to, std::string(kManifest), kPrivateMode, *manifest));
    NETT_TRY(copy_members(in.get(), out.get(), from, to, additions));
    for (const auto& addition : additions) NETT_TRY(put(out.get(), to, addition.name, addition.mode, addition.bytes));
    if (archive_write_close(out.get()) != ARCHIVE_OK) return not_written(out.get(), to);
    return {};
}

}  // namespace nett::builder
