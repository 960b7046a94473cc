#include "plugins/metadata/squashfs.hpp"

#include <sys/stat.h>

#include <array>
#include <cstring>
#include <vector>

#include <openssl/crypto.h>
#include <sqfs/block_processor.h>
#include <sqfs/block_writer.h>
#include <sqfs/compressor.h>
#include <sqfs/dir_writer.h>
#include <sqfs/error.h>
#include <sqfs/frag_table.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/io.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>

#include "agent/sdk/strings.hpp"

namespace nett::metadata {

namespace {

// From the root down; the file stands in the last one.
constexpr std::array<const char*, 5> kDirectories{"", "usr", "local", "etc", "talos"};
constexpr const char* kFileName = "config.yaml";
constexpr std::size_t kDeviceBlock = 4096;  // images are padded to it, as mksquashfs does
constexpr std::uint32_t kNoXattr = 0xFFFFFFFF;

struct Destroy {
    void operator()(void* object) const { sqfs_destroy(object); }
};
template <typename T>
using Owned = std::unique_ptr<T, Destroy>;
struct Free {
    void operator()(void* pointer) const { sqfs_free(pointer); }
};

// sqfs_file_t on a string.
struct MemoryFile {
    sqfs_file_t base{};  // first: libsquashfs sees only this
    std::string bytes;

    MemoryFile() {
        base.base.destroy = [](sqfs_object_t*) {};
        base.read_at = [](sqfs_file_t* file, sqfs_u64 offset, void* buffer, size_t size) {
            const auto& data = self(file)->bytes;
            if (offset > data.size() || size > data.size() - offset) return static_cast<int>(SQFS_ERROR_OUT_OF_BOUNDS);
            std::memcpy(buffer, data.data() + offset, size);
            return 0;
        };
        base.write_at = [](sqfs_file_t* file, sqfs_u64 offset, const void* buffer, size_t size) {
            auto& data = self(file)->bytes;
            if (offset + size > data.size()) data.resize(offset + size);
            std::memcpy(data.data() + offset, buffer, size);
            return 0;
        };
        base.get_size = [](const sqfs_file_t* file) {
            return static_cast<sqfs_u64>(reinterpret_cast<const MemoryFile*>(file)->bytes.size());
        };
        base.truncate = [](sqfs_file_t* file, sqfs_u64 size) {
            self(file)->bytes.resize(size);
            return 0;
        };
    }
    static MemoryFile* self(sqfs_file_t* file) { return reinterpret_cast<MemoryFile*>(file); }
};

// The order of the on-disk parts is squashfs': superblock, data, inodes, directories, fragments, ids.
class ImageWriter {
public:
    explicit ImageWriter(ImageCompression compression)
        : algorithm_(compression == ImageCompression::kZstd ? SQFS_COMP_ZSTD : SQFS_COMP_XZ) {}
    Result<std::string> write(std::string_view config) {
        if (!create()) return fail(Code::kInternal, "libsquashfs: out of memory, or without xz or zstd");
        for (const int status : {write_data(config), write_tree(), write_tables()}) {
            if (status != 0) return fail(Code::kInternal, "libsquashfs: error {}", status);
        }
        return std::move(file_.bytes);
    }
    ~ImageWriter() { OPENSSL_cleanse(file_.bytes.data(), file_.bytes.size()); }

private:
    bool create() {
        if (sqfs_super_init(&super_, SQFS_DEFAULT_BLOCK_SIZE, 0, algorithm_) != 0) return false;
        sqfs_compressor_config_t options{};
        if (sqfs_compressor_config_init(&options, algorithm_, SQFS_DEFAULT_BLOCK_SIZE, 0) != 0) return false;
        sqfs_compressor_t* compressor = nullptr;
        if (sqfs_compressor_create(&options, &compressor) != 0) return false;
        compressor_.reset(compressor);
        blocks_.reset(sqfs_block_writer_create(&file_.base, kDeviceBlock, 0));
        fragments_.reset(sqfs_frag_table_create(0));
        ids_.reset(sqfs_id_table_create(0));
        inodes_.reset(sqfs_meta_writer_create(&file_.base, compressor, 0));
        directories_.reset(sqfs_meta_writer_create(&file_.base, compressor, SQFS_META_WRITER_KEEP_IN_MEMORY));
        if (!blocks_ || !fragments_ || !ids_ || !inodes_ || !directories_) return false;
        entries_.reset(sqfs_dir_writer_create(directories_.get(), 0));
        // No worker threads: the order of blocks, and so the bytes, must not depend on timing.
        processor_.reset(
            sqfs_block_processor_create(SQFS_DEFAULT_BLOCK_SIZE, compressor, 1, 1, blocks_.get(), fragments_.get()));
        return entries_ && processor_ && sqfs_super_write(&super_, &file_.base) == 0;
    }

    int write_data(std::string_view config) {
        sqfs_inode_generic_t* inode = nullptr;
        int status = sqfs_block_processor_begin_file(processor_.get(), &inode, nullptr, 0);
        if (status == 0) status = sqfs_block_processor_append(processor_.get(), config.data(), config.size());
        if (status == 0) status = sqfs_block_processor_end_file(processor_.get());
        if (status == 0) status = sqfs_block_processor_finish(processor_.get());
        file_inode_.reset(inode);
        return status;
    }

