#include "agent/core/store/watch_hub.hpp"

namespace nett {

Subscription WatchHub::subscribe(std::string kind, Revision after, Observer observer) {
    const auto id = next_id_++;
    watchers_.emplace(id, std::make_shared<Watcher>(Watcher{std::move(kind), after, std::move(observer)}));
    return Subscription([hub = weak_from_this(), id] {
        if (const auto alive = hub.lock()) alive->watchers_.erase(id);
    });
}

void WatchHub::deliver(const std::vector<Change>& changes, To to) {
    for (const auto& change : changes) {
        // By id, not by iterator: an observer may change the map.
        std::uint64_t last = 0;
        for (auto next = watchers_.upper_bound(last); next != watchers_.end(); next = watchers_.upper_bound(last)) {
            last = next->first;
            const auto watcher = next->second;
            const bool wanted = watcher->kind.empty() || watcher->kind == change.kind;
            if (wanted && (to == To::kAll || change.revision > watcher->after)) watcher->observer(change);
        }
    }
}

void WatchHub::forget_revisions() {
    for (auto& [id, watcher] : watchers_) watcher->after = 0;
}

}  // namespace nett
