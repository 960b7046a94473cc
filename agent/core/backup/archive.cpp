#include "agent/core/backup/archive.hpp"

#include <cerrno>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include "agent/core/store/posix_file.hpp"

namespace nett {

namespace {

constexpr int kBlockSize = 256 * 1024;  // of what the sink gets: well under a gRPC message

struct EntryDeleter {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

}  // namespace

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::make(ByteSink sink, Compression compression, SystemTime time) {
    std::unique_ptr<ArchiveWriter> writer(new ArchiveWriter(std::move(sink), time));
    writer->archive_ = archive_write_new();
    if (writer->archive_ == nullptr) return fail(Code::kResourceExhausted, "no memory for an archive");
    auto* const archive = writer->archive_;
    archive_write_set_format_pax_restricted(archive);
    if (compression == Compression::kGzip) archive_write_add_filter_gzip(archive);
    archive_write_set_bytes_per_block(archive, kBlockSize);
    archive_write_set_bytes_in_last_block(archive, 1);
    NETT_TRY(writer->check(archive_write_open2(archive, writer.get(), nullptr, &ArchiveWriter::write, nullptr, nullptr),
                           "begin"));
    return writer;
}

ArchiveWriter::~ArchiveWriter() {
    if (archive_ == nullptr) return;
    // An archive that was not finished gets no end mark: it must not look whole.
    archive_write_fail(archive_);
    archive_write_free(archive_);
}

ssize_t ArchiveWriter::write(struct archive* archive, void* self, const void* bytes, std::size_t size) {
    auto& writer = *static_cast<ArchiveWriter*>(self);
    auto taken = writer.sink_({static_cast<const char*>(bytes), size});
    if (taken) return static_cast<ssize_t>(size);
    writer.sink_error_ = std::move(taken.error());
    archive_set_error(archive, EIO, "the archive cannot be written");
    return -1;
}

Result<void> ArchiveWriter::check(ssize_t status, const char* what) {
    if (sink_error_) return fail(*sink_error_);
    if (status >= ARCHIVE_OK) return {};
    const char* text = archive_error_string(archive_);
    return fail(Code::kInternal, "cannot {} the archive: {}", what, text == nullptr ? "unknown" : text);
}

Result<void> ArchiveWriter::add(std::string name, unsigned mode, std::string_view bytes) {
    NETT_TRY(begin({std::move(name), bytes.size(), mode}));
    return append(bytes);
}

Result<void> ArchiveWriter::begin(const ArchiveMember& member) {
    if (missing_ != 0) return fail(Code::kInternal, "a member of the archive is {} bytes short", missing_);
    const std::unique_ptr<archive_entry, EntryDeleter> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), member.name.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.size));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), member.mode);
    archive_entry_set_mtime(entry.get(), std::chrono::system_clock::to_time_t(time_), 0);
    missing_ = member.size;
    return check(archive_write_header(archive_, entry.get()), "write to");
}

Result<void> ArchiveWriter::append(std::string_view bytes) {
    if (bytes.size() > missing_) return fail(Code::kInternal, "a member of the archive is larger than announced");
    missing_ -= bytes.size();
    if (bytes.empty()) return {};
    return check(archive_write_data(archive_, bytes.data(), bytes.size()), "write to");
}

Result<void> ArchiveWriter::finish() {
    if (missing_ != 0) return fail(Code::kInternal, "a member of the archive is {} bytes short", missing_);
    auto closed = check(archive_write_close(archive_), "finish");
    archive_write_free(archive_);
    archive_ = nullptr;
    return closed;
}

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(const std::string& path) {
    // libarchive's own message would not tell a missing file from a damaged one.
    if (auto fd = open_file(path, O_RDONLY); !fd) return fail(std::move(fd.error()));
    std::unique_ptr<ArchiveReader> reader(new ArchiveReader(path));
    reader->archive_ = archive_read_new();
    if (reader->archive_ == nullptr) return fail(Code::kResourceExhausted, "no memory for an archive");
    archive_read_support_format_tar(reader->archive_);
    archive_read_support_filter_gzip(reader->archive_);
    if (archive_read_open_filename(reader->archive_, path.c_str(), kBlockSize) != ARCHIVE_OK) return reader->damaged();
    return reader;
}

ArchiveReader::~ArchiveReader() {
    if (archive_ != nullptr) archive_read_free(archive_);
}

tl::unexpected<Error> ArchiveReader::damaged() const {
    const char* text = archive_error_string(archive_);
    return fail(Error{Code::kDataLoss,
                      fmt::format("damaged, cut off, or no archive of nett ({}); take another backup",
                                  text == nullptr ? "unknown" : text),
                      path_});
}

Result<std::optional<ArchiveMember>> ArchiveReader::next() {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(archive_, &entry);
    if (status == ARCHIVE_EOF) return std::nullopt;
    if (status != ARCHIVE_OK) return damaged();
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr || archive_entry_filetype(entry) != AE_IFREG) {
        return fail(Error{Code::kDataLoss, "has a member that is no regular file; nett made no such archive", path_});
    }
    return ArchiveMember{name, static_cast<std::uint64_t>(archive_entry_size(entry)),
                         static_cast<unsigned>(archive_entry_perm(entry))};
}

Result<std::string_view> ArchiveReader::read() {
    buffer_.resize(kBlockSize);
    const auto size = archive_read_data(archive_, buffer_.data(), buffer_.size());
    if (size < 0) return damaged();
    return std::string_view(buffer_.data(), static_cast<std::size_t>(size));
}

Result<std::string> ArchiveReader::read_all(std::size_t limit) {
    std::string out;
    for (;;) {
        auto part = read();
        if (!part) return fail(std::move(part.error()));
        if (part->empty()) return out;
        out += *part;
        if (out.size() > limit) return fail(Error{Code::kDataLoss, "has a member that is too large", path_});
    }
}

}  // namespace nett