    // The file's inode is number 1; each directory's follows its child's, so that references point backwards.
    int write_tree() {
        super_.inode_table_start = file_.bytes.size();
        sqfs_u32 number = 1;
        sqfs_u64 reference = 0;
        int status = write_inode(file_inode_.get(), number, S_IFREG | 0400, reference);
        const char* name = kFileName;
        sqfs_u16 mode = S_IFREG | 0400;
        for (std::size_t i = kDirectories.size(); status == 0 && i-- > 0;) {
            status = sqfs_dir_writer_begin(entries_.get(), 0);
            if (status == 0) status = sqfs_dir_writer_add_entry(entries_.get(), name, number, reference, mode);
            if (status == 0) status = sqfs_dir_writer_end(entries_.get());
            if (status != 0) break;
            // The root's parent is, by squashfs' convention, one more than the last inode.
            std::unique_ptr<sqfs_inode_generic_t, Free> inode(
                sqfs_dir_writer_create_inode(entries_.get(), 0, kNoXattr, number + 2));
            if (!inode) return SQFS_ERROR_ALLOC;
            mode = S_IFDIR | 0755;
            status = write_inode(inode.get(), ++number, mode, reference);
            name = kDirectories[i];
        }
        super_.inode_count = number;
        super_.root_inode_ref = reference;
        return status;
    }

    int write_inode(sqfs_inode_generic_t* inode, sqfs_u32 number, sqfs_u16 mode, sqfs_u64& reference) {
        inode->base.mode = mode;
        inode->base.mod_time = 0;
        inode->base.inode_number = number;
        int status = sqfs_id_table_id_to_index(ids_.get(), 0, &inode->base.uid_idx);
        if (status != 0) return status;
        inode->base.gid_idx = inode->base.uid_idx;
        sqfs_u64 block = 0;
        sqfs_u32 offset = 0;
        sqfs_meta_writer_get_position(inodes_.get(), &block, &offset);
        reference = (block << 16) | offset;
        return sqfs_meta_writer_write_inode(inodes_.get(), inode);
    }

    int write_tables() {
        int status = sqfs_meta_writer_flush(inodes_.get());
        if (status == 0) status = sqfs_meta_writer_flush(directories_.get());
        if (status != 0) return status;
        super_.directory_table_start = file_.bytes.size();
        status = sqfs_meta_write_write_to_file(directories_.get());
        if (status == 0) status = sqfs_frag_table_write(fragments_.get(), &file_.base, &super_, compressor_.get());
        if (status == 0) status = sqfs_id_table_write(ids_.get(), &file_.base, &super_, compressor_.get());
        if (status != 0) return status;
        super_.flags |= SQFS_FLAG_NO_XATTRS;
        super_.bytes_used = file_.bytes.size();
        status = sqfs_super_write(&super_, &file_.base);
        const auto tail = file_.bytes.size() % kDeviceBlock;
        if (tail != 0) file_.bytes.resize(file_.bytes.size() + kDeviceBlock - tail);
        return status;
    }

    const SQFS_COMPRESSOR algorithm_;
    MemoryFile file_;
    sqfs_super_t super_{};
    // Destroyed bottom up: users before what they use.
    Owned<sqfs_compressor_t> compressor_;
    Owned<sqfs_block_writer_t> blocks_;
    Owned<sqfs_frag_table_t> fragments_;
    Owned<sqfs_id_table_t> ids_;
    Owned<sqfs_meta_writer_t> inodes_;
    Owned<sqfs_meta_writer_t> directories_;
    Owned<sqfs_dir_writer_t> entries_;
    std::unique_ptr<sqfs_inode_generic_t, Free> file_inode_;
    Owned<sqfs_block_processor_t> processor_;
};

}  // namespace

Result<std::string> make_config_image(std::string_view config, ImageCompression compression) {
    if (config.empty()) return fail(Code::kInvalidArgument, "an empty config");
    ImageWriter writer(compression);
    return writer.write(config);
}

ConfigImage::~ConfigImage() {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

Result<std::shared_ptr<const ConfigImage>> ConfigImageCache::get(const std::string& config_sha256,
                                                                 std::string_view config,
                                                                 ImageCompression compression) {
    const std::string key = config_sha256 + (compression == ImageCompression::kZstd ? ".zstd" : ".xz");
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = index_.find(key); found != index_.end()) {
            entries_.splice(entries_.begin(), entries_, found->second);
            return found->second->second;
        }
    }
    // Without the lock: compressing takes milliseconds. Two requests may both make the same bytes.
    auto bytes = make_config_image(config, compression);
    if (!bytes) return fail(std::move(bytes.error()));
    std::string digest = sha256_hex(*bytes);
    auto image = std::make_shared<const ConfigImage>(std::move(*bytes), std::move(digest));

    const std::lock_guard lock(mutex_);
    if (image->bytes.size() > limit_ || index_.contains(key)) return image;
    entries_.emplace_front(key, image);
    index_[key] = entries_.begin();
    bytes_ += image->bytes.size();
    while (bytes_ > limit_) {
        bytes_ -= entries_.back().second->bytes.size();
        index_.erase(entries_.back().first);
        entries_.pop_back();
    }
    return image;
}

std::size_t ConfigImageCache::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

}  // namespace nett::metadata
